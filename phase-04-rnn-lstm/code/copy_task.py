"""The copy task: how long a network can keep what it has read.

    input     3 1 2 · · · · · · ? ? ?        three symbols, a wait, and three times "now"
    target    - - - - - - - - - 3 1 2        the three symbols again

Each symbol is one of four, drawn evenly, so nothing can be guessed: right by chance is ¼. During
the wait nothing happens, or, in the second race, other symbols come that must be ignored. What is
repeated at the end was carried through every step of the wait, and blame for a mistake must find
its way back through as many.

The cells have about the same number of parameters and the same number of training steps. Each is
trained anew for each wait, until fewer than 90% of the symbols are right. Two of the five differ
from another only in what they begin with: a W_h that is a rotation, which keeps all lengths, and a
forget gate with the bias b_f = 4, open to 98% instead of 73%.

Hochreiter & Schmidhuber 1997, "Long Short-Term Memory". Explained in ``notes/copy_task.md``. Run
``python phase-04-rnn-lstm/code/copy_task.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phase_01.initialization import initial_weights
from phase_02.layers import Linear, named
from phase_02.losses import SoftmaxCrossEntropy
from phase_02.optimizers import Adam, clip_gradients, warmup_cosine
from phase_04.gradient_flow import blame_by_distance
from phase_04.gru import GRU
from phase_04.lstm import LSTM
from phase_04.rnn import RNN, Recurrent
from shared.checks import check_count
from shared.plotting import BLUE, GRAY, GREEN, ORANGE, PINK
from shared.progress import progress
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

SYMBOLS, TO_KEEP = 4, 3  # how many different ones there are, and how many must be kept


def draw_batch(
    wait: int, count: int, rng: np.random.Generator, talk: bool = False
) -> tuple[Array, Array]:
    """Return inputs (count, T, 6), one-hot, and the symbols to repeat, (count, 3).

    T is 3 symbols, ``wait`` steps of "wait", and 3 steps of "now". With ``talk``, symbols are drawn
    for the steps of the wait too.
    """
    y = rng.integers(SYMBOLS, size=(count, TO_KEEP))
    signs = np.full((count, 2 * TO_KEEP + check_count("wait", wait)), SYMBOLS)
    if talk:
        signs[:] = rng.integers(SYMBOLS, size=signs.shape)
    signs[:, :TO_KEEP] = y
    signs[:, -TO_KEEP:] = SYMBOLS + 1
    return np.eye(SYMBOLS + 2, dtype=np.float32)[signs], y


def make_cell(name: str, rng: np.random.Generator) -> Recurrent:
    """Return one of the five contestants, each with about 4,000 parameters."""
    if name not in CONTESTANTS:
        raise ValueError(f"name: expected one of {CONTESTANTS}, got {name!r}: try 'GRU'")
    inputs = SYMBOLS + 2
    if name.startswith("RNN"):
        rnn = RNN(inputs, 60, rng, np.float32)
        if name == "RNN, random W_h":
            rnn.params["W_h"][...] = initial_weights(60, 60, "glorot", rng)
        return rnn
    if name == "GRU":
        return GRU(inputs, 33, rng, np.float32)
    lstm = LSTM(inputs, 28, rng, np.float32)
    lstm.params["b"][lstm.units : 2 * lstm.units] = 4 if name == "LSTM, b_f = 4" else 1
    return lstm


CONTESTANTS = ("RNN, random W_h", "RNN, rotation", "LSTM, b_f = 1", "LSTM, b_f = 4", "GRU")


def train_and_test(
    name: str, wait: int, talk: bool = False, steps: int = 1500, seed: int = 0
) -> float:
    """Return the share of symbols that a newly trained cell repeats right after a wait."""
    rng = np.random.default_rng(seed)
    cell = make_cell(name, rng)
    head = Linear(cell.units, SYMBOLS, rng, "glorot", np.float32)
    rate = 0.004 if isinstance(cell, RNN) else 0.01
    optimizer = Adam(cell.params | named("out", head.params), rate, beta2=0.99)
    loss = SoftmaxCrossEntropy()
    for step in range(check_count("steps", steps)):
        optimizer.learning_rate = warmup_cosine(step, steps, rate, steps // 20)
        x, y = draw_batch(wait, 32, rng, talk)
        states = cell.forward(x)
        loss.forward(head.forward(states[:, -TO_KEEP:, : cell.units]), y)
        dL_dh, out = head.backward(loss.backward())
        _, _, grads = cell.backward(cell.blame_of_outputs(dL_dh))
        optimizer.step(clip_gradients(grads | named("out", out), 1.0)[0])
    x, y = draw_batch(wait, 500, np.random.default_rng(seed + 1), talk)
    answers = head.forward(cell.forward(x)[:, -TO_KEEP:, : cell.units]).argmax(axis=-1)
    return float(np.mean(answers == y))


def draw(silence: dict[str, dict[int, float]], talk: dict[str, dict[int, float]]) -> Figure:
    """Draw the share of right symbols against the wait, in silence and while others talk."""
    figure = Figure(figsize=(9, 4))
    quiet, loud = figure.subplots(1, 2, width_ratios=[1.5, 1], sharey=True)
    colors = dict(zip(CONTESTANTS, (ORANGE, PINK, GRAY, BLUE, GREEN), strict=True))
    for name, shares in silence.items():
        quiet.plot(list(shares), list(shares.values()), "o-", color=colors[name], label=name)
    for shift, (name, shares) in enumerate(talk.items()):
        places = np.arange(len(shares)) + 0.16 * (shift - 2)
        loud.bar(places, list(shares.values()), 0.14, color=colors[name])
    loud.set_xticks(range(len(TALK)), [str(wait) for wait in TALK])
    loud.grid(axis="x", visible=False)
    for axes, title in (
        (quiet, "Nothing happens meanwhile"),
        (loud, "Other symbols come meanwhile"),
    ):
        axes.axhline(0.9, color="black", linestyle=":", linewidth=1)
        axes.axhline(1 / SYMBOLS, color="black", linestyle=":", linewidth=1)
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("steps of waiting")
        axes.set_title(title)
    quiet.text(29.5, 0.89, "90%", va="top")
    quiet.text(29.5, 1 / SYMBOLS - 0.01, "guessing", va="top")
    quiet.set_ylabel("share of three symbols right")
    quiet.legend(loc="center right", bbox_to_anchor=(1.0, 0.5), fontsize=9)
    figure.tight_layout()
    return figure


SILENCE, TALK = (30, 40, 60, 80), (20, 60)  # how long the waits are


def main() -> None:
    """See how blame comes through at the start, then race: in silence, and while others talk."""
    arguments = lesson_arguments(__doc__, __file__)
    print("untrained: of blame of length 1, what arrives 10 and 30 steps back")
    for name in CONTESTANTS:
        rng = np.random.default_rng(0)
        cell = make_cell(name, rng)
        norms = blame_by_distance(cell, draw_batch(60, 32, rng)[0], rng)
        size = sum(array.size for array in cell.params.values())
        print(f"  {name:14} {size:,} parameters  {norms[10]:.1e}  {norms[30]:.1e}")

    print(f"trained on 1,500 batches of 32: share of {TO_KEEP} of {SYMBOLS} symbols right after …")
    silence: dict[str, dict[int, float]] = {name: {} for name in CONTESTANTS}
    for name in progress(CONTESTANTS, "in silence"):
        for wait in SILENCE:
            silence[name][wait] = train_and_test(name, wait)
            if silence[name][wait] < 0.9:
                break
        shares = "  ".join(f"{wait}: {share:.1%}" for wait, share in silence[name].items())
        print(f"  {name:14} {shares}")
    print("the same while other symbols come, which must be ignored")
    talk: dict[str, dict[int, float]] = {}
    for name in progress(CONTESTANTS, "in talk"):
        talk[name] = {wait: train_and_test(name, wait, talk=True) for wait in TALK}
        shares = "  ".join(f"{wait}: {share:.1%}" for wait, share in talk[name].items())
        print(f"  {name:14} {shares}")
    finish(draw(silence, talk), arguments)


if __name__ == "__main__":
    main()
