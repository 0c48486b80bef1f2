"""The set-up: what failed or was interrupted is never trusted, and tools find what it links.

The Makefile runs in a copy of the tree with a stand-in for Python, so nothing is downloaded.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from repository import ROOT

# `python -m venv` copies the stand-in into .venv, where it answers `python -m pip install`.
# What it does there is written in the file `pip`, beside the Makefile.
STAND_IN = f"""#!/bin/sh
case "$2" in
venv) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
pip) echo installing >> .venv/log; . ./pip ;;
*) exec "{sys.executable}" "$1" "$2" ;;
esac
"""
OLD_PYTHON = f"""#!/bin/sh
exec "{sys.executable}" -c "import sys; sys.version_info = (3, 9, 6); $2"
"""


@pytest.fixture
def tree(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for code in ("phase-07-gpt-architecture/code", "phase-08-train-gpt2/code", "shared"):
        (tmp_path / code).mkdir(parents=True)
    write_command(tmp_path / "python", STAND_IN)
    (tmp_path / "pip").write_text("exit 0")
    return tmp_path


def write_command(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def start_make(tree: Path, *arguments: str) -> subprocess.Popen[str]:
    settings = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.Popen(
        ["make", f"PYTHON={tree}/python", "UV=", *arguments],
        cwd=tree,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C reaches make and its children, but not pytest
    )


def make(tree: Path, *arguments: str) -> tuple[int, str]:
    """The exit status of make and what it printed."""
    process = start_make(tree, *arguments)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def installations(tree: Path) -> int:
    """How many times something was installed into the present .venv."""
    return len((tree / ".venv/log").read_text().splitlines())


def test_set_up_once_and_again_after_a_change(tree):
    status, output = make(tree, ".venv/.done")
    assert status == 0, output
    assert (tree / ".venv/.done").exists()
    assert sorted(os.listdir(tree / ".links")) == ["phase_07", "phase_08", "shared"]
    assert (tree / ".links/phase_08").resolve() == tree.resolve() / "phase-08-train-gpt2/code"
    make(tree, ".venv/.done")
    assert installations(tree) == 1

    later = time.time() + 10
    os.utime(tree / "constraints.txt", (later, later))
    make(tree, ".venv/.done")
    assert installations(tree) == 2  # brought up to date in place
    make(tree, "setup")
    assert installations(tree) == 1  # from nothing


@pytest.mark.parametrize("command", [".venv/.done", "setup"])
def test_a_failed_set_up_is_not_trusted(tree, command):
    (tree / "pip").write_text("echo no network; exit 1")
    status, output = make(tree, command)
    assert status != 0
    assert "no network" in output
    assert not (tree / ".venv/.done").exists()
    assert (tree / ".venv/bin/python").exists()  # half-made

    (tree / "pip").write_text("exit 0")
    status, output = make(tree, command)
    assert status == 0, output
    assert (tree / ".venv/.done").exists()
    assert installations(tree) == 1  # the half-made one was thrown away


def test_a_failed_update_is_not_trusted(tree):
    make(tree, ".venv/.done")
    later = time.time() + 10
    os.utime(tree / "pyproject.toml", (later, later))
    (tree / "pip").write_text("exit 1")
    assert make(tree, ".venv/.done")[0] != 0
    assert not (tree / ".venv/.done").exists()


def test_an_interrupted_set_up_is_not_trusted(tree):
    (tree / "pip").write_text("touch started; sleep 60")
    process = start_make(tree, ".venv/.done")
    while not (tree / "started").exists():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (tree / ".venv/.done").exists()

    (tree / "pip").write_text("exit 0")
    assert make(tree, ".venv/.done")[0] == 0
    assert installations(tree) == 1


def test_an_old_python_is_refused_in_one_sentence(tree):
    write_command(tree / "python", OLD_PYTHON)
    status, output = make(tree, ".venv/.done")
    assert status != 0
    assert f"Python 3.11 or newer is needed, but {tree}/python is 3.9" in output
    assert not (tree / ".venv").exists()


def test_a_missing_python_is_named(tree):
    status, output = make(tree, "PYTHON=no-such-python", ".venv/.done")
    assert status != 0
    assert "there is no 'no-such-python' here" in output


def test_uv_is_used_where_it_is(tree):
    write_command(tree / "uv", '#!/bin/sh\necho "$@" >> uv.log; mkdir -p .venv\n')
    status, output = make(tree, f"UV={tree}/uv", "PIP_FIND_LINKS=/a /b", ".venv/.done")
    assert status == 0, output
    venv, install = (tree / "uv.log").read_text().splitlines()
    assert venv.startswith("venv ")
    assert "--find-links /a --find-links /b -c constraints.txt" in install


def test_lint_follows_types_from_phase_to_phase(tree):
    (tree / "phase-07-gpt-architecture/code/model.py").write_text(
        "def width(heads: int) -> int:\n    return 64 * heads\n"
    )
    trainer = tree / "phase-08-train-gpt2/code/trainer.py"
    trainer.write_text("from phase_07.model import width\n\nwidth(12)\n")
    make(tree, ".venv/.done")
    write_command(tree / ".venv/bin/ruff", "#!/bin/sh\n")
    write_command(tree / ".venv/bin/mypy", f'#!/bin/sh\nexec "{sys.executable}" -m mypy "$@"\n')
    (tree / "shared/seeds.py").write_text("")
    status, output = make(tree, "lint")
    assert status == 0, output

    trainer.write_text("from phase_07.model import depth, width\n\nwidth('twelve')\n")
    status, output = make(tree, "lint")
    assert status != 0
    assert 'Module "phase_07.model" has no attribute "depth"' in output
    assert 'Argument 1 to "width" has incompatible type "str"' in output


def test_help_comes_first_and_lists_every_target(tree):
    targets = re.search(r"^.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    status, output = make(tree)
    assert status == 0, output
    assert [line.split()[1] for line in output.splitlines()] == targets[1].split()


def test_ci_runs_lint_and_tests_from_any_folder(tree):
    (tree / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tree / ".ci")
    (tree / "elsewhere").mkdir()
    write_command(tree / "make", '#!/bin/sh\necho "$@" in "$PWD"\n')
    run = subprocess.run(
        [tree / ".ci/run"],
        cwd=tree / "elsewhere",
        env={"PATH": f"{tree}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == [f"{target} in {tree}" for target in ("lint", "test")]
