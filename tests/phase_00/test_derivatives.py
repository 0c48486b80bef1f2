"""Slopes against slopes that are known, and the V-curve against its theory."""

import numpy as np
import pytest

from phase_00.derivatives import (
    central_difference,
    error_curve,
    forward_difference,
    numerical_gradient,
)


def test_differences_of_a_square_by_hand():
    # ((3 + 0.5)² − 3²) / 0.5 = (12.25 − 9) / 0.5, and ((3.5)² − (2.5)²) / 1 = 12.25 − 6.25
    assert forward_difference(np.square, 3.0, 0.5) == 6.5
    assert central_difference(np.square, 3.0, 0.5) == 6.0


def test_forward_error_falls_with_h_and_central_error_with_its_square():
    def error(difference, h):
        return abs(difference(np.exp, 1.0, h) - np.e)

    assert error(forward_difference, 1e-3) / error(forward_difference, 1e-4) == pytest.approx(
        10, rel=0.01
    )
    assert error(central_difference, 1e-2) / error(central_difference, 1e-3) == pytest.approx(
        100, rel=0.01
    )


def test_gradient_of_a_product_by_hand():
    # f = x₀² + 3 x₀ x₁: ∂f/∂x₀ = 2 x₀ + 3 x₁ = 7 and ∂f/∂x₁ = 3 x₀ = 6 at (2, 1)
    gradient = numerical_gradient(lambda x: x[0] ** 2 + 3 * x[0] * x[1], [2, 1])
    np.testing.assert_allclose(gradient, [7, 6], rtol=1e-9)


def test_gradient_has_the_shape_of_x_and_leaves_it_alone():
    rng = np.random.default_rng(0)
    x, coefficients = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    before = x.copy()
    gradient = numerical_gradient(lambda x: np.sum(coefficients * np.sin(x)), x)
    np.testing.assert_allclose(gradient, coefficients * np.cos(x), rtol=1e-8, atol=1e-9)
    np.testing.assert_array_equal(x, before)


def test_both_v_curves_are_lowest_where_theory_says():
    steps = np.logspace(-12, 0, 97)
    for dtype in (np.float32, np.float64):
        errors = error_curve(dtype, steps)
        eps = np.finfo(dtype).eps
        best = errors.argmin()
        assert steps[best] == pytest.approx(np.cbrt(eps), rel=1)  # within a factor of 2
        assert eps ** (2 / 3) / 10 < errors[best] < eps ** (2 / 3)
        assert errors[0] > 1000 * errors[best]  # both arms of the V rise
        assert errors[-1] > 1000 * errors[best]


@pytest.mark.parametrize("difference", [forward_difference, central_difference])
def test_bad_places_and_steps_are_refused(difference):
    with pytest.raises(ValueError, match="h: expected a number above 0"):
        difference(np.exp, 1.0, 0.0)
    with pytest.raises(ValueError, match="nan or infinite"):
        difference(np.exp, np.nan, 1e-5)


@pytest.mark.parametrize(
    ("f", "x", "message"),
    [
        (np.sum, [], "no entries"),
        (np.sum, [1.0, np.nan], "1 of 2 that are nan"),
        (np.sin, [1.0, 2.0], "gives one number, got shape"),
        (np.sum, [1e12], "h: expected a step that moves x, got 1e-05 at 1e\\+12 in float64"),
        (np.sum, np.array([1e3], np.float32), "h: expected a step that moves x"),
    ],
)
def test_bad_gradients_are_refused(f, x, message):
    with pytest.raises(ValueError, match=message):
        numerical_gradient(f, x)


@pytest.mark.parametrize("h", [0.0, -1.0, np.nan, "a"])
def test_bad_steps_of_a_gradient_are_refused(h):
    with pytest.raises(ValueError, match="h: expected a number above 0"):
        numerical_gradient(np.sum, 1.0, h)


def test_a_result_that_is_a_part_of_x_is_not_confused_with_it():
    assert numerical_gradient(lambda x: x, 3.0) == pytest.approx(1)
    np.testing.assert_allclose(numerical_gradient(lambda x: x[:1], [3.0, 1.0]), [1, 0])
