"""The curves of one or several runs on one picture: bits per character against tokens read.

Run ``python phase-08-train-gpt2/code/report.py runs/stories_5min`` for ``report.png``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from phase_08.run_folder import read_metrics
from shared.errors import InputError, exits_with_sentence
from shared.plotting import BLUE, GRAY, GREEN, ORANGE, save_figure


def draw_curves(runs: Sequence[Path], path: Path) -> None:
    """Draw the validation curve of each run, with the floor if they read stories.

    Raises
    ------
    InputError
        If a run has no evaluation yet.
    """
    figure = Figure()
    axes = figure.subplots()
    floor = None
    for run, color in zip(runs, [BLUE, ORANGE, GREEN] * len(runs), strict=False):
        evaluated = [line for line in read_metrics(run) if "bits_per_character" in line]
        if not evaluated:
            raise InputError(
                f"run: expected a run with an evaluation, got {run}: let it train longer"
            )
        tokens = [line["tokens"] / 1e6 for line in evaluated]
        bits = [line["bits_per_character"] for line in evaluated]
        axes.plot(tokens, bits, marker="o", markersize=3, color=color)
        axes.annotate(
            f"{run.name}: {bits[-1]:.4f}",
            (tokens[-1], bits[-1]),
            xytext=(0, 10),
            textcoords="offset points",
            ha="right",
            color=color,
        )
        floor = evaluated[-1].get("floor", floor)
    if floor is not None:
        axes.axhline(floor, color=GRAY, linestyle="--", linewidth=1.5)
        axes.annotate(
            f"floor {floor:.4f}: the storyteller's own cost",
            (0, floor),
            xycoords=("axes fraction", "data"),
            xytext=(6, -14),
            textcoords="offset points",
            color=GRAY,
        )
    axes.set_yscale("log")
    axes.set_xlabel("million tokens read")
    axes.set_ylabel("bits per character (log scale)")
    axes.set_title("How surprised the model is by text it has not seen")
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
