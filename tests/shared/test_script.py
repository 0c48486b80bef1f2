"""The command line of a lesson script, and where its pictures go."""

import sys
import webbrowser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from shared.script import finish, lesson_arguments

SCRIPT = "phase-00-python-math/code/softmax.py"


def arguments(monkeypatch, folder, *given):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["softmax.py", *given])
    return lesson_arguments("Softmax: probabilities.\n\nMore.", SCRIPT)


def test_picture_lies_beside_the_code(monkeypatch, tmp_path, capsys):
    finish(Figure(), arguments(monkeypatch, tmp_path))
    finish(Figure(), arguments(monkeypatch, tmp_path), "limit")
    figures = Path("phase-00-python-math/figures")
    assert sorted(file.name for file in figures.iterdir()) == ["softmax.png", "softmax_limit.png"]
    assert capsys.readouterr().out.splitlines() == [
        f"wrote {figures}/softmax.png",
        f"wrote {figures}/softmax_limit.png",
    ]


def test_picture_goes_where_it_is_sent(monkeypatch, tmp_path, capsys):
    finish(Figure(), arguments(monkeypatch, tmp_path, "--out", f"{tmp_path}/new/a.png"), "b")
    assert (tmp_path / "new/a_b.png").exists()
    monkeypatch.chdir("/")
    finish(Figure(), arguments(monkeypatch, tmp_path / "new", "--out", f"{tmp_path}/a.png"))
    assert capsys.readouterr().out.endswith(f"wrote {tmp_path.resolve()}/a.png\n")


@pytest.mark.parametrize("found", [True, False])
def test_show_opens_the_picture(monkeypatch, tmp_path, capsys, found):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or found)
    finish(Figure(), arguments(monkeypatch, tmp_path, "--out", "a.png"))
    assert opened == []
    finish(Figure(), arguments(monkeypatch, tmp_path, "--out", "a.png", "--show"))
    assert opened == [(tmp_path / "a.png").resolve().as_uri()]
    assert ("open it yourself" in capsys.readouterr().out) == (not found)


def test_a_name_that_is_no_png_is_refused_at_once(monkeypatch, tmp_path, capsys):
    for name in ("picture", "picture.svg"):
        with pytest.raises(SystemExit):
            arguments(monkeypatch, tmp_path, "--out", name)
        assert f"expected a name that ends in .png, got {name}" in capsys.readouterr().err


def test_help_shows_the_first_line(monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        arguments(monkeypatch, tmp_path, "--help")
    shown = capsys.readouterr().out
    assert "Softmax: probabilities." in shown
    assert "More" not in shown
    assert "phase-00-python-math/figures/softmax.png" in shown.replace("\n", "").replace(" ", "")
