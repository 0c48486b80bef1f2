"""Activations: values by hand, slopes against nudging, and numbers that would overflow."""

import math

import numpy as np
import pytest

from phase_00.derivatives import central_difference
from phase_01.activations import (
    BENDS,
    leaky_relu,
    leaky_relu_slope,
    relu,
    relu_slope,
    sigmoid,
    sigmoid_slope,
    tanh,
    tanh_slope,
)

FUNCTIONS = [function for pair in BENDS.values() for function in pair]


def test_values_by_hand():
    # e^(ln 3) = 3, so σ(ln 3) = 1 / (1 + 1/3) = 3/4 and tanh(ln 3) = (3 − 1/3) / (3 + 1/3) = 4/5
    z = [-math.log(3), 0.0, math.log(3)]
    np.testing.assert_allclose(sigmoid(z), [0.25, 0.5, 0.75])
    np.testing.assert_allclose(tanh(z), [-0.8, 0, 0.8], atol=1e-15)
    assert relu([-2.0, 0.0, 3.0]).tolist() == [0, 0, 3]
    assert leaky_relu([-2.0, 0.0, 3.0], slope=0.1).tolist() == [-0.2, 0, 3]


def test_slopes_by_hand():
    # 3/4 · 1/4 = 3/16 and 1 − (4/5)² = 9/25
    np.testing.assert_allclose(sigmoid_slope([0.0, math.log(3)]), [1 / 4, 3 / 16])
    np.testing.assert_allclose(tanh_slope([0.0, math.log(3)]), [1, 9 / 25])
    assert relu_slope([-2.0, 3.0]).tolist() == [0, 1]
    assert leaky_relu_slope([-2.0, 3.0], slope=0.1).tolist() == [0.1, 1]


def test_slopes_at_the_corner_are_those_of_the_left_side():
    assert relu_slope([0.0]).tolist() == [0]
    assert leaky_relu_slope([0.0], slope=0.1).tolist() == [0.1]


@pytest.mark.parametrize("name", BENDS)
def test_slope_is_what_nudging_measures(name):
    bend, slope = BENDS[name]
    z = np.random.default_rng(0).normal(scale=2, size=(3, 4, 5))
    assert np.abs(z).min() > 1e-3  # no nudge of 1e-5 crosses the corner
    np.testing.assert_allclose(slope(z), central_difference(bend, z, 1e-5), rtol=1e-7, atol=1e-10)


def test_a_wrong_slope_would_be_seen():
    z = np.array([0.5, -0.5])
    measured = central_difference(sigmoid, z, 1e-5)
    assert not np.allclose(sigmoid(z) * (1 + sigmoid(z)), measured)


def test_sigmoid_is_symmetric_and_a_stretched_tanh():
    z = np.linspace(-30, 30, 241)
    np.testing.assert_allclose(sigmoid(z) + sigmoid(-z), 1)
    np.testing.assert_allclose(2 * sigmoid(2 * z) - 1, tanh(z), atol=1e-15)


def test_slope_of_sigmoid_is_at_most_a_quarter():
    slopes = sigmoid_slope(np.linspace(-20, 20, 4001))
    assert slopes.max() == 0.25
    assert slopes.argmax() == 2000


def test_nothing_overflows_and_small_numbers_keep_their_digits():
    assert sigmoid([-1000.0, 1000.0]).tolist() == [0, 1]
    assert sigmoid_slope([-1000.0, 1000.0]).tolist() == [0, 0]
    assert tanh([-1000.0, 1000.0]).tolist() == [-1, 1]
    # far out σ(z) ≈ e^z and its slope ≈ e^−|z|; 1 − σ(40) alone would be 0
    np.testing.assert_allclose(sigmoid(-40.0), math.exp(-40))
    np.testing.assert_allclose(sigmoid_slope([-40.0, 40.0]), [math.exp(-40)] * 2)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_shape_and_precision_are_kept(function):
    for shape in ((), (3,), (2, 3, 4)):
        result = function(np.ones(shape, np.float32))
        assert result.shape == shape
        assert result.dtype == np.float32


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    ("z", "message"),
    [([], "z: .* no entries"), ([1.0, np.nan], "1 of 2 that are nan"), (["a"], "got str")],
)
def test_bad_input_is_refused(function, z, message):
    with pytest.raises(ValueError, match=message):
        function(z)


@pytest.mark.parametrize("function", [leaky_relu, leaky_relu_slope])
@pytest.mark.parametrize("slope", [0, -0.1, 1.5, np.nan])
def test_bad_slope_is_refused(function, slope):
    with pytest.raises(ValueError, match="slope: expected a number above 0 and at most 1"):
        function([1.0], slope=slope)
