"""Where the norm stands: before each part, as in GPT-2, or after each sum, as in 2017.

    pre-norm    x₁ = x + attention(norm(x))          warm-up is a luxury
    post-norm   x₁ = norm(x + attention(x))          warm-up is a necessity

The original transformer puts a norm into the stream after every sum. It trains only if the learning
rate starts near 0 and rises: *warm-up*. Two measurements show why. The first is of the gradient's
length for W_down, (4C, C), in each block of an untrained stack. With post-norm the last blocks get
long gradients, so a full first step throws them far away. The second trains eight blocks to sort
digits, with and without warm-up.

Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture". Explained in
``notes/transformer_block.md``. Run ``python phase-05-attention-numpy/code/norm_placement.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import DTypeLike, NDArray

from phase_02.layers import Arrays, Layer, Linear, Sequential
from phase_02.optimizers import Adam
from phase_03.embedding import Embedding
from phase_04.language_model import next_id_loss
from phase_05.layer_norm import LayerNorm
from phase_05.positional_encoding import LearnedPositions
from phase_05.train_gpt_numpy import BAR, DIGITS, draw_task
from phase_05.transformer_block import TransformerBlock
from shared.plotting import BLUE, ORANGE, draw_smooth
from shared.progress import progress
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def stack(
    depth: int,
    pre_norm: bool,
    rng: np.random.Generator,
    n_embd: int = 16,
    dtype: DTypeLike = np.float32,
) -> Sequential:
    """Return blocks between an embedding and a head, for rows of the sorting task.

    With pre-norm a last norm stands before the head; with post-norm the last block ends with one.
    """
    tokens = Embedding(BAR + 1, n_embd, rng, dtype)
    places = LearnedPositions(2 * DIGITS, n_embd, rng, dtype)
    places.params["W"][...] = rng.normal(size=places.params["W"].shape)
    blocks = [TransformerBlock(n_embd, 2, rng, pre_norm, dtype=dtype) for _ in range(depth)]
    last = [LayerNorm(n_embd, dtype=dtype)] if pre_norm else []
    head = Linear(n_embd, BAR + 1, rng, "glorot", dtype)
    return Sequential([tokens, places, *blocks, *last, head])


def loss_and_gradients(model: Layer, rng: np.random.Generator) -> tuple[float, Arrays]:
    """Return the loss of 32 new rows to sort, and the gradients."""
    ids, counts = draw_task("sort", 32, rng)
    value, dL_dz = next_id_loss(model.forward(ids[:, :-1]), ids[:, 1:], counts[:, 1:])
    return value, model.backward(dL_dz)[1]


def gradient_by_depth(depth: int, pre_norm: bool) -> Array:
    """Return the length of the gradient for W_down in each block before training, (depth,)."""
    rng = np.random.default_rng(0)
    _, grads = loss_and_gradients(stack(depth, pre_norm, rng), rng)
    blocks = range(2, 2 + depth)  # after the embedding and the positions
    return np.array([np.linalg.norm(grads[f"{place}.feed_forward.down.W"]) for place in blocks])


def train(
    pre_norm: bool, warmup: int, steps: int = 200, learning_rate: float = 0.01, seed: int = 0
) -> list[float]:
    """Train eight blocks with Adam; the learning rate rises for ``warmup`` steps and stays."""
    rng = np.random.default_rng(seed)
    model = stack(8, pre_norm, rng)
    optimizer, losses = Adam(model.params, learning_rate, beta2=0.99), []
    for step in progress(range(steps), "eight blocks"):
        optimizer.learning_rate = learning_rate * min(1, (step + 1) / max(warmup, 1))
        value, grads = loss_and_gradients(model, rng)
        optimizer.step(grads)
        losses.append(value)
    return losses


def draw(lengths: dict[str, Array], losses: dict[str, list[float]]) -> Figure:
    """Draw the gradients of an untrained stack, and four trainings."""
    figure = Figure(figsize=(9, 3.7))
    depth, training = figure.subplots(1, 2)
    for (name, each), color in zip(lengths.items(), (BLUE, ORANGE), strict=True):
        depth.plot(range(1, len(each) + 1), each, "o-", markersize=4, color=color, label=name)
    depth.set_ylim(bottom=0)
    depth.set_xlabel("block, from the input")
    depth.set_ylabel("length of the gradient of W_down")
    depth.set_title("Untrained, 24 blocks")
    depth.legend()
    styles = ((BLUE, "-"), (BLUE, ":"), (ORANGE, "-"), (ORANGE, ":"))
    for (name, values), (color, style) in zip(losses.items(), styles, strict=True):
        draw_smooth(training, values, 10, color=color, linestyle=style, label=name)
    training.set_ylim(bottom=0)
    training.set_xlabel("step")
    training.set_ylabel("nats per digit")
    training.set_title("Learning to sort, 8 blocks")
    training.legend(fontsize=9)
    figure.tight_layout()
    return figure


def main() -> None:
    """Measure both placements before training, and train both, cold and warmed up."""
    arguments = lesson_arguments(__doc__, __file__)
    lengths = {
        name: gradient_by_depth(24, name == "pre-norm") for name in ("pre-norm", "post-norm")
    }
    print("24 untrained blocks: length of the gradient of W_down in block 1, 12, 24")
    for name, values in lengths.items():
        print(f"  {name:9} {values[0]:.3f}  {values[11]:.3f}  {values[23]:.3f}")
    print("8 blocks learn to sort in 200 steps, learning rate 0.01: loss at the end")
    losses = {}
    for name in ("pre-norm", "post-norm"):
        for start, warmup in (("cold", 0), ("warm-up", 100)):
            run = train(name == "pre-norm", warmup)
            losses[f"{name}, {start}"] = run
            print(f"  {name:9} {start:7} {np.mean(run[-20:]):.2f} nats")
    finish(draw(lengths, losses), arguments)


if __name__ == "__main__":
    main()
