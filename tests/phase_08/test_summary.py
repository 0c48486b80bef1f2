"""The end of a run: measured, written, shown."""

import json

import pytest
import torch
from tiny_run import make_run

from phase_08.run_folder import CURVE, SUMMARY, Metrics
from phase_08.summary import summarize, table
from shared.probes import PHENOMENA

MEASURED = {
    "parameters": 1234567,
    "device": "cpu",
    "steps": 40,
    "tokens": 9000,
    "seconds": 30.0,
    "tokens_per_second": 300,
    "peak_memory_gib": 0.5,
    "bits_per_character": 0.75,
}
ON_STORIES = MEASURED | {
    "floor": 0.25,
    "gap": 0.5,
    "standard_error": 0.01,
    "leak": False,
    "valid_stories": 150,
    "samples": 200,
    "probes": dict.fromkeys(PHENOMENA, 0.5),
}


def test_table_shows_every_measurement():
    shown = table(ON_STORIES)
    for expected in ("1,234,567", "300 tokens/s", "0.7500 bits", "+0.50000 ± 0.01000", "none"):
        assert expected in shown
    assert "150 of 200 (75.0%)" in shown
    assert shown.count("probe:") == len(PHENOMENA)
    assert "YES" in table(ON_STORIES | {"leak": True})


def test_table_of_a_text_has_no_floor():
    assert "floor" not in table(MEASURED)
    assert "0.7500 bits per character" in table(MEASURED)


@pytest.mark.slow
def test_summary_is_written_and_says_what_was_measured(tmp_path, capsys):
    state, model, _, data = make_run(tmp_path)
    with Metrics(tmp_path, done=0) as metrics:
        metrics.write(5, tokens=500, training_bits_per_character=4.0, bits_per_character=4.0)
    summarize(tmp_path, state, model, data, torch.device("cpu"))
    summary = json.loads((tmp_path / SUMMARY).read_text())
    assert summary["steps"] == 5
    assert summary["gap"] == pytest.approx(summary["bits_per_character"] - summary["floor"])
    assert summary["valid_stories"] == 0  # it has learned nothing
    assert (tmp_path / CURVE).stat().st_size > 1000
    shown = capsys.readouterr().out
    assert table(summary) in shown
    assert shown.count("[not a story]") == 5
