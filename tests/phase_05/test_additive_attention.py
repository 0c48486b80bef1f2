"""Additive attention by hand, by nudging and by PyTorch: masks, filler, order, a key used twice."""

import math

import numpy as np
import pytest
import torch

from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_05 import additive_attention
from phase_05.additive_attention import AdditiveAttention, check_additive
from phase_05.scaled_dot_product import masked_softmax

MASKS = {
    "none": None,
    "ends of rows": np.array([[True] * 4, [True, True, False, False]]),
    "a row off": np.array([[False] * 4, [True] * 4]),
    "all off": np.zeros((2, 4), bool),
    "a hole": np.array([[True, False, True, True], [False, True, True, True]]),
    "one for both rows": np.array([True, True, True, False]),
    "all, in one number": True,
}


def rng(seed=0):
    return np.random.default_rng(seed)


def made(kind=AdditiveAttention, C_q=3, C_k=4, A=5, dtype=np.float64):
    """A layer whose weights are random and none of them 0."""
    layer, r = kind(C_q, C_k, A, rng(), dtype), rng(1)
    for array in layer.params.values():
        array[...] = r.normal(size=array.shape)
    return layer


def draw(B=2, T=3, R=4, C_q=3, C_k=4, dtype=np.float64):
    """Random queries and keys."""
    r = rng(2)
    return r.normal(size=(B, T, C_q)).astype(dtype), r.normal(size=(B, R, C_k)).astype(dtype)


def errors(layer, q, k, mask=None):
    """The relative error of each gradient, under random blame."""
    c = rng(3).normal(size=layer.forward(q, k, mask).shape)
    dL_dq, dL_dk, grads = layer.backward(c)
    return check_gradients(
        lambda: float(np.sum(layer.forward(q, k, mask) * c)),
        {"q": q, "k": k, **layer.params},
        {"q": dL_dq, "k": dL_dk, **grads},
    )


def by_hand():
    """The example of the note: the score is −4 tanh(q − k)."""
    layer = AdditiveAttention(1, 1, 1, rng())
    for name, value in (("W_q", 1.0), ("W_k", -1.0), ("w", -4.0)):
        layer.params[name][...] = value
    return layer


def test_by_hand():
    layer = by_hand()
    a = layer.forward([[[1.0]]], [[[1.0], [2.0], [3.0]]])
    shares = [math.exp(4 * math.tanh(k - 1)) for k in (1, 2, 3)]
    np.testing.assert_allclose(shares, [1, 21.0, 47.3], rtol=2e-3)
    np.testing.assert_allclose(layer.attention[0, 0], np.array(shares) / sum(shares), rtol=1e-12)
    np.testing.assert_allclose(layer.attention[0, 0], [0.014, 0.304, 0.682], atol=5e-4)
    assert a[0, 0, 0] == pytest.approx(2.668, abs=5e-4)


def test_backward_by_hand():
    # two keys that get the same score: α = (1/2, 1/2), a = (0 + 2) / 2
    layer = by_hand()
    assert layer.forward([[[1.0]]], [[[0.0], [2.0]]], [[True, False]]) == 0
    layer.params["w"][...] = 0
    assert layer.forward([[[1.0]]], [[[0.0], [2.0]]]) == 1
    dL_dq, dL_dk, grads = layer.backward([[[1.0]]])
    # with w = 0 no score moves: k is blamed only as what was taken, and w for both scores,
    # dL_ds = 1/2 (0 − 1), 1/2 (2 − 1), and u = tanh(1), tanh(−1)
    assert dL_dq == 0 and grads["W_q"] == 0 and grads["W_k"] == 0
    np.testing.assert_allclose(dL_dk, [[[0.5], [0.5]]])
    np.testing.assert_allclose(grads["w"], [-math.tanh(1)])


@pytest.mark.parametrize("name", MASKS)
def test_backward_is_the_derivative_of_forward(name):
    found = errors(made(), *draw(), MASKS[name])
    assert set(found) == {"q", "k", "W_q", "W_k", "w"}
    assert max(found.values()) < TOLERANCE


@pytest.mark.parametrize(
    ("B", "T", "R", "C_q", "C_k", "A"),
    [(1, 1, 1, 1, 1, 1), (1, 3, 4, 2, 2, 3), (3, 1, 4, 3, 2, 1), (2, 5, 1, 2, 3, 4)],
)
def test_backward_at_other_sizes(B, T, R, C_q, C_k, A):
    found = errors(made(C_q=C_q, C_k=C_k, A=A), *draw(B, T, R, C_q, C_k))
    assert max(found.values()) < TOLERANCE


def test_the_check_of_the_lesson_passes():
    assert max(check_additive(AdditiveAttention(3, 4, 5, rng()), rng(1)).values()) < TOLERANCE


class Mistaken(AdditiveAttention):
    """The backward pass once more, with one mistake in it."""

    mistake = ""

    def backward(self, dL_da):
        W_q, W_k, w = (self.params[name] for name in ("W_q", "W_k", "w"))
        alpha, said = self.attention, self.mistake
        dL_dalpha = dL_da @ self.k.swapaxes(1, 2)
        total = (dL_dalpha * alpha).sum(axis=-1, keepdims=True)
        dL_ds = alpha * (dL_dalpha - (0 if said == "no sum" else total))
        slope = 1 if said == "no slope of tanh" else 1 - self.u**2
        dL_dz = dL_ds[..., None] * w * slope
        dL_dk = 0 if said == "k was not judged" else dL_dz.sum(axis=1) @ W_k.T
        if said != "k was not taken":
            dL_dk = dL_dk + alpha.swapaxes(1, 2) @ dL_da
        grads = {
            "W_q": np.einsum("btc,btra->ca", self.q, dL_dz),
            "W_k": np.einsum("brc,btra->ca", self.k, dL_dz),
            "w": np.einsum("btr,btra->a", dL_ds, self.u),
        }
        return dL_dz.sum(axis=2) @ W_q.T, dL_dk, grads


@pytest.mark.parametrize(
    ("mistake", "wrong"),
    [
        ("none", set()),
        ("k was not taken", {"k"}),
        ("k was not judged", {"k"}),
        ("no slope of tanh", {"q", "k", "W_q", "W_k"}),
        ("no sum", {"q", "k", "W_q", "W_k", "w"}),
    ],
)
def test_the_check_finds_a_mistake_and_says_where(mistake, wrong):
    layer = made(Mistaken)
    layer.mistake = mistake
    found = errors(layer, *draw(), MASKS["ends of rows"])
    assert {name for name, error in found.items() if error > 0.01} == wrong
    assert all(error < TOLERANCE for name, error in found.items() if name not in wrong)


def rows_sum_to_1():
    """Whether shares are probabilities, and none goes to what is not real."""
    layer, mask = made(), MASKS["ends of rows"]
    layer.forward(*draw(), mask)
    shares = layer.attention
    forbidden = np.broadcast_to(~mask[:, None], shares.shape)
    return bool(np.allclose(shares.sum(axis=-1), 1) and not shares[forbidden].any())


def test_shares_sum_to_1_and_none_goes_to_filler():
    assert rows_sum_to_1()


def test_a_mask_after_the_softmax_is_found(monkeypatch):
    def after(s, mask=None):
        return masked_softmax(s) * (1 if mask is None else mask)

    monkeypatch.setattr(additive_attention, "masked_softmax", after)
    assert not rows_sum_to_1()
    assert max(errors(made(), *draw(), MASKS["ends of rows"]).values()) > 0.01


def test_filler_changes_nothing():
    layer, (q, k) = made(), draw()
    a = layer.forward(q, k)
    c = rng(3).normal(size=a.shape)
    dL_dq, dL_dk, grads = layer.backward(c)
    longer = np.concatenate([k, 100 * rng(4).normal(size=(2, 3, 4))], axis=1)
    real = np.arange(7) < np.array([[4], [4]])
    np.testing.assert_allclose(layer.forward(q, longer, real), a, rtol=1e-12)
    their_q, their_k, their_grads = layer.backward(c)
    np.testing.assert_allclose(their_q, dL_dq, rtol=1e-10)
    np.testing.assert_allclose(their_k[:, :4], dL_dk, rtol=1e-10)
    assert not their_k[:, 4:].any()
    for name, gradient in grads.items():
        np.testing.assert_allclose(their_grads[name], gradient, rtol=1e-10)


def test_who_may_look_at_nothing_takes_nothing_and_passes_no_blame():
    layer, (q, k) = made(), draw()
    a = layer.forward(q, k, MASKS["a row off"])
    assert not a[0].any() and not layer.attention[0].any() and a[1].all()
    blame = np.zeros_like(a)
    blame[0] = 5.0
    dL_dq, dL_dk, grads = layer.backward(blame)
    assert not any(array.any() for array in (dL_dq, dL_dk, *grads.values()))


def test_a_mask_for_all_rows_is_spread_over_the_rows_and_not_over_the_queries():
    layer, (q, k) = made(), draw(T=4)  # as many queries as keys: a wrong axis would fit
    shared = MASKS["one for both rows"]
    a = layer.forward(q, k, shared)
    np.testing.assert_array_equal(a, layer.forward(q, k, np.stack([shared, shared])))
    np.testing.assert_array_equal(layer.forward(q, k, True), layer.forward(q, k))


def test_the_order_of_keys_does_not_matter():
    layer, (q, k), order = made(), draw(), [2, 0, 3, 1]
    mask = MASKS["a hole"]
    a = layer.forward(q, k, mask)
    alpha = layer.attention
    np.testing.assert_allclose(layer.forward(q, k[:, order], mask[:, order]), a, rtol=1e-10)
    np.testing.assert_allclose(layer.attention, alpha[..., order], rtol=1e-10)


def test_queries_in_another_order_give_the_same_in_that_order():
    layer, (q, k), order = made(), draw(), [2, 0, 1]
    a = layer.forward(q, k)
    np.testing.assert_allclose(layer.forward(q[:, order], k), a[:, order], rtol=1e-12)


def test_one_query_and_one_row_alone_get_what_they_get_among_others():
    layer, (q, k), mask = made(), draw(), MASKS["ends of rows"]
    a = layer.forward(q, k, mask)
    for b in range(2):
        for t in range(3):
            alone = layer.forward(q[b : b + 1, t : t + 1], k[b : b + 1], mask[b : b + 1])
            np.testing.assert_allclose(alone[0, 0], a[b, t], rtol=1e-12)


def test_one_key_is_taken_whole():
    q, k = draw(R=1)
    a = made().forward(q, k)
    np.testing.assert_array_equal(a, np.broadcast_to(k, a.shape))


def test_pytorch_gives_the_same_values_and_gradients():
    layer, (q, k), mask = made(), draw(), MASKS["ends of rows"]
    theirs = {
        name: torch.tensor(array, requires_grad=True)
        for name, array in {"q": q, "k": k, **layer.params}.items()
    }
    a = layer.forward(q, k, mask)
    c = rng(3).normal(size=a.shape)
    asked = theirs["q"] @ theirs["W_q"]
    offered = theirs["k"] @ theirs["W_k"]
    s = torch.tanh(asked[:, :, None] + offered[:, None]) @ theirs["w"]
    s = s.masked_fill(~torch.from_numpy(mask)[:, None], -torch.inf)
    their_a = torch.softmax(s, dim=-1) @ theirs["k"]
    their_a.backward(torch.from_numpy(c))
    np.testing.assert_allclose(a, their_a.detach(), rtol=1e-10)
    dL_dq, dL_dk, grads = layer.backward(c)
    for name, gradient in {"q": dL_dq, "k": dL_dk, **grads}.items():
        np.testing.assert_allclose(gradient, theirs[name].grad, rtol=1e-9, atol=1e-12)


def test_float32_stays_float32():
    layer = made(dtype=np.float32)
    a = layer.forward(*draw(dtype=np.float32), MASKS["ends of rows"])
    dL_dq, dL_dk, grads = layer.backward(np.ones_like(a))
    arrays = (a, layer.attention, dL_dq, dL_dk, *grads.values())
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def test_huge_scores_neither_overflow_nor_give_nan():
    layer, (q, k) = made(), draw()
    layer.params["w"] *= 1e6
    a = layer.forward(1e3 * q, 1e3 * k, MASKS["a row off"])
    dL_dq, dL_dk, grads = layer.backward(np.ones_like(a))
    assert all(np.isfinite(array).all() for array in (a, dL_dq, dL_dk, *grads.values()))


def test_nothing_given_is_changed_and_gradients_are_fresh():
    layer, (q, k), mask = made(), draw(), MASKS["ends of rows"].copy()
    kept = q.copy(), k.copy(), mask.copy()
    c = np.ones_like(layer.forward(q, k, mask))
    first_q, first_k, first = layer.backward(c)
    again_q, again_k, again = layer.backward(c)
    for array, before in zip((q, k, mask, c), (*kept, np.ones_like(c)), strict=True):
        np.testing.assert_array_equal(array, before)
    pairs = [(first_q, again_q), (first_k, again_k), *((first[n], again[n]) for n in first)]
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)
        assert one is not other


Q, K = np.ones((2, 3, 3)), np.ones((2, 4, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": np.ones((2, 3))}, r"q: expected .* \(B, T, 3\), got shape \(2, 3\): give the dec"),
        ({"q": np.ones((2, 3, 4))}, r"q: expected .* \(B, T, 3\), got shape \(2, 3, 4\)"),
        ({"q": np.ones((2, 0, 3))}, "q: .* no entries"),
        ({"q": np.full((2, 3, 3), np.nan)}, "q: .* nan"),
        ({"k": np.ones((2, 4, 3))}, r"k: expected .* \(2, R, 4\), got shape \(2, 4, 3\): give the"),
        ({"k": np.ones((3, 4, 4))}, r"k: expected .* \(2, R, 4\), got shape \(3, 4, 4\)"),
        ({"k": np.full((2, 4, 4), np.inf)}, "k: .* infinite"),
        ({"mask": np.ones((2, 4))}, "mask: expected True and False .* got float64: write mask =="),
        ({"mask": np.ones((2, 3), bool)}, r"mask: .* \(2, 4\), got shape \(2, 3\)"),
        ({"mask": np.ones((2, 3, 4), bool)}, r"mask: .* \(2, 4\), got shape \(2, 3, 4\)"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        made().forward(**{"q": Q, "k": K, **change})


@pytest.mark.parametrize("wrong", [np.ones((2, 3, 3)), np.full((2, 3, 4), np.nan), np.ones(4)])
def test_bad_blame_is_refused(wrong):
    layer = made()
    layer.forward(Q, K)
    with pytest.raises(ValueError, match=r"dL_da: expected finite numbers of shape \(2, 3, 4\)"):
        layer.backward(wrong)


def test_backward_before_forward_is_refused():
    with pytest.raises(ValueError, match=r"dL_da: expected .* call forward first"):
        made().backward(np.ones((2, 3, 4)))


@pytest.mark.parametrize("hidden", [0, -1, 2.0])
def test_no_room_to_compare_in_is_refused(hidden):
    with pytest.raises(ValueError, match="hidden: expected a whole number of at least 1"):
        AdditiveAttention(3, 4, hidden, rng())
