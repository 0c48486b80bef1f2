"""Losses: how wrong a prediction is, as one number, and its slope.

    squared error          L = mean(e²)                          slope 2 e / N
    Huber                  L = mean(½ e² or δ (|e| − ½ δ))       slope clip(e, −δ, δ) / N
    binary cross-entropy   L = mean(ln(1 + e⁻ᶻ) or ln(1 + eᶻ))   slope (σ(z) − y) / N
    cross-entropy          L = mean(−ln softmax(z)_y)            slope: phase 2 derives it

For numbers: ŷ are predictions, y targets of the same shape, N how many, e = ŷ − y the errors. Huber
is ½ e² where |e| ≤ δ and a straight line beyond, so that one wild target does not rule the rest.

For classes: z are logits, (N,) for two classes and (N, V) for V; y (N,) are the right ones, counted
from 0. σ(z) is the probability of class 1, so the surprise is −ln σ(z) = ln(1 + e⁻ᶻ) for y = 1 and
−ln(1 − σ(z)) = ln(1 + eᶻ) for y = 0. Cross-entropy is how surprised we are by the model's
prediction, in nats.

The slope is ∂L/∂ŷ or ∂L/∂z, of the shape of ŷ or z: which direction makes the loss go down (against
the slope), and how fast.

Huber 1964, "Robust Estimation of a Location Parameter". Derived in ``notes/likelihood.md``. Run
``python phase-01-neural-networks/code/losses.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_00.softmax import log_softmax
from phase_01.activations import sigmoid
from shared.checks import check_array, check_labels, check_number
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def errors(y_pred: ArrayLike, y: ArrayLike) -> Array:
    """Return ŷ − y, checked."""
    y_pred = check_array("y_pred", y_pred, (None,), "give the model's numbers")
    y = check_array("y", y, y_pred.shape, "predictions and targets have one shape; see .reshape")
    return y_pred - y


def mean_squared_error(y_pred: ArrayLike, y: ArrayLike) -> float:
    """Return the average squared error of predictions and targets of the same shape.

    Raises
    ------
    ValueError
        If the shapes differ, there are no entries, or one is not finite.
    """
    return float(np.mean(errors(y_pred, y) ** 2))


def mean_squared_error_slope(y_pred: ArrayLike, y: ArrayLike) -> Array:
    """Return ∂L/∂ŷ = 2 (ŷ − y) / N, of the shape of the predictions."""
    error = errors(y_pred, y)
    return 2 * error / error.size


def huber(y_pred: ArrayLike, y: ArrayLike, delta: float = 1.0) -> float:
    """Return the average Huber loss: squared error for small errors, a straight line for large.

    Parameters
    ----------
    y_pred, y
        Predictions and targets, of the same shape.
    delta
        The error from which on the loss is straight, above 0.

    Raises
    ------
    ValueError
        If the shapes differ, there are no entries, one is not finite, or delta is not above 0.
    """
    error = errors(y_pred, y)
    delta = check_number("delta", delta, 0)
    inner = np.clip(error, -delta, delta)
    return float(np.mean(inner * (error - inner / 2)))  # ½ e² inside, δ (|e| − ½ δ) outside


def huber_slope(y_pred: ArrayLike, y: ArrayLike, delta: float = 1.0) -> Array:
    """Return ∂L/∂ŷ = clip(ŷ − y, −δ, δ) / N, of the shape of the predictions."""
    error = errors(y_pred, y)
    delta = check_number("delta", delta, 0)
    return np.clip(error, -delta, delta) / error.size


def binary_cross_entropy(z: ArrayLike, y: ArrayLike) -> float:
    """Return how surprised we are on average by the labels, in nats.

    Parameters
    ----------
    z
        Logits of class 1, (N,).
    y
        The right classes, 0 or 1, (N,).

    Raises
    ------
    ValueError
        If the shapes do not fit, there are no entries, a logit is not finite, or y is not 0 or 1.
    """
    z = check_array("z", z, ("N",), "give one logit per example")
    y = check_labels("y", y, z.shape, 2)
    return float(np.mean(np.logaddexp(0, np.where(y == 1, -z, z))))  # never leaves the logarithm


def binary_cross_entropy_slope(z: ArrayLike, y: ArrayLike) -> Array:
    """Return ∂L/∂z = (σ(z) − y) / N, (N,): what was predicted minus what was right."""
    z = check_array("z", z, ("N",), "give one logit per example")
    y = check_labels("y", y, z.shape, 2)
    return (sigmoid(z) - y.astype(z.dtype)) / len(z)


def cross_entropy(z: ArrayLike, y: ArrayLike) -> float:
    """Return how surprised we are on average by the right classes, in nats.

    Parameters
    ----------
    z
        Logits, (N, V).
    y
        The right classes, (N,), each from 0 to V − 1.

    Raises
    ------
    ValueError
        If the shapes do not fit, there are no entries, a logit is not finite, or a class is not
        one of the V.
    """
    z = check_array("z", z, ("N", "V"), "give one row of logits per example")
    y = check_labels("y", y, z.shape[:1], z.shape[1])
    return float(-np.mean(log_softmax(z)[np.arange(len(y)), y]))


def draw() -> Figure:
    """Draw the losses of one prediction above, their slopes below."""
    figure = Figure(figsize=(7, 4.6))
    (top_left, top_right), (left, right) = figure.subplots(2, 2, sharex="col")
    error = np.linspace(-4, 4, 321)
    z = np.linspace(-6, 6, 321)

    def each(function: Any, numbers: Array, target: Any) -> list[float]:
        return [np.ravel(function([number], [target]))[0] for number in numbers]

    for name, loss, slope, color in (
        ("squared error", mean_squared_error, mean_squared_error_slope, BLUE),
        ("Huber, δ = 1", huber, huber_slope, ORANGE),
    ):
        top_left.plot(error, each(loss, error, 0.0), color=color, label=name)
        left.plot(error, each(slope, error, 0.0), color=color)
    for y, color in ((1, ORANGE), (0, BLUE)):
        loss_at, slope_at = binary_cross_entropy, binary_cross_entropy_slope
        top_right.plot(z, each(loss_at, z, y), color=color, label=f"right answer {y}")
        right.plot(z, each(slope_at, z, y), color=color)
    for axes in (top_left, top_right):
        axes.legend(fontsize=10)
        axes.set_ylim(-0.3, 9)
    top_left.set_title("Huber: a cap on every pull")
    top_right.set_title("Sure and wrong costs most")
    top_left.set_ylabel("loss")
    left.set_ylabel("slope")
    left.set_xlabel("error ŷ − y")
    right.set_xlabel("logit z")
    for axes in (left, right):
        axes.axhline(0, color=GRAY, linewidth=0.8)
    figure.tight_layout()
    return figure


def main() -> None:
    """Let one wild target pull, measure surprise, and give a logit of 1000."""
    arguments = lesson_arguments(__doc__, __file__)

    y = np.array([1.0, 2.0, 3.0, 50.0])
    y_pred = np.full(4, 2.0)
    print(f"targets {y}, predictions {y_pred}, shape {y.shape}")
    print(f"  squared error {mean_squared_error(y_pred, y):g}")
    print(f"    slope {mean_squared_error_slope(y_pred, y)}: the wild target pulls hardest")
    print(f"  Huber         {huber(y_pred, y):g}")
    print(f"    slope {huber_slope(y_pred, y)}: no target pulls harder than δ / N")

    print("surprise in nats, right class 2 of 3")
    for name, z in (
        ("no idea", [0.0, 0.0, 0.0]),
        ("sure and right", [0.0, 0.0, 5.0]),
        ("sure and wrong", [5.0, 0.0, 0.0]),
    ):
        print(f"  {name:14}  loss {cross_entropy([z], [2]):.4f}")
    print(f"  no idea is ln 3 = {np.log(3):.4f}")

    print(f"logit 1000, right class 0: surprise {binary_cross_entropy([1000.0], [0]):g} nats")
    print(f"  −ln(1 − σ(1000)) would be −ln {1 - sigmoid(1000):g}, which is no number")
    finish(draw(), arguments)


if __name__ == "__main__":
    main()
