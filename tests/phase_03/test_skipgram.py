"""Skip-gram: the loss by hand, gradients by nudging, words of one kind together."""

import math

import numpy as np
import pytest

from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_03.skipgram import SkipGram, train_on_words
from phase_03.words import nearest, read_words
from shared.stories import STORIES, stories


def rng(seed=0):
    return np.random.default_rng(seed)


def test_loss_by_hand():
    model = SkipGram(3, 1, rng())
    model.params["W"][...], model.params["U"][...] = [[2.0], [0.0], [0.0]], [[0.0], [1.0], [-1.0]]
    # real: s = 2 · 1; drawn: s = 2 · (−1) and 2 · 0
    expected = math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-2)) + math.log(2)
    loss = model.forward(np.array([0]), np.array([1]), np.array([[2, 0]]))
    assert loss == pytest.approx(expected)


def test_gradients_with_words_that_come_again():
    model = SkipGram(5, 3, rng())
    words, contexts = np.array([1, 1, 2, 4]), np.array([2, 2, 1, 1])
    drawn = np.array([[2, 2], [0, 1], [3, 3], [1, 4]])
    model.forward(words, contexts, drawn)
    errors = check_gradients(
        lambda: model.forward(words, contexts, drawn), model.params, model.backward()
    )
    assert max(errors.values()) < TOLERANCE


def test_words_of_one_kind_come_together():
    words = read_words([story.text for story in stories("train", 0, 3000)], least=50)
    model, losses = train_on_words(words, steps=1000)
    assert np.mean(losses[-50:]) < 0.6 * losses[0]
    W = model.params["W"]
    for kind in (STORIES.kinds, STORIES.places, [past for _, past in STORIES.verbs]):
        for word in kind:
            i = words.id_of(word)
            found = [words.names[j] for j, _ in nearest(W, W[i], 3, leave_out=[i])]
            assert set(found) <= set(kind), word


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SkipGram(0, 3, rng()), "vocab_size: expected a whole number"),
        (
            lambda: SkipGram(3, 2, rng()).forward(np.array([3]), np.array([0]), np.array([[1]])),
            "words: expected token ids from 0 to 2, got 3",
        ),
        (
            lambda: SkipGram(3, 2, rng()).forward(np.array([0]), np.array([0]), np.array([[9]])),
            "contexts, drawn: .* got 0 to 9",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("words", "contexts", "drawn"),
    [([1, 2], [1], [[1]]), ([1], [1, 2], [[1], [2]]), ([1], [1], [1]), ([[1]], [[1]], [[1]])],
)
def test_rows_of_different_lengths_are_refused(words, contexts, drawn):
    with pytest.raises(ValueError, match="words, contexts, drawn: expected shapes"):
        SkipGram(4, 2, np.random.default_rng(0)).forward(words, contexts, drawn)


def test_backward_before_forward_is_refused():
    with pytest.raises(ValueError, match="call forward first"):
        SkipGram(4, 2, np.random.default_rng(0)).backward()
