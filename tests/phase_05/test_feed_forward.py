"""GELU and feed-forward by hand, by finite differences, by the bell curve and by PyTorch."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from phase_01.activations import relu
from phase_02.gradient_check import TOLERANCE, check_layer
from phase_05.feed_forward import CUBE, GELU, SLOPE, FeedForward, gelu_exact


def rng(seed=0):
    return np.random.default_rng(seed)


def made(dtype=np.float64, cls=FeedForward):
    """A layer with C = 3, whose parameters, biases too, are random numbers."""
    layer, r = cls(3, rng(), dtype=dtype), rng(3)
    for array in layer.params.values():
        array[...] = r.normal(size=array.shape)
    return layer


def test_gelu_by_hand():
    # u = 0.797885 (1 + 0.044715) = 0.833562; tanh u = 0.682384; a = ½ (1 + 0.682384)
    layer = GELU()
    a = layer.forward([0, 1, -1])
    np.testing.assert_allclose(a, [0, 0.841192, 0.841192 - 1], atol=1e-6)
    # slope at 1: ½ (1.682384) + ½ (1 − 0.682384²) 0.797885 (1.134145)
    dL_dz, grads = layer.backward([1, 1, 10])
    np.testing.assert_allclose(dL_dz, [0.5, 1.082964, 10 * (1 - 1.082964)], atol=1e-5)
    assert grads == {}


@pytest.mark.parametrize("shape", [(1,), (1, 1, 1), (2, 3, 4)])
@pytest.mark.parametrize("size", [0.1, 1, 5])
def test_gelu_backward_is_the_derivative_of_forward(shape, size):
    errors = check_layer(GELU(), size * rng(1).normal(size=shape), rng(2))
    assert max(errors.values()) < TOLERANCE


def test_gelu_backward_holds_at_0_where_relu_has_its_corner():
    assert check_layer(GELU(), np.zeros((2, 3)), rng(2))["x"] < TOLERANCE


def slope_of(z, mistake):
    """GELU's slope, with one mistake in it."""
    tanh_u = np.tanh(SLOPE * (z + CUBE * z**3))
    du_dz = SLOPE * (1 + (1 if mistake == "no 3" else 3) * CUBE * z**2)
    through = 0.5 * z * (1 - (tanh_u if mistake == "tanh not squared" else tanh_u**2)) * du_dz
    return 0.5 * (1 + tanh_u) + (0 if mistake == "as if u were fixed" else through)


@pytest.mark.parametrize("mistake", ["no 3", "tanh not squared", "as if u were fixed", None])
def test_the_check_finds_a_mistake_in_the_slope(mistake):
    class Mistaken(GELU):
        def backward(self, dL_da):
            return dL_da * slope_of(self.z, mistake), {}

    error = check_layer(Mistaken(), rng(1).normal(size=(2, 3, 4)), rng(2))["x"]
    assert error < TOLERANCE if mistake is None else error > 0.001


def test_gelu_is_near_the_bell_curve():
    z = np.linspace(-10, 10, 2001)
    apart = np.abs(GELU().forward(z) - gelu_exact(z))
    assert 0.0004 < apart.max() < 0.0005  # the docstring's 0.0005, and not much less
    by_hand = [z * 0.5 * (1 + math.erf(z / math.sqrt(2))) for z in (-1.5, 0.0, 2.0)]
    np.testing.assert_allclose(gelu_exact([-1.5, 0, 2]), by_hand)


def test_gelu_is_a_relu_far_from_0_and_the_parts_add_up():
    z = np.array([-50.0, -10, 10, 50])
    np.testing.assert_allclose(GELU().forward(z), relu(z), atol=1e-12)
    z = rng().normal(size=100)  # z Φ(z) + z Φ(−z) = z
    np.testing.assert_allclose(GELU().forward(z) - GELU().forward(-z), z, rtol=1e-12)


def test_large_numbers_neither_overflow_nor_give_nan():
    layer = GELU()
    a = layer.forward([-1e50, 1e50])
    assert a.tolist() == [0, 1e50]
    assert layer.backward([1, 1])[0].tolist() == [0, 1]


@pytest.mark.parametrize("approximate", ["tanh", "none"])
def test_pytorch_gives_the_same_gelu(approximate):
    z, layer = 3 * rng().normal(size=(5, 7)), GELU()
    their_z = torch.tensor(z, requires_grad=True)
    theirs = F.gelu(their_z, approximate=approximate)
    if approximate == "none":
        np.testing.assert_allclose(gelu_exact(z), theirs.detach(), rtol=1e-10, atol=1e-14)
        return
    c = rng(1).normal(size=z.shape)
    theirs.backward(torch.from_numpy(c))
    np.testing.assert_allclose(layer.forward(z), theirs.detach(), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(layer.backward(c)[0], their_z.grad, rtol=1e-9, atol=1e-12)


def test_feed_forward_by_hand():
    # Far from 0 GELU lets a number pass or not: z = (10, −10, 20, 0), gelu(z) = (10, 0, 20, 0)
    layer = FeedForward(1, rng())
    layer.params["up.W"][...] = [[1, -1, 2, 0]]
    layer.params["down.W"][...], layer.params["down.b"][...] = [[1], [1], [3], [1]], 0.5
    np.testing.assert_allclose(layer.forward([[[10]]]), [[[10 + 3 * 20 + 0.5]]])
    dL_dx, grads = layer.backward([[[2]]])  # slopes 1, 0, 1 and ½
    np.testing.assert_allclose(dL_dx, [[[2 * (1 * 1 + 2 * 3)]]])
    np.testing.assert_allclose(grads["up.W"], [[20, 0, 60, 10]], atol=1e-12)
    np.testing.assert_allclose(grads["up.b"], [2, 0, 6, 1], atol=1e-12)
    np.testing.assert_allclose(grads["down.W"], [[20], [0], [40], [0]], atol=1e-12)
    np.testing.assert_allclose(grads["down.b"], [2])


@pytest.mark.parametrize("shape", [(3,), (1, 1, 3), (1, 4, 3), (2, 1, 3), (2, 4, 3)])
def test_feed_forward_backward_is_the_derivative_of_forward(shape):
    errors = check_layer(made(), rng(1).normal(size=shape), rng(2))
    assert set(errors) == {"x", "up.W", "up.b", "down.W", "down.b"}
    assert max(errors.values()) < TOLERANCE


def test_the_check_finds_a_bend_that_is_forgotten_on_the_way_back():
    class Straight(FeedForward):
        def backward(self, dL_da):
            slope, self.gelu.backward = self.gelu.backward, lambda c: (c, {})
            result = super().backward(dL_da)
            self.gelu.backward = slope
            return result

    errors = check_layer(made(cls=Straight), rng(1).normal(size=(2, 4, 3)), rng(2))
    assert errors["down.W"] < TOLERANCE
    assert min(errors[name] for name in ("x", "up.W", "up.b")) > 0.01


def test_each_token_thinks_by_itself():
    layer, x = made(), rng(1).normal(size=(2, 4, 3))
    before = layer.forward(x)
    changed = x.copy()
    changed[1, 2] += 1
    same = (layer.forward(changed) == before).all(axis=-1)
    assert same.sum() == 7 and not same[1, 2]
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(layer.forward(x[:, order]), before[:, order], rtol=1e-12)


def test_pytorch_gives_the_same_values_and_gradients():
    layer, x = made(), rng(1).normal(size=(2, 4, 3))
    parameters = {
        name: torch.tensor(array, requires_grad=True) for name, array in layer.params.items()
    }
    wide = torch.from_numpy(x) @ parameters["up.W"] + parameters["up.b"]
    bent = F.gelu(wide, approximate="tanh")
    theirs = bent @ parameters["down.W"] + parameters["down.b"]
    c = rng(2).normal(size=x.shape)
    theirs.backward(torch.from_numpy(c))
    np.testing.assert_allclose(layer.forward(x), theirs.detach(), rtol=1e-10)
    for name, grad in layer.backward(c)[1].items():
        np.testing.assert_allclose(grad, parameters[name].grad, rtol=1e-9, atol=1e-12)


def test_it_is_four_times_as_wide_inside_and_biases_start_at_0():
    params = FeedForward(5, rng()).params
    assert {name: array.shape for name, array in params.items()} == {
        "up.W": (5, 20),
        "up.b": (20,),
        "down.W": (20, 5),
        "down.b": (5,),
    }
    assert not params["up.b"].any() and not params["down.b"].any()


def test_float32_stays_float32():
    layer = made(np.float32)
    for x in (np.ones((2, 4, 3)), np.ones((2, 4, 3), np.float32)):
        out = layer.forward(x)
        dL_dx, grads = layer.backward(np.ones_like(out))
        arrays = (out, dL_dx, *grads.values(), *layer.params.values())
        assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    gelu, z = GELU(), np.ones(3, np.float32)
    assert gelu.forward(z).dtype == gelu.backward(z)[0].dtype == np.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FeedForward(0, rng()), "n_embd: expected a whole number of at least 1"),
        (lambda: FeedForward(2.5, rng()), "n_embd: expected a whole number"),
        (lambda: FeedForward(3, rng(), int), "dtype: expected a floating-point type"),
        (lambda: made().forward(np.ones((2, 4))), r"x: .* \(…, 3\), got shape \(2, 4\)"),
        (lambda: made().forward(np.full((2, 3), np.nan)), "x: .* nan"),
        (lambda: made().forward(np.ones((0, 3))), "no entries"),
        (lambda: GELU().forward([np.inf]), "x: .* infinite"),
        (lambda: GELU().forward(["1"]), "x: .* got str: give an array of numbers"),
        (lambda: gelu_exact([np.nan]), "z: .* nan"),
        (lambda: made().backward(np.ones((2, 3))), "dL_da: expected .* call forward first"),
        (lambda: GELU().backward(np.ones((2, 3))), "dL_da: expected .* call forward first"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("make", [made, GELU])
@pytest.mark.parametrize("wrong", [np.ones((3, 3)), np.ones(3), np.full((2, 3), np.inf)])
def test_bad_blame_is_refused(make, wrong):
    layer = make()
    layer.forward(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"dL_da: expected finite numbers of shape \(2, 3\)"):
        layer.backward(wrong)
