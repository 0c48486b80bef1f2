"""The folder of a run: which one to use, and its log of measurements."""

import json
from pathlib import Path
from typing import Any

from phase_08.config import flatten
from shared.errors import InputError

METRICS, SUMMARY, CURVE = "metrics.jsonl", "summary.json", "curve.png"


def choose_run(name: str, parent: Path) -> Path:
    """Return the folder of an unfinished run of this name, or of a new one.

    The first run is ``parent/name``, the next ``parent/name-2`` and so on. A finished run is left
    alone.
    """
    number = 1
    while True:
        run = parent / (name if number == 1 else f"{name}-{number}")
        if not (run / SUMMARY).exists():
            return run
        number += 1


def open_run(run: Path) -> None:
    """Make the folder, and find out now whether it can be written.

    Raises
    ------
    InputError
        If it cannot.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        probe = run / ".write_test"
        probe.write_text("x")
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"run: expected a folder that can be written, got {run} ({error.strerror}): "
            "free it, or name another with --run FOLDER"
        ) from None


def check_same_run(run: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to go on with a run under another configuration.

    Raises
    ------
    InputError
        If a field differs; the text names each with both values.
    """
    before, now = flatten(saved), flatten(wanted)
    changed = [
        f"{field} = {before.get(field)!r} (now {now.get(field)!r})"
        for field in sorted(before | now)
        if before.get(field) != now.get(field)
    ]
    if changed:
        raise InputError(
            f"run: expected the configuration that {run} was started with, {', '.join(changed)}: "
            "leave the change out to go on, or start another run with --run FOLDER"
        )


class Metrics:
    """A line of JSON for every measurement, written at once; TensorBoard gets them too if asked.

    What was measured after step ``done`` is dropped when the log is opened: it is trained anew.
    """

    def __init__(self, run: Path, done: int, tensorboard: bool = False) -> None:
        self.board = _open_tensorboard(run) if tensorboard else None
        path = run / METRICS
        kept = [line for line in read_metrics(run) if line["step"] <= done]
        partial = path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in kept))
        partial.rename(path)
        self.stream = path.open("a", buffering=1)

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        if self.board:
            self.board.close()

    def write(self, step: int, **values: float) -> None:
        """Add a line."""
        self.stream.write(json.dumps({"step": step, **values}) + "\n")
        if self.board:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)


def _open_tensorboard(run: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "training.tensorboard: expected TensorBoard, got none: run "
            "`make setup EXTRAS=torch,dev,tensorboard`, or leave the field out"
        ) from None
    return SummaryWriter(run / "tensorboard")


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log; a last line that was cut off is left out."""
    path = run / METRICS
    if not path.exists():
        return []
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines
