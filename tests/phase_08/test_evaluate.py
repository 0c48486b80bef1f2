"""The score counts what it says, and a model that peeks is caught."""

import math

import pytest
import torch
from tiny_run import assert_one_sentence, make_run, run_script
from torch import nn

from phase_08.config import DataConfig
from phase_08.data import StoryData
from phase_08.evaluate import evaluate, probe_accuracy, row_log_probabilities
from phase_08.train import progress_line
from shared.probes import PHENOMENA

CPU = torch.device("cpu")
DATA = StoryData(DataConfig(), block_size=160, seed=0)
V = DATA.tokenizer.vocab_size


class Uniform(nn.Module):
    """Finds every token equally likely."""

    def forward(self, ids):
        return torch.zeros(*ids.shape, V)


class Peeking(nn.Module):
    """Sees the whole row, and so the token that it should predict."""

    def forward(self, ids):
        coming = torch.cat([ids[:, 1:], torch.zeros_like(ids[:, :1])], dim=1)
        return 20.0 * nn.functional.one_hot(coming, V)


def test_a_uniform_model_by_hand():
    evaluation = evaluate(Uniform(), DATA, 20, CPU)
    rows = DATA.validation(20).rows
    tokens = sum(len(row) - 1 for row in rows)
    characters = sum(len(DATA.tokenizer.decode(row)) + 1 for row in rows)
    assert evaluation.bits_per_character == pytest.approx(tokens * math.log2(V) / characters)
    score = evaluation.story_score
    assert score.bits_per_character == pytest.approx(evaluation.bits_per_character)
    assert not score.leaks


def test_a_peeking_model_is_reported_as_a_leak():
    evaluation = evaluate(Peeking(), DATA, 100, CPU)
    assert evaluation.story_score.leaks
    assert "LEAK" in progress_line(7, evaluation)
    assert "LEAK" not in progress_line(7, evaluate(Uniform(), DATA, 20, CPU))


def test_a_story_scores_the_same_in_any_company(tmp_path):
    _, model, _, _ = make_run(tmp_path)
    rows = DATA.validation(70).rows
    together = row_log_probabilities(model, rows, CPU)
    for i in (0, 33, 69):
        alone = row_log_probabilities(model, [rows[i]], CPU, width=150)
        assert alone[0] == pytest.approx(together[i], rel=1e-5)
    assert row_log_probabilities(model, rows[::-1], CPU)[::-1] == pytest.approx(together, rel=1e-5)
    assert all(value < 0 for value in together)


def test_the_mode_of_the_model_is_left_as_it_was(tmp_path):
    _, model, _, _ = make_run(tmp_path)
    for mode in (True, False):
        model.train(mode)
        evaluate(model, DATA, 4, CPU)
        assert model.training is mode


def test_probes_of_an_ignorant_model():
    # A uniform model finds all continuations of equal length equally likely, so it passes none
    # where they are equally long.
    shares = probe_accuracy(Uniform(), DATA.tokenizer, 10, CPU)
    assert set(shares) == set(PHENOMENA)
    assert shares["name"] == shares["number"] == shares["kind"] == 0


@pytest.mark.slow
def test_script(tmp_path):
    make_run(tmp_path / "run")
    finished = run_script(tmp_path, "evaluate", "--run", "run", "--count", 20, "--probes", 2)
    assert finished.returncode == 0, finished.stderr
    for word in ("floor", "gap", "leak           none", "probe grammar"):
        assert word in finished.stdout
    assert_one_sentence(run_script(tmp_path, "evaluate", "--run", "none"), "got none: train first")
