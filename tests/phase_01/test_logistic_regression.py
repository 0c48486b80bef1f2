"""Logistic regression: gradients against nudging, the likelihood, and the loss that goes flat."""

import math

import numpy as np
import pytest

from phase_00.derivatives import numerical_gradient
from phase_01.activations import sigmoid
from phase_01.logistic_regression import fit, gradient, squared_gradient, two_clouds
from phase_01.losses import binary_cross_entropy, mean_squared_error

X, Y = two_clouds(30, np.random.default_rng(0))


def test_gradient_by_hand():
    # one example x = (1, 2) of class 1, w = 0: p = ½, p − y = −½
    dL_dw, dL_db = gradient([[1, 2]], [1], [0, 0], 0.0)
    assert dL_dw.tolist() == [-0.5, -1]
    assert dL_db == -0.5
    # squared error: 2 (p − y) p (1 − p) = 2 · (−½) · ¼ = −¼
    dL_dw, dL_db = squared_gradient([[1, 2]], [1], [0, 0], 0.0)
    assert dL_dw.tolist() == [-0.25, -0.5]
    assert dL_db == -0.25


@pytest.mark.parametrize(
    ("gradient_of", "loss"),
    [
        (gradient, lambda z: binary_cross_entropy(z, Y)),
        (squared_gradient, lambda z: mean_squared_error(sigmoid(z), Y)),
    ],
)
def test_gradients_are_what_nudging_measures(gradient_of, loss):
    place = np.array([0.7, -1.1, 0.4])
    measured = numerical_gradient(lambda place: loss(X @ place[:2] + place[2]), place)
    dL_dw, dL_db = gradient_of(X, Y, place[:2], place[2])
    np.testing.assert_allclose([*dL_dw, dL_db], measured, rtol=1e-7)


def test_the_two_losses_do_not_share_a_gradient():
    ours, squared = (f(X, Y, [0.7, -1.1], 0.4)[0] for f in (gradient, squared_gradient))
    assert not np.allclose(ours, squared, rtol=0.1)


def test_learned_weights_are_at_the_bottom():
    w, b, losses = fit(X, Y, learning_rate=1.0, steps=3000)
    assert losses[0] == pytest.approx(math.log(2))
    assert (np.diff(losses) <= 1e-12).all()
    dL_dw, dL_db = gradient(X, Y, w, b)
    np.testing.assert_allclose([*dL_dw, dL_db], 0, atol=1e-6)
    assert np.mean((X @ w + b > 0) == Y) > 0.8
    # at the bottom the average probability is the share of class 1
    assert sigmoid(X @ w + b).mean() == pytest.approx(Y.mean(), abs=1e-6)


def test_the_loss_is_the_likelihood():
    w, b = np.array([0.5, 1.0]), -0.2
    p = sigmoid(X @ w + b)
    likelihood = np.prod(np.where(Y == 1, p, 1 - p))
    assert binary_cross_entropy(X @ w + b, Y) == pytest.approx(-math.log(likelihood) / len(Y))


def test_squared_error_hardly_pulls_when_sure_and_wrong():
    pulls = {
        z: [abs(f([[1.0]], [1], [z], 0.0)[0][0]) for f in (gradient, squared_gradient)]
        for z in (-2.0, -10.0)
    }
    assert pulls[-10.0][0] > pulls[-2.0][0] > 0.8
    # 2 p (1 − p)² ≈ 2 e^−10
    assert pulls[-10.0][1] == pytest.approx(2 * math.exp(-10), rel=1e-3)
    bad = [-8.0, -8.0]
    ours, squared = (fit(X, Y, 0.5, 60, bad, squared)[2] for squared in (False, True))
    assert ours[0] == squared[0]
    assert ours[-1] < 0.1 * ours[0]
    assert squared[-1] > 0.9 * squared[0]


def test_clouds_overlap_and_are_as_many():
    x, y = two_clouds(500, np.random.default_rng(0))
    assert x.shape == (1000, 2)
    assert np.bincount(y).tolist() == [500, 500]
    np.testing.assert_allclose(x[y == 1].mean(axis=0), [1, 0.5], atol=0.2)
    np.testing.assert_allclose(x[y == 0].mean(axis=0), [-1, -0.5], atol=0.2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradient([1.0, 2.0], [1], [1.0, 2.0], 0.0), r"x: .* \(N, n\), got shape \(2,\)"),
        (lambda: gradient([[1.0, 2.0]], [1], [1.0], 0.0), r"w: .* \(2,\), got shape \(1,\)"),
        (lambda: squared_gradient([[1.0]], [3], [1.0], 0.0), "y: expected class numbers"),
        (lambda: fit(X, Y[:-1], 0.1, 5), r"y: .* got shape \(59,\)"),
        (lambda: fit(X, Y, -0.1, 5), "learning_rate: expected a number above 0"),
        (lambda: fit(X, Y, 0.1, 0), "steps: expected a whole number"),
        (lambda: fit(X, Y, 0.1, 5, start=[1.0]), r"start: .* got shape \(1,\)"),
        (lambda: fit([[np.inf]], [1], 0.1, 5), "x: .* nan or infinite"),
        (lambda: two_clouds(0, np.random.default_rng(0)), "count: expected a whole number"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
