"""Several heads by hand, by finite differences, against one attention each, and by PyTorch."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from phase_02.gradient_check import TOLERANCE, check_layer
from phase_05.multi_head_attention import MultiHeadAttention, check_heads
from phase_05.positional_encoding import Rotary
from phase_05.scaled_dot_product import ScaledDotProduct, causal_mask

KINDS = {
    "2 heads, causal": {"n_head": 2},
    "3 heads, all see all": {"n_head": 3, "causal": False},
    "1 head": {"n_head": 1},
    "6 heads of one number": {"n_head": 6},
    "1 head, rotary": {"n_head": 1, "rotary": Rotary(6)},
    "3 heads, rotary, all see all": {"n_head": 3, "causal": False, "rotary": Rotary(2)},
}


def rng(seed=0):
    return np.random.default_rng(seed)


def made(kind="2 heads, causal", cls=MultiHeadAttention, dtype=np.float64):
    """A layer with C = 6, whose parameters, biases too, are random numbers."""
    layer, r = cls(6, rng=rng(), dtype=dtype, **KINDS[kind]), rng(3)
    for array in layer.params.values():
        array[...] = r.normal(size=array.shape) / 2
    return layer


def tokens(B=2, T=4, seed=1):
    return rng(seed).normal(size=(B, T, 6))


def blind_to_the_future(layer):
    """Whether changing token t moves exactly nothing before it, and something from it on."""
    x = tokens(T=5)
    before = layer.forward(x)
    for t in range(5):
        changed = x.copy()
        changed[:, t] += 1
        same = layer.forward(changed) == before
        if not same[:, :t].all() or same[:, t:].all(axis=-1).any():
            return False
    return True


def blame_stays_in_the_past(layer):
    """Whether blame for the output at place t reaches no token behind t."""
    blame = np.zeros_like(layer.forward(tokens(T=5)))
    blame[:, 2] = 1
    dL_dx, _ = layer.backward(blame)
    return bool(dL_dx[:, :3].all() and not dL_dx[:, 3:].any())


def heads_one_by_one(layer, x):
    """The output, from one single attention after another."""
    q, k, v = np.split(x @ layer.params["qkv.W"] + layer.params["qkv.b"], 3, axis=-1)
    mask = causal_mask(x.shape[1]) if layer.causal else None
    turn = layer.rotary.forward if layer.rotary else lambda heads: heads
    D = layer.n_embd // layer.n_head
    results = []
    for head in range(layer.n_head):
        own = slice(head * D, (head + 1) * D)
        look = ScaledDotProduct()
        results.append(look.forward(turn(q[..., own]), turn(k[..., own]), v[..., own], mask))
    joined = np.concatenate(results, axis=-1)
    return joined @ layer.params["projection.W"] + layer.params["projection.b"]


def test_two_heads_by_hand():
    # Queries, keys and values are x itself; head 0 sees its first number, head 1 its second.
    layer = MultiHeadAttention(2, 2, rng())
    layer.params["qkv.W"][...] = np.tile(np.eye(2), 3)
    layer.params["projection.W"][...] = [[1, 0], [0, 10]]
    layer.params["projection.b"][...] = [0, 5]
    first, second = np.sqrt(np.log(3)), np.sqrt(np.log(7))
    out = layer.forward([[[0, 0], [first, second]]])
    # Token 1 scores (0, ln 3) in head 0 and (0, ln 7) in head 1.
    np.testing.assert_allclose(layer.attention[0, 0], [[1, 0], [1 / 4, 3 / 4]])
    np.testing.assert_allclose(layer.attention[0, 1], [[1, 0], [1 / 8, 7 / 8]])
    np.testing.assert_allclose(out, [[[0, 5], [3 / 4 * first, 10 * 7 / 8 * second + 5]]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("B", "T"), [(1, 1), (1, 4), (3, 1), (2, 4)])
def test_backward_is_the_derivative_of_forward(kind, B, T):
    errors = check_layer(made(kind), tokens(B, T), rng(2))
    assert set(errors) == {"x", "qkv.W", "qkv.b", "projection.W", "projection.b"}
    assert max(errors.values()) < TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_backward_with_a_row_off_is_the_derivative(kind):
    layer, mask = made(kind), np.ones((4, 4), bool)
    mask[1] = False
    errors = check_layer(layer, tokens(), rng(2), lambda x: layer.forward(x, mask=mask))
    assert max(errors.values()) < TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_heads_together_are_single_attentions_side_by_side(kind):
    layer, x = made(kind), tokens()
    np.testing.assert_allclose(layer.forward(x), heads_one_by_one(layer, x), rtol=1e-10)


def test_one_head_is_a_single_attention_with_its_blame():
    layer, x, look = made("1 head"), tokens(), ScaledDotProduct()
    q, k, v = np.split(layer.qkv.forward(x), 3, axis=-1)
    a = look.forward(q, k, v, causal_mask(4))
    np.testing.assert_array_equal(layer.forward(x), layer.projection.forward(a))
    np.testing.assert_array_equal(layer.attention[:, 0], look.attention)
    c = rng(2).normal(size=x.shape)
    dL_dqkv = np.concatenate(look.backward(c @ layer.params["projection.W"].T), axis=-1)
    dL_dx, grads = layer.backward(c)
    np.testing.assert_allclose(dL_dx, dL_dqkv @ layer.params["qkv.W"].T, rtol=1e-10)
    np.testing.assert_allclose(grads["qkv.b"], dL_dqkv.sum(axis=(0, 1)), rtol=1e-10, atol=1e-12)


def test_split_and_join_only_rename_places():
    layer, x = made(), rng().normal(size=(2, 4, 18))
    heads = layer.split(x)
    assert heads.shape == (3, 2, 2, 4, 3)
    np.testing.assert_array_equal(layer.join(heads), x)
    # k of head 1: numbers 6 + 3 to 6 + 6 of each token
    np.testing.assert_array_equal(heads[1, :, 1], x[..., 9:12])


class WrongJoin(MultiHeadAttention):
    """Heads are joined without bringing their axis back beside D."""

    def join(self, heads):
        _, B, _, T, _ = heads.shape
        return heads.transpose(1, 0, 2, 3, 4).reshape(B, T, -1)


class WrongBothWays(MultiHeadAttention):
    """Cut wrongly, and joined wrongly in the way that undoes it."""

    def split(self, x):
        B, T, _ = x.shape
        D = self.n_embd // self.n_head
        return x.reshape(B, -1, self.n_head, T, D).transpose(1, 0, 2, 3, 4)

    def join(self, heads):
        _, B, _, T, _ = heads.shape
        return heads.transpose(1, 0, 2, 3, 4).reshape(B, T, -1)


class NoTurnBack(MultiHeadAttention):
    """Blame for queries and keys is not turned back."""

    def backward(self, dL_da):
        rotary, self.rotary = self.rotary, None
        result = super().backward(dL_da)
        self.rotary = rotary
        return result


class NoBlameForKeys(MultiHeadAttention):
    """The second third of the blame is lost on the way to x."""

    def backward(self, dL_da):
        look = self.look.backward
        self.look.backward = lambda c: [dL * i for dL, i in zip(look(c), (1, 0, 1), strict=True)]
        result = super().backward(dL_da)
        del self.look.backward
        return result


@pytest.mark.parametrize(
    ("cls", "kind"),
    [
        (WrongJoin, "2 heads, causal"),
        (NoTurnBack, "1 head, rotary"),
        (NoBlameForKeys, "2 heads, causal"),
    ],
)
def test_the_check_finds_a_mistake(cls, kind):
    errors = check_layer(made(kind, cls), tokens(), rng(2))
    assert errors["x"] > 0.01 and errors["qkv.W"] > 0.01


def test_heads_cut_wrongly_both_ways_pass_the_check_and_fail_the_properties():
    layer, x = made(cls=WrongBothWays), tokens()
    assert max(check_layer(layer, x, rng(2)).values()) < TOLERANCE  # a derivative, of a wrong layer
    layer = made(cls=WrongBothWays)
    assert np.abs(layer.forward(x) - heads_one_by_one(layer, x)).max() > 0.01
    assert not blind_to_the_future(layer)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "all see all" not in kind])
def test_what_comes_later_moves_nothing_before_it(kind):
    assert blind_to_the_future(made(kind))
    assert blame_stays_in_the_past(made(kind))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "all see all" in kind])
def test_a_layer_that_sees_all_is_found_by_both(kind):
    assert not blind_to_the_future(made(kind))
    assert not blame_stays_in_the_past(made(kind))


def test_without_places_the_output_follows_the_order_of_the_tokens():
    layer, x, order = made("3 heads, all see all"), tokens(), [2, 0, 3, 1]
    before = layer.forward(x)
    np.testing.assert_allclose(layer.forward(x[:, order]), before[:, order], rtol=1e-10)
    for other in (made(), made("3 heads, rotary, all see all")):  # causality and rotary see order
        change = other.forward(x[:, order]) - other.forward(x)[:, order]
        assert np.abs(change).max() > 0.01


def test_rotary_alone_sees_distances_and_not_places():
    layer = made("3 heads, rotary, all see all")
    x = tokens(T=6)
    x[:, :2] = 0  # the same four tokens, two places later; what stands before them is hidden
    mask = np.ones((6, 6), bool)
    mask[:, :2] = False
    late = layer.forward(x, mask=mask)[:, 2:]
    np.testing.assert_allclose(late, layer.forward(x[:, 2:]), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_who_sees_nothing_and_is_not_seen_gives_the_bias_and_passes_no_blame(kind):
    layer, mask = made(kind), np.ones((4, 4), bool)
    mask[1], mask[:, 1] = False, False
    out = layer.forward(tokens(), mask=mask)
    np.testing.assert_array_equal(out[:, 1], np.tile(layer.params["projection.b"], (2, 1)))
    dL_dx, _ = layer.backward(rng().normal(size=out.shape))
    assert not dL_dx[:, 1].any() and dL_dx[:, 0].all()


def test_a_mask_and_causality_both_count():
    layer = made()
    mask = np.array([True, False, True, True])  # nobody looks at token 1
    layer.forward(tokens(), mask=mask)
    allowed = causal_mask(4) & mask
    assert ((layer.attention > 0) == allowed).all()
    np.testing.assert_allclose(layer.attention.sum(axis=-1), 1)


def test_each_sequence_of_a_batch_is_read_for_itself():
    layer, x = made(), tokens(B=3)
    together = layer.forward(x)
    for b in range(3):
        np.testing.assert_allclose(layer.forward(x[b : b + 1])[0], together[b], rtol=1e-10)


def test_a_token_alone_takes_its_own_value():
    layer, x = made(), tokens(T=1)
    v = layer.qkv.forward(x)[..., 12:]
    np.testing.assert_allclose(layer.forward(x), layer.projection.forward(v), rtol=1e-12)


@pytest.mark.parametrize("causal", [True, False])
def test_pytorch_gives_the_same_values_and_gradients(causal):
    layer, x = made("2 heads, causal" if causal else "3 heads, all see all"), tokens()
    parameters = {
        name: torch.tensor(array, requires_grad=True) for name, array in layer.params.items()
    }
    their_x = torch.tensor(x, requires_grad=True)
    # PyTorch's (T, B, C) comes first, and its matrices are (outputs, inputs).
    theirs, attention = F.multi_head_attention_forward(
        *[their_x.transpose(0, 1)] * 3,
        embed_dim_to_check=6,
        num_heads=layer.n_head,
        in_proj_weight=parameters["qkv.W"].T,
        in_proj_bias=parameters["qkv.b"],
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=parameters["projection.W"].T,
        out_proj_bias=parameters["projection.b"],
        attn_mask=torch.from_numpy(~causal_mask(4)) if causal else None,
        average_attn_weights=False,
    )
    c = rng(2).normal(size=x.shape)
    theirs.backward(torch.from_numpy(c).transpose(0, 1))
    np.testing.assert_allclose(layer.forward(x), theirs.detach().transpose(0, 1), rtol=1e-10)
    np.testing.assert_allclose(layer.attention, attention.detach(), rtol=1e-10)
    dL_dx, grads = layer.backward(c)
    np.testing.assert_allclose(dL_dx, their_x.grad, rtol=1e-9, atol=1e-12)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, parameters[name].grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32(kind):
    layer = made(kind, dtype=np.float32)
    for x in (tokens().astype(np.float32), tokens()):
        out = layer.forward(x)
        dL_dx, grads = layer.backward(np.ones_like(out))
        arrays = (out, layer.attention, dL_dx, *grads.values(), *layer.params.values())
        assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def test_heads_cost_no_parameters():
    counts = {sum(array.size for array in made(kind).params.values()) for kind in KINDS}
    assert counts == {4 * 6 * 6 + 4 * 6}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: MultiHeadAttention(6, 4, rng()),
            r"n_embd: expected a multiple of n_head = 4, .*8",
        ),
        (lambda: MultiHeadAttention(6, 0, rng()), "n_head: expected a whole number"),
        (lambda: MultiHeadAttention(0, 1, rng()), "n_embd: expected a whole number"),
        (lambda: MultiHeadAttention(6, 2, rng(), dtype=int), "dtype: expected a floating-point"),
        (
            lambda: made().forward(np.ones((4, 6))),
            r"x: expected .* \(B, T, 6\), got shape \(4, 6\)",
        ),
        (lambda: made().forward(np.ones((1, 4, 5))), r"x: .* got shape \(1, 4, 5\)"),
        (lambda: made().forward(np.ones((1, 0, 6))), "x: .* no entries"),
        (lambda: made().forward(np.full((1, 4, 6), np.nan)), "x: .* nan"),
        (lambda: made("1 head, rotary").forward(np.ones((1, 4, 5))), "x: "),
        (
            lambda: MultiHeadAttention(6, 2, rng(), rotary=Rotary(6)).forward(tokens()),
            r"\(…, T, 6\), got shape \(2, 2, 4, 3\)",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("kind", ["2 heads, causal", "3 heads, all see all"])
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((3, 3), bool), r"mask: .* got shape \(3, 3\): give \(T, S\)"),
        (np.ones((4, 4)), "mask: expected True and False .* got float64"),
        (np.ones((2, 3, 4, 5), bool), "mask: "),
    ],
)
def test_a_bad_mask_is_refused(kind, mask, message):
    with pytest.raises(ValueError, match=message):
        made(kind).forward(tokens(), mask=mask)


def test_bad_blame_and_blame_before_forward_are_refused():
    layer = made()
    with pytest.raises(ValueError, match=r"dL_da: expected .* call forward first"):
        layer.backward(np.ones((2, 4, 6)))
    layer.forward(tokens())
    for wrong in (np.ones((2, 3, 6)), np.ones((2, 4, 5)), np.full((2, 4, 6), np.nan)):
        with pytest.raises(ValueError, match=r"dL_da: expected finite .* \(2, 4, 6\)"):
            layer.backward(wrong)


def test_widths_that_fit_their_heads_pass():
    for n_embd, n_head in ((1, 1), (6, 3), (768, 12)):
        check_heads(n_embd, n_head)


def test_a_mask_in_the_place_of_training_is_refused():
    layer, x = MultiHeadAttention(4, 2, np.random.default_rng(0)), np.ones((1, 3, 4))
    with pytest.raises(ValueError, match=r"training: expected True or False.*mask=mask"):
        layer.forward(x, np.eye(3, dtype=bool))


def test_the_nearest_width_is_named():
    with pytest.raises(ValueError, match="the nearest is 8"):
        MultiHeadAttention(9, 4, np.random.default_rng(0))
