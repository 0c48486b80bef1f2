"""Activations: the bend between two layers, and its slope.

    sigmoid       σ(z) = 1 / (1 + e⁻ᶻ)                  slope σ(z) (1 − σ(z))       at most 1/4
    tanh          (eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ)               slope 1 − tanh(z)²          at most 1
    ReLU          z where z > 0, else 0                 slope 1 where z > 0, else 0
    leaky ReLU    z where z > 0, else s z               slope 1 where z > 0, else s

z are numbers of any shape; each is bent on its own, so result and slope have the shape of z. The
slope is the derivative: how fast the result moves when z moves a little. s is a small number.

Layers only multiply and add. Without a bend between them, two layers are one layer with other
weights. But a bend also passes on less than it gets: what ripples through twenty sigmoids is
multiplied by twenty slopes, none above 1/4. That is the *vanishing gradient*, and it is why ReLU,
whose slope is 1 wherever the unit is on, took over in deep networks.

ReLU has a corner at 0, and no slope there. We take 0, as most libraries do.

Derived in ``notes/activations.md``. Run ``python phase-01-neural-networks/code/activations.py``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from shared.checks import check_array, check_number
from shared.plotting import BLUE, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]
Activation = Callable[[Array], Array]

NUMBERS = "give z, the result of x @ W + b"


def sigmoid(z: ArrayLike) -> Array:
    """Squeeze each number into 0…1.

    Raises
    ------
    ValueError
        If z is empty or not finite. So do all functions of this file.
    """
    z = check_array("z", z, (None,), NUMBERS)
    e = np.exp(-np.abs(z))  # never above 1: e^1000 would overflow
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def sigmoid_slope(z: ArrayLike) -> Array:
    """Return σ(z) (1 − σ(z)), written σ(z) σ(−z) so that no digits are lost where σ(z) nears 1."""
    return sigmoid(z) * sigmoid(-np.asarray(z))


def tanh(z: ArrayLike) -> Array:
    """Squeeze each number into −1…1."""
    return np.tanh(check_array("z", z, (None,), NUMBERS))


def tanh_slope(z: ArrayLike) -> Array:
    """Return 1 − tanh(z)²."""
    return 1 - tanh(z) ** 2


def relu(z: ArrayLike) -> Array:
    """Let what is above 0 pass; the rest becomes 0."""
    return np.maximum(check_array("z", z, (None,), NUMBERS), 0)


def relu_slope(z: ArrayLike) -> Array:
    """Return 1 where z > 0, else 0; so 0 at the corner."""
    z = check_array("z", z, (None,), NUMBERS)
    return (z > 0).astype(z.dtype)


def leaky_relu(z: ArrayLike, slope: float = 0.01) -> Array:
    """Let what is above 0 pass; the rest is multiplied by ``slope``, above 0 and at most 1."""
    z = check_array("z", z, (None,), NUMBERS)
    return np.where(z > 0, z, check_number("slope", slope, 0, 1) * z)


def leaky_relu_slope(z: ArrayLike, slope: float = 0.01) -> Array:
    """Return 1 where z > 0, else ``slope``; so ``slope`` at the corner."""
    z = check_array("z", z, (None,), NUMBERS)
    return np.where(z > 0, 1, check_number("slope", slope, 0, 1)).astype(z.dtype)


BENDS: dict[str, tuple[Activation, Activation]] = {
    "sigmoid": (sigmoid, sigmoid_slope),
    "tanh": (tanh, tanh_slope),
    "ReLU": (relu, relu_slope),
    "leaky ReLU": (leaky_relu, leaky_relu_slope),
}


def draw(z: Array) -> Figure:
    """Draw the values above and the slopes below, one column for each activation."""
    figure = Figure(figsize=(7, 4))
    panels = figure.subplots(2, len(BENDS), sharex=True, sharey="row")
    for column, (name, (value, slope)) in enumerate(BENDS.items()):
        above, below = panels[:, column]
        above.plot(z, value(z), color=BLUE)
        above.set_title(name)
        below.plot(z, slope(z), color=ORANGE)
        below.set_xlabel("z")
    panels[0, 0].set_ylim(-1.2, 3.2)
    panels[0, 0].set_ylabel("value")
    panels[1, 0].set_ylabel("slope")
    panels[1, 0].set_ylim(-0.05, 1.1)
    figure.suptitle("Sigmoid and tanh go flat on both sides; ReLU only on one", x=0.07, ha="left")
    figure.tight_layout()
    return figure


def main() -> None:
    """See why layers need a bend, tabulate four of them, and let a slope vanish."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)

    x, W1, W2 = rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    print(f"x {x.shape} through W1 {W1.shape}, then W2 {W2.shape}: a result {(x @ W1 @ W2).shape}")
    same = np.allclose(x @ W1 @ W2, x @ (W1 @ W2))
    print(f"  without a bend, one layer W1 @ W2 {(W1 @ W2).shape} gives the same: {same}")
    same = np.allclose(relu(x @ W1) @ W2, x @ (W1 @ W2))
    print(f"  with ReLU between them, that layer gives the same: {same}")

    z = np.array([-4.0, -1.0, 0.0, 1.0, 4.0])
    print("z".ljust(18) + "".join(f"{number:8g}" for number in z))
    for name, (value, slope) in BENDS.items():
        print(name.ljust(18) + "".join(f"{number:8.3f}" for number in value(z)))
        print("  slope".ljust(18) + "".join(f"{number:8.3f}" for number in slope(z)))
    print(f"σ(−1000) = {sigmoid(-1000):g}, σ(1000) = {sigmoid(1000):g}: no overflow")

    largest = sigmoid_slope(np.linspace(-10, 10, 2001)).max()
    print(f"largest slope of sigmoid {largest:g}; of tanh and ReLU 1")
    print(
        f"through 20 sigmoids a ripple keeps at most {largest:g}^20 = {largest**20:.1e} of itself"
    )
    finish(draw(np.linspace(-5, 5, 401)), arguments)


if __name__ == "__main__":
    main()
