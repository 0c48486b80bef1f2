"""The curves of one or several runs on one picture: bits per character against tokens read.

Run ``python phase-08-train-gpt2/code/report.py runs/stories_5min`` for ``report.png``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from phase_08.run_folder import read_metrics
from shared.errors import InputError, exits_with_sentence
from shared.plotting import BLUE, GRAY, GREEN, ORANGE, save_figure


def draw_curves(runs: Sequence[Path], path: Path) -> None:
    """Draw the curves of each run, with the floor if they read stories.

    Raises
    ------
    InputError
        If a run has no evaluation yet.
    """
    figure = Figure()
    axes = figure.subplots()
    floor = None
    for run, color in zip(runs, [BLUE, ORANGE, GREEN] * len(runs), strict=False):
        lines = read_metrics(run)
        evaluated = [line for line in lines if "bits_per_character" in line]
        if not evaluated:
            raise InputError(
                f"run: expected a run with an evaluation, got {run}: let it train longer"
            )
        axes.plot(
            [line["tokens"] / 1e6 for line in lines],
            [line["training_bits_per_character"] for line in lines],
            color=color,
            alpha=0.35,
            linewidth=1,
            label="the batch that it learns from",
        )
        last = evaluated[-1]
        axes.plot(
            [line["tokens"] / 1e6 for line in evaluated],
            [line["bits_per_character"] for line in evaluated],
            "o",
            markersize=5,
            color=color,
            label=f"{run.name}, text held out: {last['bits_per_character']:.4f} at the end",
        )
        floor = last.get("floor", floor)
    if floor is not None:
        name = f"floor, the storyteller's own cost: {floor:.4f}"
        axes.axhline(floor, color=GRAY, linestyle="--", linewidth=1.5, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator([0.25, 0.5, 1, 2, 4, 8]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.set_xlabel("million tokens read")
    axes.set_ylabel("bits per character")
    axes.set_title("The surprise falls as the model reads")
    axes.legend()
    save_figure(figure, path)


@exits_with_sentence
def main() -> None:
    """Draw the runs that are named on the command line."""
    parser = argparse.ArgumentParser(description="Draw the curves of one or several runs.")
    parser.add_argument("runs", type=Path, nargs="+", help="run folders")
    parser.add_argument("--out", type=Path, default=Path("report.png"), help="default report.png")
    arguments = parser.parse_args()
    draw_curves(arguments.runs, arguments.out)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
