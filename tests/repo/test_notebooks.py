"""Notebooks are executed, and what they show is what running them gives."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert.preprocessors import CellExecutionError, ExecutePreprocessor
from nbconvert.preprocessors.coalescestreams import CoalesceStreamsPreprocessor
from repository import ROOT, tracked_files

ADDRESS = re.compile(r"0x[0-9a-f]{6,}")  # of an object in memory: another one in every run


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook, freshly executed in `folder`."""
    notebook = nbformat.read(path, as_version=4)
    run = ExecutePreprocessor(timeout=600, kernel_name="python3", record_timing=False)
    run.preprocess(notebook, {"metadata": {"path": str(folder)}})
    return notebook


def shown(notebook: nbformat.NotebookNode) -> list[list[tuple[str, Any]]]:
    """What a reader sees below each code cell: the texts, and which other forms there are."""
    cells = []
    notebook, _ = CoalesceStreamsPreprocessor(enabled=True).preprocess(
        notebook, {}
    )  # how a text arrives in pieces is chance
    for cell in notebook.cells:
        if cell.cell_type == "code":
            outputs = []
            for output in cell.outputs:
                data = output.get("data", {"text/plain": output.get("text", output.get("evalue"))})
                outputs += [
                    (kind, ADDRESS.sub("0x...", content) if kind == "text/plain" else None)
                    for kind, content in sorted(data.items())
                ]
            cells.append(outputs)
    return cells


def stale_cells(path: Path, folder: Path) -> list[str]:
    """Code cells whose committed outputs differ from what execution gives."""
    committed = shown(nbformat.read(path, as_version=4))
    fresh = shown(executed(path, folder))
    return [
        f"{path.name}: code cell {number} shows {old}, but gives {new}"
        for number, (old, new) in enumerate(zip(committed, fresh, strict=True), start=1)
        if old != new
    ]


@pytest.mark.slow
@pytest.mark.parametrize("notebook", tracked_files(ROOT, ".ipynb"), ids=str)
def test_committed_outputs_are_what_execution_gives(notebook, tmp_path):
    assert stale_cells(ROOT / notebook, tmp_path) == []


def write(folder: Path, *cells: str) -> Path:
    new = nbformat.v4
    path = folder / "planted.ipynb"
    nbformat.write(new.new_notebook(cells=[new.new_code_cell(cell) for cell in cells]), path)
    return path


def test_planted_stale_output_is_seen(tmp_path):
    path = write(tmp_path, "x = 2", "print(x)", "x", "object()")
    notebook = executed(path, tmp_path)
    nbformat.write(notebook, path)
    assert stale_cells(path, tmp_path) == []

    notebook.cells[1].outputs[0].text = "3\n"
    notebook.cells[2].outputs = []
    nbformat.write(notebook, path)
    first, second = stale_cells(path, tmp_path)
    assert "code cell 2" in first
    assert "code cell 3" in second


def test_a_text_in_two_pieces_is_the_same_text(tmp_path):
    path = write(tmp_path, "print(1)\nprint(2)")
    notebook = executed(path, tmp_path)
    notebook.cells[0].outputs = [
        nbformat.v4.new_output("stream", name="stdout", text=text) for text in ("1\n", "2\n")
    ]
    nbformat.write(notebook, path)
    assert stale_cells(path, tmp_path) == []


def test_planted_failing_cell_is_seen(tmp_path):
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        stale_cells(write(tmp_path, "1 / 0"), tmp_path)
