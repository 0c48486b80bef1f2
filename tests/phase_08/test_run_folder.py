"""Which folder a run uses, and what its log keeps."""

import pytest

from phase_08.run_folder import (
    METRICS,
    SUMMARY,
    Metrics,
    check_same_run,
    choose_run,
    open_run,
    read_metrics,
)
from shared.errors import InputError


def test_an_unfinished_run_goes_on_and_a_finished_one_is_left_alone(tmp_path):
    assert choose_run("a", tmp_path) == tmp_path / "a"
    open_run(tmp_path / "a")
    assert choose_run("a", tmp_path) == tmp_path / "a"
    (tmp_path / "a" / SUMMARY).write_text("{}")
    assert choose_run("a", tmp_path) == tmp_path / "a-2"
    open_run(tmp_path / "a-2")
    (tmp_path / "a-2" / SUMMARY).write_text("{}")
    assert choose_run("a", tmp_path) == tmp_path / "a-3"


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="expected a folder that can be written"):
        open_run(tmp_path / "file" / "run")


def test_a_changed_field_is_named_with_both_values(tmp_path):
    check_same_run(tmp_path, {"a": {"b": 1}}, {"a": {"b": 1}})
    with pytest.raises(InputError, match=r"a\.b = 1 \(now 2\).*leave the change out"):
        check_same_run(tmp_path, {"a": {"b": 1}}, {"a": {"b": 2}})
    with pytest.raises(InputError, match=r"a\.c = None \(now 3\)"):
        check_same_run(tmp_path, {"a": {"b": 1}}, {"a": {"b": 1, "c": 3}})


def test_going_on_drops_what_is_measured_anew(tmp_path):
    with Metrics(tmp_path, done=0) as metrics:
        for step in (10, 20, 30):
            metrics.write(step, loss=1.0 / step)
    with Metrics(tmp_path, done=20):
        pass
    assert [line["step"] for line in read_metrics(tmp_path)] == [10, 20]


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    (tmp_path / METRICS).write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert read_metrics(tmp_path) == [{"step": 1}, {"step": 2}]
    assert read_metrics(tmp_path / "nothing") == []
