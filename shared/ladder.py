"""The ladder: every language model of the course on the same held-out stories, rung by rung.

A *rung* is one model and what was measured of it: bits per character on 500 held-out stories, the
gap to the floor, the share of probes that it passes, its parameters, and the seconds that it took
to train. Each phase that builds language models keeps its rungs in ``ladder.json`` in its folder.
``python -m shared.ladder`` makes the table of the root README and ``ladder.png`` of all of them.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.figure import Figure

from shared.language_model import TextModel
from shared.plotting import BLUE, GRAY, save_figure
from shared.probes import PHENOMENA, accuracy, probes
from shared.stories import stories

ROOT = Path(__file__).resolve().parents[1]
STORIES, PROBES = 500, 100  # how many held-out stories, and probes of each phenomenon
MARKS = ("<!-- the ladder, by `make ladder` -->", "<!-- end of the ladder -->")


@dataclass(frozen=True)
class Rung:
    """One model and what was measured of it."""

    name: str
    tokens: str
    """what it reads: characters, byte pairs, words"""
    parameters: int
    seconds: float
    """of training, on one machine; they compare within one table only"""
    bits_per_character: float
    floor: float
    probes: dict[str, float]
    """for each phenomenon, the share passed"""

    @property
    def gap(self) -> float:
        """What the model pays above the floor, in bits per character."""
        return self.bits_per_character - self.floor


def measure(
    name: str,
    tokens: str,
    model: TextModel,
    parameters: int,
    seconds: float,
    count: int = STORIES,
    probe_count: int = PROBES,
) -> Rung:
    """Score a trained model on ``count`` held-out stories and ``probe_count`` probes of each kind.

    Raises
    ------
    ValueError
        If the model is so far below the floor that it must have seen the stories.
    """
    score = model.score(list(stories("validation", 0, count)))
    if score.leaks:
        raise ValueError(
            f"{name}: expected at least the floor {score.floor:.4f}, got "
            f"{score.bits_per_character:.4f} bits per character: look for a leak"
        )
    passed = accuracy(model.beginning, probes("validation", probe_count))
    return Rung(name, tokens, parameters, seconds, score.bits_per_character, score.floor, passed)


def table(rungs: Sequence[Rung]) -> str:
    """Return the rungs as a Markdown table."""
    head = ["model", "tokens", "parameters", "bits/char", "gap", *PHENOMENA, "seconds"]
    rows = [
        [
            rung.name,
            rung.tokens,
            f"{rung.parameters:,}",
            f"{rung.bits_per_character:.3f}",
            f"{rung.gap:.3f}",
            *(f"{rung.probes[phenomenon]:.0%}" for phenomenon in PHENOMENA),
            f"{rung.seconds:.0f}",
        ]
        for rung in rungs
    ]
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def draw(rungs: Sequence[Rung]) -> Figure:
    """Draw the rungs going down to the floor."""
    figure = Figure(figsize=(8, 0.45 * len(rungs) + 1.4))
    axes = figure.subplots()
    names = [f"{rung.name}, {rung.tokens}" for rung in rungs]
    axes.barh(range(len(rungs)), [rung.bits_per_character for rung in rungs], color=BLUE)
    axes.set_yticks(range(len(rungs)), names)
    for place, rung in enumerate(rungs):
        axes.text(
            rung.bits_per_character + 0.03, place, f"{rung.bits_per_character:.2f}", va="center"
        )
    floor = rungs[0].floor
    axes.axvline(floor, color=GRAY, linestyle="--", label=f"floor {floor:.2f}")
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(rung.bits_per_character for rung in rungs))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("bits per character on the same held-out stories")
    axes.set_title("The ladder: fewer bits, less surprise")
    axes.legend(loc="lower right")
    figure.tight_layout()
    return figure


def save(rungs: Sequence[Rung], path: Path) -> None:
    """Write rungs as JSON."""
    path.write_text(json.dumps([asdict(rung) for rung in rungs], indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> list[Rung]:
    """Read what :func:`save` wrote.

    Raises
    ------
    ValueError
        If the file holds something else.
    """
    try:
        return [Rung(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: expected the rungs of a ladder, got {error!r}: run make ladder"
        ) from error


def put_into(page: Path, rungs: Sequence[Rung]) -> None:
    """Replace the table between the two marks of a Markdown page.

    Raises
    ------
    ValueError
        If the page does not have both marks.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not (begin and end):
        raise ValueError(f"{page}: expected the marks {MARKS}, got a page without: put them in")
    page.write_text(f"{before}{begin}\n{table(rungs)}\n{end}{after}", encoding="utf-8")


def gather(root: Path = ROOT) -> list[Rung]:
    """Return the rungs of all phases, in their order.

    Raises
    ------
    ValueError
        If no phase has any.
    """
    rungs = [rung for path in sorted(root.glob("phase-*/ladder.json")) for rung in load(path)]
    if not rungs:
        raise ValueError(f"{root}: expected phases with a ladder.json, got none: run make ladder")
    return rungs


def main() -> None:
    """Put the rungs of all phases into the root README and its figure."""
    parser = argparse.ArgumentParser(description="The table and the figure of the root README.")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="FOLDER", help="the repository")
    root = parser.parse_args().root
    rungs = gather(root)
    put_into(root / "README.md", rungs)
    save_figure(draw(rungs), root / "ladder.png")
    print(table(rungs))
    print("wrote README.md and ladder.png")


if __name__ == "__main__":
    main()
