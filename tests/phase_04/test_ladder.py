"""The committed ladder is what its command makes: counts anew, and the figure from it."""

import sys

import matplotlib.image
import numpy as np
import pytest

from phase_04 import ladder
from phase_04.ladder import PHASE, contestants
from shared.ladder import draw, load, measure, table
from shared.language_model import TextModel
from shared.plotting import save_figure
from shared.stories import stories

COMMITTED = load(PHASE / "ladder.json")


def test_every_rung_is_below_the_one_before():
    bits = [rung.bits_per_character for rung in COMMITTED]
    assert bits == sorted(bits, reverse=True)
    assert all(rung.gap > 0 and rung.parameters < 10_000 for rung in COMMITTED)
    assert [rung.name for rung in COMMITTED][3:] == ["trigram", "neural LM", "RNN", "GRU", "LSTM"]


def test_the_committed_figure_is_drawn_from_the_committed_rungs(tmp_path):
    save_figure(draw(COMMITTED), tmp_path / "ladder.png")
    fresh = matplotlib.image.imread(tmp_path / "ladder.png")
    committed = matplotlib.image.imread(PHASE / "figures/ladder.png")
    assert fresh.shape == committed.shape
    assert np.abs(fresh - committed).mean() < 0.002


@pytest.mark.slow
def test_counts_made_anew_are_the_committed_ones():
    texts = [story.text for story in stories("train", 0, 20_000)]
    for (name, tokens, tokenizer, train), rung in zip(
        contestants(texts, steps=1)[:4], COMMITTED, strict=False
    ):
        row_log_probabilities, parameters = train()
        fresh = measure(name, tokens, TextModel(tokenizer, row_log_probabilities), parameters, 0)
        assert (fresh.name, fresh.tokens, fresh.parameters) == (name, tokens, rung.parameters)
        assert fresh.bits_per_character == pytest.approx(rung.bits_per_character, abs=1e-9)
        assert fresh.probes == rung.probes


@pytest.mark.slow
def test_the_command_writes_everything(tmp_path, monkeypatch, capsys):
    given = ["--steps", "5", "--stories", "300", "--out", tmp_path]
    monkeypatch.setattr(sys, "argv", ["ladder.py", *map(str, given)])
    monkeypatch.setattr(ladder, "train_neural", small_neural)
    ladder.main()
    rungs = load(tmp_path / "ladder.json")
    assert len(rungs) == 8
    assert (tmp_path / "figures/ladder.png").is_file()
    assert table(rungs) in capsys.readouterr().out


def small_neural(texts, tokenizer):
    """A neural language model that was not trained, instead of one that takes ten seconds."""
    from phase_03.neural_lm import NeuralLM

    return NeuralLM(tokenizer.vocab_size, 2, 3, 4, np.random.default_rng(0)), []
