"""The gradient check: whether a backward pass is the derivative of its forward pass.

    (L(x + h) − L(x − h)) / (2h)              for every entry of every array, against dL_dx
    error = ‖a − b‖ / max(‖a‖ + ‖b‖, 0.01)    for each array: 0 when equal, 1 when opposite

x stands for each input and parameter in turn, h = 1e-5 is the step, a and b are the gradient by
backward and the one by nudging, both of the shape of x. In float64 the V-curve of phase 0 leaves an
error near 1e-10; a wrong backward pass gives 1e-3 or more. Anything below 1e-7 passes. The 0.01 is
for gradients that should be 0: their rounding noise must not be divided by itself.

A layer gives an array, not a loss. L = Σ c ⊙ output makes one number of it, with random weights c
of the shape of the output, so that backward starts from dL_da = c. With c = 1 everywhere, mistakes
that cancel in a sum would pass. Parameters are random too: at special values, such as 0, a wrong
formula can agree with the right one. And there are several examples, because for one alone a sum
and an average are the same.

Baydin et al. 2018, "Automatic Differentiation in Machine Learning: a Survey". Derived in
``notes/gradient_check.md``. Run ``python phase-02-backprop/code/gradient_check.py``.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_00.derivatives import numerical_gradient
from phase_02.layers import Arrays, Dropout, Layer, Linear, ReLU, Sequential, Sigmoid, Softmax, Tanh
from phase_02.losses import MeanSquaredError, SoftmaxCrossEntropy
from phase_02.optimizers import OPTIMIZERS, Optimizer
from shared.checks import check_array
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

TOLERANCE = 1e-7
SMALLEST = 1e-2  # shorter gradients are compared by their difference: rounding is about 1e-11


class Loss(Protocol):
    """What a loss offers: a number from predictions and targets, and the blame for the first."""

    def forward(self, prediction: ArrayLike, y: ArrayLike, /) -> float:
        """Return the loss."""
        ...

    def backward(self) -> Array:
        """Return the gradient with respect to the predictions."""
        ...


def relative_error(a: ArrayLike, b: ArrayLike) -> float:
    """Return ‖a − b‖ / max(‖a‖ + ‖b‖, 0.01) of two arrays of one shape.

    Raises
    ------
    ValueError
        If the shapes differ, there are no entries, or one is not finite.
    """
    a = check_array("a", a, np.shape(a), "give the gradient by backward")
    b = check_array("b", b, a.shape, "a gradient has the shape of what it belongs to")
    size = max(float(np.linalg.norm(a) + np.linalg.norm(b)), SMALLEST)
    return float(np.linalg.norm(a - b) / size)


def nudged_gradients(
    loss: Callable[[], float], arrays: Mapping[str, Array], h: float = 1e-5
) -> dict[str, Array]:
    """Return the gradient for each array by nudging every entry.

    Parameters
    ----------
    loss
        Computes the loss from the arrays as they are at that moment.
    arrays
        What the loss depends on, by name, in float64. They are nudged in place and put back.
    h
        The step.

    Raises
    ------
    ValueError
        If an array is not float64.
    """
    gradients = {}
    for name, array in arrays.items():
        if array.dtype != np.float64:
            raise ValueError(
                f"{name}: expected float64, got {array.dtype}: with fewer digits, rounding is as "
                "large as the mistakes to be found"
            )

        def loss_at(value: Array, array: Array = array) -> float:
            array[...] = value
            return loss()

        kept = array.copy()
        try:
            gradients[name] = numerical_gradient(loss_at, kept, h)
        finally:
            array[...] = kept
    return gradients


def check_gradients(
    loss: Callable[[], float],
    arrays: Mapping[str, Array],
    gradients: Mapping[str, Array],
    h: float = 1e-5,
) -> dict[str, float]:
    """Return the relative error of each gradient against nudging; see `nudged_gradients`.

    Parameters
    ----------
    gradients
        What backward says, under the names of ``arrays``.

    Raises
    ------
    ValueError
        If names or shapes differ, or an array is not float64.
    """
    if set(arrays) != set(gradients):
        raise ValueError(
            f"gradients: expected one for each of {sorted(arrays)}, got {sorted(gradients)}: "
            "backward returns a gradient for every input and parameter"
        )
    nudged = nudged_gradients(loss, arrays, h)
    return {name: relative_error(gradients[name], nudged[name]) for name in arrays}


def check_layer(
    layer: Layer,
    x: ArrayLike,
    rng: np.random.Generator,
    forward: Callable[[Array], Array] | None = None,
) -> dict[str, float]:
    """Check a layer's backward pass with random parameters and random blame.

    Parameters
    ----------
    layer
        Its parameters are replaced by random numbers, none of them 0.
    x
        An input for it, in float64, with nothing at a corner such as ReLU's 0: there a nudge
        feels both sides of the bend.
    forward
        How to call the layer, if ``layer.forward(x)`` is not enough.

    Returns
    -------
    dict
        The relative error for ``x`` and for each parameter.
    """
    x = np.array(x, dtype=np.float64)
    for array in layer.params.values():
        array[...] = rng.normal(size=array.shape)
    call = forward or layer.forward
    c = rng.normal(size=call(x).shape)
    dL_dx, grads = layer.backward(c)
    return check_gradients(
        lambda: float(np.sum(call(x) * c)),
        {"x": x, **layer.params},
        {"x": dL_dx, **grads},
    )


def check_loss(loss: Loss, prediction: ArrayLike, y: ArrayLike) -> dict[str, float]:
    """Check a loss's backward pass; returns the relative error under ``prediction``."""
    prediction = np.array(prediction, dtype=np.float64)
    loss.forward(prediction, y)
    return check_gradients(
        lambda: loss.forward(prediction, y),
        {"prediction": prediction},
        {"prediction": loss.backward()},
    )


def check_step(make: Callable[[Arrays], Optimizer], rng: np.random.Generator) -> dict[str, float]:
    """Check that an optimizer goes the same way with backward's gradients as with nudged ones.

    Two copies of a small network take five steps, so that what the optimizer remembers counts too.

    Parameters
    ----------
    make
        From parameters to an optimizer for them.

    Returns
    -------
    dict
        The relative error of each parameter's total movement.
    """
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    model = Sequential([Linear(3, 4, rng), Tanh(), Linear(4, 2, rng)])
    start = {name: rng.normal(size=array.shape) for name, array in model.params.items()}
    loss = MeanSquaredError()
    moved = []
    for by_nudging in (False, True):
        for name, array in model.params.items():
            array[...] = start[name]
        optimizer = make(model.params)
        for _ in range(5):
            if by_nudging:
                grads = nudged_gradients(lambda: loss.forward(model.forward(x), y), model.params)
            else:
                loss.forward(model.forward(x), y)
                _, grads = model.backward(loss.backward())
            optimizer.step(grads)
        moved.append({name: array - start[name] for name, array in model.params.items()})
    return {name: relative_error(moved[0][name], moved[1][name]) for name in start}


def all_checks(rng: np.random.Generator) -> dict[str, float]:
    """Return the largest relative error of every layer, loss and optimizer step of this phase."""
    x = rng.normal(size=(5, 4))
    layers: dict[str, Layer] = {
        "Linear": Linear(4, 3, rng),
        "Sigmoid": Sigmoid(),
        "Tanh": Tanh(),
        "ReLU": ReLU(),
        "Softmax": Softmax(),
        "MLP": Sequential(
            [Linear(4, 6, rng), ReLU(), Linear(6, 6, rng), Tanh(), Linear(6, 3, rng)]
        ),
    }
    worst = {name: max(check_layer(layer, x, rng).values()) for name, layer in layers.items()}

    dropout = Dropout(0.5, rng)

    def same_mask_each_time(x: Array) -> Array:
        dropout.rng = np.random.default_rng(0)
        return dropout.forward(x, training=True)

    worst["Dropout"] = max(check_layer(dropout, x, rng, same_mask_each_time).values())
    worst["MSE"] = max(check_loss(MeanSquaredError(), x, rng.normal(size=x.shape)).values())
    y = rng.integers(4, size=5)
    worst["cross-entropy"] = max(check_loss(SoftmaxCrossEntropy(), x, y).values())
    for name, kind in OPTIMIZERS.items():
        make = partial(kind, learning_rate=0.01)
        worst[f"{name} step"] = max(check_step(make, rng).values())
    return worst


class MeanInsteadOfSum(Linear):
    """A mistake that is easily made: the bias's blame is averaged over the batch."""

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return the right gradients, but for the bias."""
        dL_dx, grads = super().backward(dL_da)
        return dL_dx, {"W": grads["W"], "b": np.asarray(dL_da).mean(axis=0)}


def draw(worst: dict[str, float], wrong: float) -> Figure:
    """Draw the error of every backward pass, the tolerance, and a planted mistake."""
    figure = Figure(figsize=(7, 4.4))
    axes = figure.subplots()
    names = [*worst, "Linear, with a mistake"]
    colors = [BLUE] * len(worst) + [ORANGE]
    axes.barh(names, [*worst.values(), wrong], color=colors, left=1e-13)
    axes.axvline(TOLERANCE, color=GRAY, linestyle="--", label="tolerance 1e-7")
    axes.set_xscale("log")
    axes.set_xlim(1e-13, 1)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("relative error against nudging")
    axes.set_title("Right and wrong are far apart")
    axes.legend(loc="upper right")
    return figure


def main() -> None:
    """Check everything of this phase, and a mistake."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)
    worst = all_checks(rng)
    print("largest relative error over all inputs and parameters (float64)")
    for name, error in worst.items():
        print(f"  {name:14} {error:.1e}   {'passes' if error < TOLERANCE else 'FAILS'}")
    errors = check_layer(MeanInsteadOfSum(4, 3, rng), rng.normal(size=(5, 4)), rng)
    print("a Linear that averages its bias's blame instead of summing it")
    print("  " + "   ".join(f"{name} {error:.1e}" for name, error in errors.items()))
    finish(draw(worst, max(errors.values())), arguments)


if __name__ == "__main__":
    main()
