"""One style for every figure, and one way to save it."""

from pathlib import Path

import matplotlib

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

from matplotlib.figure import Figure  # noqa: E402  (after the style is set)

BLUE, ORANGE, GREEN, GRAY = "#0072b2", "#d55e00", "#009e73", "#666666"  # told apart by all eyes


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; the same figure gives the same file."""
    figure.savefig(path, bbox_inches="tight", metadata={"Software": None})
