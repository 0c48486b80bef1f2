"""Layers against values worked by hand, finite differences, and phase 1's network."""

import numpy as np
import pytest

from phase_01.activations import relu
from phase_01.mlp import MLP
from phase_02.gradient_check import TOLERANCE, check_layer
from phase_02.layers import Dropout, Linear, ReLU, Sequential, Sigmoid, Softmax, Tanh


def rng(seed=0):
    return np.random.default_rng(seed)


def network():
    r = rng()
    return Sequential([Linear(4, 6, r), ReLU(), Linear(6, 6, r), Tanh(), Linear(6, 3, r)])


LAYERS = {
    "Linear": lambda: Linear(4, 3, rng()),
    "Sigmoid": Sigmoid,
    "Tanh": Tanh,
    "ReLU": ReLU,
    "Softmax": Softmax,
    "Dropout": lambda: Dropout(0.5, rng()),
    "Sequential": network,
}


@pytest.mark.parametrize("leading", [(1,), (5,), (2, 3)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_backward_is_the_derivative_of_forward(name, leading):
    errors = check_layer(LAYERS[name](), rng(2).normal(size=(*leading, 4)), rng(1))
    assert max(errors.values()) < TOLERANCE


def test_a_backward_pass_that_ignores_its_blame_is_found():
    class Deaf(ReLU):
        def backward(self, dL_da):
            return self.a.copy(), {}

    assert check_layer(Deaf(), rng(2).normal(size=(5, 4)), rng(1))["x"] > TOLERANCE


def test_dropout_in_training_is_differentiated_with_its_mask():
    layer = Dropout(0.5, rng())

    def forward(x):
        layer.rng = rng()
        return layer.forward(x, training=True)

    assert max(check_layer(layer, rng(2).normal(size=(5, 4)), rng(1), forward).values()) < TOLERANCE
    assert 0 < (layer.mask == 0).sum() < layer.mask.size


def test_biases_start_at_zero():
    assert (Linear(2, 3, rng()).params["b"] == 0).all()


def test_linear_by_hand():
    layer = Linear(2, 1, rng())
    layer.params["W"][...], layer.params["b"][...] = [[3], [-1]], 0.5
    assert layer.forward([[1, 2], [4, 0]]).tolist() == [[1.5], [12.5]]
    dL_dx, grads = layer.backward([[1], [10]])
    assert dL_dx.tolist() == [[3, -1], [30, -10]]
    assert grads["W"].tolist() == [[41], [2]]
    assert grads["b"].tolist() == [11]


def test_sequential_equals_the_network_of_phase_1():
    mlp = MLP([3, 8, 5, 2], relu, rng())
    layers = []
    for W, b in zip(mlp.weights, mlp.biases, strict=True):
        b[...] = rng().normal(size=b.shape)
        layer = Linear(*W.shape, rng())
        layer.params["W"][...], layer.params["b"][...] = W, b
        layers += [layer, ReLU()]
    x = rng().normal(size=(7, 3))
    np.testing.assert_array_equal(Sequential(layers[:-1]).forward(x), mlp.forward(x))


def test_whole_batch_equals_its_examples_one_by_one():
    model, x, cotangent = network(), rng(2).normal(size=(5, 4)), rng(1).normal(size=(5, 3))
    model.forward(x)
    dL_dx, grads = model.backward(cotangent)
    total = {name: np.zeros_like(grad) for name, grad in grads.items()}
    for n in range(5):
        model.forward(x[n : n + 1])
        one_dL_dx, one = model.backward(cotangent[n : n + 1])
        np.testing.assert_allclose(one_dL_dx[0], dL_dx[n], rtol=1e-10)
        total = {name: total[name] + one[name] for name in total}
    for name, grad in grads.items():
        np.testing.assert_allclose(total[name], grad, rtol=1e-10)


def test_gradients_are_fresh_each_time():
    model, x = network(), rng().normal(size=(5, 4))
    model.forward(x)
    dL_dx, grads = model.backward(np.ones((5, 3)))
    first = {"x": dL_dx, **grads}
    kept = {name: grad.copy() for name, grad in first.items()}
    model.forward(2 * x)
    model.backward(np.ones((5, 3)))
    for name, grad in first.items():
        np.testing.assert_array_equal(grad, kept[name])


def test_softmax_blame_sums_to_zero():
    layer = Softmax()
    layer.forward(rng().normal(size=(5, 4)))
    dL_dz, _ = layer.backward(rng(1).normal(size=(5, 4)))
    np.testing.assert_allclose(dL_dz.sum(axis=-1), 0, atol=1e-12)


def test_dropout_keeps_the_average_and_ends_with_training():
    layer, ones = Dropout(0.3, rng()), np.ones((1000, 100))
    a = layer.forward(ones, training=True)
    assert a.mean() == pytest.approx(1, abs=0.01)
    assert np.mean(a == 0) == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(layer.forward(ones), ones)


def test_float32_stays_float32():
    r = rng()
    model = Sequential([Linear(4, 3, r, dtype=np.float32), Dropout(0.1, r), Tanh(), Sigmoid()])
    a = model.forward(np.ones((2, 4), np.float32), training=True)
    dL_dx, grads = model.backward(np.ones((2, 3), np.float32))
    assert {array.dtype for array in (a, dL_dx, *grads.values())} == {np.dtype(np.float32)}
    assert Linear(2, 1, r, dtype=np.float32).forward([[1, 2]]).dtype == np.float32


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("wrong", [np.zeros((0, 4)), np.full((2, 4), np.nan)], ids=["empty", "nan"])
def test_bad_input_is_refused(name, wrong):
    with pytest.raises(ValueError, match="expected finite numbers"):
        LAYERS[name]().forward(wrong)


@pytest.mark.parametrize("name", LAYERS)
def test_blame_of_another_shape_is_refused(name):
    layer = LAYERS[name]()
    layer.forward(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"dL_da: expected .* call forward first"):
        layer.backward(np.ones((3, 4)))


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match=r"x: .* shape \(…, 4\), got shape \(2, 3\)"):
        Linear(4, 3, rng()).forward(np.ones((2, 3)))
    with pytest.raises(ValueError, match="rate: expected 0 or more and below 1, got 1"):
        Dropout(1, rng())
    with pytest.raises(ValueError, match="expected at least one Layer, got none"):
        Sequential([])
    with pytest.raises(ValueError, match="expected at least one Layer, got ReLU, int"):
        Sequential([ReLU(), 1])
    with pytest.raises(ValueError, match="dtype: expected a floating-point type, got int64"):
        Linear(4, 3, rng(), dtype=int)


@pytest.mark.parametrize("name", LAYERS)
def test_backward_before_forward_is_refused(name):
    with pytest.raises(ValueError, match=r"dL_da: expected .* call forward first"):
        LAYERS[name]().backward([[1.0, 1.0, 1.0]])


def test_a_layer_stands_in_one_place():
    bend = Tanh()
    with pytest.raises(ValueError, match="expected each layer once, got one of them twice"):
        Sequential([bend, Linear(4, 4, rng()), bend])


def test_sequential_tells_its_layers_that_it_trains():
    model = Sequential([Dropout(0.5, rng()), ReLU()])
    ones = np.ones((10, 10))
    assert (model.forward(ones, training=True) == 0).any()
    np.testing.assert_array_equal(model.forward(ones), ones)
