"""How many digits there are, and which of two equal formulas loses them."""

import numpy as np
import pytest

from phase_00.floating_point import (
    machine_epsilon,
    variance_errors,
    variance_one_pass,
    variance_two_pass,
)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_epsilon_is_the_step_after_one(dtype):
    assert machine_epsilon(dtype) == np.nextafter(dtype(1), dtype(2)) - 1


def test_variances_by_hand():
    # mean 2, squares of the deviations 1, 0, 1
    for variance in (variance_one_pass, variance_two_pass):
        assert variance([1, 2, 3]) == pytest.approx(2 / 3)


def test_one_pass_loses_every_digit_where_two_passes_keep_them():
    x = np.array([9999, 10001], np.float32)
    assert variance_one_pass(x) == 0
    assert variance_two_pass(x) == 1


def test_errors_grow_as_the_digits_cancel():
    one, two = variance_errors(np.array([1.0, 1e3]), np.float32)
    assert one[0] < 1e-6  # as good as float32 is
    assert one[1] > 1000 * one[0]  # a million times cancels six digits, less those to spare
    assert two.max() < 1e-6


@pytest.mark.parametrize("variance", [variance_one_pass, variance_two_pass])
def test_bad_input_is_refused(variance):
    with pytest.raises(ValueError, match="no entries"):
        variance([])
    with pytest.raises(ValueError, match=r"shape \(N,\)"):
        variance([[1.0]])
    with pytest.raises(ValueError, match="expected a floating-point type, got int64"):
        machine_epsilon(np.int64)
