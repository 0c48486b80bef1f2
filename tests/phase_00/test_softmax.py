"""Softmax: a value worked by hand, what leaves it unchanged, and scores that overflow."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from phase_00.softmax import log_softmax, log_sum_exp, softmax

SCORES = arrays(np.float64, (3, 5), elements=st.floats(-1e3, 1e3))


def test_known_value():
    # e¹ = 2.7183, e² = 7.3891, e³ = 20.0855, sum 30.1929
    np.testing.assert_allclose(softmax([1, 2, 3]), [0.0900306, 0.2447285, 0.6652410], atol=1e-7)
    assert log_sum_exp([1, 2, 3]) == pytest.approx(math.log(math.e + math.e**2 + math.e**3))


@given(SCORES, st.floats(-1e3, 1e3))
def test_probabilities_that_do_not_see_a_shift(z, shift):
    p = softmax(z)
    assert p.shape == z.shape
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(axis=-1), 1)
    np.testing.assert_allclose(softmax(z + shift), p, atol=1e-9)
    np.testing.assert_allclose(np.exp(log_softmax(z)), p, atol=1e-12)


@given(SCORES)
def test_log_sum_exp_is_a_smooth_maximum(z):
    above = log_sum_exp(z) - z.max(axis=-1)
    assert above.min() >= 0
    assert above.max() <= math.log(5) + 1e-12


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_axis_along_which_it_sums_to_one(axis):
    z = np.random.default_rng(0).normal(size=(3, 5))
    np.testing.assert_allclose(softmax(z, axis=axis).sum(axis=axis), 1)
    np.testing.assert_allclose(np.exp(log_softmax(z, axis=axis)).sum(axis=axis), 1)


def test_large_scores_stay_finite():
    np.testing.assert_allclose(softmax([1000, 1001, 1002]), softmax([0, 1, 2]))
    assert log_softmax([0.0, -1000.0])[1] == -1000


def test_temperature_sharpens_and_flattens():
    cold, warm, hot = (softmax([2.0, 1.0], temperature=t)[0] for t in (0.5, 1, 2))
    # the odds are e^(1 / temperature)
    assert [p / (1 - p) for p in (cold, warm, hot)] == pytest.approx(
        [math.e**2, math.e, math.e**0.5]
    )


def test_precision_is_kept():
    assert softmax(np.zeros(3, np.float32)).dtype == np.float32


@pytest.mark.parametrize("function", [softmax, log_softmax, log_sum_exp])
@pytest.mark.parametrize(
    ("z", "message"),
    [
        (3.0, r"shape \(…, V\), got shape \(\)"),
        ([], "no entries"),
        ([1.0, np.nan], "1 of 2 that are nan"),
        (["a", "b"], "got str"),
    ],
)
def test_bad_scores_are_refused(function, z, message):
    with pytest.raises(ValueError, match=message):
        function(z)


@pytest.mark.parametrize("temperature", [0, -1.0, np.nan])
def test_bad_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature: expected a number above 0"):
        softmax([1.0, 2.0], temperature=temperature)


def test_a_temperature_too_low_for_floats_is_refused():
    with pytest.raises(ValueError, match=r"z / temperature: .* nan or infinite"):
        softmax([1.0, 2.0], temperature=1e-308)
