"""Every script explains itself with `--help`, and what is public has a docstring."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT, code_files, plant, syntax_tree


def scripts(root: Path) -> list[Path]:
    """The modules that can be run: those with an `if __name__ == "__main__":`."""
    return [
        file
        for file in code_files(root).values()
        if any(
            isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
            for node in syntax_tree(root / file).body
        )
    ]


def help_problem(script: Path, folder: Path) -> str:
    """What is wrong with `script --help`, run in `folder`; empty when nothing is."""
    run = subprocess.run(
        [sys.executable, script, "--help"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if run.returncode != 0:
        return f"exit {run.returncode}: {run.stderr}"
    if "usage:" not in run.stdout.lower():
        return f"explains no usage: {run.stdout}"
    if made := list(folder.iterdir()):
        return f"only help was asked for, but it made {made}"
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("script", scripts(ROOT), ids=str)
def test_script_explains_itself(script, tmp_path):
    assert help_problem(ROOT / script, tmp_path) == ""


MAIN = "if __name__ == '__main__':\n    "


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("import argparse; argparse.ArgumentParser().parse_args()", ""),
        ("import missing_module", "exit 1"),
        ("print('training ...')", "explains no usage"),
        ("print('usage: x'); open('run.log', 'w')", "run.log"),
    ],
)
def test_planted_script_is_judged(body, problem, tmp_path):
    plant(tmp_path, {"shared/script.py": MAIN + body, "shared/no_script.py": "x = 1"})
    (tmp_path / "empty").mkdir()
    assert [str(file) for file in scripts(tmp_path)] == ["shared/script.py"]
    found = help_problem(tmp_path / "shared/script.py", tmp_path / "empty")
    assert problem in found
    assert bool(found) == bool(problem)


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("x = 1\n", "D100"),
        ('"""A module."""\n\n\ndef softmax(z):\n    return z\n', "D103"),
        ('"""A module."""\n\n\nclass GPT:\n    size = 1\n', "D101"),
    ],
)
def test_lint_wants_docstrings(source, rule):
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--stdin-filename"]
    code = "phase-07-gpt-architecture/code/planted.py"
    for name, expected in ((code, True), ("tests/phase_07/test_planted.py", False)):
        run = subprocess.run(
            [*command, name, "-"], cwd=ROOT, input=source, capture_output=True, text=True
        )
        assert (rule in run.stdout) == expected, run.stdout
