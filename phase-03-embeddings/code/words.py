"""Words as numbers: a vocabulary, who stands beside whom, and which vectors point the same way.

The text becomes one row of ids, (T,). Two words are *neighbours* if their places are at most
``window`` apart. Two vectors are *near* if the angle between them is small: their cosine,
x · w / (‖x‖ ‖w‖), is 1 for the same direction, 0 for a right angle, −1 for opposite ones. Lengths
do not matter for it, because a frequent word may have a long vector without meaning anything else.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.checks import check_array, check_count
from shared.language_model import Ids, check_ids

Array = NDArray[Any]

NAME = "<name>"  # stands for the made-up names, each of which is too rare to learn


@dataclass
class Words:
    """A text as numbers.

    Attributes
    ----------
    names
        The word of each id.
    ids
        The text, one id after the other, (T,).
    """

    names: list[str]
    ids: Ids

    def id_of(self, word: str) -> int:
        """Return the id of a word; raises ValueError if it has none."""
        if word not in self.names:
            raise ValueError(f"word: expected one that the text has often, got {word!r}: try 'fox'")
        return self.names.index(word)


def read_words(texts: Sequence[str], least: int = 100) -> Words:
    """Cut texts into words and full stops; words that occur less than ``least`` times are names.

    Raises
    ------
    ValueError
        If there is no word.
    """
    words = re.findall(r"[^\W\d_]+|\.", " ".join(texts))
    if not words:
        raise ValueError("texts: expected some words, got none: give a list of stories")
    count = Counter(words)
    names = [NAME, *sorted(word for word, n in count.items() if n >= least)]
    number = {word: i for i, word in enumerate(names)}
    return Words(names, np.array([number.get(word, 0) for word in words]))


def neighbours(ids: Ids, window: int = 2) -> tuple[Ids, Ids]:
    """Return all pairs (word, context) at most ``window`` places apart, two arrays (N,)."""
    ids = check_ids("ids", ids, int(np.max(ids, initial=0)) + 1)
    if check_count("window", window) >= len(ids):
        raise ValueError(
            f"ids: expected more than window = {window} words, got {len(ids)}: take more text"
        )
    shifts = range(1, window + 1)
    left = np.concatenate([ids[:-shift] for shift in shifts])
    right = np.concatenate([ids[shift:] for shift in shifts])
    return np.concatenate([left, right]), np.concatenate([right, left])


def nearest(
    vectors: ArrayLike, target: ArrayLike, count: int = 5, leave_out: Sequence[int] = ()
) -> list[tuple[int, float]]:
    """Return the rows of ``vectors`` (V, C) that are nearest to ``target`` (C,).

    Parameters
    ----------
    count
        How many.
    leave_out
        Rows that do not count, such as the one that was asked about.

    Returns
    -------
    list of tuple
        The number of each row, and its cosine with the target, the nearest first.
    """
    vectors = check_array("vectors", vectors, ("V", "C"), "give one row for each word")
    target = check_array("target", target, vectors.shape[1:], "give a vector like the rows")
    tiny = np.finfo(float).tiny
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), tiny)
    cosines = directions @ (target / max(float(np.linalg.norm(target)), tiny))
    best = [row for row in np.argsort(-cosines).tolist() if row not in leave_out]
    return [(row, float(cosines[row])) for row in best[: check_count("count", count)]]
