"""Saving a run so that it can go on, or be used, after anything that happens.

A checkpoint is a folder:

    model.safetensors   the weights
    state.pt            optimizers and random numbers, read back without pickle's code execution
    run.json            step, seconds, the run's configuration, the model's sizes
    tokenizer.json
    manifest.json       the SHA-256 of each of these files, written last

It is written under another name, flushed to the disk, and renamed when complete. So a checkpoint is
either whole or not there. When it is read, every file is compared with the manifest.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import optim

from phase_07.config import GPTConfig
from phase_07.model import GPT
from shared.errors import InputError
from shared.word_tokenizer import WordTokenizer

KEEP = 2  # the newest checkpoints; older ones are removed
FORMAT = 1
_NAME = re.compile(r"step_(\d{8})")


@dataclass(frozen=True)
class RunState:
    """Where a run is, and what it is."""

    step: int  # optimizer steps done
    tokens: int  # tokens trained on
    seconds: float  # spent training
    config: dict[str, Any]  # of the run, from TrainConfig.to_dict
    model: GPTConfig


def save_checkpoint(
    run: Path,
    state: RunState,
    model: GPT,
    optimizers: Sequence[optim.Optimizer],
    tokenizer: WordTokenizer,
) -> Path:
    """Save a run into ``run/checkpoints`` and return the new folder.

    Raises
    ------
    OSError
        If it cannot be written. Earlier checkpoints are untouched then, and nothing is left over.
    """
    final = run / "checkpoints" / f"step_{state.step:08d}"
    partial = final.with_name(f"partial_{state.step:08d}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        save_file(dict(model.state_dict()), partial / "model.safetensors")
        training = {
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "random": _random_states(),
        }
        torch.save(training, partial / "state.pt")
        about = {"format": FORMAT, **asdict(state)}
        (partial / "run.json").write_text(json.dumps(about, indent=1))
        (partial / "tokenizer.json").write_text(tokenizer.to_json())
        hashes = {file.name: _sha256(file) for file in sorted(partial.iterdir())}
        (partial / "manifest.json").write_text(json.dumps(hashes, indent=1))
        for file in partial.iterdir():
            _flush(file)
        _flush(partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        _flush(final.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for old in checkpoints(run)[:-KEEP]:
        shutil.rmtree(old)
    return final


def checkpoints(run: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first."""
    folders = run.glob("checkpoints/step_*")
    return sorted(folder for folder in folders if _NAME.fullmatch(folder.name))


def newest_checkpoint(run: Path) -> tuple[Path, str]:
    """Return the newest checkpoint that is undamaged, and a warning about damaged newer ones.

    Raises
    ------
    InputError
        If there is no checkpoint, or none that is undamaged.
    """
    found = checkpoints(run)
    if not found:
        raise InputError(
            f"run: expected a run with a checkpoint, got {run}: train first, or name another folder"
        )
    problems: list[str] = []
    for folder in reversed(found):
        problem = damage(folder)
        if not problem:
            warning = f"{'; '.join(problems)}: going on from {folder.name}" if problems else ""
            return folder, warning
        problems.append(problem)
    raise InputError(
        f"run: expected an undamaged checkpoint, got {'; '.join(problems)} in {run}: restore it "
        "from a copy, or start another run with --run FOLDER (nothing was changed)"
    )


def set_aside_newer(folder: Path) -> None:
    """Rename the damaged checkpoints after this one, so that new ones can take their place."""
    for newer in folder.parent.glob("step_*"):
        if newer.name > folder.name:
            aside = newer.with_name(f"damaged_{newer.name}")
            shutil.rmtree(aside, ignore_errors=True)
            newer.rename(aside)


def damage(folder: Path) -> str:
    """Say what is wrong with a checkpoint; empty when every file is as it was written."""
    try:
        hashes = json.loads((folder / "manifest.json").read_text())
        expected = {"model.safetensors", "run.json", "state.pt", "tokenizer.json"}
        if not isinstance(hashes, dict) or set(hashes) != expected:
            return f"{folder.name}/manifest.json is damaged"
        for name, expected_hash in hashes.items():
            if _sha256(folder / name) != expected_hash:
                return f"{folder.name}/{name} is damaged"
    except FileNotFoundError as error:
        return f"{folder.name}/{Path(error.filename).name} is missing"
    except (OSError, ValueError):
        return f"{folder.name}/manifest.json is damaged"
    return ""


def load_state(folder: Path) -> RunState:
    """Return where the run of a checkpoint was."""
    about = json.loads((folder / "run.json").read_text())
    if (version := about.pop("format")) != FORMAT:
        raise InputError(
            f"run: expected checkpoint format {FORMAT}, got {version} in {folder}: "
            "use the program version that wrote it"
        )
    return RunState(**{**about, "model": GPTConfig(**about["model"])})


def load_model(folder: Path, device: torch.device) -> tuple[GPT, WordTokenizer, RunState]:
    """Return the model of a checkpoint on ``device``, its tokenizer and where its run was."""
    state = load_state(folder)
    model = GPT(state.model).to(device)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    tokenizer = WordTokenizer.from_json((folder / "tokenizer.json").read_text())
    return model, tokenizer, state


def load_training(folder: Path, optimizers: Sequence[optim.Optimizer]) -> None:
    """Put the optimizers and the random numbers back to where they were."""
    training = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    for optimizer, saved in zip(optimizers, training["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    torch.set_rng_state(training["random"]["cpu"])
    if "cuda" in training["random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(training["random"]["cuda"])
    if "mps" in training["random"] and torch.backends.mps.is_available():
        torch.mps.set_rng_state(training["random"]["mps"])


def _random_states() -> dict[str, torch.Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Wait until a file or a folder is really on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone leaves data in the drive's cache
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
