"""Our multi-head attention against the same in PyTorch: seconds for forward and backward.

Eight sequences of 128 tokens, 64 numbers for each token, 4 heads, causal, all in float32, one CPU
thread each. PyTorch's is composed of the same products and the same softmax: its fused attention is
another algorithm. Run ``make bench``.
"""

import argparse

from turns import compare, one_thread, report

if __name__ == "__main__":  # a test that imports this file keeps its threads
    one_thread()

import numpy as np
import torch
from torch import nn

from phase_05.multi_head_attention import MultiHeadAttention

B, T, C, H = 8, 128, 64, 4


class Composed(nn.Module):
    """Causal multi-head attention out of PyTorch's linear layers, products and softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(C, 3 * C)
        self.projection = nn.Linear(C, C)
        self.register_buffer("after", torch.ones(T, T, dtype=torch.bool).triu(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, T, C) to (B, T, C)."""
        q, k, v = self.qkv(x).view(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)  # (B, H, T, D)
        s = q @ k.transpose(-1, -2) * (C // H) ** -0.5
        alpha = s.masked_fill(self.after, -torch.inf).softmax(dim=-1)
        return self.projection((alpha @ v).transpose(1, 2).reshape(B, T, C))


def make_both(seed: int = 0) -> tuple[MultiHeadAttention, Composed]:
    """Our layer and PyTorch's, with the same weights, and biases that are not 0."""
    rng = np.random.default_rng(seed)
    ours, theirs = MultiHeadAttention(C, H, rng, dtype=np.float32), Composed()
    with torch.no_grad():
        for layer, twin in ((ours.qkv, theirs.qkv), (ours.projection, theirs.projection)):
            layer.params["b"][...] = rng.normal(size=layer.params["b"].shape)
            twin.weight.copy_(torch.from_numpy(layer.params["W"].T))
            twin.bias.copy_(torch.from_numpy(layer.params["b"]))
    return ours, theirs


def batch(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Random input (8, 128, 64), and blame for what comes out, of the same shape."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(B, T, C)).astype(np.float32),
        rng.normal(size=(B, T, C)).astype(np.float32),
    )


def our_step(
    layer: MultiHeadAttention, x: np.ndarray, blame: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict]:
    """What comes out, and the gradients, by our code."""
    a = layer.forward(x, training=True)
    return a, *layer.backward(blame)


def their_step(
    layer: Composed, x: torch.Tensor, blame: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What comes out, and the gradient of x, by PyTorch; the others are left in the parameters."""
    layer.zero_grad(set_to_none=True)
    x = x.detach().requires_grad_()
    a = layer(x)
    a.backward(blame)
    return a, x.grad


def main() -> None:
    """Print both times and their quotient."""
    argparse.ArgumentParser(description="Our attention's speed against PyTorch's.").parse_args()
    torch.set_num_threads(1)
    ours, theirs = make_both()
    x, blame = batch()
    x_torch, blame_torch = torch.from_numpy(x), torch.from_numpy(blame)
    times = compare(
        lambda: our_step(ours, x, blame), lambda: their_step(theirs, x_torch, blame_torch), 21, 5
    )
    report("attention, batch 8, 128 tokens, 64 numbers, 4 heads", *times, aim=3)


if __name__ == "__main__":
    main()
