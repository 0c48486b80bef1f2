"""A figure drawn twice is the same file."""

import numpy as np
from matplotlib.figure import Figure

from shared.plotting import BLUE, draw_smooth, save_figure


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


def test_a_running_average_stands_in_the_middle_of_its_window():
    axes = Figure().subplots()
    draw_smooth(axes, [0, 0, 3, 0, 0, 3], 3)
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[1, 1], [2, 1], [3, 1], [4, 1]])
