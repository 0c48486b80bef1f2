"""Training a network by backpropagation: overfit one batch first, then separate two spirals.

    forward     z = model(x),  L = cross-entropy(z, y)
    backward    dL_dz from the loss, then layer by layer to every W and b
    step        the optimizer moves every parameter

x is (N, 2), y (N,) holds class 0 or 1. z, (N, 2), are the logits: a score for each class, before
softmax makes probabilities of them. One batch is a few examples taken together.

Before the real training comes a test that costs a second: can the model learn 16 examples by heart?
A network with thousands of knobs must. If it cannot, something is broken, and no amount of data
will mend it.

Two spirals around each other cannot be separated by anything straight. The network must bend its
boundary with them, which it learns from 1,000 points; 1,000 others, never trained on, say
whether it learned the spirals or the points.

Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors". The loop
is explained in ``notes/training_loop.md``. Run ``python phase-02-backprop/code/train_mlp.py``.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_02.layers import Layer, Linear, ReLU, Sequential
from phase_02.losses import SoftmaxCrossEntropy
from phase_02.optimizers import Adam, Optimizer, warmup_cosine
from shared.checks import check_array, check_count, check_labels
from shared.plotting import BLUE, GRAY, ORANGE, draw_classes, draw_smooth
from shared.progress import progress
from shared.script import finish, lesson_arguments

Array = NDArray[Any]
Labels = NDArray[np.int64]


def make_mlp(sizes: Sequence[int], rng: np.random.Generator) -> Sequential:
    """Return Linear layers of these sizes with ReLU between them.

    Raises
    ------
    ValueError
        If there are fewer than two sizes.
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes: expected input and output at least, got {list(sizes)}: add one")
    layers: list[Layer] = []
    for inputs, outputs in pairwise(sizes):
        layers += [Linear(inputs, outputs, rng), ReLU()]
    return Sequential(layers[:-1])  # no bend after the last


def spirals(count: int, rng: np.random.Generator, noise: float = 0.02) -> tuple[Array, Labels]:
    """Return ``count`` points on each of two spirals, (2 count, 2), and which they are on.

    Each winds 1.35 times around the middle.

    Raises
    ------
    ValueError
        If ``count`` is not a whole number of at least 1, or ``noise`` is below 0.
    """
    check_count("count", count)
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise: expected 0 or more, got {noise!r}: try 0.02")
    radius = np.sqrt(rng.uniform(0.01, 1, size=2 * count))  # equally close together all along
    y = np.repeat([0, 1], count)
    angle = 3 * np.pi * radius + np.pi * y
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return x + rng.normal(scale=noise, size=x.shape), y


def train_step(model: Layer, optimizer: Optimizer, x: ArrayLike, y: ArrayLike) -> float:
    """Go forward, backward, and move once; returns the loss before the move."""
    loss = SoftmaxCrossEntropy()
    value = loss.forward(model.forward(x, training=True), y)
    _, grads = model.backward(loss.backward())
    optimizer.step(grads)
    return value


def overfit_batch(
    model: Layer, optimizer: Optimizer, x: ArrayLike, y: ArrayLike, steps: int
) -> list[float]:
    """Train on the same few examples again and again; returns the loss before each step."""
    check_count("steps", steps)
    return [train_step(model, optimizer, x, y) for _ in range(steps)]


def train(
    model: Layer,
    optimizer: Optimizer,
    x: ArrayLike,
    y: ArrayLike,
    steps: int,
    batch_size: int,
    rng: np.random.Generator,
    after_step: Callable[[int], None] | None = None,
) -> list[float]:
    """Train on batches drawn at random, the learning rate falling in half a cosine.

    Parameters
    ----------
    x
        Numbers, (N, inputs), or what else the model takes, such as token ids: one row per example.
    y
        The right classes, (N,).
    after_step
        Called with the number of steps made, to look at the model on the way.

    Returns
    -------
    list of float
        The loss of each batch before its step.

    Raises
    ------
    ValueError
        If x and y do not fit each other or the model, or hold what is no finite number, or if steps
        or batch_size is below 1.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "iu":  # whole numbers may be token ids, which the model checks
        x = check_array("x", x, ("N", "inputs"), "give one row of numbers per example")
    y = check_labels("y", y, x.shape[:1], model.forward(x[:1]).shape[-1])
    check_count("steps", steps)
    check_count("batch_size", batch_size)
    peak, losses = optimizer.learning_rate, []
    try:
        for step in progress(range(steps), "training"):
            optimizer.learning_rate = warmup_cosine(step, steps, peak, warmup=steps // 20)
            batch = rng.integers(len(x), size=batch_size)
            losses.append(train_step(model, optimizer, x[batch], y[batch]))
            if after_step:
                after_step(step + 1)
    finally:
        optimizer.learning_rate = peak  # it ends at 0, from where nobody could train on
    return losses


def accuracy(model: Layer, x: ArrayLike, y: ArrayLike) -> float:
    """Return the share of examples (N, inputs) whose largest logit is that of their class (N,)."""
    x = check_array("x", x, ("N", "inputs"), "give one row of numbers per example")
    z = model.forward(x)
    y = check_labels("y", y, z.shape[:1], z.shape[1])
    return float(np.mean(z.argmax(axis=1) == y))


def lead_of_class_1(model: Layer, x: ArrayLike) -> Array:
    """Return how far the logit of class 1 is above that of class 0 at x (N, 2): shape (N,)."""
    z = model.forward(x)
    return z[:, 1] - z[:, 0]


def draw(
    snapshots: dict[int, Layer], x: Array, y: Labels, memorized: list[float], losses: list[float]
) -> Figure:
    """Draw the boundary as it bends, and both loss curves."""
    figure = Figure(figsize=(8, 5.4))
    grid = figure.add_gridspec(2, len(snapshots), height_ratios=[1.25, 1])
    for place, (step, model) in enumerate(snapshots.items()):
        axes = figure.add_subplot(grid[0, place])
        draw_classes(axes, partial(lead_of_class_1, model), x, y, margin=0.2, size=3)
        axes.set_title(f"after {step:,} steps")
        axes.set_xticks([])
        axes.set_yticks([])
    one_batch = figure.add_subplot(grid[1, 0])
    one_batch.semilogy(memorized, color=BLUE)
    one_batch.set_title("16 examples by heart")
    one_batch.set_xlabel("step")
    one_batch.set_ylabel("loss in nats")
    spiral = figure.add_subplot(grid[1, 1:])
    spiral.semilogy(losses, color=GRAY, linewidth=0.6)
    draw_smooth(spiral, losses, 50, color=ORANGE)
    spiral.set_title("the spirals (orange: average of 50 batches)")
    spiral.set_xlabel("step")
    figure.tight_layout()
    return figure


def main() -> None:
    """Learn one batch by heart, then two spirals."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)
    x, y = spirals(500, rng)
    new_x, new_y = spirals(500, np.random.default_rng(1))

    model = make_mlp([2, 64, 64, 2], rng)
    parameters = sum(array.size for array in model.params.values())
    print(f"spirals: x {x.shape}, y {y.shape}; MLP 2–64–64–2, {parameters:,} parameters")
    few = rng.choice(len(x), size=16, replace=False)
    memorized = overfit_batch(model, Adam(model.params, 0.01), x[few], y[few], 200)
    print(f"one batch of 16: loss {memorized[0]:.4f} → {memorized[-1]:.6f} nats in 200 steps")

    model = make_mlp([2, 64, 64, 2], rng)
    snapshots: dict[int, Layer] = {}

    def look(step: int) -> None:
        if step in (20, 150, 1000):
            snapshots[step] = copy.deepcopy(model)

    losses = train(model, Adam(model.params, 0.01), x, y, 1000, 64, rng, look)
    for step, snapshot in snapshots.items():
        print(
            f"after {step:5,} steps: right for {accuracy(snapshot, x, y):6.1%} of its points,"
            f" {accuracy(snapshot, new_x, new_y):6.1%} of new ones"
        )
    first, last = np.mean(losses[:50]), np.mean(losses[-50:])
    print(f"loss of the first 50 batches {first:.4f}, of the last 50 {last:.4f} nats")
    finish(draw(snapshots, new_x, new_y, memorized, losses), arguments)


if __name__ == "__main__":
    main()
