"""A race of optimizers: down a ravine, and on a real network.

    the ravine     f(w) = ½ (w₀² + 25 w₁²), w (2,)             from phase 0
    the network    MLP 2–32–32–2 on the two spirals            from ``train_mlp``

Each optimizer runs with its own best learning rate out of a grid, because the right η for SGD is
wrong for Adam, and a race with one η for all says nothing. The rules are in ``optimizers``.

Kingma & Ba 2014, "Adam: A Method for Stochastic Optimization". Discussed in
``notes/optimizers.md``. Run ``python phase-02-backprop/code/optimizer_race.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phase_00.gradient_descent import RAVINE, START, height, height_gradient
from phase_02.optimizers import OPTIMIZERS, AdamW, Optimizer
from phase_02.train_mlp import accuracy, make_mlp, spirals, train
from shared.plotting import BLUE, GRAY, GREEN, ORANGE, PINK, draw_smooth
from shared.progress import progress
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

COLORS = dict(zip(OPTIMIZERS, (BLUE, GREEN, PINK, ORANGE, GRAY), strict=True))


def roll(kind: type[Optimizer], learning_rate: float, steps: int) -> Array:
    """Return the path of an optimizer down the ravine, (steps + 1, 2)."""
    params = {"w": START.copy()}
    optimizer = kind(params, learning_rate)
    path = [params["w"].copy()]
    for _ in range(steps):
        optimizer.step({"w": height_gradient(params["w"], RAVINE)})
        path.append(params["w"].copy())
    return np.stack(path)


def best_roll(kind: type[Optimizer], steps: int) -> tuple[float, Array]:
    """Return the learning rate that ends lowest in the ravine, and its path."""
    rates = 0.001 * 2.0 ** np.arange(11)  # 0.001 … 1.024
    paths = {rate: roll(kind, rate, steps) for rate in rates.tolist()}
    best = min(paths, key=lambda rate: float(height(paths[rate][-1], RAVINE)))
    return best, paths[best]


def best_training(kind: type[Optimizer], steps: int) -> tuple[float, list[float], float]:
    """Return the best learning rate on the spirals, its losses, its accuracy on the same points."""
    x, y = spirals(500, np.random.default_rng(0))
    results = {}
    for rate in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0):
        model = make_mlp([2, 32, 32, 2], np.random.default_rng(0))
        rng = np.random.default_rng(1)
        losses = train(model, kind(model.params, rate), x, y, steps, 64, rng)
        results[rate] = (float(np.mean(losses[-50:])), losses, accuracy(model, x, y))
    best = min(results, key=lambda rate: results[rate][0])
    return best, results[best][1], results[best][2]


def draw(rolls: dict[str, Array], trainings: dict[str, list[float]]) -> Figure:
    """Draw heights in the ravine and losses on the spirals, step by step."""
    figure = Figure(figsize=(8, 3.6))
    ravine, network = figure.subplots(1, 2)
    for name, path in rolls.items():
        ravine.semilogy(height(path, RAVINE), color=COLORS[name], label=name)
    ravine.set_ylim(1e-8, 100)
    ravine.set_xlabel("step")
    ravine.set_ylabel("height")
    ravine.set_title("the ravine of phase 0")
    for name, losses in trainings.items():
        draw_smooth(network, losses, 50, color=COLORS[name], label=name)
    network.set_yscale("log")
    network.set_xlabel("step")
    network.set_ylabel("loss in nats, average of 50")
    network.set_title("two spirals")
    network.legend()
    figure.tight_layout()
    return figure


def main() -> None:
    """Race five optimizers, each with its own best learning rate."""
    arguments = lesson_arguments(__doc__, __file__)
    steps = 60
    rolls, trainings = {}, {}
    print(f"the ravine, w {START.shape}, {steps} steps")
    for name, kind in OPTIMIZERS.items():
        if kind is AdamW:
            continue  # w is a vector, which it does not pull: it would be Adam
        rate, rolls[name] = best_roll(kind, steps)
        print(f"  {name:9} η = {rate:<6g} height {height(rolls[name][-1], RAVINE):.1e}")
    print("the spirals, 600 batches of 64")
    for name, kind in progress(list(OPTIMIZERS.items()), "racing"):
        rate, trainings[name], right = best_training(kind, 600)
        print(
            f"  {name:9} η = {rate:<6g} loss of the last 50 batches "
            f"{np.mean(trainings[name][-50:]):.4f} nats, right {right:.1%}"
        )
    finish(draw(rolls, trainings), arguments)


if __name__ == "__main__":
    main()
