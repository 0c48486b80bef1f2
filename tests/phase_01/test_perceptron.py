"""The perceptron: the rule by hand, what it learns, and why it cannot learn XOR."""

import numpy as np
import pytest

from phase_01.perceptron import INPUTS, TARGETS, best_line, cycle_length, predict, train


def test_answer_by_hand():
    # votes 1·2 + 0·(−1) − 1 = 1, 0·2 + 1·(−1) − 1 = −2, 0.5·2 − 1 = 0: on the line, so no
    assert predict([[1, 0], [0, 1], [0.5, 0]], [2, -1], -1).tolist() == [1, 0, 0]


def test_rule_by_hand():
    # from w = 0, b = 0 every answer is 0. OR is 1 at (0, 1): w = (0, 1), b = 1. Then every answer
    # but that at (0, −2) is 1, so the first mistake of the next epoch is at (0, 0): b = 0.
    training = train(INPUTS, TARGETS["OR"], epochs=2)
    assert training.boundaries[:3].tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 0]]
    assert training.mistakes == [1, 2]


@pytest.mark.parametrize("name", ["AND", "OR"])
def test_what_a_line_separates_is_learned(name):
    training = train(INPUTS, TARGETS[name], epochs=100)
    assert predict(INPUTS, training.w, training.b).tolist() == TARGETS[name]
    assert training.mistakes[-1] == 0
    assert 0 not in training.mistakes[:-1]  # it stops at the first epoch without a mistake
    assert len(training.boundaries) == sum(training.mistakes) + 1
    assert training.boundaries[-1].tolist() == [*training.w, training.b]


def test_separable_clouds_in_five_dimensions_are_learned():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(200, 5)), rng.normal(size=5)
    x = x[np.abs(x @ w + 0.3) > 0.2]  # a gap between the classes
    y = (x @ w + 0.3 > 0).astype(int)
    training = train(x, y, epochs=200)
    assert training.mistakes[-1] == 0
    assert predict(x, training.w, training.b).tolist() == y.tolist()


def test_each_mistake_moves_towards_the_right_answer():
    training = train(INPUTS, TARGETS["XOR"], epochs=10)
    moves = np.diff(training.boundaries, axis=0)
    corners = np.column_stack([INPUTS, np.ones(4)])
    allowed = {tuple(sign * corner) for corner in corners for sign in (1, -1)}
    assert {tuple(move) for move in moves} <= allowed


def test_xor_is_never_learned_and_goes_in_circles():
    training = train(INPUTS, TARGETS["XOR"], epochs=1000)
    assert len(training.mistakes) == 1000
    assert min(training.mistakes) > 0
    cycle = cycle_length(training.boundaries)
    assert cycle == 4
    tail = training.boundaries[-10 * cycle :]
    np.testing.assert_array_equal(tail[cycle:], tail[:-cycle])
    assert len(np.unique(tail, axis=0)) == cycle


def test_cycle_length_by_hand():
    assert cycle_length([[0, 0], [1, 1], [2, 2], [1, 1]]) == 2
    assert cycle_length([[1, 1], [1, 1], [2, 2], [1, 1]]) == 2  # the last time counts
    assert cycle_length([[0, 0], [1, 1], [2, 2]]) == 0
    assert cycle_length(train(INPUTS, TARGETS["AND"], 100).boundaries) == 0


def test_no_line_is_right_at_more_than_three_corners_of_xor():
    grid = np.linspace(-2, 2, 21)
    found = {name: best_line(y, grid) for name, y in TARGETS.items()}
    assert found == {"AND": 4, "OR": 4, "XOR": 3}
    # of the 16 ways to label four corners, only XOR and its opposite have no line
    labels = np.array(list(np.ndindex(2, 2, 2, 2)))
    impossible = [y.tolist() for y in labels if best_line(y, grid) < 4]
    assert impossible == [[0, 1, 1, 0], [1, 0, 0, 1]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: predict([1.0, 2.0], [1, 1], 0), r"x: .* \(N, n\), got shape \(2,\)"),
        (lambda: predict([[1.0, 2.0]], [1], 0), r"w: .* \(2,\), got shape \(1,\)"),
        (lambda: predict([[1.0, 2.0]], [1, 1], np.nan), "b: .* nan"),
        (lambda: train(INPUTS, [0, 1, 2, 0], 5), "y: expected class numbers from 0 to 1"),
        (lambda: train(INPUTS, [0, 1], 5), r"y: .* got shape \(2,\)"),
        (lambda: train(np.zeros((0, 2)), [], 5), "x: .* no entries"),
        (lambda: train(INPUTS, [0, 1, 1, 0], 0), "epochs: expected a whole number"),
        (lambda: best_line([0, 1, 1], [1.0]), r"y: .* \(4,\)"),
        (lambda: best_line([0, 1, 1, 0], []), "grid: .* no entries"),
        (lambda: cycle_length([1.0, 2.0]), r"boundaries: .* got shape \(2,\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
