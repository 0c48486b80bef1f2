"""Floating point: how many digits a number has, and how they are lost.

    float32    24 binary digits, about 7 decimal ones    eps = 2⁻²³ = 1.2e-07
    float64    53 binary digits, about 16 decimal ones   eps = 2⁻⁵² = 2.2e-16

A float keeps a fixed count of digits and a place for the point. eps is the step from 1 to the next
float; around x the steps are about eps · |x|. Each result is rounded to the nearest float, which
costs at most half a step. That is harmless, until two nearly equal numbers are subtracted: the
leading digits cancel, and what is left is mostly the rounding of before.

The variance of N numbers x, shape (N,), shows it. Both formulas are the same in mathematics:

    one pass     mean(x²) − mean(x)²            subtracts two huge numbers that nearly agree
    two passes   mean((x − mean(x))²)           subtracts first, while the digits are still there

Goldberg 1991, "What Every Computer Scientist Should Know About Floating-Point Arithmetic". Worked
by hand in ``notes/floating_point.md``. Run ``python phase-00-python-math/code/floating_point.py``.
"""

import statistics
from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from shared.checks import check_array, check_float_type
from shared.plotting import BLUE, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def machine_epsilon(dtype: DTypeLike) -> float:
    """Find the step from 1 to the next float of a type, by halving until nothing is added.

    Raises
    ------
    ValueError
        If the type is not a floating-point type.
    """
    one = np.ones((), check_float_type("dtype", dtype))
    eps = one
    while one + eps / 2 > one:
        eps = eps / 2
    return float(eps)


def variance_one_pass(x: ArrayLike) -> float:
    """Return mean(x²) − mean(x)² of x (N,), in the precision of x.

    Raises
    ------
    ValueError
        If x is no vector of finite numbers.
    """
    x = check_array("x", x, ("N",), "give a list of numbers")
    return float(np.mean(x * x) - np.mean(x) ** 2)


def variance_two_pass(x: ArrayLike) -> float:
    """Return mean((x − mean(x))²) of x (N,), in the precision of x; see `variance_one_pass`."""
    x = check_array("x", x, ("N",), "give a list of numbers")
    deviations = x - np.mean(x)
    return float(np.mean(deviations * deviations))


def variance_errors(means: Array, dtype: DTypeLike) -> tuple[Array, Array]:
    """Return how wrong both formulas are for numbers of variance 1 around each of ``means``.

    The true variance is that of the numbers as the type stores them, worked out in fractions, which
    have no rounding. Each error is the average over ten samples of 50 numbers.

    Returns
    -------
    tuple of Array
        The relative errors of one pass and of two passes, each of the shape of ``means``.
    """
    rng = np.random.default_rng(0)
    errors = np.zeros((2, len(means)))
    for place, mean in enumerate(means):
        for _ in range(10):
            x = (mean + rng.normal(size=50)).astype(dtype)
            true = float(statistics.pvariance([Fraction(float(value)) for value in x]))
            errors[0, place] += abs(variance_one_pass(x) / true - 1) / 10
            errors[1, place] += abs(variance_two_pass(x) / true - 1) / 10
    return errors[0], errors[1]


def draw(means: Array) -> Figure:
    """Draw the error of both formulas against the mean, for both precisions."""
    figure = Figure()
    axes = figure.subplots()
    for dtype, color in ((np.float32, ORANGE), (np.float64, BLUE)):
        one, two = variance_errors(means, dtype)
        name = np.dtype(dtype).name
        axes.loglog(means, one, color=color, label=f"{name}, one pass")
        axes.loglog(means, two, "--", color=color, label=f"{name}, two passes")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.text(1.2, 2, "above this line, no digit is right", va="bottom")
    axes.set_ylim(1e-17, 1e4)
    axes.set_xlabel("mean of the numbers (their variance is 1)")
    axes.set_ylabel("relative error of the variance")
    axes.set_title("The same formula in mathematics, not on a computer")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def main() -> None:
    """Count digits, lose some, and see why gradients are checked in float64."""
    arguments = lesson_arguments(__doc__, __file__)

    for dtype in (np.float32, np.float64):
        name = np.dtype(dtype).name
        print(f"{name}  eps {machine_epsilon(dtype):.1e}   numpy says {np.finfo(dtype).eps:.1e}")
    print(f"0.1 + 0.2 = {0.1 + 0.2}   equal to 0.3: {0.1 + 0.2 == 0.3}")
    big = np.float32(2**24)
    print(f"float32: 16777216 + 1 = {int(big + np.float32(1))}   the steps up there are 2 wide")

    x = np.array([9999.0, 10001.0])
    print(f"variance of {x}, shape {x.shape}, exactly 1")
    for dtype in (np.float32, np.float64):
        print(
            f"  {np.dtype(dtype).name}  one pass {variance_one_pass(x.astype(dtype)):g}"
            f"   two passes {variance_two_pass(x.astype(dtype)):g}"
        )

    print("slope of x² at 1 by nudging with h = 1e-05, exactly 2")
    for dtype in (np.float32, np.float64):
        one, h = np.ones((), dtype), dtype(1e-5)
        slope = ((one + h) ** 2 - (one - h) ** 2) / (2 * h)
        print(f"  {np.dtype(dtype).name}  {slope:.10f}")
    finish(draw(np.logspace(0, 6, 49)), arguments)


if __name__ == "__main__":
    main()
