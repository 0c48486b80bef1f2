"""Initialization: how large the first weights must be for a signal to survive many layers.

    zero      W = 0                                    every unit is the same unit, for ever
    small     W normal, std 0.01                       each layer makes the signal smaller
    Glorot    W normal, std √(2 / (inputs + outputs))  keeps it, if the bend is near a straight line
    He        W normal, std √(2 / inputs)              keeps it through ReLU, which cuts half away

W has shape (inputs, outputs). z = x @ W sums ``inputs`` terms, so its variance is that of x times
inputs · std². Twenty layers multiply twenty such factors: anything but 1 explodes or dies out.

Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
He et al. 2015, "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet
Classification". Derived in ``notes/initialization.md``. Run
``python phase-01-neural-networks/code/initialization.py``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import DTypeLike, NDArray

from phase_01.activations import relu, tanh
from shared.plotting import BLUE, GRAY, GREEN, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

SCHEMES: dict[str, Callable[[int, int], float]] = {
    "zero": lambda inputs, outputs: 0.0,
    "small": lambda inputs, outputs: 0.01,
    "glorot": lambda inputs, outputs: float(np.sqrt(2 / (inputs + outputs))),
    "he": lambda inputs, outputs: float(np.sqrt(2 / inputs)),
}


def initial_weights(
    inputs: int,
    outputs: int,
    scheme: str,
    rng: np.random.Generator,
    dtype: DTypeLike = np.float64,
) -> Array:
    """Draw first weights of shape (inputs, outputs).

    Parameters
    ----------
    scheme
        One of "zero", "small", "glorot", "he".

    Raises
    ------
    ValueError
        If the scheme is unknown or a size is below 1.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme: expected one of {', '.join(SCHEMES)}, got {scheme!r}")
    if inputs < 1 or outputs < 1:
        raise ValueError(
            f"inputs, outputs: expected at least 1 each, got {inputs} and {outputs}: "
            "a layer needs something to mix and something to give"
        )
    std = SCHEMES[scheme](inputs, outputs)
    return (std * rng.normal(size=(inputs, outputs))).astype(dtype)


def activation_statistics(
    scheme: str,
    activation: Callable[[Array], Array],
    rng: np.random.Generator,
    depth: int = 20,
    width: int = 100,
) -> Array:
    """Return how large the activations are after each layer, (depth,).

    500 examples of standard normal numbers go through ``depth`` layers of ``width`` units. "How large"
    is the root of the mean square.

    Raises
    ------
    ValueError
        If the scheme is unknown or a size is below 1.
    """
    a = rng.normal(size=(500, width))
    sizes = []
    for _ in range(depth):
        a = activation(a @ initial_weights(width, width, scheme, rng))
        sizes.append(np.sqrt(np.mean(a**2)))
    return np.array(sizes)


def draw(statistics: dict[str, dict[str, Array]]) -> Figure:
    """Draw the size of the activations against depth, for each bend and scheme."""
    figure = Figure(figsize=(8, 3.6))
    panels = figure.subplots(1, len(statistics), sharey=True)
    colors = dict(zip(SCHEMES, (GRAY, ORANGE, GREEN, BLUE), strict=True))
    for axes, (name, by_scheme) in zip(panels, statistics.items(), strict=True):
        for scheme, sizes in by_scheme.items():
            layers = np.arange(1, len(sizes) + 1)
            if sizes.any():
                axes.semilogy(layers, sizes, color=colors[scheme], label=scheme)
            else:
                axes.plot([], [], color=colors[scheme], label=f"{scheme}: exactly 0")
        axes.set_title(name)
        axes.set_xlabel("layer")
        axes.set_xticks([1, 5, 10, 15, 20])
    panels[0].set_ylabel("size of the activations")
    panels[0].legend()
    figure.suptitle("A signal through twenty layers", x=0.02, ha="left")
    figure.tight_layout()
    return figure


def main() -> None:
    """Send a signal through twenty layers, four times with each bend."""
    arguments = lesson_arguments(__doc__, __file__)

    statistics = {
        name: {
            scheme: activation_statistics(scheme, activation, np.random.default_rng(0))
            for scheme in SCHEMES
        }
        for name, activation in (("tanh", tanh), ("ReLU", relu))
    }
    print("size of the activations (500, 100) after layer   1       5       10      20")
    for name, by_scheme in statistics.items():
        for scheme, sizes in by_scheme.items():
            shown = "  ".join(f"{sizes[layer - 1]:6.0e}" for layer in (1, 5, 10, 20))
            print(f"  {name:5} {scheme:37}  {shown}")
    finish(draw(statistics), arguments)


if __name__ == "__main__":
    main()
