"""One style for every figure, the drawings that several phases need, and one way to save them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

matplotlib.rcParams.update(
    {
        "figure.figsize": (7.0, 4.2),
        "figure.dpi": 100,
        "savefig.dpi": 150,
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#dddddd",
        "lines.linewidth": 2.0,
        "legend.frameon": False,
    }
)

# Told apart by all eyes.
BLUE, ORANGE, GREEN, GRAY, PINK = "#0072b2", "#d55e00", "#009e73", "#666666", "#cc79a7"


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; the same figure gives the same file."""
    figure.savefig(path, bbox_inches="tight", metadata={"Software": None})


def draw_smooth(axes: Axes, values: ArrayLike, window: int, **style: Any) -> None:
    """Draw the running average of a curve (steps,), each point in the middle of its window."""
    values = np.asarray(values)
    smooth = np.convolve(values, np.ones(window) / window, mode="valid")
    axes.plot(np.arange(len(smooth)) + window // 2, smooth, **style)


def draw_classes(
    axes: Axes,
    score: Callable[[NDArray[Any]], NDArray[Any]],
    x: NDArray[Any],
    y: NDArray[Any],
    margin: float = 0.5,
    size: float = 5,
) -> None:
    """Draw points of two classes, and which class a model gives to each place of the plane.

    Parameters
    ----------
    score
        From places (N, 2) to numbers (N,): above 0 where the model says class 1.
    x
        Points, (N, 2).
    y
        Their classes, 0 or 1, (N,).
    margin
        How far the plane goes on around the points.
    size
        How large the points are drawn.
    """
    low, high = x.min(axis=0) - margin, x.max(axis=0) + margin
    across, up = np.meshgrid(
        np.linspace(low[0], high[0], 240), np.linspace(low[1], high[1], 240), indexing="xy"
    )
    places = np.stack([across.ravel(), up.ravel()], axis=1)  # (240 · 240, 2)
    scores = score(places).reshape(across.shape)
    axes.contourf(across, up, scores > 0, levels=[-0.5, 0.5, 1.5], colors=[BLUE, ORANGE], alpha=0.2)
    if scores.min() < 0 < scores.max():
        axes.contour(across, up, scores, levels=[0], colors=[GRAY], linewidths=1.5)
    for label, color, marker in ((0, BLUE, "o"), (1, ORANGE, "s")):
        axes.plot(*x[y == label].T, marker, color=color, markersize=size, mec="white", mew=size / 8)
    axes.grid(False)
    axes.set_aspect("equal")


def draw_network(
    axes: Axes,
    layers: Sequence[Sequence[str]],
    edges: dict[tuple[int, int, int], str] | None = None,
    notes: dict[tuple[int, int], str] | None = None,
) -> None:
    """Draw a network: a column of circles per layer, an arrow for each weight.

    Parameters
    ----------
    layers
        The text in each circle, for each layer, from input to output.
    edges
        The text on the arrow from circle i of a layer to circle j of the next: (layer, i, j).
    notes
        A text below circle i of a layer, such as its bias: (layer, i).
    """
    heights = [
        [0.5 * (len(layer) - 1) - position for position in range(len(layer))] for layer in layers
    ]
    for layer in range(len(layers) - 1):
        for i, start in enumerate(heights[layer]):
            for j, end in enumerate(heights[layer + 1]):
                axes.annotate(
                    "",
                    xy=(1.6 * (layer + 1), end),
                    xytext=(1.6 * layer, start),
                    arrowprops={"arrowstyle": "-|>", "color": GRAY, "shrinkA": 22, "shrinkB": 22},
                )
                if edges and (layer, i, j) in edges:
                    # A third of the way, where the arrows from one circle are already apart.
                    axes.text(
                        1.6 * layer + 1.6 * 0.36,
                        start + (end - start) * 0.36,
                        edges[layer, i, j],
                        ha="center",
                        va="center",
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
                    )
    for layer, texts in enumerate(layers):
        for i, text in enumerate(texts):
            place = (1.6 * layer, heights[layer][i])
            axes.plot(*place, "o", markersize=40, color="white", markeredgecolor=BLUE, mew=2)
            axes.text(*place, text, ha="center", va="center")
            if notes and (layer, i) in notes:
                below = (place[0], place[1] - 0.42)
                axes.text(*below, notes[layer, i], ha="center", va="center", color=GRAY)
    tallest = max(len(layer) for layer in layers)
    axes.set_xlim(-0.5, 1.6 * (len(layers) - 1) + 0.5)
    axes.set_ylim(-0.5 * tallest - 0.1, 0.5 * tallest + 0.1)
    axes.axis("off")


def draw_attention(
    axes: Axes, attention: NDArray[Any], queries: Sequence[str], keys: Sequence[str]
) -> None:
    """Draw who looks at whom: a row for each query, a column for each key, dark for much.

    Parameters
    ----------
    attention
        α of one head, (T, S), from 0 to 1.
    queries, keys
        The text beside each row and below each column.
    """
    axes.imshow(attention, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(keys)), keys, rotation=90, fontsize=8)
    axes.set_yticks(range(len(queries)), queries, fontsize=8)
    axes.set_xlabel("looked at")
    axes.set_ylabel("who looks")
    axes.grid(False)
