"""The curves of runs, the same file each time."""

import json

import pytest
from tiny_run import assert_one_sentence, run_script

from phase_08.report import draw_curves
from phase_08.run_folder import METRICS
from shared.errors import InputError


def write_metrics(run, bits, floor=True):
    run.mkdir()
    lines = [
        {"step": i, "tokens": 1000 * i, "training_bits_per_character": each}
        | ({"bits_per_character": each} if i % 2 == 0 else {})
        | ({"floor": 0.25} if floor and i % 2 == 0 else {})
        for i, each in enumerate(bits, start=1)
    ]
    (run / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def test_same_run_same_file_and_another_run_another(tmp_path):
    run = write_metrics(tmp_path / "a", [4.0, 2.0, 1.0, 0.5])
    other = write_metrics(tmp_path / "b", [4.0, 2.0, 1.0, 0.6])
    pictures = []
    for runs in ([run], [run], [other], [run, other]):
        draw_curves(runs, tmp_path / "picture.png")
        pictures.append((tmp_path / "picture.png").read_bytes())
    assert pictures[0] == pictures[1]
    assert len(set(pictures)) == 3


def test_a_text_run_has_no_floor(tmp_path):
    one = write_metrics(tmp_path / "a", [4.0, 2.0], floor=False)
    draw_curves([one], tmp_path / "without.png")
    draw_curves([write_metrics(tmp_path / "b", [4.0, 2.0])], tmp_path / "with.png")
    assert (tmp_path / "without.png").read_bytes() != (tmp_path / "with.png").read_bytes()


def test_a_run_without_an_evaluation_is_refused(tmp_path):
    run = write_metrics(tmp_path / "a", [4.0])
    with pytest.raises(InputError, match=r"expected a run with an evaluation, got .*a: let it"):
        draw_curves([run], tmp_path / "picture.png")
    assert not (tmp_path / "picture.png").exists()


@pytest.mark.slow
def test_script(tmp_path):
    write_metrics(tmp_path / "a", [4.0, 2.0])
    finished = run_script(tmp_path, "report", "a", "--out", "c.png")
    assert (finished.returncode, finished.stdout) == (0, "wrote c.png\n")
    assert_one_sentence(run_script(tmp_path, "report", "missing"), "got missing")
