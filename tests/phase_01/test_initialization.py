"""First weights: their width, what survives depth, and why zero learns nothing."""

import math

import numpy as np
import pytest

from phase_01.activations import relu, tanh
from phase_01.initialization import SCHEMES, activation_statistics, initial_weights
from phase_01.mlp import MLP


@pytest.mark.parametrize(
    ("scheme", "std"),
    [
        ("zero", 0),
        ("small", 0.01),
        ("glorot", math.sqrt(2 / (800 + 200))),
        ("he", math.sqrt(2 / 800)),
    ],
)
def test_width_of_the_bell_curve(scheme, std):
    W = initial_weights(800, 200, scheme, np.random.default_rng(0))
    assert W.shape == (800, 200)
    # of 160,000 numbers the average is off by std / 400, the width by std / 566, typically
    assert abs(W.mean()) <= 4 * std / 400
    assert W.std() == pytest.approx(std, rel=4 / 566)


def test_glorots_even_spread_has_the_same_width():
    # numbers spread evenly over −r…r have the standard deviation r / √3
    inputs, outputs = 30, 70
    r = math.sqrt(6 / (inputs + outputs))
    assert r / math.sqrt(3) == pytest.approx(math.sqrt(2 / (inputs + outputs)))


def test_one_width_is_enough_for_two_schemes_when_inputs_equal_outputs():
    he, glorot = (
        initial_weights(50, 50, scheme, np.random.default_rng(0)) for scheme in ("he", "glorot")
    )
    np.testing.assert_allclose(he, math.sqrt(2) * glorot)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_seed_and_precision(scheme):
    first, again = (initial_weights(3, 4, scheme, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float64
    small = initial_weights(3, 4, scheme, np.random.default_rng(1), np.float32)
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, first, rtol=1e-6)


def statistics(scheme, activation, depth=20, width=100):
    return activation_statistics(scheme, activation, depth, width, np.random.default_rng(0))


def test_what_survives_twenty_layers():
    for activation in (tanh, relu):
        assert statistics("zero", activation).tolist() == [0] * 20
        assert statistics("small", activation)[-1] < 1e-19
    he, glorot = statistics("he", relu), statistics("glorot", relu)
    assert 0.4 < he.min() <= he.max() < 2
    # he's weights are √2 times glorot's here, and ReLU passes a factor on: √2 for each layer
    np.testing.assert_allclose(he / glorot, math.sqrt(2) ** np.arange(1, 21))
    assert 0.1 < statistics("glorot", tanh)[-1] < 1


def test_small_weights_shrink_the_signal_tenfold_in_each_layer():
    # std(W) √inputs = 0.01 · √100 = 0.1, and tanh is straight for small numbers
    ratios = statistics("small", tanh)[1:] / statistics("small", tanh)[:-1]
    np.testing.assert_allclose(ratios, 0.1, rtol=0.15)


def test_shape_follows_depth():
    assert statistics("he", relu, depth=1, width=1).shape == (1,)
    assert statistics("he", relu, depth=7, width=3).shape == (7,)


def test_units_that_start_as_twins_stay_twins():
    # two units with equal weights give equal results: no nudge of the loss can tell them apart
    network = MLP([3, 4, 1], tanh, np.random.default_rng(0), scheme="zero")
    x = np.random.default_rng(1).normal(size=(5, 3))
    losses = []
    for unit in range(4):
        network.weights[0][2, unit] += 0.5
        losses.append(float(network.forward(x).sum()))
        network.weights[0][2, unit] -= 0.5
    assert len(set(losses)) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: initial_weights(3, 2, "xavier", rng), "scheme: expected one of zero, small"),
        (lambda rng: initial_weights(0, 2, "he", rng), "inputs: expected a whole number"),
        (lambda rng: initial_weights(3, 2.5, "he", rng), r"outputs: .* got 2\.5"),
        (lambda rng: activation_statistics("he", relu, 0, 5, rng), "depth: expected a whole"),
        (lambda rng: activation_statistics("he", relu, 2, -5, rng), "width: expected a whole"),
        (lambda rng: activation_statistics("he", relu, 2, 5, rng, 0), "examples: expected a"),
        (lambda rng: activation_statistics("him", relu, 2, 5, rng), "scheme: expected one of"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0))
