"""Losses: values by hand, slopes against nudging, and logits that would overflow."""

import math

import numpy as np
import pytest

from phase_00.derivatives import numerical_gradient
from phase_00.softmax import softmax
from phase_01.losses import (
    binary_cross_entropy,
    binary_cross_entropy_slope,
    cross_entropy,
    huber,
    huber_slope,
    mean_squared_error,
    mean_squared_error_slope,
)

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(scale=2, size=(2, 7))
TASKS = {
    "squared": (mean_squared_error, mean_squared_error_slope, NUMBERS[0], NUMBERS[1]),
    "huber": (huber, huber_slope, NUMBERS[0], NUMBERS[1]),
    "binary": (
        binary_cross_entropy,
        binary_cross_entropy_slope,
        RNG.normal(scale=3, size=7),
        RNG.integers(2, size=7),
    ),
}


def test_numbers_by_hand():
    # errors 1, −3: (1 + 9) / 2 = 5; Huber ½ · 1² = 0.5 and 1 · (3 − 0.5) = 2.5, average 1.5
    assert mean_squared_error([2, 1], [1, 4]) == 5
    assert mean_squared_error_slope([2, 1], [1, 4]).tolist() == [1, -3]
    assert huber([2, 1], [1, 4]) == 1.5
    assert huber_slope([2, 1], [1, 4]).tolist() == [0.5, -0.5]
    # with δ = 2: ½ · 1² = 0.5 and 2 · (3 − 1) = 4, average 2.25
    assert huber([2, 1], [1, 4], delta=2.0) == 2.25
    assert huber_slope([2, 1], [1, 4], delta=2.0).tolist() == [0.5, -1]


def test_surprise_by_hand():
    # σ(ln 3) = 3/4: the surprise at yes is −ln 3/4, at no −ln 1/4
    z = [math.log(3)] * 2
    assert binary_cross_entropy(z, [1, 0]) == pytest.approx(-math.log(3 / 4 * 1 / 4) / 2)
    np.testing.assert_allclose(binary_cross_entropy_slope(z, [1, 0]), [-1 / 8, 3 / 8])
    # e^0, e^(ln 2), e^0 are 1, 2, 1: softmax is 1/4, 1/2, 1/4, and −ln ½ = ln 2
    z = [[0, math.log(2), 0]]
    assert cross_entropy(z, [1]) == pytest.approx(math.log(2))


def test_no_idea_costs_the_logarithm_of_the_number_of_classes():
    for classes in (2, 3, 100):
        assert cross_entropy(np.zeros((5, classes)), [0, 1, 0, 1, 0]) == pytest.approx(
            math.log(classes)
        )
    assert binary_cross_entropy(np.zeros(5), [0, 1, 0, 1, 0]) == pytest.approx(math.log(2))


@pytest.mark.parametrize("task", TASKS)
def test_slope_is_what_nudging_measures(task):
    loss, slope, prediction, y = TASKS[task]
    measured = numerical_gradient(lambda p: loss(p, y), prediction)
    np.testing.assert_allclose(slope(prediction, y), measured, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("task", TASKS)
def test_a_slope_without_the_average_would_be_seen(task):
    loss, slope, prediction, y = TASKS[task]
    measured = numerical_gradient(lambda p: loss(p, y), prediction)
    assert not np.allclose(len(y) * slope(prediction, y), measured, rtol=0.1)


def test_two_classes_are_a_special_case_of_many():
    z, y = TASKS["binary"][2:]
    both = np.stack([np.zeros_like(z), z], axis=1)  # softmax of (0, z) is (1 − σ(z), σ(z))
    assert cross_entropy(both, y) == pytest.approx(binary_cross_entropy(z, y))


def test_huber_with_a_wide_middle_is_half_the_squared_error():
    y_pred, y = NUMBERS
    assert huber(y_pred, y, delta=1000.0) == pytest.approx(mean_squared_error(y_pred, y) / 2)


def test_cross_entropy_sees_differences_of_logits_only():
    z, y = RNG.normal(scale=3, size=(7, 4)), RNG.integers(4, size=7)
    assert cross_entropy(z + 50, y) == pytest.approx(cross_entropy(z, y))
    # it is the average of −ln of the right class's probability, taken one example at a time
    surprises = [-math.log(softmax(row)[right]) for row, right in zip(z, y, strict=True)]
    assert cross_entropy(z, y) == pytest.approx(np.mean(surprises))


def test_large_logits_stay_finite():
    assert binary_cross_entropy([1000.0, -1000.0], [1, 0]) == 0
    assert binary_cross_entropy([1000.0, -1000.0], [0, 1]) == 1000
    assert binary_cross_entropy([40.0], [1]) == pytest.approx(math.exp(-40))  # not rounded to 0
    assert cross_entropy([[1000.0, 0.0]], [1]) == 1000


def test_one_wild_target_pulls_without_end_on_the_squared_error_only():
    far, further = [mean_squared_error_slope([0.0], [y])[0] for y in (100.0, 1000.0)]
    assert further == 10 * far
    assert huber_slope([0.0], [100.0]) == huber_slope([0.0], [1000.0])


@pytest.mark.parametrize("task", TASKS)
def test_slopes_keep_precision_and_leave_their_input_alone(task):
    loss, slope, prediction, y = TASKS[task]
    before = prediction.copy()
    y32 = y.astype(np.float32) if y.dtype.kind == "f" else y
    assert slope(prediction.astype(np.float32), y32).dtype == np.float32
    assert isinstance(loss(prediction, y), float)
    np.testing.assert_array_equal(prediction, before)


@pytest.mark.parametrize("function", [mean_squared_error, mean_squared_error_slope, huber])
@pytest.mark.parametrize(
    ("y_pred", "y", "message"),
    [
        ([1.0, 2.0], [1.0], r"y: .* \(2,\), got shape \(1,\)"),
        ([[1.0], [2.0]], [1.0, 2.0], r"y: .* \(2, 1\), got shape \(2,\)"),
        ([], [], "y_pred: .* no entries"),
        ([1.0, np.nan], [1.0, 2.0], "1 of 2 that are nan"),
    ],
)
def test_bad_numbers_are_refused(function, y_pred, y, message):
    with pytest.raises(ValueError, match=message):
        function(y_pred, y)


@pytest.mark.parametrize("function", [huber, huber_slope])
@pytest.mark.parametrize("delta", [0, -1.0, np.nan])
def test_bad_delta_is_refused(function, delta):
    with pytest.raises(ValueError, match="delta: expected a number above 0"):
        function([1.0], [2.0], delta)


@pytest.mark.parametrize("function", [binary_cross_entropy, binary_cross_entropy_slope])
@pytest.mark.parametrize(
    ("z", "y", "message"),
    [
        ([[1.0]], [1], r"z: .* \(N,\), got shape \(1, 1\)"),
        ([1.0], [2], "y: expected class numbers from 0 to 1 .* got 2 to 2"),
        ([1.0], [0.5], "convert with"),
        ([1.0, 2.0], [1], r"y: .* got shape \(1,\)"),
        ([np.inf], [1], "nan or infinite"),
    ],
)
def test_bad_yes_or_no_is_refused(function, z, y, message):
    with pytest.raises(ValueError, match=message):
        function(z, y)


@pytest.mark.parametrize(
    ("z", "y", "message"),
    [
        ([1.0, 2.0], [1], r"z: .* \(N, V\), got shape \(2,\)"),
        ([[1.0, 2.0]], [2], "y: expected class numbers from 0 to 1 .* got 2 to 2"),
        ([[1.0, 2.0]], [-1], "got -1 to -1"),
        ([[1.0, 2.0]], [0, 1], r"y: .* got shape \(2,\)"),
        ([[1.0, np.nan]], [0], "nan or infinite"),
    ],
)
def test_bad_classes_are_refused(z, y, message):
    with pytest.raises(ValueError, match=message):
        cross_entropy(z, y)
