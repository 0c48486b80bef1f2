"""Skip-gram with negative sampling: places on a map, from the company that words keep.

    s = W[word] · U[context]                        a score for each pair
    L = mean(−ln σ(s_real) − Σ_k ln σ(−s_drawn))    real pairs up, drawn pairs down
    dL_ds_real = (σ(s_real) − 1) / N                dL_ds_drawn = σ(s_drawn) / N

W and U are (V, C): a row for each of V words as the word in the middle, and another as a
neighbour. N real pairs are taken from the text, a word and one at most two places away. For each of
them k neighbours are drawn at random, as often as they occur in the text: *negative samples*. σ is
phase 1's sigmoid. So the network answers a yes-or-no question, "did these two stand together?", and
what it learns on the way is where words lie.

Predicting the neighbour among all V words would need a softmax over V for every pair. Here each
pair costs 1 + k scores.

Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality".
Derived in ``notes/skipgram.md``. Run ``python phase-03-embeddings/code/skipgram.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phase_01.activations import sigmoid
from phase_01.losses import binary_cross_entropy
from phase_02.layers import Arrays
from phase_02.losses import check_forward
from phase_02.optimizers import Adam, warmup_cosine
from phase_03.words import Words, nearest, neighbours, read_words
from shared.checks import check_count
from shared.language_model import Ids, check_ids
from shared.plotting import GRAY, ORANGE, draw_smooth
from shared.progress import progress
from shared.script import finish, lesson_arguments
from shared.stories import stories

Array = NDArray[Any]


class SkipGram:
    """Two tables of word vectors.

    Parameters
    ----------
    vocab_size, width
        V words, C numbers each.
    rng
        Where the first numbers come from.
    """

    def __init__(self, vocab_size: int, width: int, rng: np.random.Generator) -> None:
        shape = (check_count("vocab_size", vocab_size), check_count("width", width))
        self.params = {name: rng.normal(size=shape) / np.sqrt(width) for name in ("W", "U")}
        self.s = np.empty((0, 0))  # the scores of the last batch: none yet

    def forward(self, words: Ids, contexts: Ids, drawn: Ids) -> float:
        """Return the loss.

        Parameters
        ----------
        words, contexts
            N real pairs, (N,) each.
        drawn
            k ids for each of them, drawn at random, (N, k).
        """
        W, U = self.params["W"], self.params["U"]
        shapes = np.shape(words), np.shape(contexts), np.shape(drawn)
        if not (len(shapes[2]) == 2 and shapes[0] == shapes[1] == shapes[2][:1]):
            raise ValueError(
                f"words, contexts, drawn: expected shapes (N,), (N,) and (N, k), got {shapes[0]}, "
                f"{shapes[1]} and {shapes[2]}: draw k ids for each pair"
            )
        self.words = check_ids("words", words, len(W))
        self.others = np.column_stack([contexts, drawn])  # (N, 1 + k): the real one first
        check_ids("contexts, drawn", self.others, len(U))
        self.w, self.u = W[self.words], U[self.others]  # (N, C), (N, 1 + k, C)
        self.s = np.einsum("nc,nkc->nk", self.w, self.u)  # (N, 1 + k)
        self.is_real = np.zeros(self.s.shape, int)
        self.is_real[:, 0] = 1
        # The mean over all N (1 + k) questions, times 1 + k: their sum for each real pair.
        return binary_cross_entropy(self.s.ravel(), self.is_real.ravel()) * self.s.shape[1]

    def backward(self) -> Arrays:
        """Return the gradients of W and U."""
        check_forward(self.s)
        N = len(self.s)
        dL_ds = (sigmoid(self.s) - self.is_real) / N
        # s = w · u, for each of the 1 + k others
        dL_dw = np.einsum("nk,nkc->nc", dL_ds, self.u)
        dL_du = np.einsum("nk,nc->nkc", dL_ds, self.w)
        # w = W[words], u = U[others]: a word that came twice is blamed twice
        grads = {name: np.zeros_like(table) for name, table in self.params.items()}
        np.add.at(grads["W"], self.words, dL_dw)
        np.add.at(grads["U"], self.others, dL_du)
        return grads


def train_on_words(
    words: Words, width: int = 16, k: int = 5, steps: int = 2000, window: int = 2, seed: int = 0
) -> tuple[SkipGram, list[float]]:
    """Train on pairs drawn from a text, 2,048 at a time; returns the model and all losses."""
    rng = np.random.default_rng(seed)
    middle, context = neighbours(words.ids, window)
    model = SkipGram(len(words.names), width, rng)
    optimizer, losses = Adam(model.params, 0.03), []
    for step in progress(range(check_count("steps", steps)), "skip-gram"):
        optimizer.learning_rate = warmup_cosine(step, steps, 0.03, warmup=steps // 20)
        batch = rng.integers(len(middle), size=2048)
        drawn = context[rng.integers(len(context), size=(2048, k))]  # as often as they occur
        losses.append(model.forward(middle[batch], context[batch], drawn))
        optimizer.step(model.backward())
    return model, losses


def draw(losses: list[float], names: list[str], vectors: Array) -> Figure:
    """Draw the loss, and the cosine of each two of some words, as a table of colours."""
    figure = Figure(figsize=(8, 4))
    loss, alike = figure.subplots(1, 2, width_ratios=[1, 1.3])
    loss.plot(losses, color=GRAY, linewidth=0.5)
    draw_smooth(loss, losses, 50, color=ORANGE)
    loss.set_xlabel("step")
    loss.set_ylabel("nats for 1 real and 5 drawn pairs")
    loss.set_title("Training (orange: average of 50)")
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    image = alike.imshow(directions @ directions.T, cmap="RdBu_r", vmin=-1, vmax=1)
    alike.set_xticks(range(len(names)), names, rotation=90, fontsize=9)
    alike.set_yticks(range(len(names)), names, fontsize=9)
    alike.grid(False)
    alike.set_title("Who points the same way")
    figure.colorbar(image, ax=alike, label="cosine", shrink=0.8)
    figure.tight_layout()
    return figure


def main() -> None:
    """Train word vectors on stories and ask for neighbours."""
    arguments = lesson_arguments(__doc__, __file__)
    words = read_words([story.text for story in stories("train", 0, 10_000)])
    middle, _ = neighbours(words.ids)
    V = len(words.names)
    print(f"{len(words.ids):,} words, V = {V}, {len(middle):,} pairs at most 2 apart")
    model, losses = train_on_words(words)
    shapes = ", ".join(f"{name} {table.shape}" for name, table in model.params.items())
    size = sum(table.size for table in model.params.values())
    print(f"{shapes}: {size:,} parameters; loss {losses[0]:.2f} → {np.mean(losses[-50:]):.2f} nats")
    W = model.params["W"]
    for word in ("fox", "otter", "red", "three", "sang"):
        i = words.id_of(word)
        found = nearest(W, W[i], 5, leave_out=[i])
        print(f"  near {word:6} " + ", ".join(f"{words.names[j]} {c:.3f}" for j, c in found))
    shown = "fox pig owl otter red blue old apple egg apples eggs two six sing dance sang danced"
    finish(draw(losses, shown.split(), W[[words.id_of(word) for word in shown.split()]]), arguments)


if __name__ == "__main__":
    main()
