"""The gap to the floor: exact for the storyteller, an alarm for a model that peeks."""

import math
import random

import pytest

from shared.scoring import score_stories
from shared.stories import Story, stories

TOLD = list(stories("validation", 0, 300))


def test_known_value():
    told = [Story("abc", -2 * math.log(2)), Story("abcde", -4 * math.log(2))]
    score = score_stories(told, [-3 * math.log(2), -7 * math.log(2)])  # 1 and 3 bits too many
    assert score.bits_per_character == pytest.approx(10 / 10)
    assert score.floor == pytest.approx(6 / 10)
    assert score.gap == pytest.approx(4 / 10)
    # What is left of 1 and 3 bits after 0.4 for each of 4 and 6 characters: -0.6 and +0.6.
    assert score.standard_error == pytest.approx(math.sqrt(0.72) * math.sqrt(2) / 10)


def test_the_storyteller_scores_the_floor_exactly():
    score = score_stories(TOLD, [one.log_probability for one in TOLD])
    assert score.gap == 0
    assert score.standard_error == 0
    assert not score.leaks


def test_a_model_that_peeks_is_reported():
    noise = random.Random(0)
    peeking = [min(0.0, one.log_probability + noise.gauss(1, 3)) for one in TOLD]
    assert score_stories(TOLD, peeking).leaks


def test_luck_is_not_a_leak():
    for seed in range(20):
        noise = random.Random(seed)
        lucky = [one.log_probability + noise.gauss(0, 3) for one in TOLD]
        assert not score_stories(TOLD, lucky).leaks


@pytest.mark.parametrize(
    ("told", "given", "message"),
    [
        (TOLD[:3], [-1.0, -1.0], "expected one log-probability per story, got 2 for 3"),
        ([], [], "expected two or more stories, got 0"),
        (TOLD[:1], [-1.0], "expected two or more stories, got 1"),
        (TOLD[:2], [-1.0, 0.5], "expected log-probabilities of 0 or less, got 0.5"),
        (TOLD[:2], [-1.0, math.nan], "or NaN"),
    ],
)
def test_bad_input_is_refused(told, given, message):
    with pytest.raises(ValueError, match=message):
        score_stories(told, given)
