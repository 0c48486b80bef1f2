"""What every language model here has in common: texts go in as token ids, surprise comes out.

A *row* is one text as the model reads it: the end mark, the ids of the text, and the end mark again
if the text is complete. A model gives each row one number, ln p of all ids after the first. So a
count table, a recurrent network and a GPT can be asked the same questions, whatever their tokens.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.checks import check_array, check_count
from shared.scoring import StoryScore, score_stories
from shared.stories import Story

Ids = NDArray[np.int64]
RowLogProbabilities = Callable[[Sequence[Ids]], Sequence[float]]


class Tokenizer(Protocol):
    """What a tokenizer offers."""

    @property
    def vocab_size(self) -> int:
        """V, the number of tokens, the end mark included."""
        ...

    @property
    def end(self) -> int:
        """The id of the end mark."""
        ...

    def encode(self, text: str, /) -> list[int]:
        """Return the ids of a text, without end marks."""
        ...

    def decode(self, ids: Sequence[int], /) -> str:
        """Return the text of some ids; end marks become nothing."""
        ...


def check_ids(name: str, value: ArrayLike, vocab_size: int) -> Ids:
    """Return ``value`` as an array of token ids, each from 0 to ``vocab_size`` − 1.

    Raises
    ------
    ValueError
        If there are none, or one is no such whole number.
    """
    expected = f"{name}: expected token ids from 0 to {vocab_size - 1}"
    try:
        ids = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{expected}, got rows of unequal length: pad them") from error
    if ids.size == 0:
        raise ValueError(f"{expected}, got none: an empty sequence has no next token")
    if ids.dtype.kind not in "iu":
        raise ValueError(f"{expected}, got {ids.dtype}: encode the text with the tokenizer")
    if ids.min() < 0 or ids.max() >= vocab_size:
        raise ValueError(
            f"{expected}, got {ids.min()} to {ids.max()}: "
            "use the tokenizer that the model was made for"
        )
    return ids.astype(np.int64)


def make_row(tokenizer: Tokenizer, text: str, ended: bool = True) -> Ids:
    """Return a text as a row (T,): the end mark, its ids, and the end mark if it is complete."""
    return np.array([tokenizer.end, *tokenizer.encode(text), *[tokenizer.end] * ended])


def pad(rows: Sequence[Ids], filler: int) -> tuple[Ids, NDArray[Any]]:
    """Put rows of unequal length into one table.

    Returns
    -------
    tuple
        The ids (B, longest), filled up on the right, and which entries are real, of the same shape.

    Raises
    ------
    ValueError
        If there are no rows, or one is empty or no sequence of whole numbers.
    """
    for row in rows:
        array = np.asarray(row)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise ValueError(
                f"rows: expected sequences of token ids, got {array.dtype} of shape "
                f"{array.shape}: encode each text with the tokenizer"
            )
    lengths = np.array([len(row) for row in rows])
    if len(rows) == 0 or lengths.min() == 0:
        raise ValueError(
            f"rows: expected sequences with at least one id, got lengths {lengths.tolist()}: "
            "leave empty ones out"
        )
    real = np.arange(lengths.max()) < lengths[:, None]
    table = np.full(real.shape, filler, np.int64)
    table[real] = np.concatenate(rows)
    return table, real


def tell(
    next_probabilities: Callable[[Ids], NDArray[Any]],
    tokenizer: Tokenizer,
    rng: np.random.Generator,
    most: int = 400,
) -> str:
    """Let a model write a text, token by token, until the end mark.

    Parameters
    ----------
    next_probabilities
        The model: from a row (T,) that begins with the end mark to p of each next token, (V,).
    tokenizer
        From ids to text.
    rng
        Which token is drawn.
    most
        After so many tokens the text ends in any case. A GPT reads no more than its block_size.
    """
    row = [tokenizer.end]
    for _ in range(check_count("most", most)):
        p = check_array(
            "next_probabilities",
            next_probabilities(np.array(row)),
            (tokenizer.vocab_size,),
            "a model gives one probability for each token of its tokenizer",
        ).astype(float)
        if p.min() < 0 or p.sum() == 0:
            raise ValueError(
                f"next_probabilities: expected 0 or more and not all 0, got from {p.min():g} to "
                f"{p.max():g}: apply softmax to the logits"
            )
        row.append(int(rng.choice(len(p), p=p / p.sum())))
        if row[-1] == tokenizer.end:
            break
    return tokenizer.decode(row)


class TextModel:
    """A model of token ids together with its tokenizer: a model of texts.

    Parameters
    ----------
    tokenizer
        From text to ids.
    row_log_probabilities
        From rows to ln p of the ids after the first, one number for each row.
    """

    def __init__(self, tokenizer: Tokenizer, row_log_probabilities: RowLogProbabilities) -> None:
        self.tokenizer, self.row_log_probabilities = tokenizer, row_log_probabilities

    def complete(self, texts: Sequence[str]) -> list[float]:
        """Return ln p of each text from its beginning to its end mark."""
        return list(self.row_log_probabilities([make_row(self.tokenizer, t) for t in texts]))

    def beginning(self, texts: Sequence[str]) -> list[float]:
        """Return ln p that a text's tokens begin with those of each of these."""
        rows = [make_row(self.tokenizer, text, ended=False) for text in texts]
        return list(self.row_log_probabilities(rows))

    def score(self, told: Sequence[Story]) -> StoryScore:
        """Return bits per character on held-out stories, and the gap to the floor."""
        return score_stories(told, self.complete([story.text for story in told]))
