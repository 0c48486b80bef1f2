"""The training loop: spirals that are spirals, a batch learned by heart, and 99% on new points."""

import numpy as np
import pytest

from phase_02.layers import Linear, ReLU
from phase_02.optimizers import SGD, Adam
from phase_02.train_mlp import accuracy, make_mlp, overfit_batch, spirals, train, train_step


def rng():
    return np.random.default_rng(0)


def test_network_has_a_bend_between_layers_and_none_at_the_end():
    kinds = [type(layer) for layer in make_mlp([2, 8, 8, 2], rng()).layers]
    assert kinds == [Linear, ReLU, Linear, ReLU, Linear]


def test_one_spiral_is_the_other_turned_half_way_round():
    x, y = spirals(200, rng(), noise=0.0)
    assert x.shape == (400, 2)
    radius = np.linalg.norm(x, axis=1)
    assert 0.1 <= radius.min() < radius.max() <= 1
    angle = np.arctan2(x[:, 1], x[:, 0]) - 3 * np.pi * radius
    np.testing.assert_allclose(np.cos(angle), np.where(y == 0, 1, -1), atol=1e-9)


def test_a_step_goes_downhill():
    x, y = spirals(20, rng())
    model = make_mlp([2, 8, 2], rng())
    optimizer = SGD(model.params, 0.01)
    losses = [train_step(model, optimizer, x, y) for _ in range(20)]
    assert losses == sorted(losses, reverse=True)


def test_a_batch_is_learned_by_heart_and_not_without_a_step():
    x, y = spirals(8, rng())
    model = make_mlp([2, 64, 2], rng())
    losses = overfit_batch(model, Adam(model.params, 0.01), x, y, 400)
    assert losses[-1] < 0.05 < losses[0]
    frozen = make_mlp([2, 64, 2], rng())
    still = overfit_batch(frozen, Adam({**frozen.params}, 1e-12), x, y, 400)
    assert still[-1] == pytest.approx(still[0])


@pytest.mark.parametrize("seed", [0, 1])
def test_spirals_are_separated_to_99_percent_on_new_points(seed):
    r = np.random.default_rng(seed)
    x, y = spirals(500, r)
    model = make_mlp([2, 64, 64, 2], r)
    seen = []
    losses = train(model, Adam(model.params, 0.01), x, y, 1000, 64, r, seen.append)
    assert seen == list(range(1, 1001))
    assert losses[0] > 10 * np.mean(losses[-50:])
    assert accuracy(model, *spirals(500, np.random.default_rng(100 + seed))) >= 0.99


def test_a_straight_line_cannot_separate_them():
    x, y = spirals(500, rng())
    model = make_mlp([2, 2], rng())
    train(model, Adam(model.params, 0.01), x, y, 500, 64, rng())
    assert accuracy(model, x, y) < 0.75


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_mlp([2], rng()), "input and output at least"),
        (lambda: spirals(0, rng()), "count: expected a whole number of at least 1"),
        (lambda: train(None, None, [[1.0, np.nan]], [0], 1, 1, rng()), "nan"),
        (lambda: train(None, None, [[1.0, 2.0]], [0, 1], 1, 1, rng()), "one class per example"),
        (lambda: train(None, None, [[1.0, 2.0]], [-1], 1, 1, rng()), "got -1"),
        (lambda: train(None, None, np.zeros((0, 2)), [], 1, 1, rng()), "no entries"),
        (lambda: train(None, None, [[1.0]], [0], 1, 0, rng()), "batch_size: expected a whole"),
        (lambda: accuracy(make_mlp([2, 2], rng()), [[1.0, 2.0]], [5]), "got 5 to 5"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
