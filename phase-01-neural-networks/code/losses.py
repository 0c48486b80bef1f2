"""Losses: one number for how wrong a model is, and the slope that says what to do about it.

    mean squared error      L = mean((ŷ − y)²)                        slope 2 (ŷ − y) / N
    Huber                   (ŷ − y)² / 2 near, a straight line far    slope (ŷ − y) / N, at most δ / N
    binary cross-entropy    L = mean(−ln of the right answer's p)     slope (σ(z) − y) / N
    cross-entropy           L = mean(−ln softmax(z)_y)

ŷ are predicted numbers and y the right ones, both (N,): N examples. For yes or no, z (N,) are logits,
p = σ(z) the probability of yes, and y is 0 or 1. For one of V classes, z is (N, V) and y (N,) holds
class numbers. Every loss is an average, and the last two are surprise in nats. The slope has the
shape of the prediction.

Losses with a logarithm start from the logits z, not from p. A probability that rounds to 0 would have
no logarithm; from z, ln p can be had without p.

Derived in ``notes/likelihood.md``. Run ``python phase-01-neural-networks/code/losses.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_00.softmax import log_softmax
from phase_01.activations import sigmoid
from shared.checks import check_array, check_labels, check_number
from shared.plotting import BLUE, GREEN, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def errors(y_pred: ArrayLike, y: ArrayLike) -> Array:
    """Return ŷ − y, checked: the broadcasting trap of phase 0 ends here."""
    y_pred = check_array("y_pred", y_pred, ("N",), "give one number per example, try y_pred[:, 0]")
    return y_pred - check_array("y", y, y_pred.shape, "give one target per prediction")


def mean_squared_error(y_pred: ArrayLike, y: ArrayLike) -> float:
    """Return the average squared error of predictions (N,) for targets (N,).

    Raises
    ------
    ValueError
        If the shapes are not (N,), there are no examples, or a number is not finite; so do all
        functions here.
    """
    return float(np.mean(errors(y_pred, y) ** 2))


def mean_squared_error_slope(y_pred: ArrayLike, y: ArrayLike) -> Array:
    """Return the slope of `mean_squared_error` for each prediction, (N,)."""
    error = errors(y_pred, y)
    return 2 * error / len(error)


def huber(y_pred: ArrayLike, y: ArrayLike, delta: float = 1.0) -> float:
    """Return the average Huber loss: squared within ``delta``, straight beyond.

    Huber 1964, "Robust Estimation of a Location Parameter".
    """
    size = np.abs(errors(y_pred, y))
    check_number("delta", delta, 0)
    return float(np.mean(np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))))


def huber_slope(y_pred: ArrayLike, y: ArrayLike, delta: float = 1.0) -> Array:
    """Return the slope of `huber` for each prediction, (N,): the error, cut off at ±``delta``."""
    error = errors(y_pred, y)
    check_number("delta", delta, 0)
    return np.clip(error, -delta, delta) / len(error)


def check_binary(z: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Return logits (N,) and answers 0 or 1 (N,), checked."""
    z = check_array("z", z, ("N",), "give one logit per example, try z[:, 0]")
    return z, check_labels("y", y, z.shape, 2)


def binary_cross_entropy(z: ArrayLike, y: ArrayLike) -> float:
    """Return the average surprise, in nats, of logits z (N,) at the answers y (N,), 0 or 1.

    −ln σ(z) = ln(1 + e⁻ᶻ) for yes, and ln(1 + eᶻ) for no. The larger of 0 and the exponent is taken
    out first, as in softmax, so nothing overflows.
    """
    z, y = check_binary(z, y)
    exponent = np.where(y == 1, -z, z)
    return float(np.mean(np.maximum(exponent, 0) + np.log1p(np.exp(-np.abs(z)))))


def binary_cross_entropy_slope(z: ArrayLike, y: ArrayLike) -> Array:
    """Return the slope of `binary_cross_entropy` for each logit, (N,): what we said minus truth."""
    z, y = check_binary(z, y)
    return (sigmoid(z) - y) / len(y)


def cross_entropy(z: ArrayLike, y: ArrayLike) -> float:
    """Return the average surprise, in nats, of logits z (N, V) at the classes y (N,).

    Its slope is the first thing that phase 2 derives.
    """
    z = check_array("z", z, ("N", "V"), "give one row of logits per example")
    y = check_labels("y", y, z.shape[:1], z.shape[1])
    return float(-log_softmax(z)[np.arange(len(y)), y].mean())


def draw() -> Figure:
    """Draw the losses of one prediction against how wrong it is."""
    figure = Figure(figsize=(7.5, 3.4))
    numbers, answers = figure.subplots(1, 2)
    error = np.linspace(-4, 4, 161)
    numbers.plot(
        error, [mean_squared_error([e], [0.0]) for e in error], color=BLUE, label="squared"
    )
    numbers.plot(error, [huber([e], [0.0]) for e in error], color=ORANGE, label="Huber, δ = 1")
    numbers.set_ylim(0, 8)
    numbers.set_xlabel("prediction − target")
    numbers.set_ylabel("loss")
    numbers.set_title("Huber forgives outliers")
    numbers.legend(loc="upper center")

    z = np.linspace(-6, 6, 161)
    surprise = [binary_cross_entropy([v], [1]) for v in z]
    answers.plot(z, surprise, color=GREEN, label="cross-entropy")
    answers.plot(z, (sigmoid(z) - 1) ** 2, color=BLUE, label="squared error of σ(z)")
    answers.set_xlabel("logit z; the right answer is yes")
    answers.set_title("Squared error goes flat when sure and wrong")
    answers.legend()
    figure.tight_layout()
    return figure


def main() -> None:
    """Measure how wrong a few predictions are, and what each loss would do about them."""
    arguments = lesson_arguments(__doc__, __file__)

    y_pred, y = np.array([2.5, 0.0, 11.0]), np.array([3.0, 0.0, 1.0])
    print(f"predictions {y_pred}, targets {y}, shape {y.shape}; the last is an outlier")
    print(
        f"  squared {mean_squared_error(y_pred, y):7.3f}   slope {mean_squared_error_slope(y_pred, y).round(3)}"
    )
    print(f"  Huber   {huber(y_pred, y):7.3f}   slope {huber_slope(y_pred, y).round(3)}")

    print("the right answer is yes (y = 1)")
    for z in (2.0, 0.0, -10.0):
        p = sigmoid(z)
        print(
            f"  logit {z:5.1f}, p = {p:.5f}: surprise {binary_cross_entropy([z], [1]):7.4f} nats,"
            f" slope {binary_cross_entropy_slope([z], [1])[0]:+.4f};"
            f" squared error's slope {2 * (p - 1) * p * (1 - p):+.4f}"
        )
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    print(
        f"cross-entropy of logits {logits.shape}, classes [0, 2]: {cross_entropy(logits, [0, 2]):.4f} nats"
    )
    finish(draw(), arguments)


if __name__ == "__main__":
    main()
