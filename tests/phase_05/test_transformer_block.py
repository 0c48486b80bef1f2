"""Blocks by hand, by finite differences and by PyTorch: both ways of blame, both norm places."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from phase_02.gradient_check import TOLERANCE, check_layer
from phase_02.layers import Linear
from phase_05.layer_norm import LayerNorm
from phase_05.positional_encoding import Rotary
from phase_05.transformer_block import Residual, TransformerBlock

KINDS = {
    "pre-norm": {},
    "post-norm": {"pre_norm": False},
    "pre-norm, sees all": {"causal": False},
    "post-norm, sees all": {"pre_norm": False, "causal": False},
    "pre-norm, rotary": {"rotary": Rotary(2)},
}
CAUSAL = [kind for kind in KINDS if "sees all" not in kind]
NAMES = {
    "attention_norm.g",
    "attention_norm.b",
    "attention.qkv.W",
    "attention.qkv.b",
    "attention.projection.W",
    "attention.projection.b",
    "feed_forward_norm.g",
    "feed_forward_norm.b",
    "feed_forward.up.W",
    "feed_forward.up.b",
    "feed_forward.down.W",
    "feed_forward.down.b",
}


def rng(seed=0):
    return np.random.default_rng(seed)


def made(kind="pre-norm", dtype=np.float64):
    """A block with C = 4, whose parameters, biases too, are random numbers."""
    block, r = TransformerBlock(4, 2, rng(), dtype=dtype, **KINDS[kind]), rng(3)
    for array in block.params.values():
        array[...] = r.normal(size=array.shape)
    return block


def tokens(B=2, T=3, seed=1):
    return rng(seed).normal(size=(B, T, 4))


def silent(pre_norm):
    """A block whose attention adds 1 and whose feed-forward adds 2 to each number, whatever x."""
    block = TransformerBlock(4, 2, rng(), pre_norm)
    for name in ("attention.projection.W", "feed_forward.down.W"):
        block.params[name][...] = 0
    block.params["attention.projection.b"][...] = 1
    block.params["feed_forward.down.b"][...] = 2
    return block


def blind_to_the_future(block):
    """Whether changing token t moves exactly nothing before it, and something from it on."""
    x = tokens(T=5)
    before = block.forward(x)
    for t in range(5):
        changed = x.copy()
        changed[:, t, 0] += 1
        same = block.forward(changed) == before
        if not same[:, :t].all() or same[:, t:].all(axis=-1).any():
            return False
    return True


def blame_stays_in_the_past(block):
    """Whether blame for the output at place t reaches no token behind t."""
    blame = np.zeros_like(block.forward(tokens(T=5)))
    blame[:, 2] = rng().normal(size=4)
    dL_dx, _ = block.backward(blame)
    return bool(dL_dx[:, :3].all() and not dL_dx[:, 3:].any())


def test_pre_norm_by_hand():
    # Whatever is added does not depend on x: x₂ = x + 1 + 2, and blame passes as it is.
    block, x = silent(pre_norm=True), tokens()
    np.testing.assert_allclose(block.forward(x), x + 3)
    blame = rng(2).normal(size=x.shape)
    dL_dx, grads = block.backward(blame)
    np.testing.assert_array_equal(dL_dx, blame)
    np.testing.assert_allclose(grads["attention.projection.b"], blame.sum(axis=(0, 1)))
    np.testing.assert_allclose(grads["feed_forward.down.b"], blame.sum(axis=(0, 1)))


def test_post_norm_by_hand():
    # The norm takes off what was added to all numbers alike: (1, 1, 5, 5) gives (−1, −1, 1, 1).
    block = silent(pre_norm=False)
    block.params["feed_forward_norm.g"][...] = 10
    out = block.forward([[[1, 1, 5, 5]]])
    np.testing.assert_allclose(out, [[[-10, -10, 10, 10]]], rtol=1e-4)  # ε is 1e-5
    # Blame (1, 0, 0, 0) times the gain 10, through a norm of size 1, then through one of size 2:
    # (1, 0, 0, 0) − 1/4 + x̂/4 = (½, −½, 0, 0); the second time it changes nothing but halves.
    dL_dx, _ = block.backward([[[1, 0, 0, 0]]])
    np.testing.assert_allclose(dL_dx, [[[2.5, -2.5, 0, 0]]], atol=1e-4)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_residual_by_hand(pre_norm):
    # The part doubles; without gain 1 and bias 0 the two places of the norm differ.
    part, norm = Linear(4, 4, rng()), LayerNorm(4, eps=1e-30)
    part.params["W"][...] = 2 * np.eye(4)
    norm.params["b"][...] = 7
    layer = Residual("part", part, norm, pre_norm)
    assert set(layer.params) == {"part_norm.g", "part_norm.b", "part.W", "part.b"}
    out = layer.forward([[[1, 1, 5, 5]]])
    before, after = [1 + 2 * 6, 1 + 2 * 6, 5 + 2 * 8, 5 + 2 * 8], [6, 6, 8, 8]
    np.testing.assert_allclose(out, [[before if pre_norm else after]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("B", "T"), [(1, 1), (1, 3), (2, 1), (2, 3)])
def test_backward_is_the_derivative_of_forward(kind, B, T):
    errors = check_layer(made(kind), tokens(B, T), rng(2))
    assert set(errors) == NAMES | {"x"}
    assert max(errors.values()) < TOLERANCE


class NoStraightWay(Residual):
    """The blame of the shortcut is forgotten."""

    def backward(self, dL_da):
        if self.pre_norm:
            dL_dnormed, part = self.part.backward(dL_da)
            dL_dx, norm = self.norm.backward(dL_dnormed)
        else:
            dL_dsum, norm = self.norm.backward(dL_da)
            dL_dx, part = self.part.backward(dL_dsum)
        return dL_dx, self.named_both(norm, part)


class NotThroughThePart(Residual):
    """The blame of the shortcut alone arrives."""

    def backward(self, dL_da):
        dL_dx, grads = super().backward(dL_da)
        through = (
            self.norm.backward(self.part.backward(dL_da)[0])[0]
            if self.pre_norm
            else self.part.backward(self.norm.backward(dL_da)[0])[0]
        )
        return dL_dx - through, grads


class NormOnOneWay(Residual):
    """With post-norm, the shortcut's blame does not pass the norm."""

    def backward(self, dL_da):
        dL_dx, grads = super().backward(dL_da)
        if not self.pre_norm:
            dL_dx = dL_dx - self.norm.backward(dL_da)[0] + dL_da
        return dL_dx, grads


def found_in(cls, pre_norm):
    """The errors of a block whose first part, attention, goes back by another class."""
    block = TransformerBlock(4, 2, rng(), pre_norm)
    block.look.__class__ = cls
    return check_layer(block, tokens(), rng(2))


@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("cls", [NoStraightWay, NotThroughThePart])
def test_the_check_finds_blame_that_took_one_way_only(cls, pre_norm):
    errors = found_in(cls, pre_norm)
    assert errors["x"] > 0.01
    assert max(error for name, error in errors.items() if name != "x") < TOLERANCE


def test_the_check_finds_blame_that_goes_past_the_norm():
    assert found_in(NormOnOneWay, pre_norm=False)["x"] > 0.01
    assert found_in(Residual, pre_norm=False)["x"] < TOLERANCE


@pytest.mark.parametrize("kind", CAUSAL)
def test_what_comes_later_moves_nothing_before_it(kind):
    assert blind_to_the_future(made(kind))
    assert blame_stays_in_the_past(made(kind))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in CAUSAL])
def test_a_block_that_sees_all_is_found_by_both(kind):
    assert not blind_to_the_future(made(kind))
    assert not blame_stays_in_the_past(made(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_without_places_the_output_follows_the_order_of_the_tokens(kind):
    block, x, order = made(kind), tokens(T=4), [2, 0, 3, 1]
    change = np.abs(block.forward(x[:, order]) - block.forward(x)[:, order]).max()
    assert change < 1e-10 if "sees all" in kind else change > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_each_sequence_of_a_batch_is_read_for_itself(kind):
    block, x = made(kind), tokens(B=3)
    together = block.forward(x)
    for b in range(3):
        np.testing.assert_allclose(block.forward(x[b : b + 1])[0], together[b], rtol=1e-9)


@pytest.mark.parametrize("kind", ["pre-norm", "post-norm"])
def test_pytorch_gives_the_same_values_and_gradients(kind):
    block, x = made(kind), tokens()
    p = {name: torch.tensor(array, requires_grad=True) for name, array in block.params.items()}
    their_x = torch.tensor(x, requires_grad=True)

    def norm(name, x):
        return F.layer_norm(x, (4,), p[f"{name}_norm.g"], p[f"{name}_norm.b"])

    def attention(x):
        mixed = x @ p["attention.qkv.W"] + p["attention.qkv.b"]
        q, k, v = (
            part.unflatten(-1, (2, 2)).transpose(1, 2) for part in mixed.split(4, dim=-1)
        )  # each (B, H, T, D)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        return a @ p["attention.projection.W"] + p["attention.projection.b"]

    def feed_forward(x):
        wide = x @ p["feed_forward.up.W"] + p["feed_forward.up.b"]
        bent = F.gelu(wide, approximate="tanh")
        return bent @ p["feed_forward.down.W"] + p["feed_forward.down.b"]

    theirs = their_x
    for name, part in (("attention", attention), ("feed_forward", feed_forward)):
        if kind == "pre-norm":
            theirs = theirs + part(norm(name, theirs))
        else:
            theirs = norm(name, theirs + part(theirs))
    c = rng(2).normal(size=x.shape)
    theirs.backward(torch.from_numpy(c))
    np.testing.assert_allclose(block.forward(x), theirs.detach(), rtol=1e-9)
    dL_dx, grads = block.backward(c)
    np.testing.assert_allclose(dL_dx, their_x.grad, rtol=1e-8, atol=1e-11)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, p[name].grad, rtol=1e-8, atol=1e-11)


def test_parameters_are_those_of_the_parts():
    block = made()
    assert set(block.params) == NAMES
    assert block.params["attention.qkv.W"] is block.attention.qkv.params["W"]
    assert sum(array.size for array in block.params.values()) == 12 * 4**2 + 13 * 4


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32(kind):
    block = made(kind, np.float32)
    for x in (tokens(), tokens().astype(np.float32)):
        out = block.forward(x)
        dL_dx, grads = block.backward(np.ones_like(out))
        arrays = (out, dL_dx, *grads.values(), *block.params.values())
        assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", ["pre-norm", "post-norm"])
def test_nothing_given_is_changed_and_gradients_are_fresh(kind):
    block, x, blame = made(kind), tokens(), rng(2).normal(size=(2, 3, 4))
    kept_x, kept_blame = x.copy(), blame.copy()
    block.forward(x)
    dL_dx, _ = block.backward(blame)
    dL_dx[...] = 7
    np.testing.assert_array_equal(x, kept_x)
    np.testing.assert_array_equal(blame, kept_blame)


@pytest.mark.parametrize("kind", ["pre-norm", "post-norm"])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: b.forward(np.ones((3, 4))), r"x: .* \(B, T, 4\), got shape \(3, 4\): give B"),
        (lambda b: b.forward(np.ones((1, 3, 5))), r"x: .* got shape \(1, 3, 5\)"),
        (lambda b: b.forward(np.ones((1, 0, 4))), "x: .* no entries"),
        (lambda b: b.forward(np.full((1, 3, 4), np.nan)), "x: .* nan"),
        (lambda b: b.backward(np.ones((1, 3, 4))), "dL_da: expected .* call forward first"),
    ],
)
def test_bad_input_is_refused(kind, call, message):
    with pytest.raises(ValueError, match=message):
        call(made(kind))


@pytest.mark.parametrize("kind", ["pre-norm", "post-norm"])
@pytest.mark.parametrize("wrong", [np.ones((2, 4, 4)), np.ones((3, 4)), np.full((2, 3, 4), np.nan)])
def test_bad_blame_is_refused(kind, wrong):
    block = made(kind)
    block.forward(tokens())
    with pytest.raises(ValueError, match=r"dL_da: expected finite numbers of shape \(2, 3, 4\)"):
        block.backward(wrong)


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="n_embd: expected a multiple of n_head = 3, got 4"):
        TransformerBlock(4, 3, rng())
    with pytest.raises(ValueError, match="n_head: expected a whole number of at least 1"):
        TransformerBlock(4, 0, rng())
    with pytest.raises(ValueError, match="dtype: expected a floating-point type"):
        TransformerBlock(4, 2, rng(), dtype=int)
