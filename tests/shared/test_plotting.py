"""A figure drawn twice is the same file."""

from matplotlib.figure import Figure

from shared.plotting import BLUE, save_figure


def draw(path, y):
    figure = Figure()
    figure.subplots().plot([1, 2, 3], y, color=BLUE)
    save_figure(figure, path)
    return path.read_bytes()


def test_same_figure_same_bytes(tmp_path):
    first = draw(tmp_path / "a.png", [1, 4, 9])
    assert first == draw(tmp_path / "b.png", [1, 4, 9])
    assert first != draw(tmp_path / "c.png", [1, 4, 8])
    assert first.startswith(b"\x89PNG")
