"""Blame against distance: the radius decides, a straight line says how much, clipping cuts."""

import numpy as np
import pytest

from phase_04.gradient_flow import blame_by_distance, train_first_bit, with_radius
from phase_04.rnn import RNN


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.5])
def test_radius_is_what_was_asked_for(radius):
    W_h = with_radius(RNN(3, 10, rng()), radius, rng(1)).params["W_h"]
    assert np.abs(np.linalg.eigvals(W_h)).max() == pytest.approx(radius)


def test_one_unit_multiplies_by_its_weight():
    layer = RNN(1, 1, rng())
    layer.params["W_h"][...] = 0.5
    norms = blame_by_distance(layer, np.full((2, 6, 1), 1e-9), rng())
    np.testing.assert_allclose(norms, 0.5 ** np.arange(7), rtol=1e-6)


def test_a_rotation_keeps_all_of_it():
    norms = blame_by_distance(RNN(4, 4, rng()), np.full((2, 6, 4), 1e-9), rng())
    np.testing.assert_allclose(norms, 1, rtol=1e-6)


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.5])
def test_fifty_steps_back_it_grows_or_fades_as_the_radius_says(radius):
    layer = with_radius(RNN(20, 20, rng()), radius, rng(1))
    norms = blame_by_distance(layer, 1e-12 * rng(2).normal(size=(4, 50, 20)), rng(3))
    per_step = (norms[50] / norms[20]) ** (1 / 30)  # the first steps depend on the direction
    assert per_step == pytest.approx(radius, rel=0.05)


@pytest.mark.slow
def test_clipping_saves_a_run_that_breaks_without():
    clipped, lengths = train_first_bit(1.5, 1.0, rng(2))
    free, _ = train_first_bit(1.5, 1e9, rng(2))
    assert max(lengths) > 10
    assert np.mean(clipped[-20:]) < 0.1 < np.mean(free[-20:])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: with_radius(RNN(3, 3, rng()), 0.0, rng()), "radius: expected a number above 0"),
        (lambda: blame_by_distance(RNN(3, 3, rng()), np.ones((2, 5)), rng()), r"\(B, T, 3\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_blame_at_each_distance_is_the_product_of_the_steps_between():
    rng = np.random.default_rng(0)
    layer, x = RNN(2, 3, rng), np.random.default_rng(1).normal(size=(1, 5, 2))
    norms = blame_by_distance(layer, x, np.random.default_rng(2))
    blame = np.random.default_rng(2).normal(size=(1, 3))
    blame /= np.linalg.norm(blame)
    for distance, h in enumerate(layer.forward(x)[0, ::-1], start=1):
        blame = (blame * (1 - h**2)) @ layer.params["W_h"].T
        assert norms[distance] == pytest.approx(np.linalg.norm(blame))
