"""The benchmark compares equals: same network, same loss, same gradients. Reference: PyTorch."""

import numpy as np
import pytest
import torch
from benchmark_mlp import batch, compare, make_both, our_step, their_step


def test_both_compute_the_same():
    ours, theirs = make_both()
    x, y = batch()
    loss, grads = our_step(ours, x, y)
    assert loss == pytest.approx(their_step(theirs, torch.from_numpy(x), torch.from_numpy(y)), 1e-6)
    assert {grad.dtype for grad in grads.values()} == {np.dtype(np.float32)}
    for place in (0, 2, 4):
        for name, twin in (("W", theirs[place].weight.grad.T), ("b", theirs[place].bias.grad)):
            np.testing.assert_allclose(grads[f"{place}.{name}"], twin, rtol=1e-4, atol=1e-6)


def test_times_are_measured():
    ours, theirs = compare(rounds=1, repeats=1)
    assert ours > 0
    assert theirs > 0
