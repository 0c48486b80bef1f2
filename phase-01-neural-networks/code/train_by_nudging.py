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
from shared.checks import check_array, check_count, check_number
from shared.plotting import BLUE, GRAY, GREEN, ORANGE
from shared.progress import progress
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

GPT2_PARAMETERS = 124_439_808
YEAR = 365.25 * 24 * 3600  # in seconds
WIDTHS = (8, 32, 128, 512, 1024)
WHOLE_WIDTH = 128  # of the network whose step is timed whole


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


def example_task(width: int, examples: int = 64) -> tuple[MLP, Array, Array]:
    """Return a network 16–width–width–1, examples (N, 16) and answers 0 or 1 (N,), all random."""
    check_count("examples", examples)
    rng = np.random.default_rng(0)
    network = MLP([16, width, width, 1], tanh, rng, scheme="glorot")
    return network, rng.normal(size=(examples, 16)), rng.integers(2, size=examples)


def seconds_per_step(width: int, examples: int = 64) -> tuple[int, float]:
    """Measure one step of the network of `example_task`: its parameters, and the seconds.

    Of the P + 1 losses only 40 are computed, and counted up, so that large networks can be measured
    too. The fastest of five such rounds counts: what is slower was disturbed.

    Raises
    ------
    ValueError
        If width or examples is not a whole number of at least 1.
    """
    network, x, y = example_task(width, examples)
    nudges, rounds = 40, []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(nudges):
            network.weights[0][0, 0] += 1e-6
            loss(network, x, y)
        rounds.append((time.perf_counter() - start) / nudges)
    return network.n_parameters(), min(rounds) * (network.n_parameters() + 1)


def growth(parameters: ArrayLike, seconds: ArrayLike) -> float:
    """Return with which power of the parameters the seconds grow, between the two largest networks.

    In small networks Python's own work hides the growth, so they are left out.

    Parameters
    ----------
    parameters, seconds
        Sizes, each larger than the one before, and the time of one step for each, (M,).

    Raises
    ------
    ValueError
        If there are fewer than two sizes, they do not grow, or a time is not above 0.
    """
    parameters = check_array("parameters", parameters, ("M",), "give the sizes measured")
    seconds = check_array("seconds", seconds, parameters.shape, "give one time per size")
    if len(parameters) < 2 or parameters[0] <= 0 or np.diff(parameters).min() <= 0:
        raise ValueError(
            f"parameters: expected two or more that grow from above 0, got {parameters}: "
            "measure networks of several sizes, the smallest first"
        )
    if seconds.min() <= 0:
        raise ValueError(f"seconds: expected times above 0, got {seconds.min():g}: measure longer")
    return float(np.log(seconds[-1] / seconds[-2]) / np.log(parameters[-1] / parameters[-2]))


def years_per_step(parameters: float, seconds: float, target: float = GPT2_PARAMETERS) -> float:
    """Return the years of one step for ``target`` parameters, from the seconds for fewer.

    The work grows with the square, P losses of P multiplications each.

    Raises
    ------
    ValueError
        If a number is not above 0.
    """
    parameters = check_number("parameters", parameters, 0)
    scale = check_number("target", target, 0) / parameters
    return check_number("seconds", seconds, 0) * scale**2 / YEAR


def draw(parameters: Array, seconds: Array, whole: tuple[int, float]) -> Figure:
    """Draw the times and the line that leads from them to GPT-2; ``whole`` is one timed in full."""
    figure = Figure()
    axes = figure.subplots()
    years = years_per_step(parameters[-1], seconds[-1])
    far = years * YEAR
    line = np.array([parameters[-1], GPT2_PARAMETERS])
    axes.loglog(line, [seconds[-1], far], "--", color=GRAY)
    axes.loglog(parameters, seconds, "o", color=BLUE, label="40 losses timed, counted up")
    axes.loglog(*whole, "o", mfc="none", mec=GREEN, markersize=12, label="a whole step timed")
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
        f"{years:.1f} years",
        (GPT2_PARAMETERS, far),
        xytext=(-12, 9),
        textcoords="offset points",
        ha="right",
        color=ORANGE,
    )
    axes.set_ylim(1e-3, 3e10)
    axes.set_xlabel("parameters")
    axes.set_ylabel("seconds for one step")
    axes.set_title("Ten times the knobs, a hundred times the wait")
    axes.legend(loc="lower right", frameon=True, framealpha=1, edgecolor="none")
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

    measured = np.array([seconds_per_step(width) for width in progress(WIDTHS, "measuring")])
    parameters, seconds = measured.T
    print("one step of nudging, 64 examples: 40 losses timed and counted up (this machine's times)")
    for count, time_of_one in measured:
        print(f"  {int(count):>9,} parameters  {time_of_one:12.4f} s")
    network, x, y = example_task(WHOLE_WIDTH)
    start = time.perf_counter()
    nudge_step(network, x, y, learning_rate=0.1)
    whole = network.n_parameters(), time.perf_counter() - start
    print(f"  {whole[0]:>9,} parameters  {whole[1]:12.4f} s  not counted up: a whole step, timed")
    print(
        f"  time grows as parameters^{growth(parameters, seconds):.2f} at the end; counting says 2"
    )
    years = years_per_step(parameters[-1], seconds[-1])
    print(f"  {GPT2_PARAMETERS:,} parameters: {years:.1f} years for one step")
    print(
        "and learning takes tens of thousands of steps: slopes must come cheaper than one loss each"
    )
    finish(draw(parameters, seconds, whole), arguments)


if __name__ == "__main__":
    main()
