"""Training by nudging: learning works, and why nobody can train a large network so.

    for each parameter θ_i:   ∂L/∂θ_i ≈ (L(θ_i + h) − L(θ_i)) / h
    then for each of them:    θ_i ← θ_i − η ∂L/∂θ_i

θ are all weights and biases, P numbers together; L is the loss, a number; h is the nudge and η the
learning rate. This is gradient descent with the slopes of phase 0. Turn each knob of the mixing
board a little, listen whether the sound gets better, turn it back; when all knobs have been tried,
move them all.

One step listens P + 1 times, and each time the whole network runs, which takes about P
multiplications for every example. So the work of one step grows with P². Ten times the knobs take a
hundred times as long.

Worked out in ``notes/cost_of_nudging.md``. Run
``python phase-01-neural-networks/code/train_by_nudging.py``.
"""

import time
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_01.activations import tanh
from phase_01.losses import binary_cross_entropy
from phase_01.mlp import MLP
from phase_01.perceptron import INPUTS, TARGETS
from shared.checks import check_array, check_number
from shared.plotting import BLUE, GRAY, ORANGE
from shared.progress import progress
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

GPT2_PARAMETERS = 124_439_808
YEAR = 365.25 * 24 * 3600  # in seconds


def loss(network: MLP, x: Array, y: Array) -> float:
    """Return the binary cross-entropy of the network's logits at x (N, inputs) for y (N,)."""
    return binary_cross_entropy(network.forward(x)[:, 0], y)


def nudge_step(network: MLP, x: Array, y: Array, learning_rate: float, h: float = 1e-6) -> float:
    """Move every parameter once, downhill by its nudged slope.

    Parameters
    ----------
    network
        Has one output; its parameters are changed in place.
    x, y
        Examples (N, inputs), and answers 0 or 1 (N,).
    learning_rate, h
        How far the step goes, and how far a nudge; both above 0.

    Returns
    -------
    float
        The loss before the step.

    Raises
    ------
    ValueError
        If a shape does not fit, a number is not finite or an answer not 0 or 1, or if the learning
        rate or h is not above 0.
    """
    check_number("learning_rate", learning_rate, 0)
    check_number("h", h, 0)
    before = loss(network, x, y)
    slopes = []
    for array in network.parameters():
        slope = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + h
            slope[index] = (loss(network, x, y) - before) / h
            array[index] = kept
        slopes.append(slope)
    for array, slope in zip(network.parameters(), slopes, strict=True):
        array -= learning_rate * slope
    return before


def seconds_per_step(width: int, examples: int = 64) -> tuple[int, float]:
    """Measure one step of a network 16–width–width–1: its parameters, and the seconds.

    Of the P + 1 losses only 40 are computed, and counted up, so that large networks can be measured
    too. The fastest of five such rounds counts: what is slower was disturbed.
    """
    rng = np.random.default_rng(0)
    network = MLP([16, width, width, 1], tanh, rng, scheme="glorot")
    x, y = rng.normal(size=(examples, 16)), rng.integers(2, size=examples)
    nudges, rounds = 40, []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(nudges):
            network.weights[0][0, 0] += 1e-6
            loss(network, x, y)
        rounds.append((time.perf_counter() - start) / nudges)
    return network.n_parameters(), min(rounds) * (network.n_parameters() + 1)


def extrapolate(parameters: ArrayLike, seconds: ArrayLike, target: float) -> tuple[float, float]:
    """Continue measured times to a larger network, in a straight line on doubly logarithmic paper.

    The line has slope 2, because the work grows with P², and passes through the largest network
    measured.

    Returns
    -------
    tuple
        The seconds for ``target`` parameters, and the slope between the two largest measured.

    Raises
    ------
    ValueError
        If there are fewer than two measurements, or one is not above 0.
    """
    parameters = check_array("parameters", parameters, ("M",), "give the sizes measured")
    seconds = check_array("seconds", seconds, parameters.shape, "give one time per size")
    if len(parameters) < 2 or min(parameters.min(), seconds.min()) <= 0:
        raise ValueError("seconds: expected two or more, all above 0: measure more networks")
    slope = np.log(seconds[-1] / seconds[-2]) / np.log(parameters[-1] / parameters[-2])
    return float(seconds[-1] * (target / parameters[-1]) ** 2), float(slope)


def draw(parameters: Array, seconds: Array) -> Figure:
    """Draw measured times and the line that leads from them to GPT-2."""
    figure = Figure()
    axes = figure.subplots()
    far, _ = extrapolate(parameters, seconds, GPT2_PARAMETERS)
    line = np.array([parameters[-1], GPT2_PARAMETERS])
    axes.loglog(line, [seconds[-1], far], "--", color=GRAY)
    axes.loglog(parameters, seconds, "o", color=BLUE, label="measured")
    axes.loglog(GPT2_PARAMETERS, far, "*", color=ORANGE, markersize=14, label="GPT-2 small")
    for name, height in (
        ("a second", 1.0),
        ("a day", 86400.0),
        ("a year", YEAR),
        ("a life", 80 * YEAR),
    ):
        axes.axhline(height, color=GRAY, linewidth=0.8, linestyle=":")
        axes.text(150, height * 1.3, name, color=GRAY)
    axes.annotate(
        f"{far / YEAR:.1f} years",
        (GPT2_PARAMETERS, far),
        xytext=(-12, 4),
        textcoords="offset points",
        ha="right",
        color=ORANGE,
    )
    axes.set_xlabel("parameters")
    axes.set_ylabel("seconds for one step")
    axes.set_title("Ten times the knobs, a hundred times the wait")
    axes.legend(loc="lower right")
    return figure


def main() -> None:
    """Learn XOR by nudging, then measure how long larger networks would take."""
    arguments = lesson_arguments(__doc__, __file__)

    network = MLP([2, 4, 1], tanh, np.random.default_rng(0), scheme="glorot")
    y = np.array(TARGETS["XOR"])
    print(f"XOR, MLP 2–4–1, {network.n_parameters()} parameters: 18 losses for each step")
    for step in range(501):
        before = nudge_step(network, INPUTS, y, learning_rate=1.0)
        if step in (0, 100, 500):
            print(f"  step {step:3}  loss {before:.4f} nats")
    answers = (network.forward(INPUTS)[:, 0] > 0).astype(int)
    print(f"  answers {answers.tolist()}, targets {y.tolist()}")

    widths = (8, 32, 128, 512, 1024)
    measured = np.array([seconds_per_step(width) for width in progress(widths, "measuring")])
    print("one step of nudging, 64 examples (times are this machine's)")
    for parameters, seconds in measured:
        print(f"  {int(parameters):>9,} parameters  {seconds:12.4f} s")
    far, slope = extrapolate(measured[:, 0], measured[:, 1], GPT2_PARAMETERS)
    print(f"  time grows as parameters^{slope:.2f} at the end; counting says 2")
    print(f"  {GPT2_PARAMETERS:,} parameters: {far / YEAR:.1f} years for one step")
    finish(draw(measured[:, 0], measured[:, 1]), arguments)


if __name__ == "__main__":
    main()
