"""A line through points: known lines, two ways to find it, and why the error is squared."""

import math

import numpy as np
import pytest

from phase_00.derivatives import numerical_gradient
from phase_01.linear_regression import closed_form, fit, gradient, predict
from phase_01.losses import mean_squared_error

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, size=40)
Y = -1.2 * X + 0.4 + RNG.normal(scale=0.7, size=40)


def test_points_on_a_line_give_the_line():
    x = np.array([-1.0, 0.0, 3.0])
    np.testing.assert_allclose(closed_form(x, 2 * x - 5), [2, -5])
    np.testing.assert_allclose(fit(x, 2 * x - 5, 0.1, 500)[-1], [2, -5])


def test_line_by_hand():
    # x̄ = 1, ȳ = 2; w = Σ (x − x̄)(y − ȳ) / Σ (x − x̄)² = (1 + 0 + 2) / 2 = 1.5, b = ȳ − w x̄ = 0.5
    np.testing.assert_allclose(closed_form([0, 1, 2], [1, 1, 4]), [1.5, 0.5])


def test_first_step_by_hand():
    # w = b = 0: errors −1, −3 at x = 1, 2: ∂L/∂w = mean(−2, −12) = −7, ∂L/∂b = mean(−2, −6) = −4
    assert gradient([1, 2], [1, 3], 0.0, 0.0) == (-7, -4)
    np.testing.assert_allclose(fit([1, 2], [1, 3], 0.1, 1), [[0, 0], [0.7, 0.4]])


def test_gradient_is_what_nudging_measures():
    def loss(place):
        return mean_squared_error(predict(X, *place), Y)

    measured = numerical_gradient(loss, [0.8, -0.3])
    np.testing.assert_allclose(gradient(X, Y, 0.8, -0.3), measured, rtol=1e-8)


def test_descent_arrives_where_least_squares_points():
    path = fit(X, Y, learning_rate=0.1, steps=400)
    assert path.shape == (401, 2)
    np.testing.assert_allclose(path[-1], closed_form(X, Y), rtol=1e-9)
    np.testing.assert_allclose(gradient(X, Y, *path[-1]), 0, atol=1e-9)
    losses = [mean_squared_error(predict(X, *place), Y) for place in path]
    assert (np.diff(losses) <= 1e-15).all()


def test_the_likeliest_line_has_the_smallest_squared_error():
    # ln of a product of bell curves of width 0.7, written out for each of many lines
    def log_likelihood(w, b, std=0.7):
        densities = np.exp(-((predict(X, w, b) - Y) ** 2) / (2 * std**2)) / (
            std * math.sqrt(2 * math.pi)
        )
        return np.log(densities).sum()

    w, b = closed_form(X, Y)
    best = log_likelihood(w, b)
    lines = [(w + dw, b + db) for dw in (-0.1, 0, 0.1) for db in (-0.1, 0, 0.1)]
    likelihoods = [log_likelihood(*line) for line in lines]
    errors = [mean_squared_error(predict(X, *line), Y) for line in lines]
    assert max(likelihoods) == best
    assert np.argsort(likelihoods).tolist() == np.argsort(errors)[::-1].tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: predict([[1.0]], 1.0, 0.0), r"x: .* \(N,\), got shape \(1, 1\)"),
        (lambda: gradient([1.0, 2.0], [1.0], 0.0, 0.0), r"y: .* got shape \(1,\)"),
        (lambda: closed_form([], []), "x: .* no entries"),
        (lambda: closed_form([1.0, np.nan], [1.0, 2.0]), "1 of 2 that are nan"),
        (lambda: fit([1.0], [1.0], 0.0, 5), "learning_rate: expected a number above 0"),
        (lambda: fit([1.0], [1.0], 0.1, 0), "steps: expected a whole number"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
