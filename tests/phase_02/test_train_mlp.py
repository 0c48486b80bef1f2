"""The training loop: spirals that are spirals, a batch learned by heart, and 99% on new points."""

import copy

import numpy as np
import pytest

from phase_02.layers import Dropout, Linear, ReLU, Sequential
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
    turns = 3 * (radius.max() - radius.min()) / 2
    assert turns == pytest.approx(1.35, abs=0.01)
    # equally close together along the spiral: half the points are in the inner half of the square
    assert np.mean(radius**2 < 0.505) == pytest.approx(0.5, abs=0.06)


def test_noise_is_as_large_as_it_says():
    shift = spirals(500, rng(), noise=0.1)[0] - spirals(500, rng(), noise=0.0)[0]
    assert shift.std() == pytest.approx(0.1, rel=0.05)


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
        (
            lambda: train(make_mlp([2, 2], rng()), None, [[1.0, 2.0]], [0, 1], 1, 1, rng()),
            "one class per example",
        ),
        (lambda: train(make_mlp([2, 2], rng()), None, [[1.0, 2.0]], [-1], 1, 1, rng()), "got -1"),
        (lambda: train(None, None, np.zeros((0, 2)), [], 1, 1, rng()), "no entries"),
        (
            lambda: train(make_mlp([1, 2], rng()), None, [[1.0]], [0], 1, 0, rng()),
            "batch_size: expected a whole",
        ),
        (lambda: accuracy(make_mlp([2, 2], rng()), [[1.0, 2.0]], [5]), "got 5 to 5"),
        (lambda: accuracy(make_mlp([2, 2], rng()), np.ones((2, 3, 2)), [0, 1]), r"\(N, inputs\)"),
        (lambda: spirals(5, rng(), noise=-1.0), "noise: expected 0 or more, got -1.0"),
        (lambda: overfit_batch(None, None, [[1.0]], [0], 0), "steps: expected a whole number"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_learning_rate_rises_falls_and_is_given_back():
    x, y = spirals(20, rng())
    model = make_mlp([2, 8, 2], rng())
    optimizer, rates = Adam(model.params, 0.01), []
    train(model, optimizer, x, y, 40, 8, rng(), lambda _: rates.append(optimizer.learning_rate))
    assert rates[:2] == [0.005, 0.01]  # a twentieth of 40 steps
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == 0
    assert optimizer.learning_rate == 0.01
    train(model, optimizer, x, y, 40, 8, rng())


def test_an_interrupted_training_gives_the_learning_rate_back():
    def interrupt(step):
        raise KeyboardInterrupt

    x, y = spirals(20, rng())
    model = make_mlp([2, 8, 2], rng())
    optimizer = Adam(model.params, 0.01)
    with pytest.raises(KeyboardInterrupt):
        train(model, optimizer, x, y, 40, 8, rng(), interrupt)
    assert optimizer.learning_rate == 0.01


def test_a_step_trains_with_dropout():
    x, y = spirals(20, rng())
    dropout = Dropout(0.5, rng())
    model = Sequential([Linear(2, 8, rng()), dropout, Linear(8, 2, rng())])
    train_step(model, SGD(model.params, 0.01), x, y)
    assert (dropout.mask == 0).any()


def test_a_class_that_the_model_does_not_know_is_refused_before_the_first_step():
    model, x, y = make_mlp([2, 2], rng()), rng().normal(size=(50, 2)), np.zeros(50, int)
    before = copy.deepcopy(model.params)
    y[7] = 5
    with pytest.raises(ValueError, match="got 0 to 5"):
        train(model, Adam(model.params, 0.01), x, y, 100, 1, rng())
    for name, array in model.params.items():
        np.testing.assert_array_equal(array, before[name])
