"""Checks of input say what was expected, what came and what to do, and let the rest pass."""

import numpy as np
import pytest

from shared.checks import (
    check_array,
    check_count,
    check_float_type,
    check_labels,
    check_number,
    check_share,
)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (3, ()),
        ([1, 2], ("N",)),
        (np.ones((4, 2)), ("N", 2)),
        (np.ones((3, 3)), ("n", "n")),
        (np.ones(5), (None, 5)),
        (np.ones((2, 3, 5)), (None, "C")),
        (np.ones((2, 3)), (None,)),
    ],
)
def test_what_fits_passes(value, shape):
    array = check_array("x", value, shape, "…")
    np.testing.assert_array_equal(array, value)
    assert array.dtype == np.float64


def test_float32_stays_and_no_copy_is_made():
    x = np.ones(3, np.float32)
    assert check_array("x", x, ("N",), "…") is x


@pytest.mark.parametrize(
    ("value", "shape", "message"),
    [
        (np.ones(3), ("N", 2), r"x: expected finite .* \(N, 2\), got shape \(3,\): do"),
        (np.ones((2, 3)), ("n", "n"), r"\(n, n\), got shape \(2, 3\)"),
        (np.ones(()), (None, "V"), r"\(…, V\), got shape \(\)"),
        (np.ones((0, 2)), ("N", 2), r"got no entries, shape \(0, 2\)"),
        ([1, np.nan, np.inf], ("N",), "2 of 3 that are nan or infinite"),
        ([[1], [1, 2]], ("N",), "got rows of unequal length"),
        ([1j], ("N",), "got complex"),
        (["1"], ("N",), "got str"),
        ([1, None], ("N",), "got NoneType, int"),
        ("abc", (), "got str"),
        (None, (), "got"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(value, shape, message):
    with pytest.raises(ValueError, match=message):
        check_array("x", value, shape, "do")


@pytest.mark.parametrize("value", [[0, 2, 1], np.array([2], np.uint8), [True, False]])
def test_labels_pass_as_whole_numbers(value):
    labels = check_labels("y", value, ("N",), 3)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0, 3], "from 0 to 2 of shape .*got 0 to 3: count classes from 0"),
        ([-1, 0], "got -1 to 0"),
        ([0.0, 1.0], "got float64"),
        ([], "got shape"),
        ([[0]], r"got shape \(1, 1\)"),
        ([[0], [1, 2]], "unequal"),
    ],
)
def test_wrong_labels_are_refused(value, message):
    with pytest.raises(ValueError, match=message):
        check_labels("y", value, ("N",), 3)


def test_numbers():
    assert check_number("h", 1, 0) == 1.0
    assert check_number("h", np.float32(0.5), 0, 1) == 0.5
    for value in (0, -1, 2, np.nan, np.inf, "1", [1.0], None, True):
        with pytest.raises(ValueError, match="h: expected a number above 0 and at most 1, got"):
            check_number("h", value, 0, 1)
    with pytest.raises(ValueError, match="h: expected a number above 0, got inf"):
        check_number("h", np.inf, 0)
    for value in (np.nan, "1", None, [1.0]):
        with pytest.raises(ValueError, match="h: expected a finite number, got"):
            check_number("h", value, -np.inf)


def test_shares():
    assert check_share("rate", 0, "…") == 0
    for value in (1, -0.1, np.nan, "a", None, [0.5]):
        with pytest.raises(ValueError, match=r"rate: expected 0 or more and below 1, got .*: do"):
            check_share("rate", value, "do")


def test_float_types():
    assert check_float_type("dtype", "float32") == np.float32
    for value in (int, "abc", 3):
        with pytest.raises(ValueError, match=r"dtype: expected a floating-point type, got .*: try"):
            check_float_type("dtype", value)


def test_counts():
    assert check_count("epochs", np.int32(3)) == 3
    for value in (0, -1, 1.0, "3", None, True):
        with pytest.raises(ValueError, match="epochs: expected a whole number of at least 1, got"):
            check_count("epochs", value)


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [(5, -np.inf, 1), ([[1], [1, 2]], 0, 1), (True, 0, 1), (np.array([1.0]), 0, 2), (None, 0, 1)],
)
def test_a_number_outside_of_its_limits_is_refused(value, low, high):
    with pytest.raises(ValueError, match=r"n: expected a (finite )?number"):
        check_number("n", value, low, high)


@pytest.mark.parametrize("value", ["f,(", "int", 3])
def test_what_is_no_floating_point_type_is_refused(value):
    with pytest.raises(ValueError, match="expected a floating-point type"):
        check_float_type("dtype", value)
