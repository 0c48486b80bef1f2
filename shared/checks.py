"""Checks of what is given to a public function: what was expected, what came, what to do.

Every phase calls these, so that a wrong shape ends where it begins, in one readable sentence, and
not ten calls later as a broadcasting error or as a loss that is ``nan``.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Shape = Sequence[int | str | None]


def describe(shape: Shape) -> str:
    """Write a shape as it is written in prose: ``(N, 2)``, and ``(…, C)`` for any leading axes."""
    names = ["…" if size is None else str(size) for size in shape]
    return f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"


def fits(shape: tuple[int, ...], expected: Shape) -> bool:
    """Whether ``shape`` is one of those that ``expected`` describes; equal letters, equal sizes."""
    sizes = list(expected)
    if sizes and sizes[0] is None:
        sizes = sizes[1:]
        shape = shape[max(len(shape) - len(sizes), 0) :]
    if len(shape) != len(sizes):
        return False
    letters: dict[str, int] = {}
    return all(
        size == (letters.setdefault(name, size) if isinstance(name, str) else name)
        for size, name in zip(shape, sizes, strict=True)
    )


def check_array(name: str, value: ArrayLike, shape: Shape, remedy: str) -> NDArray[Any]:
    """Return ``value`` as an array of finite numbers of the shape that is described.

    Parameters
    ----------
    name
        What the caller calls it.
    value
        Anything that NumPy makes numbers of. Whole numbers become float64; floats keep their type.
    shape
        A number is that size; a letter is any size, the same wherever the letter stands; a leading
        ``None`` is any number of axes before the others.
    remedy
        What to do when it does not fit.

    Raises
    ------
    ValueError
        If the shape does not fit, if there are no entries, or if one is not a finite number.
    """
    expected = f"{name}: expected finite numbers of shape {describe(shape)}"
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{expected}, got rows of unequal length: {remedy}") from error
    if array.dtype.kind not in "biuf":
        kinds = sorted({type(entry).__name__ for entry in array.ravel().tolist()})
        raise ValueError(f"{expected}, got {', '.join(kinds)}: {remedy}")
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    if not fits(array.shape, shape):
        raise ValueError(f"{expected}, got shape {array.shape}: {remedy}")
    if array.size == 0:
        raise ValueError(f"{expected}, got no entries, shape {array.shape}: {remedy}")
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise ValueError(
            f"{expected}, got {count} of {array.size} that are nan or infinite: "
            "look for a learning rate that is too large, or for a gap in the data"
        )
    return array


def check_labels(name: str, value: ArrayLike, shape: Shape, n_classes: int) -> NDArray[np.int64]:
    """Return ``value`` as class numbers, each from 0 to ``n_classes`` − 1.

    Raises
    ------
    ValueError
        If the shape does not fit, if there are no entries, or if one is not such a whole number.
    """
    expected = (
        f"{name}: expected class numbers from 0 to {n_classes - 1} of shape {describe(shape)}"
    )
    try:
        labels = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{expected}, got rows of unequal length: give one array") from error
    if not fits(labels.shape, shape) or labels.size == 0:
        raise ValueError(f"{expected}, got shape {labels.shape}: give one class per example")
    if labels.dtype.kind not in "iub":
        raise ValueError(f"{expected}, got {labels.dtype}: convert with .astype(int)")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(
            f"{expected}, got {labels.min()} to {labels.max()}: "
            "count classes from 0, or give the model one output more"
        )
    return labels.astype(np.int64)


def is_number(value: object) -> bool:
    """Whether it is a single number, of Python or of NumPy, and no truth value."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def check_number(name: str, value: float, low: float, high: float = np.inf) -> float:
    """Return ``value`` if it is a finite number with ``low`` < value ≤ ``high``.

    Raises
    ------
    ValueError
        If it is not.
    """
    limits = [f"above {low:g}"] * (low > -np.inf) + [f"at most {high:g}"] * (high < np.inf)
    expected = f"a number {' and '.join(limits)}" if limits else "a finite number"
    if not is_number(value) or not (math.isfinite(value) and low < value <= high):
        raise ValueError(f"{name}: expected {expected}, got {value!r}: choose another")
    return float(value)


def check_share(name: str, value: float, remedy: str) -> float:
    """Return ``value`` if it is a number from 0 to below 1, as a share that stays must be.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"{name}: expected 0 or more and below 1, got {value!r}: {remedy}")
    return float(value)


def check_float_type(name: str, value: DTypeLike) -> np.dtype[Any]:
    """Return ``value`` as a NumPy type if it is a floating-point type.

    Raises
    ------
    ValueError
        If it is not.
    """
    expected = f"{name}: expected a floating-point type, got"
    try:
        dtype = np.dtype(value)
    except (TypeError, SyntaxError) as error:
        raise ValueError(f"{expected} {value!r}: try np.float32") from error
    if dtype.kind != "f":
        raise ValueError(f"{expected} {dtype}: try np.float32")
    return dtype


def check_count(name: str, value: int) -> int:
    """Return ``value`` if it is a whole number of at least 1.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"{name}: expected a whole number of at least 1, got {value!r}: choose another"
        )
    return int(value)
