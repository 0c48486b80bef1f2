"""The transformer block: look around, then think; each adds its result to what is already known.

    pre-norm, as in GPT-2                          post-norm, as in 2017
    x₁ = x  + attention(norm₁(x))                  x₁ = norm₁(x  + attention(x))
    x₂ = x₁ + feed_forward(norm₂(x₁))              x₂ = norm₂(x₁ + feed_forward(x₁))

x, x₁ and x₂ are (B, T, C). What runs straight through, from x to x₂, is the *residual stream*. A
sum hands the same blame to both of its parts:

    x₁ = x + f(x)        dL_dx = dL_dx₁ + (the blame that f hands back)

With pre-norm the stream passes untouched through any number of blocks, and so does blame. With
post-norm a norm stands in the stream after every sum, and blame has to pass all of them;
`norm_placement.py` measures what that costs.

He et al. 2015, "Deep Residual Learning for Image Recognition"; Vaswani et al. 2017, "Attention Is
All You Need"; Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture". Derived
in ``notes/transformer_block.md``. Run
``python phase-05-attention-numpy/code/transformer_block.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_02.gradient_check import check_layer
from phase_02.layers import Arrays, Layer, named
from phase_05.feed_forward import FeedForward
from phase_05.layer_norm import LayerNorm
from phase_05.multi_head_attention import MultiHeadAttention
from phase_05.positional_encoding import Rotary
from shared.checks import check_array
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


class Residual(Layer):
    """A layer with a shortcut around it, and a norm before it or after the sum.

    Parameters
    ----------
    name
        What its parameters are called: ``name.…``, and ``name_norm.…`` for those of the norm.
    part
        The layer; its output has the shape of its input, (B, T, C).
    norm
        The norm, for C numbers.
    pre_norm
        Whether the norm stands before the layer, or after the sum.
    """

    def __init__(self, name: str, part: Layer, norm: LayerNorm, pre_norm: bool = True) -> None:
        super().__init__()
        self.name, self.part, self.norm, self.pre_norm = name, part, norm, pre_norm
        self.params = self.named_both(norm.params, part.params)

    def named_both(self, norm: Arrays, part: Arrays) -> Arrays:
        """Return the norm's arrays and the layer's under their names in this one."""
        return named(f"{self.name}_norm", norm) | named(self.name, part)

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map (B, T, C) to (B, T, C)."""
        g = self.norm.params["g"]
        x = check_array("x", x, ("B", "T", len(g)), "give B sequences of T tokens")
        x = x.astype(g.dtype, copy=False)
        if self.pre_norm:
            return x + self.part.forward(self.norm.forward(x), training)
        return self.norm.forward(x + self.part.forward(x, training))

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dx (B, T, C), and the gradients of the norm and of the layer."""
        if self.pre_norm:
            # a = x + part(norm(x)): blame goes straight to x, and through the layer to x
            dL_dnormed, part = self.part.backward(dL_da)
            dL_dthrough, norm = self.norm.backward(dL_dnormed)
            dL_dstraight = np.asarray(dL_da)
        else:
            # a = norm(x + part(x)): first through the norm, then both ways
            dL_dstraight, norm = self.norm.backward(dL_da)
            dL_dthrough, part = self.part.backward(dL_dstraight)
        return dL_dstraight + dL_dthrough, self.named_both(norm, part)


class TransformerBlock(Layer):
    """Attention, then feed-forward, each with its norm and its shortcut.

    Parameters
    ----------
    n_embd
        C, how many numbers describe a token; a multiple of ``n_head``.
    n_head
        H, how many attention heads.
    rng
        Where the first weights come from.
    pre_norm
        Whether the norms stand before attention and feed-forward, or after the sums.
    causal, rotary
        As in `MultiHeadAttention`.
    dtype
        The precision of everything.
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        rng: np.random.Generator,
        pre_norm: bool = True,
        causal: bool = True,
        rotary: Rotary | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(n_embd, n_head, rng, causal, rotary, dtype)
        self.look = Residual("attention", self.attention, LayerNorm(n_embd, dtype=dtype), pre_norm)
        feed_forward = FeedForward(n_embd, rng, dtype)
        self.think = Residual(
            "feed_forward", feed_forward, LayerNorm(n_embd, dtype=dtype), pre_norm
        )
        self.params = self.look.params | self.think.params

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map (B, T, C) to (B, T, C)."""
        return self.think.forward(self.look.forward(x, training), training)

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dx (B, T, C), and the gradients of all parameters."""
        dL_dx1, think = self.think.backward(dL_da)
        dL_dx, look = self.look.backward(dL_dx1)
        return dL_dx, look | think


def draw() -> Figure:
    """Draw the block: a stream that runs straight through, and two parts that add to it."""
    figure = Figure(figsize=(9, 3.2))
    axes = figure.subplots()
    arrow = {"arrowstyle": "-|>", "color": GRAY, "linewidth": 1.5}
    axes.annotate("", xy=(10.3, 0), xytext=(-0.3, 0), arrowprops=arrow | {"linewidth": 3})
    for left, part in ((0.6, "attention"), (5.6, "feed-forward")):
        for start, end in (
            ((left, 0), (left, 1.2)),
            ((left, 1.2), (left + 0.55, 1.2)),
            ((left + 1.6, 1.2), (left + 2.1, 1.2)),
            ((left + 3.55, 1.2), (left + 4, 1.2)),
            ((left + 4, 1.2), (left + 4, 0.26)),
        ):
            axes.annotate("", xy=end, xytext=start, arrowprops=arrow)
        for x, text in ((left + 1.07, "norm"), (left + 2.82, part)):
            box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": BLUE}
            axes.text(x, 1.2, text, ha="center", va="center", bbox=box | {"linewidth": 2})
        axes.plot(left + 4, 0, "o", markersize=20, color="white", markeredgecolor=BLUE, mew=2)
        axes.text(left + 4, 0, "+", ha="center", va="center")
    for x, text in ((-0.5, "x"), (10.5, "x₂")):
        axes.text(x, 0, text, ha="center", va="center")
    axes.text(5.1, -0.35, "x₁", ha="center")
    back = {"arrowstyle": "-|>", "color": ORANGE, "linewidth": 2}
    axes.annotate("", xy=(-0.3, -0.8), xytext=(10.3, -0.8), arrowprops=back)
    axes.text(
        5, -1.2, "blame passes straight through, whatever the parts do", ha="center", color=ORANGE
    )
    axes.set_xlim(-0.8, 10.8)
    axes.set_ylim(-1.4, 2.0)
    axes.axis("off")
    axes.set_title("A block adds twice to the residual stream")
    return figure


def main() -> None:
    """List the parameters of a block and check every gradient."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)
    block = TransformerBlock(8, 2, rng)
    out = block.forward(rng.normal(size=(2, 3, 8)))
    print(f"block (2, 3, 8) → {out.shape}; parameters")
    for name, array in block.params.items():
        print(f"  {name:26} {array.shape}")
    print(f"  together 12 C² + 13 C = {sum(array.size for array in block.params.values())}")
    print("gradient check, float64: largest relative error of x and all parameters")
    for name, checked in (
        ("pre-norm", TransformerBlock(4, 2, rng)),
        ("post-norm", TransformerBlock(4, 2, rng, pre_norm=False)),
    ):
        errors = check_layer(checked, rng.normal(size=(2, 3, 4)), rng)
        print(f"  {name:10} {max(errors.values()):.0e} over {len(errors)} arrays")
    finish(draw(), arguments)


if __name__ == "__main__":
    main()
