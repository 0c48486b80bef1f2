"""Every lesson script runs within seconds, and every picture in the repository is what it draws."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from lessons import committed_pictures, lessons, run
from repository import ROOT

# Pictures of measured times: another one each time, so only their form is compared.
TIMED = {"train_by_nudging.png"}

LESSONS = lessons(ROOT)


def difference(first: Path, second: Path) -> float:
    """How far two pictures differ: 0 when equal, 1 when nothing agrees or the sizes differ."""
    a, b = matplotlib.image.imread(first), matplotlib.image.imread(second)
    return float(np.abs(a - b).mean()) if a.shape == b.shape else 1.0


@pytest.mark.slow
@pytest.mark.parametrize("script", LESSONS, ids=str)
def test_lesson_runs_in_seconds_and_draws(script):
    result = run(script)
    assert result.status == 0, result.errors
    assert result.errors == ""
    assert result.output.count("wrote ") == len(result.pictures) > 0
    assert result.seconds < 20


@pytest.mark.slow
@pytest.mark.parametrize("script", LESSONS, ids=str)
def test_committed_pictures_are_what_the_lesson_draws(script):
    for name, fresh in run(script).pictures.items():
        assert (ROOT / name).is_file(), f"{name} is missing: make figures"
        if name.name not in TIMED:
            # Another processor may round otherwise and move a few pixels.
            assert difference(ROOT / name, fresh) < 0.002, f"{name} is old: make figures"


@pytest.mark.slow
def test_no_picture_without_a_script():
    drawn = {name for script in LESSONS for name in run(script).pictures}
    assert set(committed_pictures(ROOT)) - drawn == set()


def test_a_changed_picture_is_seen(tmp_path):
    picture = np.ones((40, 60, 4))
    matplotlib.image.imsave(tmp_path / "a.png", picture)
    picture[10:14, 20:30, :3] = 0
    matplotlib.image.imsave(tmp_path / "b.png", picture)
    matplotlib.image.imsave(tmp_path / "c.png", picture[1:])
    assert difference(tmp_path / "a.png", tmp_path / "a.png") == 0
    assert difference(tmp_path / "a.png", tmp_path / "b.png") > 0.002
    assert difference(tmp_path / "b.png", tmp_path / "c.png") == 1
