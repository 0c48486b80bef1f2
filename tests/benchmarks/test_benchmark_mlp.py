"""The benchmark compares equals: same network, same loss, same gradients. Reference: PyTorch."""

import time

import numpy as np
import pytest
import torch
from benchmark_mlp import batch, make_both, our_step, their_step
from turns import compare, report, seconds


def test_both_compute_the_same():
    ours, theirs = make_both()
    x, y = batch()
    loss, grads = our_step(ours, x, y)
    assert loss == pytest.approx(their_step(theirs, torch.from_numpy(x), torch.from_numpy(y)), 1e-6)
    assert {grad.dtype for grad in grads.values()} == {np.dtype(np.float32)}
    for place in (0, 2, 4):
        for name, twin in (("W", theirs[place].weight.grad.T), ("b", theirs[place].bias.grad)):
            np.testing.assert_allclose(grads[f"{place}.{name}"], twin, rtol=1e-4, atol=1e-6)


def test_seconds_are_those_of_one_call():
    calls = []

    def step():
        calls.append(time.sleep(0.01))

    assert 0.01 <= seconds(step, 5) < 0.1
    assert len(calls) == 5


def test_ours_is_not_many_times_slower():
    ours, theirs = make_both()
    x, y = batch()
    x_torch, y_torch = torch.from_numpy(x), torch.from_numpy(y)
    times = compare(
        lambda: our_step(ours, x, y), lambda: their_step(theirs, x_torch, y_torch), 5, 10
    )
    assert times[0] < 10 * times[1]  # the aim is 2, on a quiet machine with one thread: make bench


def test_the_report_shows_the_quotient(capsys):
    report("two things", 0.003, 0.002, aim=2)
    assert "quotient  1.50   (at most 2 is the aim)" in capsys.readouterr().out


def test_the_slower_of_two_has_the_larger_time():
    slow, fast = compare(lambda: time.sleep(0.01), lambda: None, rounds=3, repeats=2)
    assert slow >= 0.01 > fast
