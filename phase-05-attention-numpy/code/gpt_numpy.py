"""A whole GPT in NumPy: the architecture of GPT-2, every backward pass by hand.

    x      = token_embedding[ids] + position_embedding[0 … T − 1]      (B, T, C)
    x      = x + attention(norm(x)),  x = x + feed_forward(norm(x))    in each of n_layer blocks
    x      = final_norm(x)
    logits = x Eᵀ                                                      (B, T, V)

E = token_embedding is (V, C). The same table looks tokens up and scores them, as in phase 4's
models, so it is blamed from both ends: dL_dE = dL_dlogitsᵀ x, and what comes back to the rows that
were looked up. The head has no bias.

Parameters are named as in phase 7's PyTorch GPT, except that W and g are called ``weight`` there
and b ``bias``; `hugging_face_name` gives the names in Hugging Face's GPT-2. Dropout, which
GPT-2 was trained with, is left out: it has no parameters, and does nothing after training.

Radford et al. 2019, "Language Models are Unsupervised Multitask Learners". Derived in
``notes/gpt.md``. Run ``python phase-05-attention-numpy/code/gpt_numpy.py``.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_02.gradient_check import check_gradients
from phase_02.layers import Arrays, Layer, check_blame, named
from phase_02.losses import SoftmaxCrossEntropy
from phase_03.embedding import Embedding
from phase_04.language_model import row_log_probabilities
from phase_05.layer_norm import LayerNorm
from phase_05.multi_head_attention import check_heads
from phase_05.positional_encoding import LearnedPositions
from phase_05.transformer_block import TransformerBlock
from shared.checks import check_array, check_count
from shared.language_model import Ids, check_ids
from shared.plotting import BLUE, GRAY
from shared.script import finish, lesson_arguments
from shared.weights import load_arrays, save_arrays

Array = NDArray[Any]


class GPT(Layer):
    """From ids to logits of the next id, at every place.

    Parameters
    ----------
    vocab_size
        V, how many different tokens there are.
    block_size
        The longest sequence it can read, in tokens.
    n_layer, n_head, n_embd
        How many blocks, how many heads in each (H), and how many numbers describe a token (C).
    rng
        Where the first numbers come from.
    dtype
        Their precision.

    Raises
    ------
    ValueError
        If a size is not a whole number of at least 1, or C is no multiple of H.
    """

    def __init__(
        self,
        vocab_size: int,
        block_size: int,
        n_layer: int,
        n_head: int,
        n_embd: int,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        check_heads(n_embd, n_head)
        self.sizes = {
            "vocab_size": vocab_size,
            "block_size": block_size,
            "n_layer": check_count("n_layer", n_layer),
            "n_head": n_head,
            "n_embd": n_embd,
        }
        self.token_embedding = Embedding(vocab_size, n_embd, rng, dtype)
        self.position_embedding = LearnedPositions(block_size, n_embd, rng, dtype)
        self.blocks = [TransformerBlock(n_embd, n_head, rng, dtype=dtype) for _ in range(n_layer)]
        self.final_norm = LayerNorm(n_embd, dtype=dtype)
        self.x: Array = np.empty((0, 0, n_embd))  # of the last forward pass: none yet
        self.params = (
            named("token_embedding", self.token_embedding.params)
            | named("position_embedding", self.position_embedding.params)
            | {
                name: array
                for place, block in enumerate(self.blocks)
                for name, array in named(f"blocks.{place}", block.params).items()
            }
            | named("final_norm", self.final_norm.params)
        )
        self.initialize(rng)

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw all matrices as GPT-2 does, with its 0.02 made wider for a narrower model.

        The two matrices of each block that end on the residual stream start smaller, by
        1 / √(2 n_layer): so many of them are added up on the stream.
        """
        std = 0.02 * np.sqrt(768 / self.sizes["n_embd"])
        for name, array in self.params.items():
            if array.ndim == 2:
                ends_on_stream = name.endswith(("projection.W", "down.W"))
                smaller = np.sqrt(2 * self.sizes["n_layer"]) if ends_on_stream else 1
                array[...] = rng.normal(size=array.shape) * std / smaller

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map ids (B, T), with T at most ``block_size``, to logits (B, T, V)."""
        ids = check_ids("x", x, self.sizes["vocab_size"])
        if ids.ndim != 2:
            raise ValueError(
                f"x: expected ids of shape (B, T), got {ids.shape}: x[None] makes one row a batch"
            )
        stream = self.position_embedding.forward(self.token_embedding.forward(ids))
        for block in self.blocks:
            stream = block.forward(stream, training)
        self.x = self.final_norm.forward(stream)
        return self.x @ self.token_embedding.params["W"].T

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return zeros for the ids, which cannot be nudged, and the gradients of all parameters."""
        E = self.token_embedding.params["W"]
        dL_dlogits = check_blame(dL_da, (*self.x.shape[:-1], len(E)))
        # logits = x Eᵀ
        rows = dL_dlogits.reshape(-1, len(E))  # (B T, V)
        dL_dE = rows.T @ self.x.reshape(-1, E.shape[1])
        dL_dx = dL_dlogits @ E
        # x = final_norm(stream), and the blocks from the last to the first
        dL_dstream, grads = self.final_norm.backward(dL_dx)
        grads = named("final_norm", grads)
        for place, block in reversed(list(enumerate(self.blocks))):
            dL_dstream, block_grads = block.backward(dL_dstream)
            grads |= named(f"blocks.{place}", block_grads)
        # stream = E[ids] + positions
        dL_de, positions = self.position_embedding.backward(dL_dstream)
        dL_dids, table = self.token_embedding.backward(dL_de)
        grads |= named("position_embedding", positions)
        return dL_dids, grads | {"token_embedding.W": table["W"] + dL_dE}

    def row_log_probabilities(self, rows: Sequence[Ids]) -> list[float]:
        """Return ln p of each row after its first id."""
        return row_log_probabilities(self.forward, rows, self.sizes["vocab_size"], at_once=20)

    @property
    def parameters(self) -> int:
        """How many numbers training adjusts; the tied head is counted once."""
        return sum(array.size for array in self.params.values())

    def save(self, path: str | Path) -> None:
        """Write all parameters to a file ``.npz`` or ``.safetensors``."""
        save_arrays(Path(path), self.params)

    def load(self, path: str | Path) -> None:
        """Read what `save` wrote, from a model of the same sizes.

        Raises
        ------
        ValueError
            If a parameter is missing or left over, or has another shape. Nothing is changed then.
        """
        arrays = load_arrays(Path(path))
        if set(arrays) != set(self.params):
            missing, extra = set(self.params) - set(arrays), set(arrays) - set(self.params)
            raise ValueError(
                f"{path}: expected the parameters of a GPT with {self.sizes}, got "
                f"{sorted(missing)[:3]} missing and {sorted(extra)[:3]} left over: give the model "
                "the sizes it was saved with"
            )
        remedy = "give the model the sizes it was saved with"
        fresh = {}
        for name, param in self.params.items():
            array = check_array(f"{path}: {name}", arrays[name], param.shape, remedy)
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
                array = array.astype(param.dtype)
            fresh[name] = check_array(f"{path}: {name}", array, param.shape, remedy)
        for name, param in self.params.items():
            param[...] = fresh[name]


HUGGING_FACE = {
    "token_embedding": "wte",
    "position_embedding": "wpe",
    "attention_norm": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.up": "mlp.c_fc",
    "feed_forward.down": "mlp.c_proj",
    "final_norm": "ln_f",
}


def hugging_face_name(name: str) -> str:
    """Return the name that Hugging Face's GPT-2 gives to one of our parameters.

    Its matrices are stored as ours, (inputs, outputs): no axis has to be swapped.

    Raises
    ------
    ValueError
        If no parameter is called so.
    """
    match = re.fullmatch(r"(?:blocks\.(\d+)\.)?(.+)\.(W|g|b)", name)
    block, part, kind = match.groups() if match else (None, "", "")
    kinds = "gb" if part.endswith("norm") else "W" if part.endswith("embedding") else "Wb"
    in_block = part not in ("token_embedding", "position_embedding", "final_norm")
    if part not in HUGGING_FACE or kind not in kinds or in_block == (block is None):
        raise ValueError(f"name: expected that of a parameter of GPT, got {name!r}: see GPT.params")
    before = f"h.{block}." if block is not None else ""
    return f"transformer.{before}{HUGGING_FACE[part]}.{'bias' if kind == 'b' else 'weight'}"


def phase_7_name(name: str) -> str:
    """Return the name that phase 7's GPT gives to one of our parameters.

    Matrices of `Linear` are stored there with their axes swapped, (outputs, inputs).

    Raises
    ------
    ValueError
        If no parameter is called so.
    """
    hugging_face_name(name)  # refuses what is no name
    part, kind = name.rsplit(".", 1)
    return f"{part}.{'bias' if kind == 'b' else 'weight'}"


def check_gpt(rng: np.random.Generator) -> dict[str, float]:
    """Return the relative error of every parameter's gradient in a GPT with two blocks."""
    model = GPT(7, 6, n_layer=2, n_head=2, n_embd=4, rng=rng, dtype=np.float64)
    for array in model.params.values():
        array[...] = rng.normal(size=array.shape)
    ids = rng.integers(7, size=(3, 5))
    c = rng.normal(size=(3, 5, 7))
    model.forward(ids)
    _, grads = model.backward(c)
    return check_gradients(lambda: float(np.sum(model.forward(ids) * c)), model.params, grads)


def draw(errors: dict[str, float]) -> Figure:
    """Draw the relative error of every parameter's gradient."""
    figure = Figure(figsize=(8, 6))
    axes = figure.subplots()
    axes.barh(list(errors), list(errors.values()), left=1e-13, color=BLUE)
    axes.axvline(1e-7, color=GRAY, linestyle="--", label="tolerance 1e-7")
    axes.set_xscale("log")
    axes.set_xlim(1e-13, 1e-5)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=9)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("relative error against nudging")
    axes.set_title("A whole GPT, every gradient checked")
    axes.legend(loc="upper right")
    figure.tight_layout()
    return figure


def main() -> None:
    """Send ids through a small GPT, count its parameters, check every gradient."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)
    model = GPT(vocab_size=229, block_size=160, n_layer=2, n_head=2, n_embd=12, rng=rng)
    ids = rng.integers(229, size=(4, 20))
    logits = model.forward(ids)
    loss = SoftmaxCrossEntropy().forward(logits, rng.integers(229, size=ids.shape))
    print(f"ids {ids.shape} → logits {logits.shape}; {model.parameters:,} parameters")
    print(f"untrained: loss {loss:.2f} nats, and ln(229) = {np.log(229):.2f}")
    large = 50257 * 768 + 1024 * 768 + 12 * (12 * 768**2 + 13 * 768) + 2 * 768
    print(f"GPT-2 small by the same sum: {large:,}")
    errors = check_gpt(rng)
    print(f"gradient check, float64: {len(errors)} parameters, worst {max(errors.values()):.0e}")
    print("names here → at Hugging Face")
    for name in ("token_embedding.W", "blocks.1.attention.qkv.W", "blocks.1.feed_forward_norm.g"):
        print(f"  {name:28} {hugging_face_name(name)}")
    finish(draw(errors), arguments)


if __name__ == "__main__":
    main()
