"""Analogies: parallelograms by hand, and on stories the right kind but not the right partner."""

import numpy as np
import pytest

from phase_03.analogies import DONE, PLURAL, SINGULAR, WISHED, analogy, success
from phase_03.skipgram import train_on_words
from phase_03.words import Words, read_words
from shared.stories import stories

WORDS = Words(["sing", "sang", "dig", "dug", "fox"], np.arange(5))
SQUARE = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 2.0], [1.0, 2.0], [-1.0, 0.0]])


def test_a_parallelogram():
    assert analogy(SQUARE, WORDS, "sing", "sang", "dig") == ["dug", "fox"]


def test_success_counts_kind_and_partner():
    assert success(SQUARE, WORDS, ["sing", "dig"], ["sang", "dug"]) == (1, 1)
    assert success(SQUARE, WORDS, ["sing", "dig"], ["sang", "fox"]) == (0, 0)


def test_an_unknown_word_is_refused():
    with pytest.raises(ValueError, match="got 'cat'"):
        analogy(SQUARE, WORDS, "sing", "sang", "cat")


@pytest.mark.slow
def test_on_stories_the_kind_is_right_and_the_partner_is_luck():
    words = read_words([story.text for story in stories("train", 0, 10_000)])
    model, _ = train_on_words(words, seed=1)
    for left, right in ((WISHED, DONE), (SINGULAR, PLURAL)):
        kind, partner = success(model.params["W"], words, left, right)
        assert kind > 0.95
        assert partner < 0.35  # one in twelve is luck
