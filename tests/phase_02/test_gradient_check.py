"""The checker passes what is right, fails what is wrong, and says what it cannot check."""

import numpy as np
import pytest

from phase_02.gradient_check import (
    TOLERANCE,
    MeanInsteadOfSum,
    all_checks,
    check_gradients,
    check_layer,
    check_step,
    nudged_gradients,
    relative_error,
)
from phase_02.layers import Linear, ReLU, Softmax
from phase_02.optimizers import OPTIMIZERS, SGD


def rng(seed=1):
    return np.random.default_rng(seed)


def test_everything_of_the_phase_passes():
    worst = all_checks(rng())
    assert set(OPTIMIZERS) <= {name.removesuffix(" step") for name in worst}
    assert {name: error for name, error in worst.items() if error >= TOLERANCE} == {}


def test_relative_error_by_hand():
    assert relative_error([3.0, 4.0], [3.0, 4.0]) == 0
    assert relative_error([0.0], [0.0]) == 0
    assert relative_error([1e-3], [0.0]) == pytest.approx(0.1)  # too short to divide by itself
    assert relative_error([1.0], [-1.0]) == 1
    assert relative_error([3.0, 0.0], [3.0, 4.0]) == 4 / (3 + 5)


def test_a_wrong_bias_gradient_is_found_where_it_is():
    errors = check_layer(MeanInsteadOfSum(4, 3, rng()), rng(2).normal(size=(5, 4)), rng())
    # the average over 5 is a fifth of the sum: |1 − 1/5| / (1 + 1/5)
    assert errors["b"] == pytest.approx(0.8 / 1.2)
    assert max(errors["x"], errors["W"]) < TOLERANCE


def test_a_mistake_of_one_part_in_a_million_is_found():
    class Nearly(Linear):
        def backward(self, dL_da):
            dL_dx, grads = super().backward(dL_da)
            return dL_dx * (1 + 1e-6), grads

    assert check_layer(Nearly(4, 3, rng()), rng(2).normal(size=(5, 4)), rng())["x"] > TOLERANCE


def test_parameters_are_random_and_none_is_zero():
    layer = Linear(4, 3, rng())
    check_layer(layer, rng(2).normal(size=(5, 4)), rng())
    assert all(np.abs(array).min() > 0 for array in layer.params.values())


def test_arrays_are_put_back():
    x = rng().normal(size=(3, 2))
    before = x.copy()
    check_gradients(lambda: float(np.sum(x**2)), {"x": x}, {"x": 2 * x})
    np.testing.assert_array_equal(x, before)


def test_an_optimizer_that_reads_wrong_gradients_moves_elsewhere():
    class Off(SGD):
        def step(self, grads):
            super().step({name: grad + 1e-3 for name, grad in grads.items()})

    kinds = iter((Off, SGD))  # the run with backward's gradients comes first
    errors = check_step(lambda params: next(kinds)(params, 0.01), rng())
    assert max(errors.values()) > TOLERANCE


def test_float32_is_refused():
    with pytest.raises(ValueError, match="x: expected float64, got float32"):
        check_gradients(lambda: 0.0, {"x": np.ones(2, np.float32)}, {"x": np.ones(2)})


def test_a_missing_gradient_is_refused():
    class Forgetful(ReLU):
        def backward(self, dL_da):
            return super().backward(dL_da)[0], {"W": np.ones(1)}

    with pytest.raises(ValueError, match=r"expected one for each of \['x'\], got \['W', 'x'\]"):
        check_layer(Forgetful(), np.ones((2, 2)), rng())


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0, 2.0], [1.0], r"b: .* \(2,\), got shape \(1,\)"),
        ([], [], "no entries"),
        ([np.nan], [1.0], "a: .* nan"),
    ],
)
def test_bad_gradients_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        relative_error(a, b)


def test_a_gradient_that_is_rightly_zero_passes():
    class Shifted(Softmax):  # the same number for all scores changes no probability
        def __init__(self):
            super().__init__()
            self.params = {"b": np.zeros(1)}

        def forward(self, x, training=False):
            return super().forward(x + self.params["b"])

        def backward(self, dL_da):
            dL_dz, _ = super().backward(dL_da)
            return dL_dz, {"b": np.array([dL_dz.sum()])}

    assert max(check_layer(Shifted(), rng(2).normal(size=(5, 4)), rng()).values()) < TOLERANCE


def test_arrays_are_put_back_when_the_loss_fails():
    x = np.ones(3)
    with pytest.raises(ZeroDivisionError):
        nudged_gradients(lambda: 1 / (float(x[1]) == 1), {"x": x})
    np.testing.assert_array_equal(x, 1)


def test_the_callers_input_is_not_nudged():
    x = rng(2).normal(size=(5, 4))
    x.flags.writeable = False
    assert check_layer(ReLU(), x, rng())["x"] < TOLERANCE
