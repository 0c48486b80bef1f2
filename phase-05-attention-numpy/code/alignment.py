"""Alignment: phase 4's encoder and decoder, with a look at the source at every step.

    phase 4    logits_t = h_t W + b                     all that the reader hands over is one state
    here       a_t = attention(h_t, all encoder states)
               logits_t = (h_t, a_t) W + b              h_t and a_t side by side

h_t is the decoder's output at step t, (B, C); a_t the mixture of the encoder's outputs that it
looked at, (B, C); W is (2C, V). The decoder still starts from the reader's last state. Everything
else is phase 4's: the cells, the training, the beam.

Nobody tells the model where to look. That it looks at the letter it is about to write, *alignment*,
is what training finds.

The look comes after the decoder's step, as in Luong, Pham & Manning 2015, "Effective Approaches to
Attention-based Neural Machine Translation"; in Bahdanau's model it comes before. Explained in
``notes/additive_attention.md``. Run ``python phase-05-attention-numpy/code/alignment.py``.
"""

from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import DTypeLike, NDArray

from phase_02.layers import Arrays, Linear, named
from phase_04.seq2seq import LETTERS, Seq2Seq, accuracy, beam_search, dates, reversals, train
from phase_05.additive_attention import AdditiveAttention
from shared.language_model import Ids
from shared.plotting import BLUE, GRAY, ORANGE, draw_attention
from shared.script import finish, lesson_arguments
from shared.word_tokenizer import WordTokenizer

Array = NDArray[Any]


class AligningSeq2Seq(Seq2Seq):
    """Phase 4's `Seq2Seq` whose decoder looks at all states of the encoder.

    Parameters
    ----------
    hidden
        A, numbers in which the decoder's states and the encoder's are compared.
    cell, vocab_size, width, units, rng, dtype
        As in `Seq2Seq`.
    """

    def __init__(
        self,
        cell: str,
        vocab_size: int,
        width: int,
        units: int,
        hidden: int,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(cell, vocab_size, width, units, rng, dtype)
        self.look = AdditiveAttention(units, units, hidden, rng, dtype)
        self.out = Linear(2 * units, vocab_size, rng, "glorot", dtype)
        self.params |= named("look", self.look.params) | named("out", self.out.params)

    def encode(self, sources: Ids, real: Array) -> Array:
        """Read sources (B, R); returns the state at the end of each, (B, state_size)."""
        self.real = real
        return super().encode(sources, real)

    def decode(self, state: Array, before: Ids) -> tuple[Array, Array]:
        """Return logits (B, T, V) after each of the ids (B, T), and the last state."""
        states = self.decoder.forward(self.write.forward(before), state)
        h = states[..., : self.decoder.units]
        pages = self.read_states[..., : self.encoder.units]
        # a beam writes several targets for one source: all of them look at the same pages
        pages = np.broadcast_to(pages, (len(h), *pages.shape[1:]))
        a = self.look.forward(h, pages, np.broadcast_to(self.real, pages.shape[:2]))
        return self.out.forward(np.concatenate([h, a], axis=-1)), states[:, -1]

    def backward(self, dL_dz: Array) -> Arrays:
        """Return the gradients of all parameters from the gradient of the logits."""
        dL_dboth, out = self.out.backward(dL_dz)
        dL_dh, dL_da = np.split(dL_dboth, 2, axis=-1)
        # h goes to the logits and asks the question; the pages are looked at
        dL_dasked, dL_dpages, look = self.look.backward(dL_da)
        dL_dstates = self.decoder.blame_of_outputs(dL_dh + dL_dasked)
        dL_de, dL_dstate, decoder = self.decoder.backward(dL_dstates)
        _, written = self.write.backward(dL_de)
        # the encoder is blamed for its pages, and for the state that the decoder began with
        dL_dread = self.encoder.blame_of_outputs(dL_dpages)
        dL_dread[np.arange(len(dL_dread)), self.ends] += dL_dstate
        dL_de, _, encoder = self.encoder.backward(dL_dread)
        _, looked_up = self.read.backward(dL_de)
        return {
            "E": looked_up["W"] + written["W"],
            **named("encoder", encoder),
            **named("decoder", decoder),
            **named("look", look),
            **named("out", out),
        }


def alignment(model: AligningSeq2Seq, tokenizer: WordTokenizer, source: str) -> tuple[str, Array]:
    """Write the answer to a source; returns it, and where the model looked: (T + 1, R)."""
    ids = np.array(tokenizer.encode(source))
    answer, _ = beam_search(model, ids, k=1)[0]
    before = np.array([[tokenizer.end, *answer]])
    model.forward(ids[None], np.ones((1, len(ids)), bool), before)
    return tokenizer.decode(answer), model.look.attention[0]


def draw(shares: dict[str, list[float]], maps: dict[tuple[str, str], Array]) -> Figure:
    """Draw the share of strings reversed for each length, and where a model looked."""
    figure = Figure(figsize=(10.5, 3.9))
    lengths, *panels = figure.subplots(1, 3, width_ratios=[1.1, 1, 1.25])
    for (name, values), color in zip(shares.items(), (ORANGE, BLUE), strict=True):
        lengths.plot(LENGTHS, values, "o-", color=color, label=name)
    lengths.axvline(12, color=GRAY, linestyle=":", label="longest in training")
    lengths.set_xticks(LENGTHS)
    lengths.set_ylim(-0.03, 1.03)
    lengths.set_xlabel("letters in the string")
    lengths.set_ylabel("share reversed without a mistake")
    lengths.set_title("2,000 steps each")
    lengths.legend(loc="lower left", fontsize=9)
    titles = ("Reversal", "A date")
    for axes, ((source, answer), alpha), title in zip(panels, maps.items(), titles, strict=True):
        draw_attention(
            axes, alpha, [*answer, "end"], ["␣" if one == " " else one for one in source]
        )
        axes.set_ylabel("written")
        axes.set_title(title)
    figure.tight_layout()
    return figure


LENGTHS = (4, 6, 8, 10, 12, 13, 14)


def main() -> None:
    """Reverse strings with and without a look back, and see where the model looks."""
    arguments = lesson_arguments(__doc__, __file__)
    letters = WordTokenizer(list(LETTERS))
    up_to_12 = partial(reversals, longest=12)
    shares = {}
    print("reversing strings of 1 to 12 letters, 2,000 steps; share right at 8, 12, 14 letters")
    for name in ("one state", "attention"):
        rng = np.random.default_rng(0)
        model = (
            Seq2Seq("RNN", letters.vocab_size, 12, 52, rng)
            if name == "one state"
            else AligningSeq2Seq("RNN", letters.vocab_size, 10, 36, 20, rng)
        )
        train(model, letters, up_to_12, 2000, rng, 0.003)
        shares[name] = [
            accuracy(model, letters, reversals(100, np.random.default_rng(2), n, n))[0]
            for n in LENGTHS
        ]
        chosen = "  ".join(f"{shares[name][LENGTHS.index(n)]:4.0%}" for n in (8, 12, 14))
        print(f"  {name:9} {model.parameters:,} parameters  {chosen}")
    assert isinstance(model, AligningSeq2Seq)
    answer, alpha = alignment(model, letters, "notebook")
    maps = {("notebook", answer): alpha}

    tokenizer = WordTokenizer(list(LETTERS + "0123456789 -"))
    rng = np.random.default_rng(0)
    model = AligningSeq2Seq("RNN", tokenizer.vocab_size, 10, 36, 20, rng)
    train(model, tokenizer, dates, 1500, rng, 0.003)
    right, _ = accuracy(model, tokenizer, dates(200, np.random.default_rng(1)))
    print(f"dates, {model.parameters:,} parameters, 1,500 steps: {right:.1%} of 200 new ones right")
    answer, alpha = alignment(model, tokenizer, "21 august 1994")
    maps["21 august 1994", answer] = alpha
    print("writing 1994-08-21, it looks mostly at what was read after …")
    for place in (1, 6, 9):
        far = int(alpha[place].argmax())
        print(f"  {answer[place]!r}: {'21 august 1994'[: far + 1]!r}, {alpha[place, far]:.0%}")
    finish(draw(shares, maps), arguments)


if __name__ == "__main__":
    main()
