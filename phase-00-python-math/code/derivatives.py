"""Derivatives by nudging: how much a result moves when one number moves a little.

    forward difference    (f(x + h) − f(x)) / h                wrong by about h
    central difference    (f(x + h) − f(x − h)) / (2h)         wrong by about h²

f is a function from a number to a number, x the place, h the step: all of shape (). The derivative
is what these come to when h shrinks. The *gradient* of a function of many numbers is one derivative
for each of them: ∂f/∂x has the shape of x.

On a computer h cannot shrink for ever. Below some h the two values of f agree in almost all their
digits, and their difference is mostly rounding. Error against step is a V; its lowest point says
how exact a derivative by nudging can be. Every tolerance of the later phases comes from it.

Derived in ``notes/finite_differences.md``. Run ``python phase-00-python-math/code/derivatives.py``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from shared.checks import check_array, check_number
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def forward_difference(f: Callable[[Any], Any], x: Any, h: float) -> Any:
    """Return the slope of ``f`` between x and x + h.

    Parameters
    ----------
    f
        From a number to a number. Given an array, it works entry by entry.
    x
        Where; its type is the precision of the calculation.
    h
        The step, above 0.

    Raises
    ------
    ValueError
        If x is not finite or h is not above 0.
    """
    x = check_array("x", x, np.shape(x), "give the place as a number")
    check_number("h", h, 0)
    return (f(x + h) - f(x)) / h


def central_difference(f: Callable[[Any], Any], x: Any, h: float) -> Any:
    """Return the slope of ``f`` between x − h and x + h; see `forward_difference`."""
    x = check_array("x", x, np.shape(x), "give the place as a number")
    check_number("h", h, 0)
    return (f(x + h) - f(x - h)) / (2 * h)


def numerical_gradient(f: Callable[[Array], Any], x: ArrayLike, h: float = 1e-5) -> Array:
    """Return ∂f/∂x by nudging one entry of x after the other.

    Parameters
    ----------
    f
        From an array to a single number.
    x
        Where, of any shape. It is given to ``f`` as a copy that changes in place.
    h
        The step. 1e-5 suits float64 and values near 1.

    Returns
    -------
    Array
        One derivative for each entry, of the shape of x.

    Raises
    ------
    ValueError
        If x is empty or not finite, if h is not above 0 or too small to move x, or if f gives more
        than one number.
    """
    x = check_array("x", x, np.shape(x), "give the place as an array of numbers").copy()
    check_number("h", h, 0)
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        if x[index] == kept:
            raise ValueError(
                f"h: expected a step that moves x, got {h:g} at {kept:g} in {x.dtype}: "
                "take a larger step, or float64"
            )
        above = np.array(f(x))  # a copy: f may give back a part of x, which changes below
        x[index] = kept - h
        below = np.array(f(x))
        x[index] = kept
        if above.size != 1:
            raise ValueError(
                f"f: expected a function that gives one number, got shape {above.shape}: "
                "sum its results, or take them one at a time"
            )
        gradient[index] = (above - below).item() / (2 * h)
    return gradient


def error_curve(dtype: type, steps: ArrayLike) -> Array:
    """Return how wrong the central difference of eˣ is, for each step h.

    The slope of eˣ is eˣ, so the error can be measured. It is the root mean square of the relative
    error at 1,000 places from 0.5 to 1.5, because at a single place rounding may be lucky.

    Returns
    -------
    Array
        The relative errors, of the shape of ``steps``.
    """
    steps = check_array("steps", steps, ("n",), "give a list of steps")
    x: Array = np.linspace(0.5, 1.5, 1000).astype(dtype)
    true = np.exp(x.astype(np.float64))
    return np.array(
        [
            np.sqrt(np.mean((central_difference(np.exp, x, h) / true - 1) ** 2))
            for h in steps.tolist()
        ]
    )


def draw(steps: Array, curves: dict[str, Array]) -> Figure:
    """Draw error against step, with the lowest point of each curve."""
    figure = Figure()
    axes = figure.subplots()
    for (name, errors), color in zip(curves.items(), (ORANGE, BLUE), strict=True):
        axes.loglog(steps, errors, color=color, label=name)
        best = errors.argmin()
        axes.plot(steps[best], errors[best], "o", color=color)
        axes.annotate(
            f"h = {steps[best]:.0e}\nerror {errors[best]:.0e}",
            (steps[best], errors[best]),
            xytext=(0, 32 if color == ORANGE else -8),
            textcoords="offset points",
            ha="center",
            va="bottom" if color == ORANGE else "top",
            color=color,
        )
    axes.text(1e-2, 1e-10, "the formula\nis too coarse", color=GRAY)
    axes.text(3e-11, 1e-9, "rounding", color=GRAY, ha="right")
    axes.set_ylim(1e-14, 100)
    axes.set_xlabel("step h")
    axes.set_ylabel("relative error of the slope")
    axes.set_title("A smaller step helps, until it hurts")
    axes.legend(loc="lower left")
    return figure


def main() -> None:
    """Shrink a step, follow a ripple through a chain, and measure both V-curves."""
    arguments = lesson_arguments(__doc__, __file__)

    print("slope of x² at x = 3 (exactly 6)")
    for h in (1.0, 0.1, 0.01):
        forward = forward_difference(np.square, 3.0, h)
        central = central_difference(np.square, 3.0, h)
        print(f"  h = {h:<5g} forward {forward:.4f}   central {central:.4f}")

    print("gradient of x₀² + 3 x₀ x₁ at (2, 1), shape (2,)")
    point = np.array([2.0, 1.0])
    print(f"  {numerical_gradient(lambda x: x[0] ** 2 + 3 * x[0] * x[1], point).round(6)}")

    print("a ripple: x → u = 3x → y = u², at x = 2 (u = 6)")
    dudx = central_difference(lambda x: 3 * x, 2.0, 1e-5)
    dydu = central_difference(np.square, 6.0, 1e-5)
    dydx = central_difference(lambda x: (3 * x) ** 2, 2.0, 1e-5)
    print(f"  du/dx = {dudx:.3f}   dy/du = {dydu:.3f}   product {dudx * dydu:.3f}")
    print(f"  dy/dx = {dydx:.3f}   measured in one go")

    steps = np.logspace(-12, 0, 97)
    curves = {"float32": error_curve(np.float32, steps), "float64": error_curve(np.float64, steps)}
    print("best step for the slope of eˣ")
    for name, errors in curves.items():
        theory = np.cbrt(np.finfo(name).eps)
        best = errors.argmin()
        print(
            f"  {name}  h = {steps[best]:.1e}   relative error {errors[best]:.1e}"
            f"   cube root of eps {theory:.1e}"
        )
    finish(draw(steps, curves), arguments)


if __name__ == "__main__":
    main()
