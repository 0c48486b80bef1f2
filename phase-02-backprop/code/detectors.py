"""Six ways to look for a mistake in a network's code.

    shapes       gradients have the shapes of what they belong to, and nothing crashes
    lazy nudge   the gradient check with one example, biases at 0, and the plain sum of the outputs
    nudging      the gradient check as ``gradient_check`` does it
    by hand      a few results worked out with paper and pencil
    overfit      16 examples are learned by heart, with SGD, Momentum and AdamW
    property     dropout keeps the average; a batch given twice has the same gradient

Each detector looks at `Code`, the four modules of this phase, and says whether all is well. So the
same detector can look at a copy with a mistake in it. ``bug_zoo`` does that, and the results are in
``notes/bug_zoo.md``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phase_00.derivatives import numerical_gradient
from phase_02 import layers, losses, optimizers, scalar_autograd
from phase_02.gradient_check import (
    TOLERANCE,
    check_layer,
    check_loss,
    nudged_gradients,
    relative_error,
)
from phase_02.train_mlp import spirals

Array = NDArray[Any]


@dataclass
class Code:
    """The modules to look at: this phase's own, unless others are given."""

    layers: Any = layers
    losses: Any = losses
    optimizers: Any = optimizers
    scalar_autograd: Any = scalar_autograd


def close(got: Any, expected: Any) -> bool:
    """Whether two results agree in shape and to nine digits."""
    got, expected = np.asarray(got), np.asarray(expected)
    return got.shape == expected.shape and bool(np.allclose(got, expected, rtol=1e-9, atol=1e-12))


def small_network(code: Code, rng: np.random.Generator) -> Any:
    """Return a network with two hidden layers of the same width, and one dropout."""
    L = code.layers
    hidden = [L.Linear(2, 16, rng), L.Tanh(), L.Linear(16, 16, rng), L.ReLU(), L.Dropout(0.1, rng)]
    return L.Sequential([*hidden, L.Linear(16, 2, rng)])


def every_layer(code: Code, rng: np.random.Generator) -> list[Any]:
    """Return one layer of each kind, all of them with four inputs."""
    L = code.layers
    return [L.Linear(4, 3, rng), L.Sigmoid(), L.Tanh(), L.ReLU(), L.Softmax(), L.Dropout(0.5, rng)]


def width(layer: Any) -> int:
    """Return how many numbers per example a layer of this file expects."""
    return 2 if hasattr(layer, "layers") else 4


def in_training(layer: Any) -> Callable[[Array], Array]:
    """Return the layer's forward pass while training, with the same random numbers each time."""

    def forward(x: Array) -> Array:
        for part in getattr(layer, "layers", [layer]):
            if hasattr(part, "rng"):
                part.rng = np.random.default_rng(0)
        return layer.forward(x, training=True)

    return forward


def shapes(code: Code) -> bool:
    """Send a batch through every layer, and compare the shapes of gradients and parameters."""
    rng = np.random.default_rng(0)
    for layer in [*every_layer(code, rng), small_network(code, rng)]:
        x = rng.normal(size=(5, width(layer)))
        dL_dx, grads = layer.backward(rng.normal(size=layer.forward(x).shape))
        if dL_dx.shape != x.shape or grads.keys() != layer.params.keys():
            return False
        if any(grads[name].shape != param.shape for name, param in layer.params.items()):
            return False
    return True


def autograd_gradient(code: Code) -> tuple[Array, Array]:
    """Return the gradient of a·b + a·tanh(a) by blame and by nudging, each (2,)."""
    Value = code.scalar_autograd.Value
    a, b = Value(0.7), Value(-1.3)
    (a * b + a * a.tanh()).backward()
    nudged = numerical_gradient(lambda at: at[0] * at[1] + at[0] * np.tanh(at[0]), [0.7, -1.3])
    return np.array([a.grad, b.grad]), nudged


def lazy_nudging(code: Code) -> bool:
    """Check gradients the quick way: one example, biases at 0, the plain sum of the outputs."""
    rng = np.random.default_rng(0)
    agree = [np.allclose(*autograd_gradient(code), atol=1e-5)]
    for layer in [*every_layer(code, rng), small_network(code, rng)]:
        x, forward = rng.normal(size=(1, width(layer))), in_training(layer)
        dL_dx, grads = layer.backward(np.ones_like(forward(x)))
        arrays, gradients = {"x": x, **layer.params}, {"x": dL_dx, **grads}
        nudged = nudged_gradients(lambda: float(forward(x).sum()), arrays)  # noqa: B023
        agree += [np.allclose(gradients[name], nudged[name], atol=1e-5) for name in arrays]
    z = rng.normal(size=(1, 3))
    for loss, y in (
        (code.losses.SoftmaxCrossEntropy(), [1]),
        (code.losses.MeanSquaredError(), [[0.0, 0.0, 0.0]]),
    ):
        loss.forward(z, y)
        nudged = nudged_gradients(lambda: loss.forward(z, y), {"z": z})  # noqa: B023
        agree.append(np.allclose(loss.backward(), nudged["z"], atol=1e-5))
    return all(agree)


def nudging(code: Code) -> bool:
    """Check the same gradients as they should be checked."""
    rng = np.random.default_rng(0)
    errors = [relative_error(*autograd_gradient(code))]
    for layer in [*every_layer(code, rng), small_network(code, rng)]:
        x = rng.normal(size=(5, width(layer)))
        errors += check_layer(layer, x, rng, in_training(layer)).values()
    z = rng.normal(size=(5, 3))
    for loss, y in (
        (code.losses.SoftmaxCrossEntropy(), rng.integers(3, size=5)),
        (code.losses.MeanSquaredError(), rng.normal(size=z.shape)),
    ):
        errors += check_loss(loss, z, y).values()
    return max(errors) < TOLERANCE


def by_hand(code: Code) -> bool:
    """Compare a few results with what pencil and paper give."""
    L = code.layers
    linear = L.Linear(2, 1, np.random.default_rng(0))
    linear.params["W"][...], linear.params["b"][...] = [[3.0], [-1.0]], 0.5
    right = [close(linear.forward([[1.0, 2.0], [4.0, 0.0]]), [[1.5], [12.5]])]
    dL_dx, grads = linear.backward([[1.0], [10.0]])
    right += [
        close(dL_dx, [[3, -1], [30, -10]]),
        close(grads["W"], [[41], [2]]),
        close(grads["b"], [11]),
    ]
    squared = code.losses.MeanSquaredError()
    right += [squared.forward([2.0, 5.0], [1.0, 1.0]) == 8.5, close(squared.backward(), [1, 4])]
    loss = code.losses.SoftmaxCrossEntropy()
    right.append(close(loss.forward([[0.0, 0.0]], [1]), np.log(2)))
    right.append(close(loss.backward(), [[0.5, -0.5]]))

    # Two steps with η = ½ from 4, gradients 2 and 2: Adam's corrected averages are 2 and 4.
    for name, W, b in (
        ("SGD", 2.0, 2.0),  # 4 − 1 − 1
        ("Momentum", 1.1, 1.1),  # 4 − 1 − (0.9 · 2 + 2) / 2
        ("Adam", 3.0, 3.0),  # 4 − ½ − ½
        ("AdamW", 2.635, 3.0),  # (4 · 0.95 − ½) · 0.95 − ½; the bias does not decay
    ):
        params = {"W": np.array([[4.0]]), "b": np.array([4.0])}
        optimizer = getattr(code.optimizers, name)(params, 0.5)
        for _ in range(2):
            optimizer.step({"W": np.array([[2.0]]), "b": np.array([2.0])})
        right.append(bool(np.allclose([params["W"][0, 0], params["b"][0]], [W, b], rtol=1e-7)))
    return all(right)


def overfit(code: Code) -> bool:
    """Learn 16 examples by heart with three optimizers."""
    x, y = spirals(8, np.random.default_rng(0))
    for name, rate in (("SGD", 0.5), ("Momentum", 0.1), ("AdamW", 0.01)):
        model = small_network(code, np.random.default_rng(0))
        optimizer = getattr(code.optimizers, name)(model.params, rate)
        loss = code.losses.SoftmaxCrossEntropy()
        for _ in range(400):
            loss.forward(model.forward(x, training=True), y)
            optimizer.step(model.backward(loss.backward())[1])
        if not loss.forward(model.forward(x), y) < 0.05:
            return False
    return True


def properties(code: Code) -> bool:
    """Dropout keeps the average and ends with training; a batch given twice changes no gradient."""
    rng = np.random.default_rng(0)
    dropout, ones = code.layers.Dropout(0.5, rng), np.ones((1000, 100))
    if abs(dropout.forward(ones, training=True).mean() - 1) > 0.02:
        return False
    if not close(dropout.forward(ones), ones):
        return False

    model, loss = small_network(code, rng), code.losses.SoftmaxCrossEntropy()
    x, y = spirals(4, rng)
    gradients = []
    for batch, classes in ((x, y), (np.tile(x, (2, 1)), np.tile(y, 2))):
        loss.forward(model.forward(batch), classes)
        gradients.append(model.backward(loss.backward())[1])
    return all(close(gradients[0][name], gradients[1][name]) for name in model.params)


DETECTORS: dict[str, Callable[[Code], bool]] = {
    "shapes": shapes,
    "lazy nudge": lazy_nudging,
    "nudging": nudging,
    "by hand": by_hand,
    "overfit": overfit,
    "property": properties,
}
