"""Who may import whom: directions between phases, and third-party packages by phase."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import ROOT, code_files, package_of, plant, syntax_tree, tracked_files

# The first phase that may need each third-party package, itself or through what it imports.
FIRST_PHASE = {
    "numpy": 0,
    "matplotlib": 0,
    "seaborn": 0,
    "torch": 6,
    "tqdm": 6,
    "tiktoken": 7,
    "safetensors": 7,
    "jsonargparse": 7,
    "yaml": 7,
    "datasets": 8,
    "tensorboard": 8,
    "transformers": 9,
    "huggingface_hub": 9,
}
# A progress bar and a file format are plumbing that no phase teaches: phases 0-5 get theirs from
# `shared`. The file format is imported only when a file of that kind is written or read.
PLUMBING = {"tqdm", "safetensors"}
# `shared` may need what phase 8 may; which phase may use a module of it follows from its imports.
SHARED = 8

READY_MADE_ATTENTION = {
    "MultiheadAttention",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
}


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Each import as (line, dotted name), wherever in the file it stands."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from ((node.lineno, alias.name) for alias in node.names)
            case ast.ImportFrom(level=0):
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
            case ast.Call(
                func=ast.Attribute(attr="import_module")
                | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def is_first_party(name: str) -> bool:
    return name.startswith("phase_") or name.split(".")[0] == "shared"


def contains(module: str, name: str) -> bool:
    """Whether the imported `name` is `module` or something in it."""
    return f"{name}.".startswith(f"{module}.")


def phase_number(package: str) -> int:
    return SHARED if package == "shared" else int(package.removeprefix("phase_"))


def sources(root: Path) -> list[Path]:
    """The scripts and the notebooks of the phases and of `shared`."""
    files = tracked_files(root, ".py") + tracked_files(root, ".ipynb")
    return [file for file in files if package_of(file)]


def wrong_directions(root: Path) -> list[str]:
    """Imports of a later phase, of a phase by `shared`, or of a module that does not exist."""
    modules = code_files(root)
    problems = []
    for file in sources(root):
        importer = package_of(file)
        for line, name in imports(syntax_tree(root / file)):
            package = name.split(".")[0]
            if not is_first_party(name):
                continue
            if not any(contains(module, name) for module in modules):
                problems.append(f"{file}:{line}: there is no module {name}")
            elif importer == "shared" and package != "shared":
                problems.append(f"{file}:{line}: shared imports no phase, but imports {name}")
            elif package != "shared" and package > importer:
                problems.append(f"{file}:{line}: {importer} comes before {package}")
    return problems


def packages_needed(root: Path, file: Path) -> dict[str, str]:
    """The third-party packages that `file` imports, itself or through our own modules.

    Returns the first place found for each, as package -> "file:line".
    """
    modules = code_files(root)
    needed: dict[str, str] = {}
    to_read, read = [file], set()
    while to_read:
        current = to_read.pop()
        if current in read:
            continue
        read.add(current)
        for line, name in imports(syntax_tree(root / current)):
            package = name.split(".")[0]
            if is_first_party(name):
                to_read += [path for module, path in modules.items() if contains(module, name)]
            elif package in PLUMBING and package_of(current) == "shared":
                continue
            elif package not in sys.stdlib_module_names:
                needed.setdefault(package, f"{current}:{line}")
    return needed


def packages_before_their_phase(root: Path) -> list[str]:
    """Third-party packages that a module needs, directly or not, before their phase."""
    problems = []
    for file in sources(root):
        for package, where in packages_needed(root, file).items():
            first = FIRST_PHASE.get(package)
            if first is None:
                problems.append(f"{where}: {file} needs {package}, which no phase may import")
            elif phase_number(package_of(file)) < first:
                problems.append(f"{where}: {file} needs {package}, allowed from phase {first} on")
    return problems


def ready_made_attention(root: Path) -> list[str]:
    """Torch's own transformer layers before phase 8, however they are spelled."""
    problems = []
    for file in sources(root):
        tree = syntax_tree(root / file)
        uses_torch = any(contains("torch", name) for _, name in imports(tree))
        if not uses_torch or package_of(file) in ("phase_08", "phase_09"):
            continue
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(attr=name) | ast.alias(name=name) | ast.Constant(value=name):
                    if isinstance(name, str) and name.split(".")[-1] in READY_MADE_ATTENTION:
                        problems.append(
                            f"{file}:{node.lineno}: {name} is built by hand until phase 8"
                        )
    return problems


def torch_unannounced(root: Path) -> list[str]:
    """Modules of `shared` that import torch and say so neither in their name nor docstring."""
    problems = []
    for file in sources(root):
        tree = syntax_tree(root / file)
        announced = "torch" in f"{file.stem} {ast.get_docstring(tree)}".lower()
        if package_of(file) == "shared" and not announced:
            if any(contains("torch", name) for _, name in imports(tree)):
                problems.append(f"{file}: needs torch, so its docstring must say so")
    return problems


def relative_imports(root: Path) -> list[str]:
    """Imports such as `from .model import GPT`: each class has one name, `phase_07.model.GPT`."""
    return [
        f"{file}:{node.lineno}: import by the full name, {package_of(file)}.<module>"
        for file in sources(root)
        for node in ast.walk(syntax_tree(root / file))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]


def search_path_edits(root: Path) -> list[str]:
    """Any use of `sys.path`: the set-up makes every package importable from everywhere."""
    problems = []
    for file in tracked_files(root, ".py") + tracked_files(root, ".ipynb"):
        for node in ast.walk(syntax_tree(root / file)):
            match node:
                case ast.Attribute(value=ast.Name(id="sys"), attr="path"):
                    problems.append(f"{file}:{node.lineno}: leave sys.path alone")
                case ast.ImportFrom(module="sys", names=names):
                    if any(alias.name == "path" for alias in names):
                        problems.append(f"{file}:{node.lineno}: leave sys.path alone")
    return problems


RULES = [
    wrong_directions,
    packages_before_their_phase,
    ready_made_attention,
    torch_unannounced,
    relative_imports,
    search_path_edits,
]


@pytest.mark.parametrize("rule", RULES)
def test_repository_keeps_the_rule(rule):
    assert rule(ROOT) == []


P5 = "phase-05-attention-numpy/code/scores.py"
P6 = "phase-06-pytorch-port/code/layers.py"
P7 = "phase-07-gpt-architecture/code/model.py"
P8 = "phase-08-train-gpt2/code/trainer.py"
NOTEBOOK = '{"cells": [{"cell_type": "code", "source": ["%%time\\n", "import torch"]}]}'


@pytest.mark.parametrize(
    ("rule", "files", "where"),
    [
        (wrong_directions, {P7: "from phase_08.trainer import x", P8: "x = 1"}, P7),
        (wrong_directions, {P7: "def f():\n    import phase_08.trainer", P8: "x = 1"}, P7),
        (wrong_directions, {"shared/a.py": "from phase_07 import model", P7: ""}, "shared/a.py"),
        (wrong_directions, {P7: "from phase_07.missing import x"}, P7),
        (packages_before_their_phase, {P5: "import torch"}, P5),
        (packages_before_their_phase, {P5: "def f():\n    from torch import nn"}, P5),
        (packages_before_their_phase, {P5: "__import__('torch')"}, P5),
        (packages_before_their_phase, {P5: "from importlib import import_module as i\n"
         "import importlib\nimportlib.import_module('torch.nn')"}, P5),
        (packages_before_their_phase, {P5: "import tqdm"}, P5),
        (packages_before_their_phase, {P5.replace(".py", ".ipynb"): NOTEBOOK}, P5[:-3]),
        (
            packages_before_their_phase,
            {P5: "import shared.a", "shared/a.py": "import shared.b", "shared/b.py": "import yaml"},
            "shared/b.py:1: " + P5,
        ),
        (packages_before_their_phase, {P6: "import tiktoken"}, P6),
        (packages_before_their_phase, {P7: "import datasets"}, P7),
        (packages_before_their_phase, {P8: "import transformers"}, P8),
        (packages_before_their_phase, {"shared/a.py": "import transformers"}, "shared/a.py"),
        (packages_before_their_phase, {P8: "import scipy"}, P8),
        (packages_before_their_phase, {P7: "import config"}, P7),
        (packages_before_their_phase, {P8: "from tests.repo import repository"}, P8),
        (ready_made_attention, {P7: "from torch import nn\nnn.MultiheadAttention(8, 2)"}, P7),
        (ready_made_attention, {P7: "from torch.nn import TransformerEncoder as T"}, P7),
        (ready_made_attention, {P6: "import torch as t\nt.nn.Transformer()"}, P6),
        (ready_made_attention, {P6: "import torch\ngetattr(torch.nn, 'Transformer')()"}, P6),
        (ready_made_attention, {"shared/a.py": "import torch.nn as n\nn.Transformer"}, "shared/a"),
        (torch_unannounced, {"shared/a.py": '"""Seeds."""\nimport torch'}, "shared/a.py"),
        (relative_imports, {P7: "from .config import GPTConfig"}, P7),
        (relative_imports, {P7: "from . import config"}, P7),
        (search_path_edits, {P7: "import sys\nsys.path.append('..')"}, P7),
        (search_path_edits, {"tests/test_x.py": "from sys import path"}, "tests/test_x.py"),
    ],
)  # fmt: skip
def test_planted_violation_is_seen(rule, files, where, tmp_path):
    problems = rule(plant(tmp_path, files))
    assert len(problems) == 1
    assert problems[0].startswith(where)


@pytest.mark.parametrize(
    "files",
    [
        {P8: "from phase_07.model import f\nimport shared.a", P7: "f = 1", "shared/a.py": ""},
        {P5: "from shared.a import bar\nimport numpy", "shared/a.py": "from tqdm.auto import tqdm"},
        {P5: "import shared.a", "shared/a.py": "", "shared/b.py": '"""Torch."""\nimport torch'},
        {P5: "class Transformer: ...", P6: "import torch\nfrom phase_05.scores import Transform"},
        {P8: "from torch import nn\nnn.MultiheadAttention(8, 2)"},
    ],
)
def test_what_is_allowed_passes(files, tmp_path):
    plant(tmp_path, files)
    assert [problem for rule in RULES for problem in rule(tmp_path)] == []
