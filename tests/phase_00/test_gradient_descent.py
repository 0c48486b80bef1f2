"""Descent in valleys whose path is known, and the learning rate at which it turns round."""

import numpy as np
import pytest

from phase_00.derivatives import numerical_gradient
from phase_00.gradient_descent import (
    RAVINE,
    descend,
    height,
    height_gradient,
    largest_stable_rate,
)


def test_steps_by_hand():
    # f = w², slope 2w: from 1 with η = 0.25 each step halves w
    assert descend(lambda w: 2 * w, [1], 0.25, 3)[:, 0].tolist() == [1, 0.5, 0.25, 0.125]


def test_gradient_of_the_height_is_its_numerical_gradient():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(3, 3))
    A, w = A + A.T, rng.normal(size=3)
    np.testing.assert_allclose(
        height_gradient(w, A), numerical_gradient(lambda w: height(w, A), w), rtol=1e-8
    )


@pytest.mark.parametrize(
    "A",
    [
        RAVINE,
        np.array([[3.0, 1.0], [1.0, 3.0]]),
        np.array([[13.0, -12.0], [-12.0, 13.0]]),
        np.eye(1),
        np.array([[1e-6]]),
        np.array([[1e6]]),
    ],
)
def test_limit_is_two_over_the_largest_curvature(A):
    limit = largest_stable_rate(A)
    assert limit == pytest.approx(2 / np.linalg.eigvalsh(A).max(), rel=1e-6)
    for factor, comes_nearer in ((0.99, True), (1.01, False)):
        path = descend(
            lambda w: height_gradient(w, A), np.arange(1.0, len(A) + 1), factor * limit, 500
        )
        assert (height(path[-1], A) < height(path[0], A)) == comes_nearer


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: descend(np.sin, [], 0.1, 1), "start: .* no entries"),
        (lambda: descend(np.sin, [np.nan], 0.1, 1), "start: .* nan"),
        (lambda: descend(np.sin, [1.0], -0.1, 1), "learning_rate: expected a number above 0"),
        (lambda: descend(np.sum, [1.0, 2.0], 0.1, 1), r"gradient: .* \(2,\), got shape \(\)"),
        (lambda: descend(np.sin, [1.0], 0.1, 0), "steps: expected a whole number of at least 1"),
        (lambda: height_gradient(np.ones((2, 2)), RAVINE), r"w: .* \(2,\), got shape \(2, 2\)"),
        (lambda: largest_stable_rate(np.ones((2, 3))), r"A: .* \(n, n\), got shape \(2, 3\)"),
        (lambda: largest_stable_rate([[0.0]]), "A: expected a valley"),
        (lambda: largest_stable_rate([[1.0, 0.0], [0.0, -1.0]]), "A: expected a valley"),
        (lambda: largest_stable_rate([[1.0, 9.0], [0.0, 1.0]]), "A: expected a valley"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_start_is_left_alone():
    def in_place(w):
        w *= 2
        return w

    start = np.ones(2)
    descend(in_place, start, 0.1, 3)
    np.testing.assert_array_equal(start, 1)
