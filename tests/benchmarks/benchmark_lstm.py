"""Our hand-written LSTM against PyTorch's: seconds for forward and backward, one CPU thread each.

A batch of 32 sequences of 64 steps, 64 numbers in and 64 units, all in float32. Run ``make bench``.
"""

import argparse

from turns import compare, one_thread, report

if __name__ == "__main__":  # a test that imports this file keeps its threads
    one_thread()

import numpy as np
import torch
from torch import nn

from phase_04.lstm import LSTM

B, T, C = 32, 64, 64


def make_both(seed: int = 0) -> tuple[LSTM, nn.LSTM]:
    """Our layer and PyTorch's, with the same weights; theirs orders the gates i, f, g, o."""
    ours = LSTM(C, C, np.random.default_rng(seed), np.float32)
    theirs = nn.LSTM(C, C, batch_first=True)
    order = np.concatenate([np.arange(2 * C), np.arange(3 * C, 4 * C), np.arange(2 * C, 3 * C)])
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(torch.from_numpy(ours.params["W_x"][:, order].T))
        theirs.weight_hh_l0.copy_(torch.from_numpy(ours.params["W_h"][:, order].T))
        theirs.bias_ih_l0.copy_(torch.from_numpy(ours.params["b"][order]))
        theirs.bias_hh_l0.zero_()
    return ours, theirs


def batch(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Random input (32, 64, 64), and blame for what comes out, of the same shape."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(B, T, C)).astype(np.float32),
        rng.normal(size=(B, T, C)).astype(np.float32),
    )


def our_step(layer: LSTM, x: np.ndarray, blame: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict]:
    """What comes out, and the gradients, by our code."""
    states = layer.forward(x)
    dL_dstates = np.zeros_like(states)
    dL_dstates[..., :C] = blame
    dL_dx, _, grads = layer.backward(dL_dstates)
    return states[..., :C], dL_dx, grads


def their_step(
    layer: nn.LSTM, x: torch.Tensor, blame: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What comes out, and the gradient of x, by PyTorch; the others are left in the parameters."""
    layer.zero_grad(set_to_none=True)
    x = x.detach().requires_grad_()
    h, _ = layer(x)
    h.backward(blame)
    return h, x.grad


def main() -> None:
    """Print both times and their quotient."""
    argparse.ArgumentParser(description="Our LSTM's speed against PyTorch's.").parse_args()
    torch.set_num_threads(1)
    ours, theirs = make_both()
    x, blame = batch()
    x_torch, blame_torch = torch.from_numpy(x), torch.from_numpy(blame)
    times = compare(
        lambda: our_step(ours, x, blame), lambda: their_step(theirs, x_torch, blame_torch), 21, 5
    )
    report("LSTM, batch 32, 64 steps, 64 units", *times, aim=4)


if __name__ == "__main__":
    main()
