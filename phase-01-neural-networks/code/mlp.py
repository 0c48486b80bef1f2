"""The multi-layer perceptron: mix, bend, mix, bend, mix.

    a₀ = x                      (N, sizes[0])
    z_l = a_(l−1) @ W_l + b_l   (N, sizes[l])
    a_l = bend(z_l)             same shape; the last layer does not bend
    output = z_last             (N, sizes[-1])

N is the number of examples, W_l (sizes[l−1], sizes[l]) and b_l (sizes[l],) the weights and biases
of layer l. Without the bend all layers together are one matrix, and one line is all they can draw.

With ReLU every unit bends the output along one line, its hinge. With one input, H units make a
polyline with up to H corners; put the corners on a curve and you can follow it as closely as you
like. That is universal approximation, by hand. It says that good weights exist. How to find them,
and how many units are needed, it does not say.

Cybenko 1989, "Approximation by Superpositions of a Sigmoidal Function". Worked by hand in
``notes/universal_approximation.md``. Run ``python phase-01-neural-networks/code/mlp.py``.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_01.activations import relu
from phase_01.initialization import initial_weights
from shared.checks import check_array, check_number
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


class MLP:
    """A network of fully connected layers.

    Parameters
    ----------
    sizes
        Numbers per example at the input, in each hidden layer, and at the output.
    activation
        The bend between layers.
    rng
        Where the first weights come from; the biases start at 0.
    scheme
        How large the first weights are; see ``phase_01.initialization``.

    Attributes
    ----------
    weights, biases
        One array per layer, (inputs, outputs) and (outputs,).

    Raises
    ------
    ValueError
        If there are fewer than two sizes, one is not a whole number of at least 1, or the scheme is
        unknown.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Callable[[Array], Array],
        rng: np.random.Generator,
        scheme: str = "he",
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(
                f"sizes: expected at least two, got {list(sizes)}: "
                "give the inputs and the outputs, such as [2, 8, 1]"
            )
        pairs = list(pairwise(sizes))
        self.weights = [initial_weights(inputs, outputs, scheme, rng) for inputs, outputs in pairs]
        self.biases = [np.zeros(outputs) for _, outputs in pairs]
        self.activation = activation

    def forward(self, x: ArrayLike) -> Array:
        """Map (N, sizes[0]) to (N, sizes[-1]).

        Raises
        ------
        ValueError
            If x has another shape, no examples, or a number that is not finite.
        """
        remedy = "give one row per example, as wide as the first layer"
        a = check_array("x", x, ("N", len(self.weights[0])), remedy)
        for W, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            a = self.activation(a @ W + b)
        return a @ self.weights[-1] + self.biases[-1]

    def parameters(self) -> list[Array]:
        """Return ``[W0, b0, W1, b1, …]``, the arrays themselves: change them, and it learns."""
        return [array for pair in zip(self.weights, self.biases, strict=True) for array in pair]

    def n_parameters(self) -> int:
        """Return how many numbers training adjusts."""
        return sum(array.size for array in self.parameters())


def follow_curve(curve: Callable[[Array], Array], units: int) -> MLP:
    """Set the weights of a network 1–``units``–1 by hand so that it follows a curve on 0…1.

    The hinges stand evenly from 0 on. The first piece gets the slope of the curve's first chord;
    each further hinge adds what the slope changes there.

    Parameters
    ----------
    curve
        From places (M,) to heights (M,).
    units
        How many hinges.

    Raises
    ------
    ValueError
        If units is not a whole number of at least 1, or the curve gives another shape or a number
        that is not finite.
    """
    network = MLP([1, units, 1], relu, np.random.default_rng(0), "zero")
    corners = np.linspace(0, 1, units + 1)
    heights = check_array("curve(corners)", curve(corners), corners.shape, "one height per place")
    slopes = np.diff(heights) / np.diff(corners)  # of the chords, (units,)
    network.weights[0][...] = 1.0
    network.biases[0][...] = -corners[:-1]
    network.weights[1][:, 0] = np.diff(slopes, prepend=0.0)  # how much the line turns
    network.biases[1][...] = heights[0]
    return network


def linear_regions(network: MLP, low: float, high: float, places: int = 10_001) -> int:
    """Count the straight pieces of a network with one input, between ``low`` and ``high``.

    A piece ends where some hidden unit switches on or off; between switches everything is linear.

    Raises
    ------
    ValueError
        If the network has another number of inputs, or high is not above low.
    """
    check_number("high", high, low)
    a = np.linspace(low, high, places + 2)[1:-1, None]  # a hinge at the very end parts nothing
    check_array("x", a, ("N", len(network.weights[0])), "give a network with one input")
    patterns = []
    for W, b in zip(network.weights[:-1], network.biases[:-1], strict=True):
        z = a @ W + b
        patterns.append(z > 0)
        a = network.activation(z)
    on = np.concatenate(patterns, axis=1)  # (places, all hidden units)
    return 1 + int((on[1:] != on[:-1]).any(axis=1).sum())


def wave(x: Array) -> Array:
    """Return the curve to follow: a wave that quickens."""
    return np.sin(2 * np.pi * x**2 * 1.5)


def largest_gap(network: MLP) -> float:
    """Return how far a network is from `wave` at its worst place on 0…1."""
    x = np.linspace(0, 1, 2001)
    return float(np.abs(network.forward(x[:, None])[:, 0] - wave(x)).max())


def draw(units: list[int]) -> Figure:
    """Draw a curve and the networks that follow it, with more and more units."""
    figure = Figure(figsize=(7.5, 3.2))
    x = np.linspace(0, 1, 401)
    for axes, count in zip(figure.subplots(1, len(units), sharey=True), units, strict=True):
        network = follow_curve(wave, count)
        axes.plot(x, wave(x), color=GRAY, linewidth=4, alpha=0.5)
        axes.plot(x, network.forward(x[:, None])[:, 0], color=ORANGE)
        corners = np.linspace(0, 1, count + 1)[:-1]
        if count <= 16:
            axes.plot(corners, wave(corners), "o", color=BLUE, markersize=4)
        axes.set_title(f"{count} units: gap {largest_gap(network):.2g}")
        axes.set_xlabel("x")
    figure.suptitle("More hinges follow the curve more closely", x=0.06, ha="left")
    figure.tight_layout()
    return figure


def main() -> None:
    """Look at the shapes inside, and follow a curve with more and more hinges."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)

    network = MLP([2, 8, 8, 1], relu, rng)
    a = rng.normal(size=(5, 2))
    print(f"MLP 2–8–8–1, {network.n_parameters()} parameters; 5 examples go through")
    for W, b in zip(network.weights, network.biases, strict=True):
        print(f"  {a.shape} @ {W.shape} + {b.shape} → {(a @ W + b).shape}")
        a = relu(a @ W + b)

    print("a curve followed by ReLU units with weights set by hand")
    for count in (4, 16, 64, 256):
        network = follow_curve(wave, count)
        print(
            f"  {count:3} units: {linear_regions(network, 0.0, 1.0):3} straight pieces,"
            f" largest gap {largest_gap(network):.5f}"
        )
    finish(draw([4, 16, 64]), arguments)


if __name__ == "__main__":
    main()
