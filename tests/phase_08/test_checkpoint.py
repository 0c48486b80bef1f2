"""A checkpoint is whole or not there, comes back bit for bit, and damage is found."""

import hashlib
import json
import os

import pytest
import torch
from tiny_run import assert_one_sentence, make_run, run_script

from phase_08 import checkpoint
from phase_08.checkpoint import (
    KEEP,
    checkpoints,
    damage,
    load_model,
    load_training,
    newest_checkpoint,
    save_checkpoint,
)
from phase_08.config import OptimizerConfig
from phase_08.optimizer import make_optimizers
from shared.errors import InputError

FILES = ("manifest.json", "model.safetensors", "run.json", "state.pt", "tokenizer.json")


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_everything_comes_back_bit_for_bit(tmp_path):
    state, model, optimizers, data = make_run(tmp_path, steps=(3, 5))
    expected_random = torch.get_rng_state()
    torch.manual_seed(99)

    folder, warning = newest_checkpoint(tmp_path)
    assert (folder.name, warning) == ("step_00000005", "")
    again, tokenizer, loaded = load_model(folder, torch.device("cpu"))
    assert loaded == state
    assert tokenizer.tokens == data.tokenizer.tokens
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name

    restored = make_optimizers(again, OptimizerConfig())
    load_training(folder, restored)
    assert torch.equal(torch.get_rng_state(), expected_random)
    for ours, theirs in zip(optimizers, restored, strict=True):
        before, after = ours.state_dict()["state"], theirs.state_dict()["state"]
        assert before.keys() == after.keys()
        assert before
        for key, moments in before.items():
            for name, value in moments.items():
                assert torch.equal(after[key][name], value), name


def test_only_the_newest_stay(tmp_path):
    make_run(tmp_path, steps=(1, 2, 3, 4))
    names = [folder.name for folder in checkpoints(tmp_path)]
    assert names == ["step_00000003", "step_00000004"]
    assert len(names) == KEEP
    assert len(list((tmp_path / "checkpoints").iterdir())) == KEEP


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncate(file):
    os.truncate(file, file.stat().st_size // 2)


def empty(file):
    os.truncate(file, 0)


@pytest.mark.parametrize("harm", [flip_a_bit, truncate, empty, os.remove])
@pytest.mark.parametrize("name", FILES)
def test_damage_is_found_and_the_one_before_is_used(name, harm, tmp_path):
    make_run(tmp_path, steps=(3, 5))
    newest = tmp_path / "checkpoints" / "step_00000005"
    assert damage(newest) == ""
    harm(newest / name)
    assert damage(newest)
    folder, warning = newest_checkpoint(tmp_path)
    assert folder.name == "step_00000003"
    assert "step_00000005/" in warning
    assert "going on from step_00000003" in warning


@pytest.mark.slow
def test_when_all_are_damaged_scripts_stop_and_change_nothing(tmp_path):
    run = tmp_path / "run"
    make_run(run, steps=(3, 5))
    for folder in checkpoints(run):
        flip_a_bit(folder / "model.safetensors")
    before = contents(run)
    with pytest.raises(InputError, match="expected an undamaged checkpoint, got step_00000005/mod"):
        newest_checkpoint(run)
    for name in ("train", "generate", "evaluate"):
        finished = run_script(tmp_path, name, "--run", run)
        assert_one_sentence(finished, "step_00000005/model.safetensors is damaged", "restore")
    assert contents(run) == before


def test_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="expected a run with a checkpoint"):
        newest_checkpoint(tmp_path / "nothing")


@pytest.mark.parametrize("moment", ["save_file", "_sha256", "_flush"])
def test_a_save_that_fails_leaves_the_earlier_ones_and_nothing_else(moment, tmp_path, monkeypatch):
    state, model, optimizers, data = make_run(tmp_path, steps=(3,))
    before = contents(tmp_path)

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, moment, disk_full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(
            tmp_path,
            checkpoint.RunState(9, 9, 9.0, state.config, state.model),
            model,
            optimizers,
            data.tokenizer,
        )
    assert contents(tmp_path) == before


class Hostile:
    def __reduce__(self):
        return (os.system, ("echo harm > harmed",))


def test_a_hostile_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, model, _, _ = make_run(tmp_path, steps=(3,))
    folder = checkpoints(tmp_path)[0]
    torch.save({"optimizers": [Hostile()], "random": {}}, folder / "state.pt")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["state.pt"] = hashlib.sha256((folder / "state.pt").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert damage(folder) == ""
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        load_training(folder, make_optimizers(model, OptimizerConfig()))
    assert not (tmp_path / "harmed").exists()


def test_another_format_is_refused(tmp_path):
    make_run(tmp_path, steps=(3,))
    file = checkpoints(tmp_path)[0] / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    with pytest.raises(InputError, match="expected checkpoint format 1, got 99"):
        load_model(checkpoints(tmp_path)[0], torch.device("cpu"))
