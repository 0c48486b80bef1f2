"""The settings of the test run itself: what goes wrong quietly in production fails here."""

import warnings

import hypothesis
import matplotlib
import numpy as np
import pytest


@pytest.mark.parametrize("wrong", [lambda x: np.exp(x), lambda x: x / 0.0, lambda x: np.log(-x)])
def test_numpy_raises(wrong):
    with pytest.raises(FloatingPointError):
        wrong(np.array([1000.0]))


def test_warnings_are_errors():
    with pytest.raises(UserWarning):
        warnings.warn("planted", stacklevel=1)


def test_pictures_open_no_window_and_slow_machines_fail_no_property():
    assert matplotlib.get_backend().lower() == "agg"
    assert hypothesis.settings().deadline is None
