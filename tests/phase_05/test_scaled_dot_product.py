"""Attention by hand, by finite differences and by PyTorch: blame, masks, order, sums of 1."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_05 import scaled_dot_product
from phase_05.scaled_dot_product import (
    ScaledDotProduct,
    causal_mask,
    check_attention,
    entropy_and_slope,
    masked_softmax,
)

LN3 = np.log(3)


def rng(seed=0):
    return np.random.default_rng(seed)


def row_off(T=4, row=1):
    """A mask with which one query may look at nothing."""
    mask = np.ones((T, T), bool)
    mask[row] = False
    return mask


MASKS = {
    "none": None,
    "causal": causal_mask(4),
    "a row off": row_off(),
    "all off": np.zeros((4, 4), bool),
    "all, in one number": True,
    "a key off": np.array([True, True, False, True]),
    "one for each head": rng(7).random((3, 4, 4)) < 0.6,
    "one for each sequence": rng(8).random((2, 1, 4, 4)) < 0.6,
}


def draw(leading=(2, 3), T=4, S=4, D=5, D_v=2, seed=0, dtype=np.float64):
    """Random q, k and v."""
    shapes = {"q": (T, D), "k": (S, D), "v": (S, D_v)}
    r = rng(seed)
    return {name: r.normal(size=(*leading, *shape)).astype(dtype) for name, shape in shapes.items()}


def errors(layer, arrays, mask=None):
    """The relative error of each gradient, under random blame."""
    c = rng(1).normal(size=layer.forward(**arrays, mask=mask).shape)
    gradients = dict(zip("qkv", layer.backward(c), strict=True))
    return check_gradients(
        lambda: float(np.sum(layer.forward(**arrays, mask=mask) * c)), arrays, gradients
    )


def rows_sum_to_1(mask):
    """Whether the rows of α in which something may be seen are probabilities."""
    layer = ScaledDotProduct()
    layer.forward(**draw(), mask=mask)
    seen = np.broadcast_to(True if mask is None else mask, layer.attention.shape).any(axis=-1)
    return bool(np.allclose(layer.attention.sum(axis=-1), seen) and (layer.attention >= 0).all())


def blind_to_the_future():
    """Whether a query takes exactly the same home whatever stands behind it."""
    layer, arrays = ScaledDotProduct(), draw()
    before = layer.forward(**arrays, mask=causal_mask(4))
    arrays["k"][..., 2, :] += 1
    arrays["v"][..., 2, :] -= 1
    after = layer.forward(**arrays, mask=causal_mask(4))
    same = (before == after).all(axis=(0, 1, 3))
    return same.tolist() == [True, True, False, False]


def nothing_seen_is_nothing_taken():
    """Whether a row that may look at nothing gives 0, and hands no blame on."""
    layer, arrays = ScaledDotProduct(), draw()
    a = layer.forward(**arrays, mask=row_off())
    blame = np.zeros_like(a)
    blame[..., 1, :] = 5.0
    return not (a[..., 1, :].any() or any(grad.any() for grad in layer.backward(blame)))


def test_by_hand():
    # q · k₀ = 2 ln 3 and D = 4, so s = (ln 3, 0), α = (3/4, 1/4), a = 3/4 · 8 + 1/4 · 4
    layer = ScaledDotProduct()
    q, k, v = [[2 * LN3, 0, 0, 0]], [[1, 0, 0, 0], [0, 1, 0, 0]], [[8], [4]]
    a = layer.forward(q, k, v)
    np.testing.assert_allclose(layer.attention, [[3 / 4, 1 / 4]])
    np.testing.assert_allclose(a, [[7]])
    # dL_ds = (3/4 (8 − 7), 1/4 (4 − 7)); through √4, half of it reaches q and k
    dL_dq, dL_dk, dL_dv = layer.backward([[1]])
    np.testing.assert_allclose(dL_dq, [[3 / 8, -3 / 8, 0, 0]])
    np.testing.assert_allclose(dL_dk, [[3 / 4 * LN3, 0, 0, 0], [-3 / 4 * LN3, 0, 0, 0]])
    np.testing.assert_allclose(dL_dv, [[3 / 4], [1 / 4]])


def test_without_scale_by_hand():
    layer = ScaledDotProduct(scaled=False)
    layer.forward([[LN3, 0, 0, 0]], [[1, 0, 0, 0], [0, 1, 0, 0]], [[8], [4]])
    np.testing.assert_allclose(layer.attention, [[3 / 4, 1 / 4]])


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("scaled", [True, False])
def test_backward_is_the_derivative_of_forward(name, scaled):
    found = errors(ScaledDotProduct(scaled), draw(), MASKS[name])
    assert set(found) == {"q", "k", "v"}
    assert max(found.values()) < TOLERANCE


def test_the_lesson_s_own_check_passes():
    for mask in (None, causal_mask(4)):
        assert max(check_attention(rng(), mask).values()) < TOLERANCE


@pytest.mark.parametrize(
    ("leading", "T", "S", "D", "D_v"),
    [((1, 1), 1, 1, 1, 1), ((1, 3), 4, 4, 5, 2), ((2, 1), 1, 6, 3, 4), ((), 3, 2, 4, 1)],
)
def test_backward_at_other_sizes(leading, T, S, D, D_v):
    found = errors(ScaledDotProduct(), draw(leading, T, S, D, D_v))
    assert max(found.values()) < TOLERANCE


class Mistaken(ScaledDotProduct):
    """The backward pass once more, with one mistake in it."""

    def __init__(self, mistake):
        super().__init__()
        self.mistake = mistake

    def backward(self, dL_da):
        alpha = self.attention
        dL_dalpha = dL_da @ self.v.swapaxes(-1, -2)
        axis = -2 if self.mistake == "summed over the queries" else -1
        total = (dL_dalpha * alpha).sum(axis=axis, keepdims=True)
        dL_ds = alpha * (dL_dalpha - (0 if self.mistake == "no sum" else total))
        dL_ds = dL_ds * (1 if self.mistake == "no scale" else self.scale)
        across = dL_ds if self.mistake == "not transposed" else dL_ds.swapaxes(-1, -2)
        return dL_ds @ self.k, across @ self.q, alpha.swapaxes(-1, -2) @ dL_da


@pytest.mark.parametrize(
    ("mistake", "wrong"),
    [
        ("none", ""),
        ("no sum", "qk"),
        ("no scale", "qk"),
        ("summed over the queries", "qk"),
        ("not transposed", "k"),
    ],
)
def test_the_check_finds_a_mistake_and_says_where(mistake, wrong):
    found = errors(Mistaken(mistake), draw(), causal_mask(4))
    assert {name for name, error in found.items() if error > 0.01} == set(wrong)
    assert all(found[name] < TOLERANCE for name in set("qkv") - set(wrong))


@pytest.mark.parametrize("name", MASKS)
def test_rows_of_attention_sum_to_1(name):
    assert rows_sum_to_1(MASKS[name])


def test_what_comes_later_moves_nothing_before_it():
    assert blind_to_the_future()


def test_who_may_look_at_nothing_takes_nothing_and_passes_no_blame():
    assert nothing_seen_is_nothing_taken()


def test_a_mask_after_the_softmax_is_found(monkeypatch):
    def after(s, mask=None):
        return masked_softmax(s) * (1 if mask is None else mask)

    monkeypatch.setattr(scaled_dot_product, "masked_softmax", after)
    assert not rows_sum_to_1(causal_mask(4))
    assert not blind_to_the_future()
    assert max(errors(ScaledDotProduct(), draw(), causal_mask(4)).values()) > 0.01


def test_a_very_low_score_in_place_of_minus_infinity_is_found(monkeypatch):
    def low(s, mask=None):
        return masked_softmax(s if mask is None else np.where(mask, s, -1e9))

    monkeypatch.setattr(scaled_dot_product, "masked_softmax", low)
    assert blind_to_the_future()
    assert not nothing_seen_is_nothing_taken()


def test_no_blame_goes_to_what_was_hidden():
    layer = ScaledDotProduct()
    layer.forward(**draw(), mask=MASKS["a key off"])
    _, dL_dk, dL_dv = layer.backward(rng().normal(size=(2, 3, 4, 2)))
    assert not dL_dk[..., 2, :].any() and not dL_dv[..., 2, :].any()
    assert dL_dk[..., 1, :].all() and dL_dv[..., 1, :].all()


def test_queries_in_another_order_give_the_same_in_that_order():
    layer, arrays, order = ScaledDotProduct(), draw(), [2, 0, 3, 1]
    before = layer.forward(**arrays)
    arrays["q"] = arrays["q"][..., order, :]
    np.testing.assert_allclose(layer.forward(**arrays), before[..., order, :], rtol=1e-12)


def test_the_order_of_keys_does_not_matter():
    layer, arrays, order = ScaledDotProduct(), draw(), [2, 0, 3, 1]
    before = layer.forward(**arrays)
    arrays["k"], arrays["v"] = arrays["k"][..., order, :], arrays["v"][..., order, :]
    np.testing.assert_allclose(layer.forward(**arrays), before, rtol=1e-10)


def test_one_key_is_taken_whole():
    arrays = draw(S=1)
    a = ScaledDotProduct().forward(**arrays)
    np.testing.assert_array_equal(a, np.broadcast_to(arrays["v"], a.shape))


def test_what_is_taken_lies_between_the_values():
    arrays = draw()
    a, v = ScaledDotProduct().forward(**arrays), arrays["v"]
    assert (v.min(axis=-2, keepdims=True) <= a).all() and (a <= v.max(axis=-2, keepdims=True)).all()


@pytest.mark.parametrize("mask", [None, causal_mask(4), row_off()], ids=["none", "causal", "row"])
def test_huge_scores_neither_overflow_nor_give_nan(mask):
    arrays = draw()
    arrays["q"] *= 1e6
    layer = ScaledDotProduct()
    a = layer.forward(**arrays, mask=mask)
    gradients = layer.backward(np.ones_like(a))
    assert all(np.isfinite(array).all() for array in (a, layer.attention, *gradients))


@pytest.mark.parametrize("causal", [False, True])
def test_pytorch_gives_the_same_values_and_gradients(causal):
    arrays, layer = draw(T=5, S=5), ScaledDotProduct()
    theirs = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    a = layer.forward(**arrays, mask=causal_mask(5) if causal else None)
    c = rng(1).normal(size=a.shape)
    their_a = F.scaled_dot_product_attention(*theirs.values(), is_causal=causal)
    their_a.backward(torch.from_numpy(c))
    np.testing.assert_allclose(a, their_a.detach(), rtol=1e-10, atol=1e-12)
    for name, gradient in zip("qkv", layer.backward(c), strict=True):
        np.testing.assert_allclose(gradient, theirs[name].grad, rtol=1e-9, atol=1e-12)


def test_pytorch_reads_a_mask_in_the_same_way():
    arrays, mask = draw(), MASKS["one for each head"] | np.eye(4, dtype=bool)
    theirs = [torch.from_numpy(array) for array in arrays.values()]
    their_a = F.scaled_dot_product_attention(*theirs, attn_mask=torch.from_numpy(mask))
    np.testing.assert_allclose(ScaledDotProduct().forward(**arrays, mask=mask), their_a, rtol=1e-10)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("mask", [None, causal_mask(4)], ids=["none", "causal"])
def test_float32_stays_float32(scaled, mask):
    layer = ScaledDotProduct(scaled)
    a = layer.forward(**draw(dtype=np.float32), mask=mask)
    arrays = (a, layer.attention, *layer.backward(np.ones_like(a)))
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def test_nothing_given_is_changed_and_gradients_are_fresh():
    layer, arrays = ScaledDotProduct(), draw()
    kept = {name: array.copy() for name, array in arrays.items()}
    c = np.ones_like(layer.forward(**arrays, mask=causal_mask(4)))
    first = layer.backward(c)
    again = layer.backward(c)
    assert (c == 1).all()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, kept[name])
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one is not other


def test_causal_mask_by_hand():
    assert causal_mask(1).tolist() == [[True]]
    assert causal_mask(3).astype(int).tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_without_scale_wide_heads_look_at_one_key_and_cannot_learn():
    (bits, slope), (wide_bits, wide_slope) = (entropy_and_slope(D, False) for D in (2, 128))
    assert wide_bits < bits / 2 and wide_slope < slope / 2
    (bits, slope), (wide_bits, wide_slope) = (entropy_and_slope(D, True) for D in (2, 128))
    assert wide_bits == pytest.approx(bits, rel=0.1) and wide_slope == pytest.approx(slope, rel=0.1)


ONES = {"q": np.ones((2, 4, 5)), "k": np.ones((2, 3, 5)), "v": np.ones((2, 3, 6))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": np.ones(5)}, r"q: expected .* \(…, T, D\), got shape \(5,\): give each query"),
        ({"q": np.full((2, 4, 5), np.nan)}, r"q: .* 40 of 40 that are nan"),
        ({"q": np.ones((2, 0, 5))}, "q: .* no entries"),
        ({"k": np.ones((2, 3, 4))}, r"k: expected .* \(2, S, 5\), got shape \(2, 3, 4\): give"),
        ({"k": np.ones((3, 3, 5))}, r"k: expected .* \(2, S, 5\), got shape \(3, 3, 5\)"),
        ({"v": np.ones((2, 4, 6))}, r"v: expected .* \(2, 3, D_v\), got shape .* for each key"),
        ({"v": np.full((2, 3, 6), np.inf)}, "v: .* infinite"),
        ({"mask": np.ones((4, 3))}, r"mask: expected True and False .* got float64: write mask =="),
        ({"mask": np.ones((4, 3), int)}, "mask: .* got int64: .* True means look"),
        ({"mask": np.ones((3, 4), bool)}, r"mask: .* \(2, 4, 3\), got shape \(3, 4\): give"),
        ({"mask": np.ones((1, 2, 4, 3), bool)}, r"mask: .* got shape \(1, 2, 4, 3\)"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ScaledDotProduct().forward(**{**ONES, **change})


@pytest.mark.parametrize("wrong", [np.ones((2, 4, 5)), np.full((2, 4, 6), np.nan), np.ones(6)])
def test_bad_blame_is_refused(wrong):
    layer = ScaledDotProduct()
    layer.forward(**ONES)
    with pytest.raises(ValueError, match=r"dL_da: expected finite numbers of shape \(2, 4, 6\)"):
        layer.backward(wrong)


def test_backward_before_forward_is_refused():
    with pytest.raises(ValueError, match=r"dL_da: expected .* call forward first"):
        ScaledDotProduct().backward(np.ones((2, 4, 6)))


@pytest.mark.parametrize("T", [0, -1, 2.0, True])
def test_a_mask_of_no_size_is_refused(T):
    with pytest.raises(ValueError, match="T: expected a whole number of at least 1"):
        causal_mask(T)


def test_entropy_is_in_bits():
    bits, _ = entropy_and_slope(1, scaled=True)
    assert bits == pytest.approx(3.53, abs=0.01)  # of 4 bits over 16 keys
    assert entropy_and_slope(512, scaled=False)[0] < 0.3
