"""Our hand-written MLP against PyTorch's: seconds for forward and backward, one CPU thread each.

The network is 64–128–128–10 with ReLU and cross-entropy, the batch 256 examples, all in float32.
The two take turns in one run, because a shared machine is never equally fast twice; what counts is
the quotient. It lies with the tests because phase 2 has no PyTorch. Run ``make bench``.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

if __name__ == "__main__":  # a test that imports this file keeps its threads
    for library in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM"):
        os.environ[f"{library}_NUM_THREADS"] = "1"  # read when NumPy and torch are imported

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


def seconds(step: Callable[[], object], repeats: int) -> float:
    """The seconds of one call, averaged over some."""
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def compare(rounds: int = 21, repeats: int = 50) -> tuple[float, float]:
    """Median seconds of our step and of PyTorch's, measured in turns."""
    ours, theirs = make_both()
    x, y = batch()
    x_torch, y_torch = torch.from_numpy(x), torch.from_numpy(y)
    measured = [
        (
            seconds(lambda: our_step(ours, x, y), repeats),
            seconds(lambda: their_step(theirs, x_torch, y_torch), repeats),
        )
        for _ in range(rounds)
    ]
    return statistics.median(a for a, _ in measured), statistics.median(b for _, b in measured)


def main() -> None:
    """Print both times and their quotient."""
    argparse.ArgumentParser(description="Our MLP's speed against PyTorch's.").parse_args()
    torch.set_num_threads(1)
    ours, theirs = compare()
    print("MLP 64–128–128–10, batch 256, float32, one thread: forward + backward")
    print(f"  ours      {1e3 * ours:.3f} ms")
    print(f"  PyTorch   {1e3 * theirs:.3f} ms")
    print(f"  quotient  {ours / theirs:.2f}   (at most 2 is the aim)")


if __name__ == "__main__":
    main()
