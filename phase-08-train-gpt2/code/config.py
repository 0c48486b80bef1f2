"""What a training run is: every field with its unit, its default and its check.

A run is described by a YAML preset of ``configs/`` and by flags: ``--optimizer.learning_rate 3e-3``
changes one field. Each group of fields belongs to the part of the trainer that reads it.
"""

import difflib
import math
from argparse import ArgumentError
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from phase_07.config import GPTConfig
from shared.errors import InputError

PRESETS = Path(__file__).resolve().parent.parent / "configs"


def _require(good: bool, name: str, expected: str, value: object, remedy: str) -> None:
    if not good:
        raise ValueError(f"{name}: expected {expected}, got {value}: {remedy}")


@dataclass(frozen=True)
class DataConfig:
    """What the model reads."""

    path: str | None = None
    """a text file to train on; without it, the bundled stories"""

    vocab_size: int = 256
    """the most tokens to have: all characters, and the most frequent words"""

    batch_size: int = 16
    """B, sequences per step"""

    def __post_init__(self) -> None:
        _require(self.vocab_size >= 2, "data.vocab_size", "at least 2", self.vocab_size, "use 256")
        _require(self.batch_size >= 1, "data.batch_size", "at least 1", self.batch_size, "use 16")


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights move."""

    learning_rate: float = 5e-3
    """how far one step goes, at its highest"""

    matrices: Literal["adamw", "muon"] = "muon"
    """who moves the matrices inside the blocks; AdamW moves everything else"""

    warmup_steps: int = 50
    """the learning rate rises from 0 in so many steps, then falls to 0 at the last"""

    weight_decay: float = 0.1
    """lambda, how strongly matrices are pulled towards zero"""

    beta1: float = 0.9
    """how slowly AdamW's average gradient forgets"""

    beta2: float = 0.99
    """how slowly AdamW's average squared gradient forgets"""

    clip_norm: float = 1.0
    """a gradient longer than this is shortened to it"""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            good = 0 < value < math.inf
            _require(
                good, f"optimizer.{name}", "a number above 0", value, "leave it out for the default"
            )
        for name in ("warmup_steps", "weight_decay"):
            value = getattr(self, name)
            good = 0 <= value < math.inf
            _require(good, f"optimizer.{name}", "0 or more", value, "0 turns it off")
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"optimizer.{name}", "0 to below 1", value, "use 0.9")


@dataclass(frozen=True)
class TrainingConfig:
    """How long to train, on what, and how often to look."""

    steps: int = 4000
    """optimizer steps in the whole run"""

    evaluate_every: int = 200
    """steps between evaluations"""

    sample_every: int = 400
    """steps between samples"""

    save_every: int = 500
    """steps between checkpoints"""

    validation_stories: int = 200
    """stories in an evaluation while training; the last one reads five times as many"""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """where to compute; auto takes the best there is"""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """numbers in the forward pass; weights are always float32"""

    seed: int = 0
    """of the first weights, of the order of the data and of the samples"""

    tensorboard: bool = False
    """write TensorBoard files too; needs: make setup EXTRAS=torch,dev,tensorboard"""

    def __post_init__(self) -> None:
        for name in ("steps", "evaluate_every", "sample_every", "save_every"):
            value = getattr(self, name)
            _require(
                value >= 1, f"training.{name}", "at least 1", value, "leave it out for the default"
            )
        value = self.validation_stories
        _require(value >= 2, "training.validation_stories", "at least 2", value, "use 200")


@dataclass(frozen=True)
class TrainConfig:
    """A whole training run."""

    name: str = "run"
    """the run's folder is runs/NAME"""

    data: DataConfig = field(default_factory=DataConfig)
    model: GPTConfig = field(default_factory=GPTConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as nested dictionaries; the vocabulary's size comes from the data."""
        fields = asdict(self)
        del fields["model"]["vocab_size"]
        return fields


def flatten(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one, with names like ``optimizer.beta1``."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def make_parser(description: str) -> ArgumentParser:
    """Return a parser for all fields of a run and for ``--config``."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(description=description, exit_on_error=False, allow_abbrev=False)
    parser.add_argument(
        "--config",
        action="config",
        help="YAML file with some or all fields; flags behind it win, flags before it lose",
    )
    parser.add_class_arguments(TrainConfig)
    parser.link_arguments("data.vocab_size", "model.vocab_size")
    return parser


def parse_run(parser: ArgumentParser, arguments: Sequence[str]) -> tuple[TrainConfig, Namespace]:
    """Read a run's configuration from the command line.

    Parameters
    ----------
    parser
        From :func:`make_parser`, perhaps with arguments added.
    arguments
        The words of the command line, as in ``sys.argv[1:]``.

    Returns
    -------
    tuple
        The configuration, and the namespace with whatever arguments were added.

    Raises
    ------
    InputError
        If a field does not exist or has a wrong value, or a preset cannot be read.
    """
    fields = set(flatten(TrainConfig().to_dict()))
    options = {
        option.removeprefix("--") for action in parser._actions for option in action.option_strings
    }
    for position, word in enumerate(arguments):
        name, _, value = word.removeprefix("--").partition("=")
        if word.startswith("--"):
            _check_field(name, fields | options, "on the command line")
        if name == "config":
            path = value or (arguments[position + 1] if position + 1 < len(arguments) else "")
            for name in flatten(_read_preset(Path(path))):
                _check_field(name, fields, f"in {path}")
    try:
        made = parser.instantiate(parser.parse_args(list(arguments)))
    except (ValueError, ArgumentError) as error:
        message = " ".join(str(error).split())
        raise InputError(f"{message} (see --help)") from None
    groups = {name: made[name] for name in ("name", "data", "model", "optimizer", "training")}
    return TrainConfig(**groups), made


def _check_field(name: str, known: set[str], where: str) -> None:
    if name in known:
        return
    nearest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)[0]
    raise InputError(
        f"expected the name of a field, got {name!r} {where}: did you mean {nearest!r}? "
        "See --help for all"
    )


def _read_preset(path: Path) -> dict[str, Any]:
    remedy = f"name a YAML file with fields, such as {PRESETS / 'stories_5min.yaml'}"
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        raise InputError(f"config: expected a preset, got {path} ({problem}): {remedy}") from None
    if not isinstance(fields, dict):
        raise InputError(f"config: expected fields in {path}, got {fields!r}: {remedy}")
    return fields
