"""Our hand-written MLP against PyTorch's: seconds for forward and backward, one CPU thread each.

The network is 64–128–128–10 with ReLU and cross-entropy, the batch 256 examples, all in float32.
Run ``make bench``.
"""

import argparse
from itertools import pairwise

from turns import compare, one_thread, report

if __name__ == "__main__":  # a test that imports this file keeps its threads
    one_thread()

import numpy as np
import torch
from torch import nn

from phase_02.layers import Linear, ReLU, Sequential
from phase_02.losses import SoftmaxCrossEntropy

SIZES, BATCH = (64, 128, 128, 10), 256


def make_both(seed: int = 0) -> tuple[Sequential, nn.Sequential]:
    """Our network and PyTorch's, with the same weights."""
    rng = np.random.default_rng(seed)
    ours, theirs = [], []
    for inputs, outputs in pairwise(SIZES):
        layer = Linear(inputs, outputs, rng, dtype=np.float32)
        layer.params["b"][...] = rng.normal(size=outputs)
        twin = nn.Linear(inputs, outputs)
        with torch.no_grad():
            twin.weight.copy_(torch.from_numpy(layer.params["W"].T))
            twin.bias.copy_(torch.from_numpy(layer.params["b"]))
        ours += [layer, ReLU()]
        theirs += [twin, nn.ReLU()]
    return Sequential(ours[:-1]), nn.Sequential(*theirs[:-1])


def batch(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Random examples (256, 64) in float32, and their classes (256,)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(BATCH, SIZES[0])).astype(np.float32), rng.integers(
        SIZES[-1], size=BATCH
    )


def our_step(model: Sequential, x: np.ndarray, y: np.ndarray) -> tuple[float, dict]:
    """Loss and gradients by our code."""
    loss = SoftmaxCrossEntropy()
    value = loss.forward(model.forward(x, training=True), y)
    return value, model.backward(loss.backward())[1]


def their_step(model: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> float:
    """Loss by PyTorch; the gradients are left in the parameters."""
    model.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    return loss.item()


def main() -> None:
    """Print both times and their quotient."""
    argparse.ArgumentParser(description="Our MLP's speed against PyTorch's.").parse_args()
    torch.set_num_threads(1)
    ours, theirs = make_both()
    x, y = batch()
    x_torch, y_torch = torch.from_numpy(x), torch.from_numpy(y)
    times = compare(
        lambda: our_step(ours, x, y), lambda: their_step(theirs, x_torch, y_torch), 21, 50
    )
    report("MLP 64–128–128–10, batch 256", *times, aim=2)


if __name__ == "__main__":
    main()
