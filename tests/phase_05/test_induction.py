"""Copying what came next last time: gradients, rows, looks by hand, one layer or two."""

import numpy as np
import pytest

from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_05.induction import (
    LONGEST,
    SHORTEST,
    AttentionOnly,
    T,
    V,
    draw_repeats,
    looks,
    train_on_repeats,
)
from phase_05.train_gpt_numpy import train


def small(n_layer, kind=AttentionOnly):
    """A model whose parameters are random and none of them 0."""
    model, r = kind(n_layer, np.random.default_rng(0), 3, np.float64), np.random.default_rng(1)
    for array in model.params.values():
        array[...] = r.normal(size=array.shape)
    return model


def errors(model):
    """The relative error of each parameter's gradient, under random blame."""
    r = np.random.default_rng(2)
    ids, c = r.integers(V, size=(2, 4)), r.normal(size=(2, 4, V))
    model.forward(ids)
    _, grads = model.backward(c)
    return check_gradients(lambda: float(np.sum(model.forward(ids) * c)), model.params, grads)


@pytest.mark.parametrize("n_layer", [1, 2])
def test_backward_is_the_derivative_of_forward(n_layer):
    found = errors(small(n_layer))
    assert len(found) == 4 + 4 * n_layer
    assert max(found.values()) < TOLERANCE


class NoShortcut(AttentionOnly):
    """A mistake: blame goes through each layer, and not past it."""

    def backward(self, dL_da):
        dL_dstream, grads = self.head.backward(dL_da)
        grads = {f"head.{name}": array for name, array in grads.items()}
        for place, layer in reversed(list(enumerate(self.layers))):
            dL_dstream, layer_grads = layer.backward(dL_dstream)
            grads |= {f"layers.{place}.{name}": array for name, array in layer_grads.items()}
        dL_de, positions = self.position_embedding.backward(dL_dstream)
        dL_dids, tokens = self.token_embedding.backward(dL_de)
        grads |= {"position_embedding.W": positions["W"], "token_embedding.W": tokens["W"]}
        return dL_dids, grads


def test_the_check_finds_a_shortcut_that_was_forgotten():
    found = errors(small(2, NoShortcut))
    for name, error in found.items():
        above = name.startswith(("head", "layers.1"))
        assert error < TOLERANCE if above else error > 0.01


def test_what_comes_later_moves_nothing_before_it():
    model, ids = small(2), np.array([[3, 1, 4, 1, 5]])
    before = model.forward(ids)
    ids[0, 3] = 9
    same = (model.forward(ids) == before).all(axis=(0, 2))
    assert same.tolist() == [True, True, True, False, False]


def test_rows_repeat_a_piece_of_different_tokens_with_their_length():
    (ids, counts), lengths = draw_repeats(300, np.random.default_rng(0))
    assert ids.shape == counts.shape == (300, T + 1)
    assert set(lengths.tolist()) == set(range(SHORTEST, LONGEST + 1))
    assert set(ids.ravel().tolist()) == set(range(V))
    for row, L in zip(ids, lengths, strict=True):
        assert len(set(row[:L].tolist())) == L
        assert row[L:].tolist() == row[:-L].tolist()


def test_what_can_be_copied_counts_and_nothing_else():
    (ids, counts), lengths = draw_repeats(300, np.random.default_rng(0))
    for row, count, L in zip(ids, counts, lengths, strict=True):
        seen_before = [int(row[t]) in row[:t].tolist() for t in range(T + 1)]
        assert count.tolist() == seen_before
        assert count.sum() == T + 1 - L


def test_rows_come_from_the_seed():
    (one, _), _ = draw_repeats(5, np.random.default_rng(3))
    (same, _), _ = draw_repeats(5, np.random.default_rng(3))
    (other, _), _ = draw_repeats(5, np.random.default_rng(4))
    assert (one == same).all() and (one != other).any()


LENGTHS = np.array([5, 12])
BEFORE = np.maximum(np.arange(T) - 1, 0)  # the place before, and for the first itself


def looking_at(places):
    """Attention (2, T, T) in which place t of each row looks only at places[row][t]."""
    return np.eye(T)[np.array(places)]


def test_looks_of_a_head_that_sees_the_token_before():
    assert looks(looking_at([BEFORE, BEFORE]), LENGTHS) == (1, 0)


def test_looks_of_a_head_that_sees_what_came_after_the_last_copy():
    t = np.arange(T)
    places = [np.where(t >= L, t + 1 - L, t) for L in LENGTHS]
    assert looks(looking_at(places), LENGTHS) == (0, 1)
    # half of each: what a row looks at before anything repeated does not count for copies
    half = (looking_at(places) + looking_at([BEFORE, BEFORE])) / 2
    assert looks(half, LENGTHS) == (0.5, 0.5)


def test_looks_at_any_earlier_copy_count():
    t = np.arange(T)
    places = [np.where(t >= 2 * L, t + 1 - 2 * L, np.where(t >= L, t + 1 - L, t)) for L in LENGTHS]
    before, after_copy = looks(looking_at(places), LENGTHS)
    assert (before, after_copy) == (0, 1)


def test_a_look_at_the_first_token_is_not_one_at_what_came_after_a_copy():
    t = np.arange(T)
    places = [np.where(t >= L, 0, t) for L in LENGTHS]
    assert looks(looking_at(places), LENGTHS) == (0, 0)


def test_training_on_repeats_starts_near_chance_and_learns():
    _, losses = train_on_repeats(1, steps=200)
    assert len(losses) == 200
    assert abs(losses[0] - np.log(V)) < 1
    assert np.mean(losses[-20:]) < losses[0] - 0.3


@pytest.mark.slow
def test_two_layers_copy_and_one_cannot():
    (ids, counts), lengths = draw_repeats(200, np.random.default_rng(5))
    right = {}
    for n_layer in (1, 2):
        rng = np.random.default_rng(1)
        model = AttentionOnly(n_layer, rng)
        assert sum(array.size for array in model.params.values()) < 10_000
        train(model, lambda rng=rng: draw_repeats(64, rng)[0], 1500)
        answers = model.forward(ids[:, :-1]).argmax(axis=-1)
        right[n_layer] = (answers == ids[:, 1:])[counts[:, 1:]].mean()
    assert right[1] < 0.6
    assert right[2] > 0.95
    first, second = (looks(layer.attention[:, 0], lengths) for layer in model.layers)
    assert second[1] > 0.6
    assert first[0] > 3 * second[0] and first[1] < 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AttentionOnly(0, np.random.default_rng(0)), "n_layer: expected a whole number"),
        (lambda: draw_repeats(0, np.random.default_rng(0)), "count: expected a whole number"),
        (lambda: train_on_repeats(1, 0), "steps: expected a whole number"),
        (lambda: small(1).forward([[V]]), f"x: expected token ids from 0 to {V - 1}"),
        (lambda: small(1).forward(np.zeros((1, T + 1), int)), f"x: expected at most {T} tokens"),
        (lambda: small(1).forward([1, 2]), r"x: expected .* \(B, T, 3\)"),
        (lambda: small(1).backward(np.ones((1, 2, V))), "dL_da: expected .* call forward first"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
