"""XOR with two hidden units: fold the plane first, then draw one line.

    h₁ = 1 if x₁ + x₂ − 0.5 > 0 else 0        is at least one of them on?      (OR)
    h₂ = 1 if x₁ + x₂ − 1.5 > 0 else 0        are both on?                     (AND)
    answer = 1 if h₁ − h₂ − 0.5 > 0 else 0    one, but not both                (XOR)

x is (N, 2), h (N, 2), the answer (N,). No line separates the corners of XOR in the plane of x. The
hidden units give each corner a new place. (0, 1) and (1, 0) land on the same one, and there a line
is enough: the last unit is a perceptron that sees h and not x.

With ReLU instead of steps the same folding needs no jumps, so that it has slopes to learn by:
h₁ = ReLU(x₁ + x₂), h₂ = ReLU(x₁ + x₂ − 1), answer h₁ − 2 h₂.

Minsky & Papert 1969, "Perceptrons: An Introduction to Computational Geometry", showed what one
layer cannot do. Worked by hand in ``notes/xor.md``. Run
``python phase-01-neural-networks/code/xor.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_01.activations import relu
from phase_01.perceptron import INPUTS, TARGETS, predict
from shared.checks import check_array
from shared.plotting import BLUE, GRAY, ORANGE, draw_network
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

# Two hidden units look at the sum of the inputs; W is (inputs, units), b (units,).
HIDDEN_W = np.array([[1.0, 1.0], [1.0, 1.0]])
STEP_B, RELU_B = np.array([-0.5, -1.5]), np.array([0.0, -1.0])
OUT_W, OUT_B = np.array([1.0, -1.0]), -0.5
RELU_OUT_W = np.array([1.0, -2.0])


def check_plane(x: ArrayLike) -> Array:
    """Return places of the plane (N, 2), checked."""
    return check_array("x", x, ("N", 2), "give one row of two numbers per example")


def step_hidden(x: ArrayLike) -> Array:
    """Return the answers h (N, 2) of the two hidden perceptrons at x (N, 2).

    Raises
    ------
    ValueError
        If x has another shape, is empty, or is not finite; so do all functions here.
    """
    x = check_plane(x)
    units = [predict(x, w, b) for w, b in zip(HIDDEN_W.T, STEP_B, strict=True)]
    return np.stack(units, axis=1).astype(np.float64)


def step_network(x: ArrayLike) -> NDArray[np.int64]:
    """Return the answers, 0 or 1, (N,), of three perceptrons at x (N, 2)."""
    return predict(step_hidden(x), OUT_W, OUT_B)


def relu_hidden(x: ArrayLike) -> Array:
    """Return h = ReLU(x @ W + b), (N, 2), at x (N, 2)."""
    return relu(check_plane(x) @ HIDDEN_W + RELU_B)


def relu_network(x: ArrayLike) -> Array:
    """Return h₁ − 2 h₂, (N,), at x (N, 2): exactly 0 or 1 at the corners."""
    return relu_hidden(x) @ RELU_OUT_W


def draw_machine() -> Figure:
    """Draw the network with its weights and biases."""
    figure = Figure(figsize=(7, 3.4))
    axes = figure.subplots()

    def written(number: float) -> str:
        return f"{number:g}".replace("-", "−")

    edges = {(0, i, j): written(HIDDEN_W[i, j]) for i in range(2) for j in range(2)}
    edges |= {(1, j, 0): written(OUT_W[j]) for j in range(2)}
    notes = {(1, j): f"b = {written(STEP_B[j])}" for j in range(2)}
    notes[2, 0] = f"b = {written(OUT_B)}"
    draw_network(axes, [["x₁", "x₂"], ["OR", "AND"], ["XOR"]], edges, notes)
    axes.set_title("XOR is OR, but not AND")
    return figure


def draw_folding() -> Figure:
    """Draw the plane of x, and where ReLU units send it: each diagonal lands on one point."""
    figure = Figure(figsize=(7.5, 3.9))
    before, behind = figure.subplots(1, 2)
    y = np.array(TARGETS["XOR"])
    for total in np.linspace(0.1, 1.9, 19):  # x₁ + x₂ along a diagonal
        ends = np.array([max(0.0, total - 1), min(1.0, total)])
        shade = str(0.9 - 0.4 * total)
        before.plot(ends, total - ends, color=shade, linewidth=3)
        behind.plot(*relu_hidden([[total, 0.0]]).T, "o", color=shade, markersize=5)
    for axes, corners in ((before, INPUTS), (behind, relu_hidden(INPUTS))):
        for label, color, marker in ((0, BLUE, "o"), (1, ORANGE, "s")):
            axes.plot(*corners[y == label].T, marker, color=color, markersize=11, mec="white")
        axes.grid(False)
    labels = {
        before: {"(0, 0)": (0, 0), "(0, 1)": (0, 1), "(1, 0)": (1, 0), "(1, 1)": (1, 1)},
        behind: {"(0, 0)": (0, 0), "(0, 1) and (1, 0)": (1, 0), "(1, 1)": (2, 1)},
    }
    for axes, names in labels.items():
        for name, place in names.items():
            up = 11 if place[1] or (axes is behind and not place[0]) else -20
            axes.annotate(name, place, (0, up), textcoords="offset points", ha="center")
    behind.plot([0.35, 2.3], [-0.075, 0.9], "--", color=GRAY)  # h₁ − 2 h₂ = ½
    behind.text(1.55, 0.28, "answer ½", color=GRAY)
    before.set_xlim(-0.3, 1.3)
    before.set_ylim(-0.3, 1.3)
    behind.set_xlim(-0.5, 2.5)
    behind.set_ylim(-0.6, 1.4)
    before.set_xlabel("x₁")
    before.set_ylabel("x₂")
    behind.set_xlabel("h₁")
    behind.set_ylabel("h₂")
    before.set_title("No line separates the colours …")
    behind.set_title("… until the plane is folded")
    figure.tight_layout()
    return figure


def main() -> None:
    """Follow the four corners through both networks."""
    arguments = lesson_arguments(__doc__, __file__)
    print(f"x {INPUTS.shape} → h {step_hidden(INPUTS).shape} → answer {step_network(INPUTS).shape}")
    print("  x        OR AND   XOR    ReLU: h        h₁ − 2 h₂")
    for x, h, answer, r, z in zip(
        INPUTS.astype(int),
        step_hidden(INPUTS).astype(int),
        step_network(INPUTS),
        relu_hidden(INPUTS).astype(int),
        relu_network(INPUTS),
        strict=True,
    ):
        print(f"  {x}    {h[0]}  {h[1]}     {answer}      {r}           {z:g}")
    print(f"right: {np.mean(step_network(INPUTS) == TARGETS['XOR']):.0%}")
    print("parameters: 2·2 + 2 hidden, 2 + 1 at the end: 9")
    finish(draw_folding(), arguments)
    finish(draw_machine(), arguments, "network")


if __name__ == "__main__":
    main()
