"""Nudging: its slopes, that it learns, what it costs, and how the cost is continued."""

import re
from pathlib import Path

import numpy as np
import pytest

from phase_00.derivatives import numerical_gradient
from phase_01.activations import tanh
from phase_01.mlp import MLP
from phase_01.perceptron import INPUTS, TARGETS
from phase_01.train_by_nudging import (
    GPT2_PARAMETERS,
    WIDTHS,
    YEAR,
    example_task,
    growth,
    loss,
    nudge_step,
    seconds_per_step,
    years_per_step,
)

Y = np.array(TARGETS["XOR"])


def random_network():
    rng = np.random.default_rng(0)
    network = MLP([2, 3, 1], tanh, rng)
    for array in network.parameters():
        array += rng.normal(size=array.shape)
    return network


def test_a_step_goes_down_the_gradient():
    network = random_network()
    before = [array.copy() for array in network.parameters()]
    expected = []
    for array in network.parameters():

        def loss_at(values, array=array):
            kept = array.copy()
            array[...] = values
            result = loss(network, INPUTS, Y)
            array[...] = kept
            return result

        expected.append(numerical_gradient(loss_at, array))
    start = loss(network, INPUTS, Y)
    assert nudge_step(network, INPUTS, Y, learning_rate=0.5) == start
    for array, old, gradient in zip(network.parameters(), before, expected, strict=True):
        np.testing.assert_allclose(array, old - 0.5 * gradient, atol=1e-6)
    assert loss(network, INPUTS, Y) < start


def test_a_step_listens_once_per_parameter_and_once_more(monkeypatch):
    network = random_network()
    calls = []
    forward = network.forward
    monkeypatch.setattr(network, "forward", lambda x: calls.append(1) or forward(x))
    nudge_step(network, INPUTS, Y, learning_rate=0.5)
    assert len(calls) == network.n_parameters() + 1 == 14


def test_xor_is_learned():
    network = MLP([2, 4, 1], tanh, np.random.default_rng(0), scheme="glorot")
    losses = [nudge_step(network, INPUTS, Y, learning_rate=1.0) for _ in range(300)]
    assert losses[-1] < 0.1 * losses[0]
    assert ((network.forward(INPUTS)[:, 0] > 0).astype(int) == Y).all()


def test_units_that_start_at_zero_never_learn_xor():
    network = MLP([2, 4, 1], tanh, np.random.default_rng(0), scheme="zero")
    losses = [nudge_step(network, INPUTS, Y, learning_rate=1.0) for _ in range(100)]
    assert losses[-1] == pytest.approx(np.log(2), abs=1e-6)


def test_measured_networks_have_the_size_they_say():
    # 16 · 8 + 8 inputs to hidden, 8 · 8 + 8 between them, 8 + 1 at the end
    parameters, seconds = seconds_per_step(8, examples=4)
    assert parameters == 136 + 72 + 9 == example_task(8)[0].n_parameters()
    assert 0 < seconds < 10


def test_time_is_continued_with_the_square():
    # ten times the parameters, a hundred times the time
    assert years_per_step(100, YEAR, 1000) == pytest.approx(100)
    assert years_per_step(GPT2_PARAMETERS, YEAR) == pytest.approx(1)
    assert YEAR == 31_557_600


def test_larger_networks_take_longer_and_gpt2_at_least_a_week():
    small, large = seconds_per_step(8), seconds_per_step(128)
    assert large[0] > 50 * small[0]
    assert large[1] > 10 * small[1]
    assert years_per_step(*large) > 7 / 365


def test_growth_is_the_slope_between_the_two_largest():
    assert growth([10, 100, 1000], [5.0, 1.0, 100.0]) == pytest.approx(2)
    assert growth([10, 20], [3.0, 6.0]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nudge_step(random_network(), INPUTS, Y, 0), "learning_rate: expected a number"),
        (lambda: nudge_step(random_network(), INPUTS, Y, 1.0, h=-1.0), "h: expected a number"),
        (lambda: nudge_step(random_network(), INPUTS, [0, 1], 1.0), r"y: .* got shape \(2,\)"),
        (lambda: nudge_step(random_network(), INPUTS[:, :1], Y, 1.0), r"x: .* got shape \(4, 1\)"),
        (lambda: seconds_per_step(0), "outputs: expected a whole number"),
        (lambda: seconds_per_step(4, examples=0), "examples: expected a whole number"),
        (lambda: growth([10], [1.0]), "parameters: expected two or more"),
        (lambda: growth([20, 10], [1.0, 2.0]), "parameters: expected two or more that grow"),
        (lambda: growth([10, 20], [1.0]), r"seconds: .* got shape \(1,\)"),
        (lambda: growth([10, 20], [1.0, 0.0]), "seconds: expected times above 0"),
        (lambda: years_per_step(0, 1.0), "parameters: expected a number above 0"),
        (lambda: years_per_step(10, -1.0), "seconds: expected a number above 0"),
        (lambda: years_per_step(10, 1.0, 0), "target: expected a number above 0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_note_tells_times_of_the_right_size():
    note = Path(__file__).parents[2] / "phase-01-neural-networks/notes/cost_of_nudging.md"
    rows = re.findall(
        r"^\| ([\d,]+)(?:, extrapolated)? \| ([\d.,]+)", note.read_text(), re.MULTILINE
    )
    told = {int(a.replace(",", "")): float(b.replace(",", "")) for a, b in rows}
    assert len(told) == len(WIDTHS) + 1
    for width in (8, 32, 128, 512):
        parameters, seconds = seconds_per_step(width)
        assert seconds / 10 < told[parameters] < 10 * seconds
    largest = sorted(told)[-2]
    years = years_per_step(largest, told[largest])
    assert told[GPT2_PARAMETERS] / YEAR == pytest.approx(years, rel=0.05)
    assert f"{years:.1f} years" in note.read_text()
