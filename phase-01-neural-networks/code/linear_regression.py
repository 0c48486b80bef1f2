"""Linear regression: a straight line through points, and why the error is squared.

    ŷ = x w + b                        the line
    L = mean((ŷ − y)²)                 how wrong it is
    ∂L/∂w = mean(2 (ŷ − y) x)          ∂L/∂b = mean(2 (ŷ − y))

x and y are (N,): N measured points. w, the slope of the line, and b, its height at 0, are single
numbers. ∂L/∂w says which direction of w makes the loss go down, and how fast.

Why squared? Suppose each y is the line plus noise from a bell curve. The probability of all points
together is a product of e^(−(ŷ − y)² / (2s²)), s the size of the noise. Its logarithm is a constant
minus the sum of the squares. The line that makes what we saw most likely is the one with the
smallest squared error.

Derived in ``notes/likelihood.md``. Run
``python phase-01-neural-networks/code/linear_regression.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_01.losses import mean_squared_error, mean_squared_error_slope
from shared.checks import check_array, check_count, check_number
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def check_points(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Return points (N,) and (N,), checked."""
    x = check_array("x", x, ("N",), "give one number per point")
    return x, check_array("y", y, x.shape, "give one target per point")


def predict(x: ArrayLike, w: float, b: float) -> Array:
    """Return the line's heights ŷ (N,) at x (N,)."""
    return check_array("x", x, ("N",), "give one number per point") * w + b


def gradient(x: ArrayLike, y: ArrayLike, w: float, b: float) -> tuple[float, float]:
    """Return ∂L/∂w and ∂L/∂b: the ripple from ŷ to the loss, times the ripple from w or b to ŷ."""
    x, y = check_points(x, y)
    dL_dy_pred = mean_squared_error_slope(predict(x, w, b), y)  # (N,)
    # ŷ = x w + b: a nudge of w moves ŷ by x, a nudge of b moves it by 1
    return float(dL_dy_pred @ x), float(dL_dy_pred.sum())


def fit(x: ArrayLike, y: ArrayLike, learning_rate: float, steps: int) -> Array:
    """Find w and b by gradient descent from 0.

    Parameters
    ----------
    x, y
        The points, (N,) and (N,).
    learning_rate, steps
        How far each step goes, above 0, and how many there are, at least 1.

    Returns
    -------
    Array
        The path of (w, b), (steps + 1, 2).

    Raises
    ------
    ValueError
        If there are no points, a number is not finite, the learning rate is not above 0, or steps
        is not a whole number of at least 1.
    """
    x, y = check_points(x, y)
    check_number("learning_rate", learning_rate, 0)
    check_count("steps", steps)
    w, b = 0.0, 0.0
    path = [(w, b)]
    for _ in range(steps):
        dL_dw, dL_db = gradient(x, y, w, b)
        w, b = w - learning_rate * dL_dw, b - learning_rate * dL_db
        path.append((w, b))
    return np.array(path)


def closed_form(x: ArrayLike, y: ArrayLike) -> Array:
    """Return the best w and b, (2,), as NumPy's least squares finds them without any steps.

    Raises
    ------
    ValueError
        If there are no points, or a number is not finite.
    """
    x, y = check_points(x, y)
    return np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y)[0]


def draw(x: Array, y: Array, path: Array) -> Figure:
    """Draw the points with lines of a few steps, and the loss on the way."""
    figure = Figure(figsize=(7.5, 3.4))
    points, losses = figure.subplots(1, 2)
    points.plot(x, y, "o", color=BLUE, markersize=4, alpha=0.5)
    ends = np.array([x.min(), x.max()])
    last = len(path) - 1
    for step, color in ((0, GRAY), (1, GRAY), (2, GRAY), (last, ORANGE)):
        heights = predict(ends, *path[step])
        points.plot(ends, heights, color=color, linewidth=2 if step == last else 1.2)
        points.annotate(
            f"step {step}",
            (ends[1], heights[1]),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=color,
        )
    points.set_xlim(-2.1, 3.5)
    points.set_xticks([-2, -1, 0, 1, 2])
    points.set_xlabel("x")
    points.set_ylabel("y")
    points.set_title("The line turns into place")
    losses.plot([mean_squared_error(predict(x, *place), y) for place in path[:31]], color=ORANGE)
    best = mean_squared_error(predict(x, *closed_form(x, y)), y)
    losses.axhline(best, color=GRAY, linestyle=":", label="no line is better")
    losses.set_ylim(0, None)
    losses.set_xlabel("step")
    losses.set_ylabel("mean squared error")
    losses.set_title("What is left is the noise")
    losses.legend()
    figure.tight_layout()
    return figure


def main() -> None:
    """Draw noisy points around a line, and find the line again."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, size=100)
    y = 1.5 * x + 0.7 + rng.normal(scale=0.5, size=x.shape)
    print(f"x {x.shape}, y {y.shape}: y = 1.5 x + 0.7 + noise of width 0.5")

    path = fit(x, y, learning_rate=0.1, steps=100)
    for step in (0, 1, 10, 100):
        loss = mean_squared_error(predict(x, *path[step]), y)
        print(f"  step {step:3}  w {path[step, 0]:.4f}  b {path[step, 1]:.4f}  loss {loss:.4f}")
    w, b = closed_form(x, y)
    print(f"  no steps  w {w:.4f}  b {b:.4f}  by np.linalg.lstsq")
    print("the loss that is left is the noise: 0.5² = 0.25, as 100 points happen to show it")
    finish(draw(x, y, path), arguments)


if __name__ == "__main__":
    main()
