"""Tiled attention is plain attention: the reference is `ScaledDotProduct`, to twelve digits."""

import numpy as np
import pytest

from phase_00.softmax import softmax
from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_05.scaled_dot_product import ScaledDotProduct, causal_mask
from phase_05.tiled_attention import (
    TiledAttention,
    forward_backward,
    peak_bytes,
    take_in,
)


def draw(T=7, S=7, D=4, D_v=3, leading=(2, 3), scale=1.0, dtype=np.float64):
    rng = np.random.default_rng(0)
    shapes = ((T, D), (S, D), (S, D_v), (T, D_v))
    return [(scale * rng.normal(size=(*leading, *shape))).astype(dtype) for shape in shapes]


def assert_same(arrays, tile_size, causal, rtol=1e-12):
    plain = forward_backward(ScaledDotProduct(), arrays, causal)
    tiled = forward_backward(TiledAttention(tile_size), arrays, causal)
    size = max(1, *(np.abs(array).max() for array in arrays)) ** 3  # of the terms that are added
    for ours, theirs in zip(tiled, plain, strict=True):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * size)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("tile_size", [1, 2, 3, 7, 100])
def test_it_equals_plain_attention_whatever_the_tile(tile_size, causal):
    assert_same(draw(), tile_size, causal)


@pytest.mark.parametrize("causal", [False, True])
def test_one_token(causal):
    assert_same(draw(T=1, S=1), 4, causal)


def test_one_sequence_without_leading_axes():
    assert_same(draw(leading=()), 3, True)


def test_more_keys_than_queries():
    assert_same(draw(T=3, S=10), 4, False)


@pytest.mark.parametrize("causal", [False, True])
def test_large_scores_do_not_overflow(causal):
    arrays = draw(scale=100.0)  # scores of about 10,000
    assert np.abs(arrays[0] @ arrays[1].swapaxes(-1, -2)).max() > 1e4
    assert_same(arrays, 2, causal, rtol=1e-10)


def test_float32_stays_float32():
    assert_same(draw(dtype=np.float32), 3, True, rtol=2e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_against_nudging(causal):
    q, k, v, c = draw(T=5, S=5, leading=(2,))
    layer = TiledAttention(2)
    layer.forward(q, k, v, causal)
    gradients = dict(zip("qkv", layer.backward(c), strict=True))
    errors = check_gradients(
        lambda: float(np.sum(layer.forward(q, k, v, causal) * c)),
        {"q": q, "k": k, "v": v},
        gradients,
    )
    assert max(errors.values()) < TOLERANCE


def test_a_softmax_in_two_parts_by_hand():
    e, shrink, m, total = take_in(np.array([1.0, 3.0]), np.array([-np.inf]), np.zeros(1))
    np.testing.assert_allclose([shrink[0], m[0], total[0]], [0, 3, 1 + np.exp(-2)])
    e, shrink, m, total = take_in(np.array([2.0, 5.0]), m, total)
    np.testing.assert_allclose([shrink[0], m[0]], [np.exp(-2), 5])
    np.testing.assert_allclose(e / total, softmax([1.0, 3.0, 2.0, 5.0])[2:])


def test_forgetting_to_shrink_is_found(monkeypatch):
    def forget(s, m, total):
        e, shrink, m, total = take_in(s, m, total)
        return e, np.ones_like(shrink), m, total

    monkeypatch.setattr("phase_05.tiled_attention.take_in", forget)
    with pytest.raises(AssertionError):
        assert_same(draw(), 2, False)


def test_blame_without_the_row_sum_is_found(monkeypatch):
    q, k, v, c = draw(leading=())
    layer = TiledAttention(3)
    layer.forward(q, k, v)
    right = layer.backward(c)
    layer.a = np.zeros_like(layer.a)  # so that Σ dL_da ⊙ a is 0
    wrong = layer.backward(c)
    assert np.abs(right[0] - wrong[0]).max() > 1e-3
    np.testing.assert_array_equal(right[2], wrong[2])  # dL_dv does not need it


def test_no_token_sees_a_later_one():
    q, k, v, _ = draw(leading=())
    before = TiledAttention(3).forward(q, k, v, causal=True)
    k[5], v[5] = 9.0, -9.0
    after = TiledAttention(3).forward(q, k, v, causal=True)
    np.testing.assert_array_equal(after[:5], before[:5])
    assert (after[5:] != before[5:]).all()


def test_memory_grows_in_step_with_the_text_and_not_with_its_square():
    plain = [peak_bytes(ScaledDotProduct(), T) for T in (512, 1024)]
    tiled = [peak_bytes(TiledAttention(), T) for T in (512, 1024)]
    assert plain[1] > 3.5 * plain[0]
    assert tiled[1] < 2.2 * tiled[0]
    assert tiled[1] < plain[1] / 10


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda q, k, v: TiledAttention(0), "tile_size: expected a whole number"),
        (lambda q, k, v: TiledAttention().forward(q, k[..., :2], v), "k: expected finite numbers"),
        (lambda q, k, v: TiledAttention().forward(q[..., :3, :], k, v, True), "k: expected finite"),
        (lambda q, k, v: TiledAttention().forward(q, k, v[..., :3, :]), "v: expected finite"),
        (lambda q, k, v: TiledAttention().forward(q * np.nan, k, v), "q: expected finite"),
        (
            lambda q, k, v: TiledAttention().forward(q, k, v, causal_mask(7)),
            "causal: expected True",
        ),
        (lambda q, k, v: TiledAttention().backward(v), "dL_da: expected finite"),
    ],
)
def test_bad_input_is_refused(call, message):
    q, k, v, _ = draw()
    with pytest.raises(ValueError, match=message):
        call(q, k, v)


def test_the_worst_moment_counts():
    class Hungry:
        def forward(self, q, k, v, mask=None):
            np.zeros(1_000_000).sum()  # taken and given back
            return v

        def backward(self, dL_da):
            return dL_da, dL_da, dL_da

    assert peak_bytes(Hungry(), 8) == pytest.approx(8e6, rel=0.01)
