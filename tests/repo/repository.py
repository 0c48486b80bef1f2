"""What the repository's own rules share: its phases, its files, and trees planted by tests."""

import ast
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PHASES = {
    "phase_00": "phase-00-python-math",
    "phase_01": "phase-01-neural-networks",
    "phase_02": "phase-02-backprop",
    "phase_03": "phase-03-embeddings",
    "phase_04": "phase-04-rnn-lstm",
    "phase_05": "phase-05-attention-numpy",
    "phase_06": "phase-06-pytorch-port",
    "phase_07": "phase-07-gpt-architecture",
    "phase_08": "phase-08-train-gpt2",
    "phase_09": "phase-09-hf-comparison",
}
PACKAGE_FOLDERS = {package: f"{folder}/code" for package, folder in PHASES.items()}
PACKAGE_FOLDERS["shared"] = "shared"


def tracked_files(root: Path, suffix: str = "") -> list[Path]:
    """The files that git tracks or would track, relative to `root`, in order."""
    # safe.directory: a checkout may belong to another user, as in a container.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z"]
    output = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    files = sorted({Path(name) for name in output.split("\0") if name.endswith(suffix) and name})
    return [file for file in files if (root / file).is_file()]


def package_of(file: Path) -> str | None:
    """The import package that `file` belongs to: `phase_07`, `shared`, or none."""
    folders = {folder: package for package, folder in PACKAGE_FOLDERS.items()}
    return folders.get(file.parent.as_posix())


def code_files(root: Path) -> dict[str, Path]:
    """The modules of the phases and of `shared`, by import name (`phase_07.model`)."""
    return {
        f"{package}.{file.stem}": file
        for file in tracked_files(root, ".py")
        if (package := package_of(file))
    }


def python_source(path: Path) -> str:
    """The Python in a script, or in the code cells of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines)


def syntax_tree(path: Path) -> ast.Module:
    """The syntax tree of a script or of a notebook's code cells."""
    return ast.parse(python_source(path), filename=str(path))


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write `files` (path: text) under `root`, as a git repository; return `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    return root
