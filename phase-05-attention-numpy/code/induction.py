"""Induction: two attention layers learn to copy what came after the same token last time.

    row         7 2 9 4 1 | 7 2 9 4 1 | 7 2 …        some different tokens, repeated
    at 7        look back to the last 7, see that 2 came after it, say 2

    x = token_embedding[ids] + position_embedding        (B, T, C)
    x = x + attention(x)                                 one or two times, one head each
    logits = x W + b                                     (B, T, V)

A head of the first layer looks at the token before, and writes its name beside each token: "after
7". A head of the second layer asks for the token that says "after 7", finds 2, and copies it. The
second is called an *induction head*. One layer cannot do it: a key knows only its own token, and
not the one before.

How long the repeated piece is differs from row to row, so looking back a fixed number of places
does not help. There is no feed-forward part and no norm: what is learned sits in the attention.

Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; Olsson et al. 2022,
"In-context Learning and Induction Heads". Explained in ``notes/induction.md``. Run
``python phase-05-attention-numpy/code/induction.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_02.layers import Arrays, Layer, Linear, named
from phase_03.embedding import Embedding
from phase_05.multi_head_attention import MultiHeadAttention
from phase_05.positional_encoding import LearnedPositions
from phase_05.train_gpt_numpy import Batch, train
from shared.checks import check_count
from shared.plotting import BLUE, ORANGE, draw_attention, draw_smooth
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

V, T = 20, 24  # tokens there are; ids in a row
SHORTEST, LONGEST = 5, 12  # how long the piece is that is repeated


class AttentionOnly(Layer):
    """Embedding, one or two attention layers of one head on a residual stream, a head.

    Parameters
    ----------
    n_layer
        How many attention layers.
    rng
        Where the first numbers come from.
    n_embd
        C.
    dtype
        The precision of everything.
    """

    def __init__(
        self,
        n_layer: int,
        rng: np.random.Generator,
        n_embd: int = 24,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.token_embedding = Embedding(V, n_embd, rng, dtype)
        self.position_embedding = LearnedPositions(T, n_embd, rng, dtype)
        for table in (self.token_embedding, self.position_embedding):
            table.params["W"][...] = rng.normal(size=table.params["W"].shape) / np.sqrt(n_embd)
        self.layers = [
            MultiHeadAttention(n_embd, 1, rng, dtype=dtype)
            for _ in range(check_count("n_layer", n_layer))
        ]
        self.head = Linear(n_embd, V, rng, "glorot", dtype)
        self.params = (
            named("token_embedding", self.token_embedding.params)
            | named("position_embedding", self.position_embedding.params)
            | named("head", self.head.params)
        )
        for place, layer in enumerate(self.layers):
            self.params |= named(f"layers.{place}", layer.params)

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map ids (B, T) to logits (B, T, V)."""
        stream = self.position_embedding.forward(self.token_embedding.forward(x))
        for layer in self.layers:
            stream = stream + layer.forward(stream)
        return self.head.forward(stream)

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return zeros for the ids, which cannot be nudged, and the gradients of all parameters."""
        dL_dstream, grads = self.head.backward(dL_da)
        grads = named("head", grads)
        for place, layer in reversed(list(enumerate(self.layers))):
            # stream = stream + attention(stream)
            dL_dthrough, layer_grads = layer.backward(dL_dstream)
            dL_dstream = dL_dstream + dL_dthrough
            grads |= named(f"layers.{place}", layer_grads)
        dL_de, positions = self.position_embedding.backward(dL_dstream)
        dL_dids, tokens = self.token_embedding.backward(dL_de)
        return dL_dids, (
            grads | named("position_embedding", positions) | named("token_embedding", tokens)
        )


def draw_repeats(count: int, rng: np.random.Generator) -> tuple[Batch, Array]:
    """Draw rows of repeated pieces.

    Returns
    -------
    tuple
        The rows (count, T + 1) and which ids count, those after the first piece; and the length of
        each row's piece, (count,).
    """
    lengths = rng.integers(SHORTEST, LONGEST + 1, size=check_count("count", count))
    different = np.argsort(rng.random((count, V)), axis=1)
    places = np.arange(T + 1)
    ids = np.take_along_axis(different, places % lengths[:, None], axis=1)
    return (ids, places >= lengths[:, None]), lengths


def looks(attention: Array, lengths: Array) -> tuple[float, float]:
    """Return how much of a head's attention goes to two kinds of places, on average.

    Parameters
    ----------
    attention
        α of one head, (B, T, T).
    lengths
        Of each row's piece, (B,).

    Returns
    -------
    tuple
        To the token before; and to the tokens that came after earlier copies of the same token.
    """
    t = np.arange(T)
    before = attention[:, t[1:], t[:-1]].mean()
    distance = t[:, None] - t  # (T, T): how far the key lies behind the query
    after_copy = (distance + 1) % lengths[:, None, None] == 0  # (B, T, T)
    after_copy &= distance + 1 >= lengths[:, None, None]
    after_copy[..., 0] = False  # the first token came after none
    asked = np.broadcast_to(t >= lengths[:, None], (len(lengths), T))  # an earlier copy exists
    return float(before), float((attention * after_copy).sum(axis=-1)[asked].mean())


def train_on_repeats(n_layer: int, steps: int = 1500) -> tuple[AttentionOnly, list[float]]:
    """Train on new rows, 64 at a time; returns the model and its losses."""
    rng = np.random.default_rng(0)
    model = AttentionOnly(n_layer, rng)
    losses = train(model, lambda: draw_repeats(64, rng)[0], steps, name=f"{n_layer} layers")
    return model, losses


def draw(losses: dict[int, list[float]], ids: Array, maps: list[Array]) -> Figure:
    """Draw the training of one and of two layers, and what both heads look at in one row."""
    figure = Figure(figsize=(10, 3.9))
    training, *panels = figure.subplots(1, 3)
    for (n_layer, values), color in zip(losses.items(), (ORANGE, BLUE), strict=True):
        draw_smooth(
            training, values, 20, color=color, label=f"{n_layer} layer{'s' * (n_layer > 1)}"
        )
    training.set_xlabel("step")
    training.set_ylabel("nats per id")
    training.set_ylim(bottom=0)
    training.set_title("One layer cannot")
    training.legend()
    words = [str(i) for i in ids]
    titles = ("Layer 1: the token before", "Layer 2: what came after it")
    for axes, alpha, title in zip(panels, maps, titles, strict=True):
        draw_attention(axes, alpha, words, words)
        axes.set_title(title)
    figure.tight_layout()
    return figure


def main() -> None:
    """Train one layer and two on repeated pieces, and find the head that copies."""
    arguments = lesson_arguments(__doc__, __file__)
    (ids, counts), lengths = draw_repeats(200, np.random.default_rng(1))
    losses = {}
    for n_layer in (1, 2):
        model, losses[n_layer] = train_on_repeats(n_layer)
        answers = model.forward(ids[:, :-1]).argmax(axis=-1)
        right = float((answers == ids[:, 1:])[counts[:, 1:]].mean())
        size = sum(array.size for array in model.params.values())
        print(f"{n_layer} layers, {size:,} parameters: {right:.1%} of repeated tokens right")
    print("two layers, attention that goes …   to the token before   to what came after")
    maps = []
    for place, layer in enumerate(model.layers):
        before, after_copy = looks(layer.attention[:, 0], lengths)
        print(f"  layer {place + 1} {before:42.0%} {after_copy:20.0%}")
        maps.append(layer.attention[0, 0, :16, :16])
    finish(draw(losses, ids[0, :16], maps), arguments)


if __name__ == "__main__":
    main()
