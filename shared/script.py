"""What every lesson script does around its lesson: ``--help``, ``--out``, ``--show``, the picture.

A script ``code/perceptron.py`` draws ``figures/perceptron.png`` in the folder of its phase, where
the pages of the phase show it.
"""

import argparse
import webbrowser
from pathlib import Path

from matplotlib.figure import Figure

from shared.plotting import save_figure


def lesson_arguments(description: str | None, file: str) -> argparse.Namespace:
    """Read the command line of a lesson script.

    Parameters
    ----------
    description
        The script's docstring; its first line is shown by ``--help``.
    file
        The script's ``__file__``.
    """
    script = Path(file).resolve()
    parser = argparse.ArgumentParser(description=(description or script.stem).splitlines()[0])
    picture = script.parents[1] / "figures" / f"{script.stem}.png"
    parser.add_argument(
        "--out", type=Path, default=picture, metavar="FILE.png", help=f"default {shown(picture)}"
    )
    parser.add_argument("--show", action="store_true", help="open the picture at the end")
    arguments = parser.parse_args()
    if arguments.out.suffix != ".png":
        parser.error(f"--out: expected a name that ends in .png, got {arguments.out}")
    return arguments


def shown(path: Path) -> str:
    """Write a path as short as it can be from where the user stands."""
    path = path.resolve()
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def finish(figure: Figure, arguments: argparse.Namespace, part: str = "") -> None:
    """Save the picture where the command line says, and open it if that was asked for.

    Parameters
    ----------
    part
        For a script with more than one picture: ``xor.png`` becomes ``xor_part.png``.
    """
    path: Path = arguments.out
    if part:
        path = path.with_stem(f"{path.stem}_{part}")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path)
    print(f"wrote {shown(path)}")
    if arguments.show and not webbrowser.open(path.resolve().as_uri()):
        print("no viewer was found: open it yourself")
