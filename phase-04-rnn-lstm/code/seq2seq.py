"""Sequence to sequence: read a string to its end, then write another.

    encoder    reads the source; its state after the last real step is all that is handed over
    decoder    starts from that state; at each step it is given the id before and predicts the next
    greedy     take the likeliest id, at every step
    beam       keep the k likeliest beginnings, continue each in every way, keep the k likeliest

Sources (B, R) and targets (B, T) are unequally long and filled up on the right. The encoder's
states are (B, R, state_size); row b hands over the one at its own end. In training the decoder is
given the right id before each place, whatever it would have said itself: *teacher forcing*.

ln p(target) = Σ_t ln p(id_t | source, ids before): a number. Greedy decoding makes each term as
large as it can, one after the other. The sum may still be smaller than that of a sequence that
begins with a less likely id. Beam search looks at k of them.

Sutskever, Vinyals & Le 2014, "Sequence to Sequence Learning with Neural Networks". Explained in
``notes/seq2seq.md``. Run ``python phase-04-rnn-lstm/code/seq2seq.py``.
"""

import datetime
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import DTypeLike, NDArray

from phase_00.softmax import log_softmax
from phase_02.layers import Arrays, Linear, named
from phase_02.optimizers import Adam, clip_gradients, warmup_cosine
from phase_03.embedding import Embedding
from phase_04.language_model import CELLS, next_id_loss
from shared.checks import check_count
from shared.language_model import Ids, check_ids, pad
from shared.plotting import BLUE, GRAY, ORANGE, PINK, draw_smooth
from shared.progress import progress
from shared.script import finish, lesson_arguments
from shared.word_tokenizer import END, WordTokenizer

Array = NDArray[Any]
Pairs = list[tuple[str, str]]


class Seq2Seq:
    """An encoder and a decoder with one table of ids.

    Parameters
    ----------
    cell
        ``"RNN"``, ``"LSTM"`` or ``"GRU"``, for both.
    vocab_size
        V; id 0 is the end mark.
    width
        How many numbers stand for an id.
    units
        C, how many numbers come out of each cell.
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
        self.read = Embedding(vocab_size, width, rng, dtype)
        self.write = Embedding(vocab_size, width, rng, dtype)
        self.write.params = self.read.params  # one table, looked up at two places
        self.encoder = CELLS[cell](width, units, rng, dtype)
        self.decoder = CELLS[cell](width, units, rng, dtype)
        self.out = Linear(units, vocab_size, rng, "glorot", dtype)
        self.params = {
            "E": self.read.params["W"],
            **named("encoder", self.encoder.params),
            **named("decoder", self.decoder.params),
            **named("out", self.out.params),
        }

    def encode(self, sources: Ids, real: Array) -> Array:
        """Read sources (B, R); returns the state at the end of each, (B, state_size)."""
        self.ends = real.sum(axis=1) - 1
        self.read_states = self.encoder.forward(self.read.forward(sources))
        return self.read_states[np.arange(len(sources)), self.ends]

    def decode(self, state: Array, before: Ids) -> tuple[Array, Array]:
        """Return logits (B, T, V) after each of the ids (B, T), and the last state."""
        states = self.decoder.forward(self.write.forward(before), state)
        return self.out.forward(states[..., : self.decoder.units]), states[:, -1]

    def forward(self, sources: Ids, real: Array, before: Ids) -> Array:
        """Return logits (B, T, V) for sources (B, R) and the ids before each target's place."""
        return self.decode(self.encode(sources, real), before)[0]

    def backward(self, dL_dz: Array) -> Arrays:
        """Return the gradients of all parameters from the gradient of the logits."""
        dL_dh, out = self.out.backward(dL_dz)
        dL_dstates = self.decoder.blame_of_outputs(dL_dh)
        dL_de, dL_dstate, decoder = self.decoder.backward(dL_dstates)
        _, written = self.write.backward(dL_de)
        # the decoder began with the encoder's state at the end of each source, and with no other
        dL_dread = np.zeros_like(self.read_states)
        dL_dread[np.arange(len(dL_dread)), self.ends] = dL_dstate
        dL_de, _, encoder = self.encoder.backward(dL_dread)
        _, looked_up = self.read.backward(dL_de)
        return {
            "E": looked_up["W"] + written["W"],
            **named("encoder", encoder),
            **named("decoder", decoder),
            **named("out", out),
        }

    @property
    def parameters(self) -> int:
        """How many numbers training adjusts."""
        return sum(array.size for array in self.params.values())


def loss_and_gradients(
    model: Seq2Seq, sources: Sequence[Ids], targets: Sequence[Ids]
) -> tuple[float, Arrays]:
    """Predict each id of the targets, and the end mark behind them, in one batch.

    Raises
    ------
    ValueError
        If there is no pair, a source is empty, or an id is unknown.
    """
    read, real = pad(sources, END)
    after, counts = pad([np.append(target, END) for target in targets], END)
    before = np.concatenate([np.full((len(after), 1), END), after[:, :-1]], axis=1)
    value, dL_dz = next_id_loss(model.forward(read, real, before), after, counts)
    return value, model.backward(dL_dz)


def train(
    model: Seq2Seq,
    tokenizer: WordTokenizer,
    draw_pairs: Callable[[int, np.random.Generator], Pairs],
    steps: int,
    rng: np.random.Generator,
    learning_rate: float = 0.01,
) -> list[float]:
    """Train on 64 new pairs at every step; returns all losses."""
    optimizer, losses = Adam(model.params, learning_rate, beta2=0.99), []
    for step in progress(range(check_count("steps", steps)), "seq2seq"):
        optimizer.learning_rate = warmup_cosine(step, steps, learning_rate, steps // 20)
        pairs = draw_pairs(64, rng)
        sources = [np.array(tokenizer.encode(source)) for source, _ in pairs]
        targets = [np.array(tokenizer.encode(target)) for _, target in pairs]
        value, grads = loss_and_gradients(model, sources, targets)
        optimizer.step(clip_gradients(grads, 1.0)[0])
        losses.append(value)
    return losses


def beam_search(
    model: Seq2Seq, source: Ids, k: int = 4, most: int = 20
) -> list[tuple[list[int], float]]:
    """Write the likeliest targets for a source; ``k`` = 1 is greedy decoding.

    Parameters
    ----------
    source
        Ids, (R,).
    k
        How many beginnings are kept at each step.
    most
        After so many ids a target ends in any case.

    Returns
    -------
    list of tuple
        Up to k targets without their end mark, and ln p of each, the likeliest first. Those that
        were cut off stand behind those that ended; their ln p is that of a beginning.
    """
    source = check_ids("source", source, len(model.params["E"]))
    check_count("k", k)
    state = model.encode(source[None], np.ones((1, len(source)), bool))
    open_: list[tuple[list[int], float]] = [([], 0.0)]
    states, done = state, []
    for _ in range(check_count("most", most)):
        last = np.array([[ids[-1] if ids else END] for ids, _ in open_])
        z, states = model.decode(states, last)
        log_p = log_softmax(z[:, -1].astype(float)) + np.array([[score] for _, score in open_])
        best = np.argsort(-log_p, axis=None, kind="stable")[:k]
        rows, ids = np.unravel_index(best, log_p.shape)
        grown = [
            (open_[r][0] + [int(i)], float(log_p[r, i])) for r, i in zip(rows, ids, strict=True)
        ]
        done += [(ids[:-1], score) for ids, score in grown if ids[-1] == END]
        keep = [place for place, (ids, _) in enumerate(grown) if ids[-1] != END]
        open_, states = [grown[place] for place in keep], states[rows[keep]]
        # a beginning only gets less likely: stop when none can beat the k finished ones
        done = sorted(done, key=lambda pair: -pair[1])[:k]
        if not open_ or (len(done) == k and open_[0][1] <= done[-1][1]):
            break
    return (done + open_)[:k]


def accuracy(
    model: Seq2Seq, tokenizer: WordTokenizer, pairs: Pairs, k: int = 1
) -> tuple[float, float]:
    """Return the share of targets without a mistake, and the average ln p of the answers."""
    if not pairs:
        raise ValueError("pairs: expected at least one, got none: draw some")
    right, scores = 0, []
    for source, target in pairs:
        ids, score = beam_search(model, np.array(tokenizer.encode(source)), k)[0]
        right += tokenizer.decode(ids) == target
        scores.append(score)
    return right / len(pairs), float(np.mean(scores))


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def reversals(count: int, rng: np.random.Generator, shortest: int = 1, longest: int = 8) -> Pairs:
    """Draw strings of letters, and the same strings backwards."""
    lengths = rng.integers(shortest, longest + 1, size=count)
    strings = ["".join(rng.choice(list(LETTERS), size=length)) for length in lengths.tolist()]
    return [(string, string[::-1]) for string in strings]


def dates(count: int, rng: np.random.Generator) -> Pairs:
    """Draw dates of the years 1900 to 2099, as people write them and as machines do."""
    first = datetime.date(1900, 1, 1).toordinal()
    last = datetime.date(2099, 12, 31).toordinal()
    days = [datetime.date.fromordinal(day) for day in rng.integers(first, last + 1, count).tolist()]
    months = "january february march april may june july august september october november december"
    return [
        (f"{day.day} {months.split()[day.month - 1]} {day.year}", day.isoformat()) for day in days
    ]


def draw(losses: dict[str, list[float]], shares: dict[str, list[float]]) -> Figure:
    """Draw the training losses, and how often whole strings are right for each length."""
    figure = Figure(figsize=(8, 3.6))
    training, lengths = figure.subplots(1, 2)
    for (name, values), color in zip(losses.items(), (BLUE, ORANGE, GRAY), strict=True):
        draw_smooth(training, values, 50, color=color, label=name)
    training.set_yscale("log")
    training.set_xlabel("step")
    training.set_ylabel("nats per id, average of 50")
    training.set_title("Training")
    training.legend()
    for (name, values), color in zip(shares.items(), (BLUE, ORANGE, PINK), strict=True):
        lengths.plot(range(4, 13), values, "o-", color=color, label=name)
    lengths.axvline(8, color=GRAY, linestyle=":", label="longest taught to the others")
    lengths.set_ylim(-0.03, 1.03)
    lengths.set_xlabel("letters in the string")
    lengths.set_ylabel("share written without a mistake")
    lengths.set_title("Reversing, greedy")
    lengths.legend(loc="lower left", fontsize=9)
    figure.tight_layout()
    return figure


def main() -> None:
    """Reverse strings with two cells, by greedy and by beam search, and rewrite dates."""
    arguments = lesson_arguments(__doc__, __file__)
    letters = WordTokenizer(list(LETTERS))
    losses, shares = {}, {}
    new = reversals(200, np.random.default_rng(1), 8, 8)
    print("reversing strings of 1 to 8 letters, 26 letters; 200 new ones of 8, whole strings right")
    for cell, units, rate in (("RNN", 52, 0.003), ("LSTM", 27, 0.01)):
        rng = np.random.default_rng(0)
        model = Seq2Seq(cell, letters.vocab_size, 12, units, rng)
        losses[f"{cell}, reversal"] = train(model, letters, reversals, 4000, rng, rate)
        for k in (1, 4):
            share, log_p = accuracy(model, letters, new, k)
            print(
                f"  {cell:4} {model.parameters:,} parameters, {'greedy' if k == 1 else 'beam 4'}"
                f"  {share:6.1%}   ln p of the answer {log_p:.3f}"
            )
        shares[cell] = [
            accuracy(model, letters, reversals(100, np.random.default_rng(2), length, length))[0]
            for length in range(4, 13)
        ]

    print("the RNN again, taught with strings of 1 to 12 letters for 8,000 steps")
    rng = np.random.default_rng(0)
    model = Seq2Seq("RNN", letters.vocab_size, 12, 52, rng)
    train(model, letters, partial(reversals, longest=12), 8000, rng, 0.003)
    shares["RNN, taught 12"] = [
        accuracy(model, letters, reversals(100, np.random.default_rng(2), length, length))[0]
        for length in range(4, 13)
    ]
    for length in (8, 10, 12):
        print(f"  {length} letters {shares['RNN, taught 12'][length - 4]:.0%}")

    tokenizer, rng = WordTokenizer(list(LETTERS + "0123456789 -")), np.random.default_rng(0)
    model = Seq2Seq("LSTM", tokenizer.vocab_size, 10, 27, rng)
    losses["LSTM, dates"] = train(model, tokenizer, dates, 5000, rng)
    new = dates(200, np.random.default_rng(1))
    share, _ = accuracy(model, tokenizer, new)
    print(f"dates, LSTM with {model.parameters:,} parameters: {share:.1%} of 200 new ones right")
    for source, target in new[:3]:
        ids, _ = beam_search(model, np.array(tokenizer.encode(source)), k=1)[0]
        print(f"  {source!r} → {tokenizer.decode(ids)!r}, right is {target!r}")
    finish(draw(losses, shares), arguments)


if __name__ == "__main__":
    main()
