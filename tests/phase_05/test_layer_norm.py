"""LayerNorm by hand, by finite differences and by PyTorch: average 0, size 1, no blame along x."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from phase_02.gradient_check import TOLERANCE, check_layer
from phase_05.layer_norm import LayerNorm, one_pass_variance, variance_errors


def rng(seed=0):
    return np.random.default_rng(seed)


def made(n_embd=6, cls=LayerNorm, **options):
    """A layer whose gain and bias are random numbers."""
    layer, r = cls(n_embd, **options), rng(3)
    for array in layer.params.values():
        array[...] = r.normal(size=array.shape)
    return layer


def test_by_hand():
    layer = LayerNorm(4, eps=1e-30)
    layer.params["g"][...], layer.params["b"][...] = [1, 1, 1, 10], [0, 0, 0, 5]
    # average 3, squares of the differences 4, so x̂ = (x − 3) / 2
    assert layer.forward([[1, 1, 5, 5]]).tolist() == [[-1, -1, 1, 15]]
    # dL_dx̂ = (1, 0, 0, 0): its mean is 1/4, that of its product with x̂ is −1/4
    # dL_dx = ((1, 0, 0, 0) − 1/4 + x̂/4) / 2
    dL_dx, grads = layer.backward([[1, 0, 0, 0]])
    assert dL_dx.tolist() == [[0.25, -0.25, 0, 0]]
    assert grads["g"].tolist() == [-1, 0, 0, 0]
    assert grads["b"].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    "shape", [(6,), (1, 6), (5, 6), (1, 1, 6), (1, 4, 6), (3, 1, 6), (2, 4, 6)]
)
def test_backward_is_the_derivative_of_forward(shape):
    errors = check_layer(LayerNorm(6), rng(1).normal(size=shape), rng(2))
    assert set(errors) == {"x", "g", "b"}
    assert max(errors.values()) < TOLERANCE


@pytest.mark.parametrize("n_embd", [1, 2, 3])
def test_backward_of_few_numbers_is_the_derivative_of_forward(n_embd):
    errors = check_layer(LayerNorm(n_embd, eps=0.1), rng(1).normal(size=(2, 3, n_embd)), rng(2))
    assert max(errors.values()) < TOLERANCE


class Mistaken(LayerNorm):
    """The backward pass once more, with one mistake in it."""

    mistake = "none"

    def backward(self, dL_da):
        dL_dx_hat = dL_da * (1 if self.mistake == "no gain" else self.params["g"])
        shift = dL_dx_hat.mean(axis=-1, keepdims=True)
        stretch = (dL_dx_hat * self.x_hat).mean(axis=-1, keepdims=True)
        shift = 0 if self.mistake == "no mean" else shift
        stretch = 0 if self.mistake == "no variance" else stretch
        std = self.std**2 if self.mistake == "divided twice" else self.std
        dL_dx = (dL_dx_hat - shift - self.x_hat * stretch) / std
        rows = tuple(range(dL_da.ndim - 1))
        x_hat = self.x_hat * std if self.mistake == "x for x̂" else self.x_hat
        reduce = np.mean if self.mistake == "averaged" else np.sum
        return dL_dx, {"g": reduce(dL_da * x_hat, axis=rows), "b": reduce(dL_da, axis=rows)}


@pytest.mark.parametrize(
    ("mistake", "wrong"),
    [
        ("none", set()),
        ("no gain", {"x"}),
        ("no mean", {"x"}),
        ("no variance", {"x"}),
        ("divided twice", {"x"}),
        ("x for x̂", {"g"}),
        ("averaged", {"g", "b"}),
    ],
)
def test_the_check_finds_a_mistake_and_says_where(mistake, wrong):
    layer = Mistaken(6)
    layer.mistake = mistake
    errors = check_layer(layer, 2 * rng(1).normal(size=(2, 4, 6)), rng(2))
    assert {name for name, error in errors.items() if error > 0.01} == wrong
    assert all(error < TOLERANCE for name, error in errors.items() if name not in wrong)


class Sample(LayerNorm):
    """The variance of a sample: divided by C − 1."""

    def forward(self, x, training=False):
        super().forward(x)
        centred = self.x_hat * self.std
        self.std = np.sqrt(np.var(x, axis=-1, ddof=1, keepdims=True) + self.eps)
        self.x_hat = centred / self.std
        return self.params["g"] * self.x_hat + self.params["b"]


def size_is_1(layer, x):
    """Whether what comes out before gain and bias has average 0 and size 1."""
    layer.forward(x)
    x_hat = layer.x_hat
    return np.allclose(x_hat.mean(axis=-1), 0, atol=1e-12) and np.allclose(x_hat.std(axis=-1), 1)


def test_each_token_has_average_0_and_size_1():
    x = rng().normal(3, 2, size=(2, 4, 6))
    assert size_is_1(LayerNorm(6, eps=1e-12), x)
    a = LayerNorm(6, eps=1e-12).forward(x)  # gain 1, bias 0 at first
    np.testing.assert_allclose(a.mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose(a.std(axis=-1), 1)


def test_the_variance_of_a_sample_is_found():
    x = rng().normal(3, 2, size=(2, 4, 6))
    assert not size_is_1(Sample(6, eps=1e-12), x)
    assert check_layer(Sample(6), x, rng(2))["x"] > 0.01


def test_a_norm_over_all_tokens_is_found():
    class Together(LayerNorm):
        def forward(self, x, training=False):
            self.std = np.asarray(np.std(x))
            self.x_hat = (x - np.mean(x)) / self.std
            return self.params["g"] * self.x_hat + self.params["b"]

    x = rng().normal(size=(2, 4, 6))
    assert not size_is_1(Together(6), x)
    assert not each_token_for_itself(Together(6), x)


def each_token_for_itself(layer, x):
    """Whether changing one token moves exactly that one."""
    before = layer.forward(x)
    changed = x.copy()
    changed[0, 2] = changed[0, 2] ** 2 + 1
    same = (layer.forward(changed) == before).all(axis=-1)
    return not same[0, 2] and same.sum() == same.size - 1


def test_one_token_does_not_move_another():
    assert each_token_for_itself(made(), rng().normal(size=(2, 4, 6)))


@given(shift=st.floats(-1e3, 1e3), stretch=st.floats(0.01, 1e3))
def test_shift_and_stretch_of_x_change_nothing(shift, stretch):
    layer, x = made(eps=1e-15), rng().normal(size=(3, 6))
    np.testing.assert_allclose(
        layer.forward(stretch * x + shift), layer.forward(x), rtol=1e-6, atol=1e-6
    )


def test_a_sign_is_seen():
    layer, x = LayerNorm(6), rng().normal(size=(3, 6))
    np.testing.assert_allclose(layer.forward(-x), -layer.forward(x), rtol=1e-12)


def test_no_blame_goes_where_the_output_cannot_follow():
    layer, x = made(eps=1e-12), rng().normal(3, 2, size=(2, 4, 6))
    dL_dx, _ = layer.backward(rng(1).normal(size=layer.forward(x).shape))
    assert np.abs(dL_dx).max() > 0.1
    np.testing.assert_allclose(dL_dx.sum(axis=-1), 0, atol=1e-12)  # all numbers up together
    along = (dL_dx * (x - x.mean(axis=-1, keepdims=True))).sum(axis=-1)
    np.testing.assert_allclose(along, 0, atol=1e-10)  # stretched


def test_numbers_that_are_all_equal_give_the_bias_and_no_nan():
    layer = made()
    a = layer.forward(np.full((2, 6), 7.0))
    np.testing.assert_array_equal(a, np.tile(layer.params["b"], (2, 1)))
    dL_dx, _ = layer.backward(rng().normal(size=(2, 6)))
    assert np.isfinite(dL_dx).all()


def test_pytorch_gives_the_same_values_and_gradients():
    layer, x = made(), rng().normal(3, 2, size=(2, 4, 6))
    their_x, g, b = (
        torch.tensor(array, requires_grad=True)
        for array in (x, layer.params["g"], layer.params["b"])
    )
    theirs = F.layer_norm(their_x, (6,), g, b, eps=1e-5)
    c = rng(1).normal(size=x.shape)
    theirs.backward(torch.from_numpy(c))
    np.testing.assert_allclose(layer.forward(x), theirs.detach(), rtol=1e-10, atol=1e-12)
    dL_dx, grads = layer.backward(c)
    for ours, other in ((dL_dx, their_x), (grads["g"], g), (grads["b"], b)):
        np.testing.assert_allclose(ours, other.grad, rtol=1e-9, atol=1e-12)


def test_float32_stays_float32():
    layer = LayerNorm(6, dtype=np.float32)
    for x in (rng().normal(size=(2, 4, 6)), np.ones((2, 4, 6), np.float32)):
        a = layer.forward(x)
        dL_dx, grads = layer.backward(np.ones_like(a))
        arrays = (a, dL_dx, *grads.values(), *layer.params.values())
        assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def test_two_passes_keep_the_digits_that_the_shortcut_loses():
    two, one = variance_errors(np.array([1.0, 1e4]), np.float32)
    assert two.max() < 1e-3
    assert one[0] < 1e-3 and one[1] > 0.1
    assert one_pass_variance(np.array([1.0, 1, 5, 5])) == 4
    # Through the layer: a large average costs no more than the digits of x itself.
    x = rng().normal(size=(1, 768))
    layer = LayerNorm(768, dtype=np.float32)
    np.testing.assert_allclose(layer.forward(x + 1e4), layer.forward(x), atol=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LayerNorm(0), "n_embd: expected a whole number of at least 1"),
        (lambda: LayerNorm(6, eps=0), "eps: expected a number above 0, got 0"),
        (lambda: LayerNorm(6, eps=np.nan), "eps: expected a number above 0"),
        (lambda: LayerNorm(6, dtype=int), "dtype: expected a floating-point type, got int64"),
        (lambda: made().forward(np.ones((2, 5))), r"x: .* \(…, 6\), got shape \(2, 5\): the last"),
        (lambda: made().forward(3), r"x: .* got shape \(\)"),
        (lambda: made().forward(np.full((2, 6), np.nan)), "x: .* nan"),
        (lambda: made().forward(np.ones((0, 6))), "x: .* no entries"),
        (lambda: made().backward(np.ones((2, 6))), "dL_da: expected .* call forward first"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("wrong", [np.ones((3, 6)), np.ones(6), np.full((2, 6), np.inf)])
def test_bad_blame_is_refused(wrong):
    layer = made()
    layer.forward(np.ones((2, 6)))
    with pytest.raises(ValueError, match=r"dL_da: expected finite numbers of shape \(2, 6\)"):
        layer.backward(wrong)
