"""Vectors and matrices: many multiplications in one sign, and the shapes that keep them right.

    dot product      x · w = Σ_i x_i w_i                    (n,) and (n,)      →  ()
    matrix product   (A @ B)_ij = Σ_k A_ik B_kj             (m, k) and (k, n)  →  (m, n)
    einsum           'i,ij->j': multiply, then add up over the letters that are missing on the right
    broadcasting     sizes are compared from the right; a size of 1 is repeated

A *vector* is a list of numbers, shape (n,). A *matrix* is a table, shape (rows, columns). ``x @ W``
mixes the n numbers of x into as many new ones as W has columns: each column is one recipe. Nearly
all of a neural network's work is this mixing.

The loops below say what ``@`` means, and nothing else in the project uses them.

Worked by hand in ``notes/matrices.md``. Run
``python phase-00-python-math/code/vectors_and_matrices.py``.
"""

import time
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from shared.checks import check_array
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def dot(x: ArrayLike, w: ArrayLike) -> float:
    """Multiply two vectors (n,) entry by entry and add up, in a loop.

    Raises
    ------
    ValueError
        If they are not two vectors of the same length, or hold what is no finite number.
    """
    x = check_array("x", x, ("n",), "give a list of numbers")
    w = check_array("w", w, x.shape, "give one weight for each number of x")
    total = 0.0
    for i in range(len(x)):
        total += x[i] * w[i]
    return float(total)


def matmul(A: ArrayLike, B: ArrayLike) -> Array:
    """Multiply the matrices A (m, k) and B (k, n) to (m, n), in loops.

    Raises
    ------
    ValueError
        If A has not as many columns as B has rows, or one holds what is no finite number.
    """
    A = check_array("A", A, ("m", "k"), "give a table with rows and columns")
    B = check_array("B", B, (A.shape[1], "n"), "A's columns must meet as many rows: try B.T")
    product = np.zeros((A.shape[0], B.shape[1]))
    for i in range(A.shape[0]):
        for j in range(B.shape[1]):
            product[i, j] = dot(A[i], B[:, j])
    return product


def transform(points: ArrayLike, W: ArrayLike) -> Array:
    """Move points of the plane, (N, 2), by a matrix (2, 2): each row of points becomes row @ W.

    Raises
    ------
    ValueError
        If the shapes are others, or a number is not finite.
    """
    points = check_array("points", points, ("N", 2), "give one row of two numbers per point")
    W = check_array("W", W, (2, 2), "two numbers go in and two come out")
    return points @ W


def draw(W: Array, y: Array, y_pred: Array) -> Figure:
    """Draw a matrix as what it does to the plane, and the broadcasting trap."""
    figure = Figure(figsize=(7, 3.4))
    plane, trap = figure.subplots(1, 2)

    for offset in np.linspace(-1, 1, 9):
        level = np.array([[-1.0, offset], [1.0, offset]])  # a line from left to right
        for grid in (level, level[:, ::-1]):
            plane.plot(*grid.T, color=GRAY, linewidth=0.6)
            plane.plot(*transform(grid, W).T, color=BLUE, linewidth=1)
    for row, color in zip(np.eye(2), (ORANGE, "black"), strict=True):
        for point, style in ((row, ":"), (transform(row[None], W)[0], "-")):
            plane.plot([0, point[0]], [0, point[1]], style, color=color, linewidth=2.5)
    plane.set_title("x @ W moves the whole plane")
    plane.set_aspect("equal")
    plane.grid(False)

    difference = y - y_pred
    trap.imshow(difference, cmap="coolwarm", vmin=-2, vmax=2)
    for (row, column), value in np.ndenumerate(difference):
        trap.text(column, row, f"{value:g}", ha="center", va="center")
    trap.set_title(f"{y.shape} − {y_pred.shape} is a table")
    trap.set_xticks(range(3), [f"y[{i}]" for i in range(3)])
    trap.set_yticks(range(3), [f"y_pred[{i}]" for i in range(3)])
    trap.grid(False)
    figure.tight_layout()
    return figure


def main() -> None:
    """Multiply by loops and by @, fall into the broadcasting trap, and climb out."""
    arguments = lesson_arguments(__doc__, __file__)

    x = np.array([2.0, 1.0])
    W = np.array([[1.0, 0.0, 3.0], [2.0, 5.0, -1.0]])
    print(f"x {x.shape} @ W {W.shape} = {x @ W}   shape {(x @ W).shape}")
    print(f"the first entry by a loop: 2·1 + 1·2 = {dot(x, W[:, 0]):g}")
    print(f"the same as einsum 'i,ij->j': {np.einsum('i,ij->j', x, W)}")

    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(40, 50)), rng.normal(size=(50, 30))
    start = time.perf_counter()
    slow = matmul(A, B)
    middle = time.perf_counter()
    fast = A @ B
    end = time.perf_counter()
    print(f"(40, 50) @ (50, 30): {40 * 50 * 30:,} multiplications")
    print(f"  largest difference from the loops {np.abs(slow - fast).max():.0e}")
    print(f"  @ was {(middle - start) / (end - middle):,.0f} times as fast here")

    y, y_pred = np.array([1.0, 2.0, 3.0]), np.array([[1.0], [2.0], [3.0]])
    print(f"the trap: y {y.shape} − y_pred {y_pred.shape} has shape {(y - y_pred).shape}")
    print(f"  squared error {np.mean((y - y_pred) ** 2):.3f}, though every prediction is right")
    print(f"  after y_pred[:, 0]: {np.mean((y - y_pred[:, 0]) ** 2):.3f}")

    finish(draw(np.array([[1.2, 0.4], [-0.5, 0.9]]), y, y_pred), arguments)


if __name__ == "__main__":
    main()
