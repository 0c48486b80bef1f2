"""The perceptron: a weighted vote with a threshold, and a rule that learns from mistakes only.

    answer    1 if x · w + b > 0, else 0
    rule      w ← w + (y − answer) x        b ← b + (y − answer)

x is one example, (n,); w the weights, (n,); b the bias, a number; y the right answer, 0 or 1. For
n = 2 the places where x · w + b = 0 are a straight line, the boundary; on the line itself the
answer is 0. An answer that is right changes nothing. A wrong one moves the line towards the right
side of x.

If some line separates the two answers, the rule finds one after finitely many mistakes. XOR (one or
the other, but not both) has no such line. The rule cannot know that, and goes on for ever.

Rosenblatt 1958, "The perceptron: A probabilistic model for information storage and organization in
the brain". Minsky & Papert 1969, "Perceptrons: An Introduction to Computational Geometry": what one
layer cannot do. Worked by hand in ``notes/perceptron.md``. Run
``python phase-01-neural-networks/code/perceptron.py``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from shared.checks import check_array, check_count, check_labels
from shared.plotting import GRAY, draw_classes
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}


def predict(x: ArrayLike, w: ArrayLike, b: float) -> NDArray[np.int64]:
    """Return the answers, 0 or 1, for examples x (N, n), weights w (n,) and bias b.

    Raises
    ------
    ValueError
        If the shapes do not fit, there are no examples, or a number is not finite.
    """
    x = check_array("x", x, ("N", "n"), "give one row of numbers per example")
    w = check_array("w", w, (x.shape[1],), "give one weight per number of an example")
    return (x @ w + check_array("b", b, (), "give the bias as a number") > 0).astype(np.int64)


@dataclass(frozen=True)
class Training:
    """What happened while a perceptron learned.

    Attributes
    ----------
    w, b
        The weights (n,) and the bias at the end.
    boundaries
        The weights and bias at the start and after each mistake, (mistakes + 1, n + 1).
    mistakes
        How many examples each epoch got wrong when it came to them.
    """

    w: Array
    b: float
    boundaries: Array
    mistakes: list[int]


def train(x: ArrayLike, y: ArrayLike, epochs: int) -> Training:
    """Apply the rule to one example after the other until an epoch makes no mistake.

    An epoch is one pass over all examples. They come one at a time because that is the rule: each
    mistake changes the weights with which the next example is judged.

    Parameters
    ----------
    x, y
        Examples (N, n), and right answers 0 or 1 (N,).
    epochs
        When to give up.

    Raises
    ------
    ValueError
        If the shapes do not fit, there are no examples, an answer is not 0 or 1, or epochs is not a
        whole number of at least 1.
    """
    x = check_array("x", x, ("N", "n"), "give one row of numbers per example")
    check_count("epochs", epochs)
    y = check_labels("y", y, x.shape[:1], 2)
    w, b = np.zeros(x.shape[1]), 0.0
    boundaries, mistakes = [np.append(w, b)], []
    for _ in range(epochs):
        mistakes.append(0)
        for example, target in zip(x, y, strict=True):
            error = target - predict(example[None], w, b)[0]  # −1, 0 or 1
            if error:
                w, b = w + error * example, b + error
                boundaries.append(np.append(w, b))
                mistakes[-1] += 1
        if not mistakes[-1]:
            break
    return Training(w, float(b), np.stack(boundaries), mistakes)


def best_line(y: ArrayLike, grid: ArrayLike) -> int:
    """Return how many of the four corners the best line gets right, trying w₁, w₂ and b on a grid.

    Parameters
    ----------
    y
        The right answers at the corners (0, 0), (0, 1), (1, 0), (1, 1).
    grid
        The values to try for each, (G,).

    Raises
    ------
    ValueError
        If y is not four answers 0 or 1, or the grid is empty or not finite.
    """
    y = check_labels("y", y, (4,), 2)
    grid = check_array("grid", grid, ("G",), "give the values to try")
    w1, w2, b = (axis.ravel() for axis in np.meshgrid(grid, grid, grid))
    votes = INPUTS @ np.stack([w1, w2]) + b  # (4, G³)
    return int(((votes > 0) == y[:, None]).sum(axis=0).max())


def cycle_length(boundaries: ArrayLike) -> int:
    """Return how many mistakes ago the last weights were seen before, or 0 if they never were.

    Parameters
    ----------
    boundaries
        Weights and bias after each mistake, (mistakes + 1, n + 1).
    """
    boundaries = check_array("boundaries", boundaries, ("M", "n"), "give Training.boundaries")
    same = np.flatnonzero((boundaries[:-1] == boundaries[-1]).all(axis=1))
    return len(boundaries) - 1 - int(same[-1]) if len(same) else 0


def draw_learning(axes: Axes, name: str, training: Training) -> None:
    """Draw the corners, the last boundary, and the ones before it, fainter the older they are."""
    y = np.array(TARGETS[name])
    draw_classes(axes, lambda x: x @ training.w + training.b, INPUTS, y)
    earlier = training.boundaries[-12:-1]
    for place, (w1, w2, b) in enumerate(earlier):
        if w1 or w2:  # else the answer is the same everywhere, and there is no line
            near = -b * np.array([w1, w2]) / (w1**2 + w2**2)  # the point of it nearest to (0, 0)
            far = near + np.array([-w2, w1])
            age = 0.2 + 0.6 * place / len(earlier)
            axes.axline((near[0], near[1]), (far[0], far[1]), color=GRAY, linewidth=1, alpha=age)
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylim(-0.5, 1.5)
    axes.set_xticks([0, 1])
    axes.set_yticks([0, 1])
    axes.set_xlabel("x₁")


def draw(trainings: dict[str, Training]) -> Figure:
    """Draw how the boundary moved for each task."""
    figure = Figure(figsize=(7.5, 3.3))
    for axes, (name, training) in zip(
        figure.subplots(1, 3, sharey=True), trainings.items(), strict=True
    ):
        draw_learning(axes, name, training)
        moves = len(training.boundaries) - 1
        ends = "no end" if training.mistakes[-1] else f"{moves} moves"
        axes.set_title(f"{name}: {ends}")
    figure.axes[0].set_ylabel("x₂")
    figure.suptitle("Each mistake moves the line; for XOR none will do", x=0.07, ha="left")
    figure.tight_layout()
    return figure


def main() -> None:
    """Learn AND and OR, and fail at XOR."""
    arguments = lesson_arguments(__doc__, __file__)
    print(f"inputs {INPUTS.shape}: {INPUTS.astype(int).tolist()}")
    trainings = {name: train(INPUTS, y, epochs=1000) for name, y in TARGETS.items()}
    for name, training in trainings.items():
        answers = predict(INPUTS, training.w, training.b)
        print(
            f"{name:3}  targets {TARGETS[name]}  answers {answers.tolist()}"
            f"  w = {training.w.astype(int)}, b = {training.b:g}"
        )
        print(
            f"     {len(training.mistakes):,} epochs; mistakes in each: "
            f"{', '.join(map(str, training.mistakes[:8]))}"
            + (f", … and {training.mistakes[-1]} in the last" if training.mistakes[-1] else "")
        )
    cycle = cycle_length(trainings["XOR"].boundaries)
    print(f"     no epoch with fewer than {min(trainings['XOR'].mistakes)} mistakes;", end=" ")
    print(f"every {cycle} mistakes w and b are where they were before")
    print("why no line can do XOR; the vote is w₁ x₁ + w₂ x₂ + b")
    print("  (0, 0) must not pass:         b ≤ 0")
    print("  (1, 0) and (0, 1) must pass:  w₁ + b > 0 and w₂ + b > 0")
    print("  add the two, take b away:     w₁ + w₂ + b > −b ≥ 0")
    print("  so (1, 1) passes, and must not")
    grid = np.linspace(-2, 2, 41)
    print(f"the best of {grid.size**3:,} lines, right at how many of the 4 corners:")
    print("  " + "   ".join(f"{name} {best_line(y, grid)}" for name, y in TARGETS.items()))
    finish(draw(trainings), arguments)


if __name__ == "__main__":
    main()
