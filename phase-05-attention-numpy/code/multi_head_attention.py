"""Multi-head attention: several small attentions side by side, each with its own question.

    q, k, v = x W_qkv + b_qkv, cut into three       (B, T, C) each
    cut each into H heads of D = C / H numbers      (B, H, T, D)
    a = attention(q, k, v) in every head            (B, H, T, D)
    put the heads side by side again                (B, T, C)
    out = a W_proj + b_proj                         (B, T, C)

x is (B, T, C): B sequences of T tokens of C numbers. W_qkv is (C, 3C), b_qkv (3C,), W_proj (C, C),
b_proj (C,). What looks and what is looked at is the same sequence: *self-attention*. Cutting and
joining only rename places, so backward undoes the renaming and changes no number.

One head has one row of weights per token: it can look at one kind of thing. H heads cost as many
numbers and as many multiplications as one wide head, and look at H kinds of things.

Vaswani et al. 2017, "Attention Is All You Need". Derived in ``notes/multi_head_attention.md``. Run
``python phase-05-attention-numpy/code/multi_head_attention.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_02.gradient_check import check_layer
from phase_02.layers import Arrays, Layer, Linear, named
from phase_05.positional_encoding import Rotary
from phase_05.scaled_dot_product import ScaledDotProduct, causal_mask, check_mask
from shared.checks import check_array, check_count
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def check_heads(n_embd: int, n_head: int) -> None:
    """Refuse a width that cannot be cut into heads of equal size."""
    check_count("n_head", n_head)
    if check_count("n_embd", n_embd) % n_head:
        nearest = max(1, round(n_embd / n_head)) * n_head
        raise ValueError(
            f"n_embd: expected a multiple of n_head = {n_head}, got {n_embd}: the nearest is "
            f"{nearest}"
        )


class MultiHeadAttention(Layer):
    """Self-attention with weights.

    Parameters
    ----------
    n_embd
        C, how many numbers describe a token; a multiple of ``n_head``.
    n_head
        H, how many heads.
    rng
        Where the first weights come from.
    causal
        Whether a token looks only at itself and at what is before it.
    rotary
        Turns queries and keys by their place, if given.
    dtype
        The precision of everything.
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        rng: np.random.Generator,
        causal: bool = True,
        rotary: Rotary | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        check_heads(n_embd, n_head)
        self.n_embd, self.n_head, self.causal, self.rotary = n_embd, n_head, causal, rotary
        self.qkv = Linear(n_embd, 3 * n_embd, rng, "glorot", dtype)
        self.look = ScaledDotProduct()
        self.projection = Linear(n_embd, n_embd, rng, "glorot", dtype)
        self.params = named("qkv", self.qkv.params) | named("projection", self.projection.params)

    @property
    def attention(self) -> Array:
        """α of the last forward pass, (B, H, T, T); empty before the first."""
        return self.look.attention

    def split(self, x: Array) -> Array:
        """Cut (B, T, n C) into heads: (n, B, H, T, D)."""
        B, T, _ = x.shape
        D = self.n_embd // self.n_head
        return x.reshape(B, T, -1, self.n_head, D).transpose(2, 0, 3, 1, 4)

    def join(self, heads: Array) -> Array:
        """Undo `split`: (n, B, H, T, D) to (B, T, n C)."""
        _, B, _, T, _ = heads.shape
        return heads.transpose(1, 3, 0, 2, 4).reshape(B, T, -1)

    def forward(
        self, x: ArrayLike, training: bool = False, *, mask: ArrayLike | None = None
    ) -> Array:
        """Map (B, T, C) to (B, T, C).

        Parameters
        ----------
        mask
            Besides causality, True where a token may look: (T, T), or what spreads to (B, H, T, T).
            Which tokens of each row are real, (B, T), is written ``real[:, None, None]``.
        """
        if not isinstance(training, bool):
            raise ValueError(
                f"training: expected True or False, got {type(training).__name__}: "
                "a mask is given by its name, mask=mask"
            )
        x = check_array("x", x, ("B", "T", self.n_embd), "give B sequences of T tokens")
        B, T, _ = x.shape
        if self.causal:
            before = causal_mask(T)
            shape = (B, self.n_head, T, T)
            mask = before if mask is None else before & check_mask(mask, shape)
        q, k, v = self.split(self.qkv.forward(x))  # each (B, H, T, D)
        if self.rotary is not None:
            q, k = self.rotary.forward(q), self.rotary.forward(k)
        a = self.look.forward(q, k, v, mask)
        return self.projection.forward(self.join(a[None]))

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dx (B, T, C), and the gradients of both matrices and biases."""
        # out = join(a) W_proj + b_proj
        dL_djoined, projection = self.projection.backward(dL_da)
        # a = attention(q, k, v) in every head
        dL_dq, dL_dk, dL_dv = self.look.backward(self.split(dL_djoined)[0])
        if self.rotary is not None:
            dL_dq, dL_dk = self.rotary.backward(dL_dq), self.rotary.backward(dL_dk)
        # q, k, v = split(x W_qkv + b_qkv)
        dL_dx, qkv = self.qkv.backward(self.join(np.stack([dL_dq, dL_dk, dL_dv])))
        return dL_dx, named("qkv", qkv) | named("projection", projection)


def draw(shapes: dict[str, tuple[int, ...]]) -> Figure:
    """Draw how the numbers of each token are cut into heads and joined again."""
    figure = Figure(figsize=(9, 2.8))
    axes = figure.subplots()
    for place, (name, shape) in enumerate(shapes.items()):
        box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": BLUE, "linewidth": 2}
        axes.text(2.1 * place, 0, f"{name}\n{shape}", ha="center", va="center", bbox=box)
    steps = ("@ W_qkv", "split", "attention\nin each head", "join", "@ W_proj")
    for place, text in enumerate(steps):
        middle = 2.1 * place + 1.05
        axes.annotate(
            "",
            xy=(middle + 0.3, 0),
            xytext=(middle - 0.3, 0),
            arrowprops={"arrowstyle": "-|>", "color": GRAY, "linewidth": 1.5},
        )
        axes.text(middle, 0.5, text, ha="center", va="bottom", fontsize=9, color=ORANGE)
    axes.set_xlim(-1, 2.1 * len(steps) + 1)
    axes.set_ylim(-0.8, 1.2)
    axes.axis("off")
    axes.set_title("One token's numbers: cut, looked up, joined")
    figure.tight_layout()
    return figure


def main() -> None:
    """Follow the shapes, see two heads look at different places, check every gradient."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)
    layer = MultiHeadAttention(n_embd=6, n_head=2, rng=rng)
    x = rng.normal(size=(1, 4, 6))
    out = layer.forward(x)
    qkv = layer.qkv.forward(x)
    print(f"x {x.shape} → q, k, v together {qkv.shape} → cut into heads {layer.split(qkv).shape}")
    print(f"α {layer.attention.shape} → out {out.shape}")
    for head in range(2):
        print(f"  head {head}, last token looks {layer.attention[0, head, -1].round(2)}")

    print("gradient check, float64: relative errors")
    for name, layer in (
        ("2 heads, causal", MultiHeadAttention(6, 2, rng)),
        ("3 heads, all see all", MultiHeadAttention(6, 3, rng, causal=False)),
        ("1 head, rotary", MultiHeadAttention(6, 1, rng, rotary=Rotary(6))),
    ):
        errors = check_layer(layer, rng.normal(size=(2, 4, 6)), rng)
        shown = "   ".join(f"{key} {error:.0e}" for key, error in errors.items())
        print(f"  {name:21} {shown}")
    shapes = {
        "x": (1, 4, 6),
        "q, k, v": qkv.shape,
        "heads": (3, 1, 2, 4, 3),
        "a": (1, 2, 4, 3),
        "joined": (1, 4, 6),
        "out": out.shape,
    }
    finish(draw(shapes), arguments)


if __name__ == "__main__":
    main()
