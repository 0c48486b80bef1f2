"""Gradient flow: how much of the blame for the last step arrives d steps earlier.

    dL_dh_{T−d} = dL_dh_T · (step T) · (step T − 1) · …        one matrix for each step in between
    plain network near h = 0: each step multiplies by W_hᵀ     after d steps about ρᵈ is left

h is (B, C), W_h (C, C). ρ is the *spectral radius* of W_h: the size of its largest eigenvalue, the
factor by which W_h stretches in the long run. ρ = 0.5 leaves 0.5⁵⁰ = 9e-16 after fifty steps: the
gradient *vanishes*. ρ = 1.5 makes 1.5⁵⁰ = 6e8 of it: it *explodes*.

An exploding gradient throws the weights far away in a single step. Clipping shortens it: its
direction stays, its length is cut to a limit. A vanishing gradient cannot be helped so; what has
not arrived cannot be made longer. It takes another kind of memory.

Bengio, Simard & Frasconi 1994, "Learning long-term dependencies with gradient descent is
difficult"; Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural
networks". Derived in ``notes/gradient_flow.md``. Run
``python phase-04-rnn-lstm/code/gradient_flow.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_02.layers import Linear, named
from phase_02.losses import SoftmaxCrossEntropy
from phase_02.optimizers import SGD, clip_gradients
from phase_04.gru import GRU
from phase_04.lstm import LSTM
from phase_04.rnn import RNN, Recurrent
from shared.checks import check_array, check_number
from shared.plotting import BLUE, GRAY, GREEN, ORANGE, PINK
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def with_radius(layer: RNN, radius: float, rng: np.random.Generator) -> RNN:
    """Give a plain layer random W_h whose largest eigenvalue has the size ``radius``."""
    W_h = rng.normal(size=layer.params["W_h"].shape)
    largest = np.abs(np.linalg.eigvals(W_h)).max()
    layer.params["W_h"][...] = W_h * (check_number("radius", radius, 0) / largest)
    return layer


def blame_by_distance(layer: Recurrent, x: ArrayLike, rng: np.random.Generator) -> Array:
    """Return ‖dL_dstate‖ at 0, 1, … T steps before the end, for random blame of length 1.

    The layer is started again from each of its own states: the gradient for that start is what
    arrives there.

    Parameters
    ----------
    x
        One batch of sequences, (B, T, inputs).

    Returns
    -------
    Array
        The average over the batch, (T + 1,).
    """
    x = check_array("x", x, ("B", "T", layer.inputs), "give sequences for this layer")
    B, T, _ = x.shape
    states = np.concatenate([np.zeros((B, 1, layer.state_size)), layer.forward(x)], axis=1)
    c = rng.normal(size=(B, layer.units))
    c /= np.linalg.norm(c, axis=1, keepdims=True)
    norms = [1.0]
    for distance in range(1, T + 1):
        layer.forward(x[:, T - distance :], states[:, T - distance])
        _, dL_dstart, _ = layer.backward(layer.blame_of_outputs(c[:, None]))
        norms.append(float(np.linalg.norm(dL_dstart, axis=1).mean()))
    return np.array(norms)


def train_first_bit(
    radius: float, limit: float, rng: np.random.Generator, steps: int = 200, T: int = 20
) -> tuple[list[float], list[float]]:
    """Train a plain network to name the first input after T steps.

    Parameters
    ----------
    limit
        The gradient is clipped to this length.

    Returns
    -------
    tuple
        The loss of each step, and the length of its gradient before clipping.
    """
    layer, head = with_radius(RNN(1, 20, rng), radius, rng), Linear(20, 2, rng)
    params = layer.params | named("out", head.params)
    optimizer, loss = SGD(params, 0.5), SoftmaxCrossEntropy()
    losses, lengths = [], []
    for _ in range(steps):
        bits = rng.integers(2, size=32)
        x = np.zeros((32, T, 1))
        x[:, 0, 0] = 2.0 * bits - 1
        states = layer.forward(x)
        losses.append(loss.forward(head.forward(states[:, -1]), bits))
        dL_dlast, head_grads = head.backward(loss.backward())
        _, _, grads = layer.backward(layer.blame_of_outputs(dL_dlast[:, None]))
        clipped, length = clip_gradients(grads | named("out", head_grads), limit)
        lengths.append(length)
        optimizer.step(clipped)
    return losses, lengths


def draw(
    radii: dict[float, Array], cells: dict[str, Array], runs: dict[str, list[float]]
) -> Figure:
    """Draw the gradient against distance, for three radii and for three cells, and clipping."""
    figure = Figure(figsize=(9, 3.6))
    plain, gated, clipping = figure.subplots(1, 3)
    for (radius, norms), color in zip(radii.items(), (BLUE, GREEN, ORANGE), strict=True):
        plain.semilogy(norms, color=color, label=f"ρ = {radius:g}")
        plain.semilogy(radius ** np.arange(len(norms)), ":", color=GRAY)
    plain.set_xlabel("steps back")
    plain.set_ylabel("length of the gradient")
    plain.set_title("Plain, dotted: ρᵈ")
    plain.legend()
    for (name, norms), color in zip(cells.items(), (ORANGE, BLUE, PINK), strict=True):
        gated.semilogy(norms, color=color, label=name)
    gated.set_xlabel("steps back")
    gated.set_title("Three cells, untrained")
    gated.legend()
    for (name, losses), color in zip(runs.items(), (ORANGE, BLUE), strict=True):
        clipping.plot(losses, color=color, linewidth=1.2, label=name)
    clipping.set_xlabel("training step")
    clipping.set_ylabel("loss in nats")
    clipping.set_title("Name the first input (seed 2)")
    clipping.set_ylim(-0.2, 6.5)
    clipping.legend(fontsize=9)
    figure.tight_layout()
    return figure


def main() -> None:
    """Follow blame back through fifty steps, and cut it where it explodes."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)
    x = 1e-12 * rng.normal(size=(16, 50, 20))  # so small that tanh stays a straight line
    print(f"plain network, 20 units, x {x.shape} near 0: blame of length 1, 50 steps back")
    radii = {}
    for radius in (0.5, 1.0, 1.5):
        layer = with_radius(RNN(20, 20, rng), radius, rng)
        radii[radius] = blame_by_distance(layer, x, rng)
        print(
            f"  ρ = {radius:<3g}  arrives {radii[radius][-1]:.1e}   theory ρ⁵⁰ = {radius**50:.1e}"
        )

    x = rng.normal(size=(16, 50, 20))
    print(f"x {x.shape} of size 1, weights as they begin: 10, 50 steps back")
    cells = {}
    for kind in (RNN, LSTM, GRU):
        cells[kind.__name__] = blame_by_distance(kind(20, 20, rng), x, rng)
        print(
            f"  {kind.__name__:4}  {cells[kind.__name__][10]:.1e}  {cells[kind.__name__][50]:.1e}"
        )

    runs = {}
    print("name the first of 20 inputs, plain network, ρ = 1.5, SGD with η = 0.5, seeds 0 to 39")
    for name, limit in (("not clipped", 1e9), ("clipped to 1", 1.0)):
        results = [train_first_bit(1.5, limit, np.random.default_rng(seed)) for seed in range(40)]
        learned = sum(np.mean(losses[-20:]) < 0.1 for losses, _ in results)
        longest = float(np.median([max(lengths) for _, lengths in results]))
        runs[name] = results[2][0]
        print(
            f"  {name:12}  {learned} of 40 runs learn it; longest gradient {longest:.0f} (median)"
        )
    finish(draw(radii, cells, runs), arguments)


if __name__ == "__main__":
    main()
