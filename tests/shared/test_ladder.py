"""A rung says what was measured; who knows the truth stands on the floor, who peeks is refused."""

import sys
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from repository import ROOT

from shared.ladder import MARKS, Rung, draw, gather, load, main, measure, put_into, save, table
from shared.language_model import TextModel
from shared.plotting import save_figure
from shared.probes import PHENOMENA
from shared.scoring import floor_bits_per_character
from shared.stories import log_probability, stories
from shared.word_tokenizer import WordTokenizer

TOKENIZER = WordTokenizer.learn([s.text for s in stories("validation", 0, 500)], vocab_size=1)
RUNG = Rung("bigram", "words", 1342, 1.4, 1.1235, 0.25, dict.fromkeys(PHENOMENA, 0.5))


def truth(rows):
    """The storyteller's own ln p; a beginning, which it cannot score, gets a guess."""
    texts = [TOKENIZER.decode(row) for row in rows]
    known = [log_probability(text) for text in texts]
    return [max(value, -1e3) for value in known]


def test_who_knows_the_true_distribution_stands_on_the_floor_exactly():
    rung = measure("truth", "characters", TextModel(TOKENIZER, truth), 0, 0.0, 20, 5)
    assert rung.gap == pytest.approx(0, abs=1e-12)
    assert set(rung.probes) == set(PHENOMENA)


def test_who_peeks_is_refused():
    def peeks(rows):
        return [0.9 * value for value in truth(rows)]

    with pytest.raises(ValueError, match=r"peeker: expected at least the floor .* look for a leak"):
        measure("peeker", "characters", TextModel(TOKENIZER, peeks), 0, 0.0, 20, 5)


def test_the_table_by_hand():
    assert table([RUNG]).splitlines()[-1] == (
        "| bigram | words | 1,342 | 1.123 | 0.873 | 50% | 50% | 50% | 50% | 50% | 1 |"
    )
    assert len({line.count("|") for line in table([RUNG, RUNG]).splitlines()}) == 1


def test_saved_and_loaded_is_the_same(tmp_path):
    save([RUNG], tmp_path / "ladder.json")
    assert load(tmp_path / "ladder.json") == [RUNG]


@pytest.mark.parametrize("content", ["", '[{"name": "a"}]', "[1]"])
def test_a_damaged_file_is_refused(content, tmp_path):
    (tmp_path / "ladder.json").write_text(content)
    with pytest.raises(ValueError, match="expected the rungs of a ladder"):
        load(tmp_path / "ladder.json")


def test_a_page_without_marks_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{MARKS[0]} and nothing else", encoding="utf-8")
    with pytest.raises(ValueError, match="expected the marks"):
        put_into(page, [RUNG])


def test_the_figure_has_a_bar_for_each_rung():
    axes = draw([RUNG, RUNG]).axes[0]
    assert axes.get_xlim()[0] == 0
    assert [label.get_text() for label in axes.get_yticklabels()] == ["bigram, words"] * 2
    assert len({bar.get_y() for bar in axes.patches}) == 2


def test_a_rung_is_measured_on_held_out_stories():
    told = list(stories("validation", 0, 4))
    rung = measure("truth", "characters", TextModel(TOKENIZER, truth), 0, 0.0, 4, 1)
    assert rung.floor == pytest.approx(floor_bits_per_character(told))


def test_the_root_readme_shows_the_rungs_of_all_phases(tmp_path):
    rungs = gather()
    bits = [rung.bits_per_character for rung in rungs]
    assert bits == sorted(bits, reverse=True)
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{MARKS[0]}\n{table(rungs)}\n{MARKS[1]}" in page
    save_figure(draw(rungs), tmp_path / "ladder.png")
    fresh, committed = (
        matplotlib.image.imread(folder / "ladder.png") for folder in (tmp_path, ROOT)
    )
    assert fresh.shape == committed.shape
    assert np.abs(fresh - committed).mean() < 0.002


def test_rungs_are_gathered_in_the_order_of_the_phases(tmp_path):
    for folder, name in (("phase-05-b", "second"), ("phase-04-a", "first")):
        (tmp_path / folder).mkdir()
        save([replace(RUNG, name=name)], tmp_path / folder / "ladder.json")
    assert [rung.name for rung in gather(tmp_path)] == ["first", "second"]


def test_the_command_writes_all_rungs(tmp_path, monkeypatch, capsys):
    (tmp_path / "phase-04-a").mkdir()
    save([RUNG, replace(RUNG, name="second")], tmp_path / "phase-04-a" / "ladder.json")
    page = tmp_path / "README.md"
    page.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["ladder", "--root", str(tmp_path)])
    main()
    rungs = table([RUNG, replace(RUNG, name="second")])
    assert page.read_text(encoding="utf-8") == f"before\n{MARKS[0]}\n{rungs}\n{MARKS[1]}\nafter\n"
    assert (tmp_path / "ladder.png").is_file()
    assert rungs in capsys.readouterr().out


def test_a_folder_without_rungs_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected phases with a ladder\.json, got none"):
        gather(tmp_path)
