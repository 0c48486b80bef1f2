"""Logistic regression: a line that answers with a probability, and learns from every example.

    z = x @ w + b,   p = σ(z)                  p is the probability of class 1
    L = mean(−ln of the right class's p)       binary cross-entropy, in nats
    ∂L/∂w = xᵀ @ (p − y) / N                   ∂L/∂b = mean(p − y)

x is (N, n): N examples of n numbers; w (n,), b a number; z and p are (N,); y (N,) is 0 or 1. The
perceptron says yes or no. Its answer jumps, so it has no slope to follow. A sigmoid makes the jump
a slope, and every nudge of a weight shows.

Why cross-entropy? The probability of all right answers together is the product of each one's p. Its
logarithm is a sum, and the average with a minus sign is L: the weights with the smallest loss are
the ones that make what we saw most likely.

Derived in ``notes/likelihood.md``. Run
``python phase-01-neural-networks/code/logistic_regression.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_01.activations import sigmoid, sigmoid_slope
from phase_01.losses import binary_cross_entropy, binary_cross_entropy_slope
from shared.checks import check_array, check_labels, check_number
from shared.plotting import BLUE, ORANGE, draw_classes
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def gradient(x: Array, y: Array, w: Array, b: float) -> tuple[Array, float]:
    """Return ∂L/∂w (n,) and ∂L/∂b for cross-entropy."""
    dL_dz = binary_cross_entropy_slope(x @ w + b, y)  # (N,)
    return x.T @ dL_dz, float(dL_dz.sum())


def squared_gradient(x: Array, y: Array, w: Array, b: float) -> tuple[Array, float]:
    """Return the same for mean((p − y)²), the loss that one might try first."""
    z = x @ w + b
    dL_dz = 2 * (sigmoid(z) - y) * sigmoid_slope(z) / len(y)  # the last slope dies where p is sure
    return x.T @ dL_dz, float(dL_dz.sum())


def fit(
    x: ArrayLike,
    y: ArrayLike,
    learning_rate: float,
    steps: int,
    start: ArrayLike | None = None,
    squared: bool = False,
) -> tuple[Array, float, list[float]]:
    """Find w and b by gradient descent.

    Parameters
    ----------
    x, y
        Examples (N, n), and classes 0 or 1 (N,).
    start
        First weights (n,); 0 if none are given.
    squared
        Follow the squared error instead of cross-entropy.

    Returns
    -------
    tuple
        w (n,), b, and the cross-entropy before each step.

    Raises
    ------
    ValueError
        If the shapes do not fit, there are no examples, a number is not finite, a class is not 0 or
        1, or the learning rate is not above 0.
    """
    x = check_array("x", x, ("N", "n"), "give one row of numbers per example")
    y = check_labels("y", y, x.shape[:1], 2)
    check_number("learning_rate", learning_rate, 0)
    first = np.zeros(x.shape[1]) if start is None else start
    w, b = check_array("start", first, (x.shape[1],), "give one weight per column of x"), 0.0
    losses = []
    for _ in range(steps):
        losses.append(binary_cross_entropy(x @ w + b, y))
        dL_dw, dL_db = (squared_gradient if squared else gradient)(x, y, w, b)
        w, b = w - learning_rate * dL_dw, b - learning_rate * dL_db
    return w, b, losses


def two_clouds(count: int, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
    """Return points of two overlapping clouds, (2 count, 2), and their classes."""
    centers = np.repeat([[-1.0, -0.5], [1.0, 0.5]], count, axis=0)
    return centers + rng.normal(size=centers.shape), np.repeat([0, 1], count)


def draw(x: Array, y: Array, w: Array, b: float, curves: dict[str, list[float]]) -> Figure:
    """Draw the clouds with the boundary, and both ways out of a bad start."""
    figure = Figure(figsize=(7.5, 3.4))
    plane, escape = figure.subplots(1, 2)
    draw_classes(plane, lambda places: places @ w + b, x, y)
    plane.set_title("The boundary, where p = ½")
    for (name, losses), color in zip(curves.items(), (BLUE, ORANGE), strict=True):
        escape.plot(losses, color=color, label=f"follows {name}")
    escape.set_xlabel("step")
    escape.set_ylabel("cross-entropy in nats")
    escape.set_title("Starting sure and wrong")
    escape.legend()
    figure.tight_layout()
    return figure


def main() -> None:
    """Separate two clouds, then start from a bad place with two losses."""
    arguments = lesson_arguments(__doc__, __file__)
    x, y = two_clouds(100, np.random.default_rng(0))
    w, b, losses = fit(x, y, learning_rate=0.5, steps=200)
    p = sigmoid(x @ w + b)
    print(f"x {x.shape}, y {y.shape}: two clouds that overlap")
    print(f"  loss {losses[0]:.4f} → {losses[-1]:.4f} nats   (ln 2 = {np.log(2):.4f} at w = 0)")
    print(f"  w {w.round(3)}, b {b:.3f}; right for {np.mean((p > 0.5) == y):.1%} of the points")
    dL_dw, dL_db = gradient(x, y, w, b)
    print(f"  gradient at the end {np.append(dL_dw, dL_db).round(4)}")

    bad = np.array([-8.0, -8.0])
    curves = {
        "cross-entropy": fit(x, y, 0.5, 60, bad)[2],
        "squared error": fit(x, y, 0.5, 60, bad, squared=True)[2],
    }
    print(f"from w = {bad}, sure and wrong, 60 steps:")
    for name, values in curves.items():
        print(f"  {name}: loss {values[0]:.2f} → {values[-1]:.2f} nats")
    finish(draw(x, y, w, b, curves), arguments)


if __name__ == "__main__":
    main()
