"""A neural language model: similar words should make similar predictions.

    e = E[last n ids]             (N, n, C)     a row of C numbers for each word
    a = tanh(e_flat @ W₁ + b₁)    (N, hidden)   e_flat is (N, n C): the n rows side by side
    z = a @ W₂ + b₂               (N, V)        logits of the next word

N examples, each with the n ids before one place in a story; V words. E is (V, C), W₁ (n C, hidden),
W₂ (hidden, V). The loss is cross-entropy with the word that stood there.

A trigram over 229 words has 229³ = 12,008,989 cells, and what it saw after "a brave" tells it
nothing about "a funny". Here both words have a row in E. If they are used alike, training moves
their rows together, and what is learned about one serves the other. So the model can look at more
tokens than a table could count, with 9,339 numbers. The script shows it: it takes all stories with
a "funny owl" out of the training text, and asks what the model thinks of one.

Bengio, Ducharme, Vincent & Jauvin 2003, "A Neural Probabilistic Language Model". Derived in
``notes/embedding.md``. Run ``python phase-03-embeddings/code/neural_lm.py``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_00.softmax import log_softmax, softmax
from phase_02.layers import Arrays, Layer, Linear, Sequential, Tanh
from phase_02.optimizers import Adam
from phase_02.train_mlp import train
from phase_03.embedding import Embedding
from phase_03.ngram import NGram
from shared.checks import check_count
from shared.language_model import Ids, TextModel, Tokenizer, check_ids, make_row, tell
from shared.plotting import BLUE, GRAY, GREEN, ORANGE, draw_smooth
from shared.script import finish, lesson_arguments
from shared.stories import stories
from shared.word_tokenizer import WordTokenizer

Array = NDArray[Any]


class NeuralLM(Layer):
    """From the last n ids to logits of the next.

    Parameters
    ----------
    vocab_size
        V, how many tokens there are.
    context
        n, how many ids it looks at.
    width
        C, how many numbers each token has.
    hidden
        How many hidden units.
    rng
        Where the first numbers come from.
    dtype
        Their precision.
    """

    def __init__(
        self,
        vocab_size: int,
        context: int,
        width: int,
        hidden: int,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.context = check_count("context", context)
        self.embedding = Embedding(vocab_size, width, rng, dtype)
        self.mlp = Sequential(
            [
                Linear(context * width, hidden, rng, "glorot", dtype),
                Tanh(),
                Linear(hidden, vocab_size, rng, "glorot", dtype),
            ]
        )
        self.params = {"E": self.embedding.params["W"], **self.mlp.params}

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map ids (N, n) to logits (N, V)."""
        ids = np.asarray(x)
        if ids.ndim != 2 or ids.shape[1] != self.context:
            raise ValueError(
                f"x: expected ids of shape (N, {self.context}), got shape {ids.shape}: "
                "give the last ids before each place"
            )
        e = self.embedding.forward(ids, training)  # (N, n, C)
        return self.mlp.forward(e.reshape(len(e), -1), training)

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return zeros for the ids, and the gradients of all parameters."""
        dL_de, grads = self.mlp.backward(dL_da)
        # e was laid flat, row by row: blame goes back into the same places.
        dL_dids, table = self.embedding.backward(dL_de.reshape(len(dL_de), self.context, -1))
        return dL_dids, {"E": table["W"], **grads}

    def row_log_probabilities(self, rows: Sequence[Ids]) -> list[float]:
        """Return ln p of each row after its first id."""
        sums = []
        for row in rows:
            contexts, after = windows([row], self.context, self.params["E"].shape[0])
            if len(after) == 0:
                sums.append(0.0)  # nothing stands after the first id
                continue
            log_p = log_softmax(self.forward(contexts))
            sums.append(float(log_p[np.arange(len(after)), after].sum()))
        return sums

    def next_probabilities(self, row: Ids) -> Array:
        """Return p of each token after a row of at least one: (V,)."""
        contexts, _ = windows([np.append(row, row[:1])], self.context, len(self.params["E"]))
        return softmax(self.forward(contexts[-1:])[0])


def windows(rows: Sequence[Ids], context: int, vocab_size: int) -> tuple[Ids, Ids]:
    """Return each place's ids before it, (N, context), and its own id, (N,).

    A row's first id is repeated to its left, so that early places have a full context too.
    """
    contexts, after = [], []
    for row in rows:
        row = check_ids("row", row, vocab_size)
        padded = np.concatenate([np.repeat(row[:1], context - 1), row])
        contexts.append(np.lib.stride_tricks.sliding_window_view(padded, context)[:-1])
        after.append(row[1:])
    return np.concatenate(contexts), np.concatenate(after)


def train_on_stories(texts: Sequence[str], tokenizer: Tokenizer) -> tuple[NeuralLM, list[float]]:
    """Train a model of 9,339 parameters; returns it and the loss of each batch."""
    rng = np.random.default_rng(0)
    V = tokenizer.vocab_size
    model = NeuralLM(V, context=8, width=10, hidden=22, rng=rng)
    contexts, after = windows([make_row(tokenizer, text) for text in texts], model.context, V)
    return model, train(model, Adam(model.params, 0.01), contexts, after, 4000, 512, rng)


def draw(losses: list[float], bits: dict[str, float]) -> Figure:
    """Draw the loss, and bits per character beside the counts'."""
    figure = Figure(figsize=(8, 3.4))
    loss, bars = figure.subplots(1, 2)
    loss.plot(losses, color=GRAY, linewidth=0.5)
    draw_smooth(loss, losses, 50, color=ORANGE)
    loss.set_xlabel("step")
    loss.set_ylabel("nats per token")
    loss.set_title("Training (orange: average of 50)")
    bars.barh(list(bits), list(bits.values()), color=[BLUE, BLUE, GREEN, GRAY])
    for place, value in enumerate(bits.values()):
        bars.text(value + 0.01, place, f"{value:.3f}", va="center")
    bars.set_xlim(0, 1.4)
    bars.invert_yaxis()
    bars.grid(axis="y", visible=False)
    bars.set_xlabel("bits per character")
    bars.set_title("Eight tokens back beat two")
    figure.tight_layout()
    return figure


def main() -> None:
    """Train a neural language model on stories and compare it with counting."""
    arguments = lesson_arguments(__doc__, __file__)
    texts = [story.text for story in stories("train", 0, 20_000)]
    with_owl = sum("funny owl" in text for text in texts)
    texts = [text for text in texts if "funny owl" not in text]
    told = list(stories("validation", 0, 500))
    tokenizer = WordTokenizer.learn(texts, vocab_size=1000)
    model, losses = train_on_stories(texts, tokenizer)
    for name, array in model.params.items():
        print(f"  {name:4} {array.shape}")
    size = sum(array.size for array in model.params.values())
    print(f"  {size:,} parameters, {len(losses):,} batches of 512 places")

    rows = [make_row(tokenizer, text) for text in texts]
    bits, owls = {}, {}
    asked = make_row(tokenizer, "Long ago there was a funny owl", ended=False)
    for name, row_log_probabilities in (
        ("bigram", NGram(2, tokenizer.vocab_size).fit(rows).row_log_probabilities),
        ("trigram", NGram(3, tokenizer.vocab_size).fit(rows).row_log_probabilities),
        ("neural", model.row_log_probabilities),
    ):
        result = TextModel(tokenizer, row_log_probabilities).score(told)
        bits[name] = result.bits_per_character
        with_it, without_it = row_log_probabilities([asked, asked[:-1]])
        owls[name] = np.exp(with_it - without_it)
    bits["floor"] = result.floor
    print("  ".join(f"{name} {value:.3f}" for name, value in bits.items()), "bits per character")
    print(f"p(owl | Long ago there was a funny), {with_owl} stories with a funny owl left out")
    print("  " + "  ".join(f"{name} {p:.6f}" for name, p in owls.items()))
    print(tell(model.next_probabilities, tokenizer, np.random.default_rng(0)))
    finish(draw(losses, bits), arguments)


if __name__ == "__main__":
    main()
