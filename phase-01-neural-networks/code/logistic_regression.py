"""Logistic regression: a line that answers with a probability, and learns from every example.

    z = x @ w + b,   p = σ(z)                  p is the probability of class 1
    L = mean(−ln of the right class's p)       binary cross-entropy, in nats
    ∂L/∂w = xᵀ @ (p − y) / N                   ∂L/∂b = mean(p − y)

x is (N, n): N examples of n numbers; w (n,), b a number; z and p are (N,); y (N,) is 0 or 1. The
perceptron says yes or no. Its answer jumps, so it has no slope to follow. A sigmoid makes the jump
a slope, and every nudge of a weight shows.

Why cross-entropy? The probability of all right answers together is the product of what each got.
Its logarithm is a sum, and the average with a minus sign is L: the weights with the smallest loss
are the ones that make what we saw most likely. Squared error, mean((p − y)²), would have the slope
2 (p − y) p (1 − p) / N. Sure and wrong, p (1 − p) is almost 0: the worse the answer, the less it
teaches.

Derived in ``notes/likelihood.md``. Run
``python phase-01-neural-networks/code/logistic_regression.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_01.activations import sigmoid, sigmoid_slope
from phase_01.losses import (
    binary_cross_entropy,
    binary_cross_entropy_slope,
    mean_squared_error_slope,
)
from shared.checks import check_array, check_count, check_labels, check_number
from shared.plotting import BLUE, ORANGE, draw_classes
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def logits(x: ArrayLike, w: ArrayLike, b: float) -> tuple[Array, Array]:
    """Return x (N, n), checked, and z = x @ w + b (N,)."""
    x = check_array("x", x, ("N", "n"), "give one row of numbers per example")
    return x, x @ check_array("w", w, (x.shape[1],), "give one weight per column of x") + b


def gradient(x: ArrayLike, y: ArrayLike, w: ArrayLike, b: float) -> tuple[Array, float]:
    """Return ∂L/∂w (n,) and ∂L/∂b for cross-entropy.

    Raises
    ------
    ValueError
        If the shapes do not fit, there are no examples, a number is not finite, or a class is not 0
        or 1.
    """
    x, z = logits(x, w, b)
    dL_dz = binary_cross_entropy_slope(z, y)  # (N,)
    return x.T @ dL_dz, float(dL_dz.sum())


def squared_gradient(x: ArrayLike, y: ArrayLike, w: ArrayLike, b: float) -> tuple[Array, float]:
    """Return the same for mean((p − y)²), the loss that one might try first."""
    x, z = logits(x, w, b)
    y = check_labels("y", y, z.shape, 2)
    # The ripple from p to the loss, times the ripple from z to p, which dies where p is sure.
    dL_dz = mean_squared_error_slope(sigmoid(z), y) * sigmoid_slope(z)
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
    learning_rate, steps
        How far each step goes, above 0, and how many there are, at least 1.
    start
        First weights (n,); 0 if none are given. b starts at 0.
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
        1, the learning rate is not above 0, or steps is not a whole number of at least 1.
    """
    x = check_array("x", x, ("N", "n"), "give one row of numbers per example")
    y = check_labels("y", y, x.shape[:1], 2)
    check_number("learning_rate", learning_rate, 0)
    check_count("steps", steps)
    first = np.zeros(x.shape[1]) if start is None else start
    w, b = check_array("start", first, (x.shape[1],), "give one weight per column of x"), 0.0
    losses = []
    for _ in range(steps):
        losses.append(binary_cross_entropy(x @ w + b, y))
        dL_dw, dL_db = (squared_gradient if squared else gradient)(x, y, w, b)
        w, b = w - learning_rate * dL_dw, b - learning_rate * dL_db
    return w, b, losses


def two_clouds(count: int, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
    """Return ``count`` points of each of two overlapping clouds, (2 count, 2), and the classes."""
    check_count("count", count)
    centers = np.repeat([[-1.0, -0.5], [1.0, 0.5]], count, axis=0)
    return centers + rng.normal(size=centers.shape), np.repeat([0, 1], count)


def draw(x: Array, y: Array, w: Array, b: float, curves: dict[str, list[float]]) -> Figure:
    """Draw the clouds with the boundary, and both ways out of a bad start."""
    figure = Figure(figsize=(8, 3.5))
    plane, escape = figure.subplots(1, 2)
    draw_classes(plane, lambda places: places @ w + b, x, y)
    plane.set_title("One line, where p = ½")
    for (name, losses), color in zip(curves.items(), (BLUE, ORANGE), strict=True):
        escape.plot(losses, color=color, label=f"follows {name}")
    escape.set_xlabel("step")
    escape.set_ylabel("cross-entropy in nats")
    escape.set_title("Surprise gets out of a bad start sooner")
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
    slope = np.abs(np.append(*gradient(x, y, w, b))).max()
    start = np.abs(np.append(*gradient(x, y, np.zeros(2), 0.0))).max()
    print(f"  largest slope {start:.4f} → {slope:.4f}")

    print("an example of class 1, taken for class 0: how hard each loss pulls at its logit")
    for z in (-2.0, -10.0):
        surprise = abs(binary_cross_entropy_slope([z], [1])[0])
        squared = abs(squared_gradient([[1.0]], [1], [z], 0.0)[0][0])
        print(f"  z = {z:3g}   cross-entropy {surprise:.4f}   squared error {squared:.4f}")

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
