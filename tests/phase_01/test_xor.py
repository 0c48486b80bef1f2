"""XOR by hand: both networks at the corners, and where the plane goes."""

import numpy as np
import pytest

from phase_01.perceptron import INPUTS, TARGETS, best_line, train
from phase_01.xor import relu_hidden, relu_network, step_hidden, step_network


def test_hidden_units_are_or_and_and():
    h = step_hidden(INPUTS)
    assert h[:, 0].tolist() == TARGETS["OR"]
    assert h[:, 1].tolist() == TARGETS["AND"]


def test_both_networks_answer_right():
    assert step_network(INPUTS).tolist() == TARGETS["XOR"]
    assert relu_network(INPUTS).tolist() == TARGETS["XOR"]


def test_relu_values_by_hand():
    # (0.5, 1): h₁ = 1.5, h₂ = 0.5, answer 1.5 − 2 · 0.5 = 0.5
    assert relu_hidden([[0.5, 1.0]]).tolist() == [[1.5, 0.5]]
    assert relu_network([[0.5, 1.0]]).tolist() == [0.5]


@pytest.mark.parametrize("hidden", [step_hidden, relu_hidden])
def test_folding_makes_the_task_one_that_a_line_solves(hidden):
    h = hidden(INPUTS)
    np.testing.assert_array_equal(h[1], h[2])  # (0, 1) and (1, 0) land on the same place
    assert len(np.unique(h, axis=0)) == 3
    assert best_line(TARGETS["XOR"], np.linspace(-2, 2, 21)) == 3
    assert train(h, TARGETS["XOR"], epochs=100).mistakes[-1] == 0


def test_a_whole_diagonal_lands_on_one_place():
    along = np.linspace(-1, 2, 7)
    diagonal = np.stack([along, 1.25 - along], axis=1)
    np.testing.assert_allclose(relu_hidden(diagonal), np.tile([1.25, 0.25], (7, 1)))
    assert len(np.unique(step_hidden(diagonal), axis=0)) == 1


@pytest.mark.parametrize("function", [step_hidden, step_network, relu_hidden, relu_network])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([0.0, 1.0], r"x: .* \(N, 2\), got shape \(2,\)"),
        ([[0.0, 1.0, 2.0]], r"\(N, 2\), got shape \(1, 3\)"),
        (np.zeros((0, 2)), "no entries"),
        ([[np.nan, 0.0]], "1 of 2 that are nan"),
    ],
)
def test_bad_input_is_refused(function, x, message):
    with pytest.raises(ValueError, match=message):
        function(x)
