"""A tiny model, and small runs that tests share."""

import subprocess
import sys

import torch

from phase_07.config import GPTConfig
from phase_07.model import GPT
from phase_08.checkpoint import RunState, save_checkpoint
from phase_08.config import PRESETS, OptimizerConfig, TrainConfig
from phase_08.data import StoryData
from phase_08.optimizer import make_optimizers

CODE = PRESETS.parent / "code"
TINY = [
    "--model.n_layer=1",
    "--model.n_head=2",
    "--model.n_embd=16",
    "--data.batch_size=4",
    "--training.device=cpu",
    "--training.steps=80",
    "--training.evaluate_every=20",
    "--training.sample_every=40",
    "--training.save_every=5",
    "--training.validation_stories=8",
]


def make_run(run, steps=(5,)):
    """Save checkpoints of a tiny trained-a-little model; return the last state."""
    config = TrainConfig()
    data = StoryData(config.data, 160, 0)
    torch.manual_seed(0)
    sizes = GPTConfig(data.tokenizer.vocab_size, block_size=160, n_layer=1, n_head=2, n_embd=8)
    model = GPT(sizes)
    optimizers = make_optimizers(model, OptimizerConfig())
    for step in steps:
        model(torch.randint(sizes.vocab_size, (2, 9))).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        state = RunState(step, 100 * step, 1.5 * step, config.to_dict(), sizes)
        save_checkpoint(run, state, model, optimizers, data.tokenizer)
    return state, model, optimizers, data


def run_script(folder, name, *words):
    """Run a script of phase 8 with ``folder`` as the current one."""
    return subprocess.run(
        [sys.executable, CODE / f"{name}.py", *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


def assert_one_sentence(finished, *parts):
    """The script ended with exit code 2 and a single line that has these parts."""
    assert finished.returncode == 2, finished.stderr
    assert finished.stderr.startswith("error: ")
    assert finished.stderr.count("\n") == 1, finished.stderr
    for part in parts:
        assert part in finished.stderr
