"""Who moves whom: nothing before a changed token, and a mask that is wrong by one is found."""

import numpy as np
import pytest

from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_05 import multi_head_attention
from phase_05.causality import influence, leaks
from phase_05.gpt_numpy import GPT

V, T = 11, 7


def small(n_layer=2, seed=0, dtype=np.float32):
    return GPT(V, T, n_layer, 2, 4, np.random.default_rng(seed), dtype)


def forget_the_mask(model):
    for block in model.blocks:
        block.attention.causal = False
    return model


IDS = np.random.default_rng(1).integers(V, size=T)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_before_the_changed_token_moves_and_all_else_does(seed, dtype):
    moved = influence(small(seed=seed, dtype=dtype), IDS)
    assert moved.shape == (T, T)
    np.testing.assert_array_equal(moved > 0, np.triu(np.ones((T, T), bool)))
    assert leaks(moved) == []


def test_without_the_mask_everything_moves():
    moved = influence(forget_the_mask(small()), IDS)
    assert (moved > 0).all()
    assert leaks(moved) == [(t, s) for t in range(T) for s in range(t)]


def test_without_the_mask_shapes_and_gradients_are_right_all_the_same():
    model, r = forget_the_mask(small(1, dtype=np.float64)), np.random.default_rng(2)
    for array in model.params.values():
        array[...] = r.normal(size=array.shape)
    c = r.normal(size=(1, T, V))
    assert model.forward(IDS[None]).shape == c.shape
    _, grads = model.backward(c)
    errors = check_gradients(
        lambda: float(np.sum(model.forward(IDS[None]) * c)), model.params, grads
    )
    assert max(errors.values()) < TOLERANCE


@pytest.mark.parametrize("n_layer", [1, 2])
def test_a_mask_that_sees_one_ahead_is_found(n_layer, monkeypatch):
    def one_ahead(T):
        return np.tril(np.ones((T, T), bool), 1)

    monkeypatch.setattr(multi_head_attention, "causal_mask", one_ahead)
    found = leaks(influence(small(n_layer), IDS))
    # each layer carries what it saw one place further to the left
    assert found == [(t, s) for t in range(T) for s in range(t) if t - s <= n_layer]


def test_one_block_without_its_mask_among_others_is_found():
    model = small()
    model.blocks[1].attention.causal = False
    assert len(leaks(influence(model, IDS))) == T * (T - 1) // 2


def test_an_entry_is_the_largest_change_of_a_logit():
    model = small(dtype=np.float64)
    moved, before = influence(model, IDS), model.forward(IDS[None])[0]
    for t in range(T):
        changed = IDS.copy()
        changed[t] = (IDS[t] + 1) % V
        after = model.forward(changed[None])[0]
        np.testing.assert_allclose(moved[t], np.abs(after - before).max(axis=-1), atol=1e-12)


def test_leaks_by_hand():
    assert leaks(np.array([[1.0, 2.0], [0.0, 3.0]])) == []
    assert leaks(np.array([[1.0, 2.0], [1e-300, 3.0]])) == [(1, 0)]
    table = np.zeros((3, 3))
    table[2, 0] = table[2, 1] = table[0, 2] = 1
    assert leaks(table) == [(2, 0), (2, 1)]


def test_one_token():
    moved = influence(small(), IDS[:1])
    assert moved.shape == (1, 1) and moved[0, 0] > 0
    assert leaks(moved) == []


def test_the_row_is_left_as_it_was():
    ids = IDS.copy()
    influence(small(), ids)
    np.testing.assert_array_equal(ids, IDS)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "ids: expected token ids .* got none"),
        ([0, V], f"ids: .* got 0 to {V}"),
        ([0.5, 1.0], "ids: .* got float64"),
        (IDS[None], r"ids: expected one row of ids"),
        (np.zeros(T + 1, int), f"x: expected at most {T} tokens"),
    ],
)
def test_bad_input_is_refused(ids, message):
    with pytest.raises(ValueError, match=message):
        influence(small(), ids)
