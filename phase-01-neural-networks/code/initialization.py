"""Initialization: how large the first weights must be for a signal to survive many layers.

    z = a @ W                      std(z) = std(W) · √inputs · (root mean square of a)
    zero      W = 0
    small     std(W) = 0.01
    glorot    std(W) = √(2 / (inputs + outputs))
    he        std(W) = √(2 / inputs)

a (N, inputs) are the activations of a layer, W (inputs, outputs) the weights between it and the
next, z (N, outputs) the sums; std is the standard deviation, how far numbers typically lie from
their average. Each z is a sum of ``inputs`` random terms, and such a sum grows like √inputs.
Weights of 1/√inputs undo that. ReLU then throws half of the signal away, and He's factor of 2 under
the root puts it back. tanh squeezes what is large, so under Glorot's weights its signal sinks, but
slowly.

If a layer multiplies the signal by 0.1, twenty layers leave 10⁻²⁰ of it, and there is nothing to
learn from. Zero is worse: all units of a layer compute the same, get the same blame, and stay twins
for ever.

Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks":
they drew weights evenly from −√(6 / (inputs + outputs)) to +√(…), which has the same standard
deviation as our bell curve. He et al. 2015, "Delving Deep into Rectifiers: Surpassing Human-Level
Performance on ImageNet Classification": the factor for ReLU.

Derived in ``notes/initialization.md``. Run
``python phase-01-neural-networks/code/initialization.py``.
"""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import DTypeLike, NDArray

from phase_01.activations import Activation, relu, tanh
from shared.checks import check_count, check_float_type
from shared.plotting import BLUE, GRAY, GREEN, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

SCHEMES = ("zero", "small", "glorot", "he")


def initial_weights(
    inputs: int,
    outputs: int,
    scheme: str,
    rng: np.random.Generator,
    dtype: DTypeLike = np.float64,
) -> Array:
    """Draw the first weights of a layer from a bell curve around 0.

    Parameters
    ----------
    inputs, outputs
        Numbers per example before and after the layer.
    scheme
        How wide the curve is: ``"zero"``, ``"small"``, ``"glorot"`` or ``"he"``.
    rng
        Where the random numbers come from. ``"zero"`` draws none.
    dtype
        The precision of the weights.

    Returns
    -------
    Array
        W, (inputs, outputs).

    Raises
    ------
    ValueError
        If a size is not a whole number of at least 1, the scheme is not one of the four, or
        ``dtype`` is not a floating-point type.
    """
    check_count("inputs", inputs)
    check_count("outputs", outputs)
    check_float_type("dtype", dtype)
    if scheme == "zero":
        return np.zeros((inputs, outputs), dtype)
    if scheme == "small":
        std = 0.01
    elif scheme == "glorot":
        std = math.sqrt(2 / (inputs + outputs))
    elif scheme == "he":
        std = math.sqrt(2 / inputs)
    else:
        raise ValueError(
            f"scheme: expected one of {', '.join(SCHEMES)}, got {scheme!r}: "
            "he suits ReLU, glorot suits tanh and sigmoid"
        )
    return rng.normal(0, std, (inputs, outputs)).astype(dtype)


def activation_statistics(
    scheme: str,
    activation: Activation,
    depth: int,
    width: int,
    rng: np.random.Generator,
    examples: int = 500,
) -> Array:
    """Send random examples through many layers, and return how wide the signal is after each.

    Parameters
    ----------
    scheme
        See `initial_weights`.
    activation
        The bend after each layer, such as ``relu``.
    depth, width
        How many layers, and how many units each has.
    rng
        Draws the examples (N, width), each number with standard deviation 1, and the weights.
    examples
        N.

    Returns
    -------
    Array
        The standard deviation of the activations after each layer, (depth,).

    Raises
    ------
    ValueError
        As `initial_weights`, or if depth or examples is not a whole number of at least 1.
    """
    check_count("depth", depth)
    check_count("width", width)
    check_count("examples", examples)
    a = rng.normal(size=(examples, width))
    stds = np.empty(depth)
    for layer in range(depth):
        a = activation(a @ initial_weights(width, width, scheme, rng))
        stds[layer] = a.std()
    return stds


def draw(curves: dict[str, dict[str, Array]]) -> Figure:
    """Draw how wide the signal is after each layer, one panel for each activation."""
    figure = Figure(figsize=(7, 3.6))
    colors = dict(zip(SCHEMES, (GRAY, BLUE, GREEN, ORANGE), strict=True))
    panels = figure.subplots(1, len(curves), sharey=True)
    for axes, (name, schemes) in zip(panels, curves.items(), strict=True):
        for scheme, stds in schemes.items():
            layers = np.arange(1, len(stds) + 1)
            if scheme == "zero":
                axes.text(20, 3e-25, "zero: nothing, at any layer", color=GRAY, ha="right")
            else:
                axes.semilogy(layers, stds, ".-", color=colors[scheme], label=scheme)
        axes.set_ylim(1e-26, 100)
        axes.set_xticks([1, 5, 10, 15, 20])
        axes.set_xlabel("layer")
        axes.set_title(name)
    panels[0].set_ylabel("standard deviation")
    panels[0].legend(loc="center left")
    figure.suptitle("The right first weights carry a signal through 20 layers", x=0.07, ha="left")
    figure.tight_layout()
    return figure


def main() -> None:
    """Send one signal through 20 layers, with four kinds of first weights."""
    arguments = lesson_arguments(__doc__, __file__)
    depth, width = 20, 100

    print(f"500 examples {(500, width)} through {depth} layers W {(width, width)}")
    print("standard deviation after layer        1        5       10       20")
    curves: dict[str, dict[str, Array]] = {}
    for name, activation in (("tanh", tanh), ("ReLU", relu)):
        curves[name] = {}
        for scheme in SCHEMES:
            rng = np.random.default_rng(0)
            stds = activation_statistics(scheme, activation, depth, width, rng)
            curves[name][scheme] = stds
            shown = "".join(f"{stds[layer - 1]:9.2g}" for layer in (1, 5, 10, 20))
            print(f"  {name:6}{scheme:22}{shown}")
    finish(draw(curves), arguments)


if __name__ == "__main__":
    main()
