"""Losses against phase 1's, values by hand, finite differences, and their two-step version."""

import math

import numpy as np
import pytest

from phase_01.losses import cross_entropy, mean_squared_error
from phase_02.gradient_check import TOLERANCE, check_loss
from phase_02.layers import Softmax
from phase_02.losses import MeanSquaredError, SoftmaxCrossEntropy


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("shape", [(4,), (3, 2), (2, 3, 4)], ids=str)
def test_squared_error_gradient(shape):
    errors = check_loss(MeanSquaredError(), rng(1).normal(size=shape), rng(2).normal(size=shape))
    assert errors["prediction"] < TOLERANCE


@pytest.mark.parametrize("leading", [(1,), (5,), (2, 3)], ids=str)
def test_cross_entropy_gradient(leading):
    z, y = rng(1).normal(size=(*leading, 4)), rng(2).integers(4, size=leading)
    assert check_loss(SoftmaxCrossEntropy(), z, y)["prediction"] < TOLERANCE


def test_known_values():
    squared = MeanSquaredError()
    assert squared.forward([2, 5], [1, 1]) == 8.5  # (1 + 16) / 2
    assert squared.backward().tolist() == [1, 4]
    loss = SoftmaxCrossEntropy()
    assert loss.forward([[0, 0], [0, 0]], [1, 0]) == pytest.approx(math.log(2))
    np.testing.assert_allclose(loss.backward(), [[0.25, -0.25], [-0.25, 0.25]])


def test_values_are_those_of_phase_1():
    z, y = rng(1).normal(size=(6, 3)), rng(2).integers(3, size=6)
    assert SoftmaxCrossEntropy().forward(z, y) == pytest.approx(cross_entropy(z, y))
    assert MeanSquaredError().forward(z[:, 0], z[:, 1]) == pytest.approx(
        mean_squared_error(z[:, 0], z[:, 1])
    )


def test_fused_gradient_equals_softmax_then_logarithm():
    z, y = rng(1).normal(size=(6, 3)), rng(2).integers(3, size=6)
    fused, softmax = SoftmaxCrossEntropy(), Softmax()
    fused.forward(z, y)
    p = softmax.forward(z)
    dL_dp = np.zeros_like(p)
    dL_dp[np.arange(6), y] = -1 / p[np.arange(6), y] / 6
    np.testing.assert_allclose(fused.backward(), softmax.backward(dL_dp)[0], rtol=1e-12)


def test_blame_pushes_and_pulls_in_balance():
    loss = SoftmaxCrossEntropy()
    loss.forward(rng(1).normal(size=(6, 3)), rng(2).integers(3, size=6))
    np.testing.assert_allclose(loss.backward().sum(axis=-1), 0, atol=1e-15)


def test_huge_logits_stay_finite():
    loss = SoftmaxCrossEntropy()
    assert loss.forward([[1000.0, 0.0]], [1]) == 1000
    np.testing.assert_array_equal(loss.backward(), [[1, -1]])


def test_backward_can_be_called_twice():
    loss = SoftmaxCrossEntropy()
    loss.forward(rng(1).normal(size=(6, 3)), rng(2).integers(3, size=6))
    np.testing.assert_array_equal(loss.backward(), loss.backward())


@pytest.mark.parametrize(
    ("loss", "prediction", "y", "message"),
    [
        (MeanSquaredError, [1.0, 2.0], [[1.0], [2.0]], r"y: .* \(2,\), got shape \(2, 1\)"),
        (MeanSquaredError, [], [], "no entries"),
        (MeanSquaredError, [np.nan], [1.0], "nan"),
        (SoftmaxCrossEntropy, [[1.0, 2.0]], [2], "from 0 to 1 .* got 2 to 2"),
        (SoftmaxCrossEntropy, [[1.0, 2.0]], [-1], "got -1 to -1"),
        (SoftmaxCrossEntropy, [[1.0, 2.0]], [0, 1], r"shape \(1,\), got shape \(2,\)"),
        (SoftmaxCrossEntropy, [[1.0, np.inf]], [0], "nan or infinite"),
        (SoftmaxCrossEntropy, np.zeros((0, 3)), [], "no entries"),
    ],
)
def test_bad_input_is_refused(loss, prediction, y, message):
    with pytest.raises(ValueError, match=message):
        loss().forward(prediction, y)


@pytest.mark.parametrize("loss", [MeanSquaredError, SoftmaxCrossEntropy])
def test_backward_before_forward_is_refused(loss):
    with pytest.raises(ValueError, match="call forward first"):
        loss().backward()


@pytest.mark.parametrize(
    ("loss", "y"), [(MeanSquaredError(), [[1, 2, 3], [4, 5, 6]]), (SoftmaxCrossEntropy(), [1, 2])]
)
def test_float32_stays_float32(loss, y):
    loss.forward(np.ones((2, 3), np.float32), y)
    assert loss.backward().dtype == np.float32
