"""A recurrent language model: three kinds of memory tell stories.

    e_t = E[id_t]                          (B, T, width)     look the token up
    state_t = cell(e_t, state_{t−1})       (B, T, S)         remember
    q_t = h_t W_o + b_o                    (B, T, width)     what should come next, as a place
    z_t = q_t Eᵀ + b                       (B, T, V)         how near each token lies to it: logits

E is (V, width), h_t the first C numbers of the state, W_o (C, width), b (V,). The same table E
looks tokens up and scores them: *tied* weights. It saves numbers, and E is blamed from both ends:
dL_dE is the sum of both.

Stories are unequally long. A batch is filled up on the right, and what is not real has no part in
the loss. Long rows are cut into pieces of ``steps_back`` steps. The state is carried from piece to
piece, the blame is not: *truncated* backpropagation through time. It costs less memory, and blame
reaches no further back than one piece.

Elman 1990, "Finding Structure in Time"; tied weights: Press & Wolf 2017, "Using the Output
Embedding to Improve Language Models". Explained in ``notes/language_models.md``. Run
``python phase-04-rnn-lstm/code/language_model.py``.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_00.softmax import log_softmax, softmax
from phase_02.layers import Arrays, Linear, check_blame, named
from phase_02.losses import SoftmaxCrossEntropy
from phase_02.optimizers import Adam, clip_gradients, warmup_cosine
from phase_03.embedding import Embedding
from phase_04.gru import GRU
from phase_04.lstm import LSTM
from phase_04.rnn import RNN, Recurrent
from shared.checks import check_array, check_count, check_labels
from shared.language_model import Ids, TextModel, Tokenizer, check_ids, make_row, pad, tell
from shared.plotting import BLUE, ORANGE, PINK, draw_smooth
from shared.probes import LUCK, PHENOMENA, accuracy, probes
from shared.progress import progress
from shared.script import finish, lesson_arguments
from shared.stories import stories
from shared.word_tokenizer import WordTokenizer

Array = NDArray[Any]

CELLS: dict[str, type[RNN] | type[GRU] | type[LSTM]] = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}


class RecurrentLM:
    """From ids to logits of the next id at every step.

    Parameters
    ----------
    cell
        ``"RNN"``, ``"LSTM"`` or ``"GRU"``.
    vocab_size
        V.
    width
        How many numbers stand for a token.
    units
        C, how many numbers come out of the cell.
    rng
        Where the first numbers come from.
    dtype
        Their precision.
    """

    def __init__(
        self,
        cell: str,
        vocab_size: int,
        width: int,
        units: int,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if cell not in CELLS:
            raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {cell!r}: try 'LSTM'")
        self.vocab_size = vocab_size
        self.q: Array = np.empty((0, 0, width))  # of the last forward pass: none yet
        self.embedding = Embedding(vocab_size, width, rng, dtype)
        self.embedding.params["W"] /= np.sqrt(width)  # so that logits begin with a size of about 1
        self.cell: Recurrent = CELLS[cell](width, units, rng, dtype)
        self.out = Linear(units, width, rng, "glorot", dtype)
        self.params = {
            "E": self.embedding.params["W"],
            "b": np.zeros(vocab_size, dtype),
            **named("cell", self.cell.params),
            **named("out", self.out.params),
        }

    def forward(self, ids: ArrayLike, start: ArrayLike | None = None) -> tuple[Array, Array]:
        """Read ids (B, T); returns logits (B, T, V), and the state after the last step (B, S)."""
        e = self.embedding.forward(ids)
        states = self.cell.forward(e, start)
        self.q = self.out.forward(states[..., : self.cell.units])
        return self.q @ self.params["E"].T + self.params["b"], states[:, -1]

    def backward(self, dL_dz: ArrayLike) -> Arrays:
        """Return the gradients of all parameters from the gradient of the logits."""
        E = self.params["E"]
        dL_dz = check_blame(dL_dz, (*self.q.shape[:-1], self.vocab_size))
        # z = q Eᵀ + b
        dL_dz_rows = dL_dz.reshape(-1, self.vocab_size)  # (B T, V)
        dL_dE = dL_dz_rows.T @ self.q.reshape(-1, E.shape[1])
        dL_dh, out = self.out.backward(dL_dz @ E)
        # q = h W_o + b_o, and h is the first part of the state
        dL_de, _, cell = self.cell.backward(self.cell.blame_of_outputs(dL_dh))
        # e = E[ids]: the table is used at both ends, so both blames count
        _, table = self.embedding.backward(dL_de)
        return {
            "E": dL_dE + table["W"],
            "b": dL_dz_rows.sum(axis=0),
            **named("cell", cell),
            **named("out", out),
        }

    def row_log_probabilities(self, rows: Sequence[Ids]) -> list[float]:
        """Return ln p of each row after its first id."""
        return row_log_probabilities(lambda ids: self.forward(ids)[0], rows, self.vocab_size)

    def next_probabilities(self, row: Ids) -> Array:
        """Return p of each token after a row of at least one: (V,)."""
        return softmax(self.forward(row[None])[0][0, -1])

    @property
    def parameters(self) -> int:
        """How many numbers training adjusts."""
        return sum(array.size for array in self.params.values())


def row_log_probabilities(
    logits: Callable[[Ids], Array], rows: Sequence[Ids], vocab_size: int, at_once: int = 100
) -> list[float]:
    """Return ln p of each row after its first id.

    Parameters
    ----------
    logits
        The model: from ids (B, T) to logits (B, T, V) of the id after each.
    rows
        Rows of ids, unequally long.
    vocab_size
        V.
    at_once
        How many rows go through the model together.
    """
    check_count("at_once", at_once)
    sums: list[float] = []
    rows = [check_ids("row", row, vocab_size) for row in rows]
    for first in range(0, len(rows), at_once):
        table, real = pad(rows[first : first + at_once], filler=0)
        if table.shape[1] == 1:
            sums += [0.0] * len(table)
            continue
        log_p = log_softmax(logits(table[:, :-1]))
        after = np.take_along_axis(log_p, table[:, 1:, None], axis=2)[..., 0]
        sums += np.where(real[:, 1:], after, 0).sum(axis=1).tolist()
    return sums


def next_id_loss(z: Array, ids: Ids, counts: NDArray[np.bool_]) -> tuple[float, Array]:
    """Return the loss of predicting ids, and the blame for the logits.

    Parameters
    ----------
    z
        Logits, (B, T, V).
    ids
        What comes after each place, (B, T).
    counts
        Which of them have a part in the loss, (B, T): what only fills up a row has none.

    Returns
    -------
    tuple
        The average surprise in nats over all that count, and its gradient dL_dz (B, T, V).

    Raises
    ------
    ValueError
        If the shapes differ, an id is unknown, ``counts`` holds no truth values, or nothing counts.
    """
    z = check_array("z", z, ("B", "T", "V"), "give the logits of a language model")
    ids = check_labels("ids", ids, z.shape[:2], z.shape[2])
    counts = np.asarray(counts)
    if counts.dtype != bool or counts.shape != z.shape[:2] or not counts.any():
        raise ValueError(
            f"counts: expected True and False of shape {z.shape[:2]}, some of them True, got "
            f"{counts.dtype} of shape {counts.shape}: say which ids are real"
        )
    loss = SoftmaxCrossEntropy()
    value = loss.forward(z[counts], ids[counts])
    dL_dz = np.zeros_like(z)
    dL_dz[counts] = loss.backward()
    return value, dL_dz


def loss_and_gradients(
    model: RecurrentLM, ids: Ids, real: NDArray[np.bool_], start: Array | None = None
) -> tuple[float, Arrays, Array]:
    """Predict each id from those before it, in rows of which only a part is real.

    Parameters
    ----------
    ids, real
        Rows filled up on the right, (B, T + 1), and which entries are real.
    start
        The state before the first id, if the rows go on from an earlier piece.

    Returns
    -------
    tuple
        The loss over all real predictions, the gradients, and the last state (B, S).
    """
    z, last = model.forward(ids[:, :-1], start)
    value, dL_dz = next_id_loss(z, ids[:, 1:], real[:, 1:])
    return value, model.backward(dL_dz), last


def train(
    model: RecurrentLM,
    rows: Sequence[Ids],
    steps: int,
    rng: np.random.Generator,
    batch_size: int = 32,
    steps_back: int = 64,
    learning_rate: float = 0.01,
) -> list[float]:
    """Train on rows drawn at random; returns the loss of each step.

    Each step takes one piece of ``steps_back`` ids of all rows of a batch. Gradients are clipped to
    length 1, the learning rate falls in half a cosine.
    """
    check_count("steps", steps)
    check_count("steps_back", steps_back)
    check_count("batch_size", batch_size)
    rows = [row for row in rows if len(row) > 1]
    if not rows:
        raise ValueError("rows: expected some of two ids or more, got none: nothing to predict")
    optimizer = Adam(model.params, learning_rate, beta2=0.99)
    losses: list[float] = []
    bar = iter(progress(range(steps), f"training {type(model.cell).__name__}"))
    while len(losses) < steps:
        drawn = rng.integers(len(rows), size=batch_size)
        ids, real = pad([rows[i] for i in drawn], filler=0)
        state = None
        for first in range(0, ids.shape[1] - 1, steps_back):
            piece = slice(first, first + steps_back + 1)
            if len(losses) == steps or not real[:, piece][:, 1:].any():
                break
            optimizer.learning_rate = warmup_cosine(next(bar), steps, learning_rate, steps // 20)
            value, grads, state = loss_and_gradients(model, ids[:, piece], real[:, piece], state)
            optimizer.step(clip_gradients(grads, 1.0)[0])
            losses.append(value)
    return losses


SIZES = {"RNN": (16, 60), "LSTM": (16, 28), "GRU": (16, 32)}  # width and units: below 10,000 each


def train_on_stories(
    cell: str, texts: Sequence[str], tokenizer: Tokenizer, steps: int = 1500
) -> tuple[RecurrentLM, list[float]]:
    """Train one of the three cells on stories; returns the model and its losses."""
    rng = np.random.default_rng(0)
    model = RecurrentLM(cell, tokenizer.vocab_size, *SIZES[cell], rng)
    rows = [make_row(tokenizer, text) for text in texts]
    return model, train(model, rows, steps, rng)


def draw(losses: dict[str, list[float]], probed: dict[str, dict[str, float]]) -> Figure:
    """Draw the training losses, and the share of probes that each cell passes."""
    figure = Figure(figsize=(8, 3.6))
    training, bars = figure.subplots(1, 2)
    colors = dict(zip(CELLS, (ORANGE, PINK, BLUE), strict=True))
    for name, values in losses.items():
        draw_smooth(training, values, 50, color=colors[name], label=name)
    training.set_xlabel("step")
    training.set_ylabel("nats per token, average of 50")
    training.set_ylim(1, 2.2)
    training.set_title("Training")
    training.legend()
    for shift, (name, shares) in enumerate(probed.items()):
        places = np.arange(len(shares)) + 0.27 * (shift - 1)
        bars.bar(places, list(shares.values()), 0.25, color=colors[name])
    for place, phenomenon in enumerate(PHENOMENA):
        bars.plot([place - 0.45, place + 0.45], [LUCK[phenomenon]] * 2, ":", color="black")
    bars.plot([], [], ":", color="black", label="luck")
    bars.legend()
    bars.set_xticks(range(len(PHENOMENA)), PHENOMENA, fontsize=9)
    bars.grid(axis="x", visible=False)
    bars.set_ylim(0, 1)
    bars.set_ylabel("share of probes passed")
    bars.set_title("What they know")
    figure.tight_layout()
    return figure


def main() -> None:
    """Train three cells on stories, ask what they know, and let them tell."""
    arguments = lesson_arguments(__doc__, __file__)
    texts = [story.text for story in stories("train", 0, 20_000)]
    told, asked = list(stories("validation", 0, 500)), probes("validation", 100)
    tokenizer = WordTokenizer.learn(texts, vocab_size=1000)
    losses, probed, samples = {}, {}, []
    print(f"V = {tokenizer.vocab_size}; 1,500 steps of 32 rows and up to 64 ids")
    print(f"                  bits/character   {'  '.join(PHENOMENA)}")
    for cell in CELLS:
        model, losses[cell] = train_on_stories(cell, texts, tokenizer)
        texts_of = TextModel(tokenizer, model.row_log_probabilities)
        score = texts_of.score(told)
        probed[cell] = accuracy(texts_of.beginning, asked)
        shares = "  ".join(f"{share:{len(name)}.0%}" for name, share in probed[cell].items())
        print(
            f"  {cell:4} {model.parameters:,} parameters  {score.bits_per_character:.3f}   {shares}"
        )
        samples.append(
            f"{cell}: {tell(model.next_probabilities, tokenizer, np.random.default_rng(0))}"
        )
    print(f"  floor                  {score.floor:.3f}")
    print("\n".join(samples))
    finish(draw(losses, probed), arguments)


if __name__ == "__main__":
    main()
