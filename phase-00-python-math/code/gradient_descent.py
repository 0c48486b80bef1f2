"""Gradient descent: a ball rolls downhill in fog, feeling only the slope under it.

    w ← w − η ∂f/∂w

w are the numbers to choose, shape (n,); f is the height, a number; ∂f/∂w is the gradient, of the
shape of w: it points where f rises fastest, so the step goes the other way. η, the learning rate,
is how far one step goes.

The valleys here are f(w) = ½ wᵀ A w, lowest at 0; A is a symmetric table (n, n). Their gradient is
A w. How sharply a valley bends depends on the direction; the largest of these curvatures is λ_max
(mathematics calls these curvatures the eigenvalues of A). Steps with η below 2/λ_max come nearer to
the bottom. Steps above it jump across the sharpest direction and land higher on the other side,
each time, until that direction outweighs all others and the walk climbs out.

Derived in ``notes/gradient_descent.md``. Run
``python phase-00-python-math/code/gradient_descent.py``.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from shared.checks import check_array, check_count, check_number
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

BOWL = np.array([[1.0, 0.0], [0.0, 1.0]])
RAVINE = np.array([[1.0, 0.0], [0.0, 25.0]])  # 25 times steeper across than along
START = np.array([-4.0, 1.0])


def height(w: Array, A: Array) -> Array:
    """Return f(w) = ½ wᵀ A w for points (…, n): shape (…,)."""
    return 0.5 * np.einsum("...i,ij,...j->...", w, A, w)


def height_gradient(w: Array, A: Array) -> Array:
    """Return ∂f/∂w = A w for one point (n,)."""
    return A @ check_array("w", w, A.shape[:1], "give one point, not several")


def descend(
    gradient: Callable[[Array], Array], start: ArrayLike, learning_rate: float, steps: int
) -> Array:
    """Walk downhill and return the whole path.

    Parameters
    ----------
    gradient
        From a point (n,) to the gradient there (n,).
    start
        The first point, (n,).
    learning_rate
        Above 0.
    steps
        How many steps to take.

    Returns
    -------
    Array
        The points, (steps + 1, n), the start first.

    Raises
    ------
    ValueError
        If the start is not a finite vector, the learning rate is not above 0, there is no step, or
        the gradient has another shape than the point.
    """
    w = check_array("start", start, ("n",), "give the first point as a list of numbers").copy()
    learning_rate = check_number("learning_rate", learning_rate, 0)
    check_count("steps", steps)
    path = [w]
    for _ in range(steps):
        slope = check_array("gradient", gradient(w), w.shape, "give one slope per entry of w")
        w = w - learning_rate * slope
        path.append(w)
    return np.stack(path)


def largest_stable_rate(A: ArrayLike, steps: int = 200) -> float:
    """Find by trying the learning rate above which descent in the valley A climbs.

    The start is random, so that every direction of the valley is felt. A rate passes if the last of
    ``steps`` steps did not climb; they must be many, because at first the other directions may hide
    the one that climbs. The rate is doubled until it fails, and the place between the last pass and
    the first failure is then halved thirty times.

    Raises
    ------
    ValueError
        If A is not a square table of finite numbers, or f is no valley, or there is no step.
    """
    A = check_array("A", A, ("n", "n"), "give the curvatures as a square table")
    if not np.allclose(A, A.T) or np.linalg.eigvalsh(A).min() <= 0:
        raise ValueError(
            "A: expected a valley, equal to A.T and bending up in every direction, got another "
            "table: a saddle or a plain has no such rate"
        )
    start = np.random.default_rng(0).normal(size=len(A))

    def stays_down(rate: float) -> bool:
        path = descend(partial(height_gradient, A=A), start, rate, steps)
        before, after = height(path[-2:], A)
        return bool(after <= before)

    passes = 1 / float(np.abs(A).sum())  # no curvature is larger than this sum
    fails = 2 * passes
    while stays_down(fails):
        passes, fails = fails, 2 * fails
    for _ in range(30):
        middle = (passes + fails) / 2
        passes, fails = (middle, fails) if stays_down(middle) else (passes, middle)
    return passes


def draw_path(axes: Axes, A: Array, learning_rate: float, steps: int, title: str) -> None:
    """Draw the lines of equal height, and the path across them."""
    across, up = np.meshgrid(np.linspace(-5, 5, 120), np.linspace(-1.6, 1.6, 120))
    heights = height(np.stack([across, up], axis=-1), A)
    axes.contour(across, up, heights, levels=[0.2, 1, 3, 6, 12, 20, 30], colors=GRAY, linewidths=1)
    path = descend(partial(height_gradient, A=A), START, learning_rate, steps)
    axes.plot(*path.T, ".-", color=ORANGE, linewidth=1.2, markersize=6)
    axes.plot(0, 0, "*", color=BLUE, markersize=12)
    axes.set_xlim(-5, 5)
    axes.set_ylim(-1.6, 1.6)
    axes.set_aspect("equal")
    axes.grid(False)
    axes.set_title(title)


def draw_paths() -> Figure:
    """Draw the bowl, and the ravine with three learning rates."""
    figure = Figure(figsize=(7, 3.4))
    panels = figure.subplots(2, 2, sharex=True, sharey=True).flat
    draw_path(panels[0], BOWL, 0.07, 40, "bowl, η = 0.07: straight down")
    draw_path(panels[1], RAVINE, 0.004, 40, "ravine, η = 0.004: too small")
    draw_path(panels[2], RAVINE, 0.07, 40, "ravine, η = 0.07: zigzag, arrives")
    draw_path(panels[3], RAVINE, 0.081, 25, "ravine, η = 0.081: climbs out")
    figure.tight_layout()
    return figure


def draw_limit(limit: float) -> Figure:
    """Draw the height after 100 steps in the ravine against the learning rate."""
    rates = np.linspace(0.002, 0.084, 300)
    ends = [
        height(descend(partial(height_gradient, A=RAVINE), START, rate, 100)[-1], RAVINE)
        for rate in rates.tolist()
    ]
    figure = Figure()
    axes = figure.subplots()
    axes.semilogy(rates, ends, color=BLUE)
    axes.axhline(
        float(height(START, RAVINE)), color=GRAY, linestyle=":", label="height at the start"
    )
    axes.axvline(limit, color=ORANGE, linestyle="--", label=f"limit found by trying: {limit:.4f}")
    axes.set_xlabel("learning rate η")
    axes.set_ylabel("height after 100 steps")
    axes.set_title("Bigger steps are better until, suddenly, they are not")
    axes.legend()
    return figure


def main() -> None:
    """Walk down a bowl and a ravine, and find the step that is too large."""
    arguments = lesson_arguments(__doc__, __file__)

    print(f"start {START}, shape {START.shape}; height after 40 steps")
    for name, A, rate in (
        ("bowl", BOWL, 0.07),
        ("ravine", RAVINE, 0.004),
        ("ravine", RAVINE, 0.07),
        ("ravine", RAVINE, 0.081),
    ):
        path = descend(partial(height_gradient, A=A), START, rate, 40)
        print(f"  {name:6}  η = {rate:<5g}  {height(START, A):5.2f} → {height(path[-1], A):.4f}")

    limits = {name: largest_stable_rate(A) for name, A in (("bowl", BOWL), ("ravine", RAVINE))}
    for (name, limit), A in zip(limits.items(), (BOWL, RAVINE), strict=True):
        sharpest = np.linalg.eigvalsh(A).max()
        print(
            f"{name:6}  λ_max = {sharpest:<4g}  theory 2/λ_max = {2 / sharpest:.6f}"
            f"   found by trying {limit:.6f}"
        )
    finish(draw_paths(), arguments)
    finish(draw_limit(limits["ravine"]), arguments, "limit")


if __name__ == "__main__":
    main()
