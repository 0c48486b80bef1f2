"""The score of a language model on stories: bits per character, and the gap to the floor."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from shared.stories import Story, floor_bits_per_character

ERRORS = 3  # a gap more than so many standard errors below zero is a leak


@dataclass(frozen=True)
class StoryScore:
    """A model's bits per character, the storyteller's, and the error of their difference."""

    bits_per_character: float
    floor: float
    standard_error: float

    @property
    def gap(self) -> float:
        """What the model pays above the floor, in bits per character."""
        return self.bits_per_character - self.floor

    @property
    def leaks(self) -> bool:
        """Whether the model is so far below the floor that it must have seen the answer."""
        return self.gap < -ERRORS * self.standard_error


def score_stories(told: Sequence[Story], log_probabilities: Sequence[float]) -> StoryScore:
    """Score a model.

    Parameters
    ----------
    told
        Two or more held-out stories.
    log_probabilities
        What the model gives each of them, in nats, the mark at its end included. The end counts as
        one character.

    Raises
    ------
    ValueError
        If there are fewer than two stories, not one number for each, or a number that is no
        log-probability.
    """
    if len(told) != len(log_probabilities):
        raise ValueError(
            f"expected one log-probability per story, got {len(log_probabilities)} for "
            f"{len(told)}: score every story once"
        )
    if len(told) < 2:
        raise ValueError(f"expected two or more stories, got {len(told)}: take more")
    if not all(value <= 0 for value in log_probabilities):
        raise ValueError(
            f"expected log-probabilities of 0 or less, got {max(log_probabilities)} or NaN: "
            "give natural logarithms of probabilities"
        )
    characters = sum(len(one.text) + 1 for one in told)
    floor = floor_bits_per_character(told)
    if -math.inf in log_probabilities:  # something that happened was impossible to the model
        return StoryScore(math.inf, floor, math.inf)
    extra = [  # bits that the model pays above the storyteller, story by story
        (one.log_probability - value) / math.log(2)
        for one, value in zip(told, log_probabilities, strict=True)
    ]
    gap = sum(extra) / characters
    lengths = [len(one.text) + 1 for one in told]
    spread = statistics.stdev(
        bits - gap * length for bits, length in zip(extra, lengths, strict=True)
    )
    error = spread * math.sqrt(len(told)) / characters
    return StoryScore(floor + gap, floor, error)
