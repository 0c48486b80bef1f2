"""Activations: the bend after each mixing, without which layers on layers are one layer.

    sigmoid      σ(z) = 1 / (1 + e⁻ᶻ)        slope σ(z) (1 − σ(z)), at most 1/4
    tanh         (eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ)     slope 1 − tanh²(z), at most 1
    ReLU         max(z, 0)                   slope 1 above 0, else 0
    leaky ReLU   z above 0, else z / 100     slope 1 above 0, else 1/100

z is what a layer computes before the bend, of any shape; all work entry by entry and keep the shape
and the precision. The slope says how much the result moves when z moves a little. Where it is near 0
the unit is *saturated*: nudges of its weights change nothing, so it cannot learn.

ReLU has a corner at 0 and no slope there. We take 0, as most libraries do.

Derived in ``notes/activations.md``. Run ``python phase-01-neural-networks/code/activations.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from shared.checks import check_array
from shared.plotting import BLUE, GREEN, ORANGE, PINK
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def check_z(z: ArrayLike) -> Array:
    """Return z as an array of finite numbers, of any shape."""
    return check_array("z", z, (None,) if np.ndim(z) else (), "give what the layer computed")


def sigmoid(z: ArrayLike) -> Array:
    """Squeeze each number into 0…1.

    It is computed as (1 + tanh(z/2)) / 2, which is the same and cannot overflow.

    Raises
    ------
    ValueError
        If z is empty or not finite; so do all functions here.
    """
    return 0.5 * (1 + np.tanh(0.5 * check_z(z)))


def sigmoid_slope(z: ArrayLike) -> Array:
    """Return the slope of `sigmoid` at z."""
    a = sigmoid(z)
    return a * (1 - a)


def tanh(z: ArrayLike) -> Array:
    """Squeeze each number into −1…1."""
    return np.tanh(check_z(z))


def tanh_slope(z: ArrayLike) -> Array:
    """Return the slope of `tanh` at z."""
    return 1 - tanh(z) ** 2


def relu(z: ArrayLike) -> Array:
    """Let what is above 0 pass; the rest becomes 0."""
    return np.maximum(check_z(z), 0)


def relu_slope(z: ArrayLike) -> Array:
    """Return the slope of `relu` at z: 1 above 0, else 0."""
    z = check_z(z)
    return (z > 0).astype(z.dtype)


def leaky_relu(z: ArrayLike, leak: float = 0.01) -> Array:
    """Let what is above 0 pass; of the rest, let a share of ``leak`` through."""
    z = check_z(z)
    return np.where(z > 0, z, leak * z)


def leaky_relu_slope(z: ArrayLike, leak: float = 0.01) -> Array:
    """Return the slope of `leaky_relu` at z: 1 above 0, else ``leak``."""
    z = check_z(z)
    return np.where(z > 0, 1.0, leak).astype(z.dtype)


ACTIVATIONS = {
    "sigmoid": (sigmoid, sigmoid_slope),
    "tanh": (tanh, tanh_slope),
    "ReLU": (relu, relu_slope),
    "leaky ReLU": (leaky_relu, leaky_relu_slope),
}


def draw(z: Array) -> Figure:
    """Draw each activation, and its slope below."""
    figure = Figure(figsize=(8, 4.2))
    panels = figure.subplots(2, 4, sharex=True, sharey="row")
    colors = (BLUE, GREEN, ORANGE, PINK)
    for column, (name, (bend, slope)) in enumerate(ACTIVATIONS.items()):
        panels[0, column].plot(z, bend(z), color=colors[column])
        panels[0, column].set_title(name)
        panels[1, column].plot(z, slope(z), color=colors[column])
        panels[1, column].set_xlabel("z")
    panels[0, 0].set_ylim(-1.2, 2.2)
    panels[0, 0].set_ylabel("a")
    panels[1, 0].set_ylabel("slope")
    figure.tight_layout()
    return figure


def main() -> None:
    """Compare values and slopes, and send a nudge through twenty sigmoids."""
    arguments = lesson_arguments(__doc__, __file__)

    z = np.array([-5.0, -1.0, 0.0, 1.0, 5.0])
    print(f"z           {z}   shape {z.shape}")
    with np.printoptions(precision=3, suppress=True):
        for name, (bend, slope) in ACTIVATIONS.items():
            print(f"{name:10}  a {bend(z)!s:40} slope {slope(z)}")

    largest = sigmoid_slope(0.0)
    print(f"the largest slope of sigmoid: {largest}, at z = 0")
    print(f"a nudge of 1 through twenty of them: at most {largest**20:.0e} arrives")
    finish(draw(np.linspace(-6, 6, 241)), arguments)


if __name__ == "__main__":
    main()
