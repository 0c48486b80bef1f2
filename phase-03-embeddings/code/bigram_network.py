"""The bigram once more: one trained layer arrives at what counting knows.

    z = W[last]                                  one row of V logits for each last token
    L = mean(−ln softmax(z)_next)                cross-entropy
    ∂L/∂W[v] = #(v)/N · (softmax(W[v]) − p_v)    0 where softmax(W[v]) is the share counted

W is (V, V), N the number of pairs (last, next), #(v) how often v came first, p_v (V,) the shares of
what came after it. The loss is lowest exactly where the softmax of each row equals the counts. So
training must find the count table, through nothing but gradients, and we can see whether it does.

The layer is an embedding with V numbers for each token, used as logits. Nothing is gained over
counting yet. But a network need not stop at one layer, and then there is no table to count.

Bengio, Ducharme, Vincent & Jauvin 2003, "A Neural Probabilistic Language Model". Explained in
``notes/ngrams.md``. Run ``python phase-03-embeddings/code/bigram_network.py``.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phase_00.softmax import log_softmax, softmax
from phase_02.optimizers import Adam
from phase_02.train_mlp import train
from phase_03.embedding import Embedding
from phase_03.ngram import NGram
from shared.language_model import Ids, TextModel, check_ids, make_row
from shared.plotting import BLUE, GRAY
from shared.script import finish, lesson_arguments
from shared.stories import stories
from shared.word_tokenizer import WordTokenizer

Array = NDArray[Any]


def pairs(rows: Sequence[Ids]) -> tuple[Ids, Ids]:
    """Return every id but each row's last, and the id after it: two arrays (N,)."""
    return np.concatenate([row[:-1] for row in rows]), np.concatenate([row[1:] for row in rows])


def row_log_probabilities(model: Embedding, rows: Sequence[Ids]) -> list[float]:
    """Return ln p of each row after its first id, by the network."""
    log_p = log_softmax(model.params["W"])  # (V, V)
    rows = [check_ids("row", row, len(log_p)) for row in rows]
    return [float(log_p[row[:-1], row[1:]].sum()) for row in rows]


def draw(counted: Array, trained: Array, losses: list[float], floor: float) -> Figure:
    """Draw each probability by training against the one by counting, and the loss."""
    figure = Figure(figsize=(8, 3.6))
    loss, agreement = figure.subplots(1, 2)
    loss.semilogx(np.arange(1, len(losses) + 1), losses, color=BLUE, linewidth=1)
    loss.axhline(floor, color=GRAY, linestyle="--", label=f"counting: {floor:.3f} nats")
    loss.set_xlabel("step")
    loss.set_ylabel("nats per character")
    loss.set_title("Training goes down to the counts")
    loss.legend()
    agreement.plot([0, 1], [0, 1], color=GRAY, linewidth=1)
    agreement.plot(counted.ravel(), trained.ravel(), ".", color=BLUE, markersize=4)
    agreement.set_xlabel("p(next | last) by counting")
    agreement.set_ylabel("by training")
    agreement.set_title("Each dot is one pair of characters")
    agreement.set_aspect("equal")
    figure.tight_layout()
    return figure


def main() -> None:
    """Train one layer on pairs of characters, and compare it with the counts."""
    arguments = lesson_arguments(__doc__, __file__)
    texts = [story.text for story in stories("train", 0, 20_000)]
    told = list(stories("validation", 0, 500))
    tokenizer = WordTokenizer.learn(texts, vocab_size=1)  # characters
    V = tokenizer.vocab_size
    rows = [make_row(tokenizer, text) for text in texts]
    last, after = pairs(rows)
    print(f"{len(last):,} pairs of characters, V = {V}, W {(V, V)}: {V * V:,} parameters")

    counts = NGram(2, V).fit(rows)
    rng = np.random.default_rng(0)
    network = Embedding(V, V, rng, np.float32)
    losses = train(network, Adam(network.params, 0.3), last, after, 2000, 4096, rng)

    bits = []
    for name, log_probabilities in (
        ("counted", counts.row_log_probabilities),
        ("trained", partial(row_log_probabilities, network)),
    ):
        bits.append(TextModel(tokenizer, log_probabilities).score(told).bits_per_character)
        print(f"  {name}: {bits[-1]:.5f} bits per character on {len(told)} other stories")
    print(f"  difference {abs(bits[0] - bits[1]):.5f}")

    before = [tokenizer.ids[character] for character in "no"]
    counted = np.stack([counts.next_probabilities(np.array([v])) for v in range(V)])
    trained = softmax(network.params["W"])
    for v in before:
        best = np.argsort(counted[v])[::-1][:3]
        shares = [
            f"{tokenizer.decode([i])!r} {counted[v, i]:.3f} {trained[v, i]:.3f}" for i in best
        ]
        print(f"after {tokenizer.decode([v])!r}, counted and trained: {', '.join(shares)}")
    floor = -float(
        np.mean(np.concatenate([counts.log_probabilities(counts.keys(r)) for r in rows]))
    )
    finish(draw(counted, trained, losses, floor), arguments)


if __name__ == "__main__":
    main()
