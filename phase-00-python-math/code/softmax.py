"""Softmax: turns a list of numbers into probabilities that sum to 1.

    softmax(z)_i = e^(z_i) / Σ_j e^(z_j)
    log-sum-exp:   lse(z) = ln Σ_j e^(z_j)          so that   ln softmax(z)_i = z_i − lse(z)

z are scores of any size and sign, shape (…, V); V is how many things there are to choose from. The
result has the shape of z.

e^1000 is larger than any float64, so the formula as it stands fails on a score of 1000. Softmax
does not change when the same number is taken from all scores. Taking away the largest leaves 0 as
the largest exponent, and no exponential can overflow.

Temperature divides the scores first: below 1 the favourite takes more, above 1 it takes less.

Derived in ``notes/softmax.md``. Run ``python phase-00-python-math/code/softmax.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from shared.checks import check_array, check_number
from shared.plotting import BLUE, GRAY
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

SCORES = "give a list of scores, or a table with one row per example"


def log_sum_exp(z: ArrayLike, axis: int = -1) -> Array:
    """Return ln Σ e^z along an axis, of the shape of z without that axis.

    It is a smooth form of the maximum: never below it, and at most ln V above it.

    Raises
    ------
    ValueError
        If z is a single number, is empty or is not finite.
    """
    z = check_array("z", z, (None, "V"), SCORES)
    largest = z.max(axis=axis, keepdims=True)
    total = np.exp(z - largest).sum(axis=axis, keepdims=True)  # at least 1, at most V
    return np.squeeze(largest + np.log(total), axis=axis)


def log_softmax(z: ArrayLike, axis: int = -1) -> Array:
    """Return ln softmax(z), of the shape of z, exact even where softmax rounds to 0.

    Raises
    ------
    ValueError
        As `log_sum_exp`.
    """
    z = check_array("z", z, (None, "V"), SCORES)
    return z - np.expand_dims(log_sum_exp(z, axis), axis)


def softmax(z: ArrayLike, axis: int = -1, temperature: float = 1.0) -> Array:
    """Turn scores into probabilities that sum to 1 along an axis.

    Parameters
    ----------
    z
        Scores, (…, V).
    axis
        The axis along which the choices lie.
    temperature
        Above 0. 1 leaves the scores as they are.

    Returns
    -------
    Array
        Probabilities of the shape of z.

    Raises
    ------
    ValueError
        If z is a single number, is empty or is not finite, or if temperature is not above 0.
    """
    z = check_array("z", z, (None, "V"), SCORES)
    with np.errstate(over="ignore"):
        z = z / check_number("temperature", temperature, 0)
    z = check_array("z / temperature", z, (None, "V"), "raise the temperature")
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def draw(words: list[str], z: Array, temperatures: list[float]) -> Figure:
    """Draw the probabilities of the same scores at several temperatures, side by side."""
    figure = Figure(figsize=(7, 3))
    for axes, temperature in zip(
        figure.subplots(1, len(temperatures), sharey=True), temperatures, strict=True
    ):
        p = softmax(z, temperature=temperature)
        axes.bar(words, p, color=BLUE)
        for place, value in enumerate(p):
            axes.text(place, value + 0.02, f"{value:.2f}", ha="center", color=GRAY)
        axes.set_title(f"temperature {temperature:g}")
        axes.set_ylim(0, 1.1)
        axes.grid(axis="x", visible=False)
    figure.axes[0].set_ylabel("probability")
    figure.tight_layout()
    return figure


def main() -> None:
    """Meet softmax, break it with a large score, mend it, and warm it up."""
    arguments = lesson_arguments(__doc__, __file__)

    z = np.array([1.0, 2.0, 3.0])
    print(f"scores z           {z}   shape {z.shape}")
    print(f"e^z                {np.exp(z).round(4)}   sum {np.exp(z).sum():.4f}")
    print(f"softmax(z)         {softmax(z).round(4)}   sum {softmax(z).sum():.4f}")
    print(f"softmax(z + 100)   {softmax(z + 100).round(4)}   the same: only differences count")

    large = np.array([1000.0, 1001.0, 1002.0])
    with np.errstate(over="ignore", invalid="ignore"):
        broken = np.exp(large) / np.exp(large).sum()
    print(f"formula at 1000    {broken}   e^1000 is too large for float64")
    print(f"softmax at 1000    {softmax(large).round(4)}   the largest taken away first")
    print(f"log-sum-exp        {log_sum_exp(large):.4f}   a little above the largest score")

    far = np.array([0.0, -1000.0])
    with np.errstate(divide="ignore"):
        print(f"ln of softmax      {np.log(softmax(far))}   a probability rounded to 0, and its ln")
    print(f"log_softmax        {log_softmax(far)}   never leaves the logarithm")

    finish(draw(["mat", "sofa", "moon"], np.array([2.0, 1.0, -1.0]), [0.5, 1.0, 2.0]), arguments)


if __name__ == "__main__":
    main()
