"""Counts worked by hand, probabilities that sum to 1, and the surprise of what never occurred."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase_03.ngram import NGram
from shared.language_model import TextModel, make_row, tell
from shared.stories import stories
from shared.word_tokenizer import WordTokenizer

A = WordTokenizer(list("ab"))  # the end mark is 0, a is 1, b is 2


def fitted(n, alpha, *texts):
    return NGram(n, A.vocab_size, alpha).fit([make_row(A, text) for text in texts])


def test_bigram_by_hand():
    # "aab": (end a), (a a), (a b), (b end). After a: once a, once b.
    model = fitted(2, 0, "aab")
    assert model.next_probabilities(np.array([1])).tolist() == [0, 0.5, 0.5]
    assert model.row_log_probabilities([make_row(A, "aab")]) == [pytest.approx(-2 * math.log(2))]
    assert model.row_log_probabilities([make_row(A, "ba")]) == [-math.inf]
    assert model.parameters == 4


def test_smoothing_by_hand():
    # after a: (1 + 1) / (2 + 3) for a and for b, and 1 / 5 for the end mark
    p = fitted(2, 1, "aab").next_probabilities(np.array([1]))
    np.testing.assert_allclose(p, [0.2, 0.4, 0.4])


def test_trigram_looks_at_two():
    model = fitted(3, 0, "aab", "bab")
    assert model.next_probabilities(np.array([0, 1, 1])).tolist() == [0, 0, 1]  # after "aa"
    # at the beginning the end mark is repeated: "a" and "b" begin one text each
    np.testing.assert_allclose(model.next_probabilities(np.array([0])), [0, 0.5, 0.5])


@given(st.integers(1, 4), st.sampled_from([0.01, 1.0]), st.lists(st.integers(0, 2), min_size=1))
def test_probabilities_sum_to_one(n, alpha, row):
    model = fitted(n, alpha, "abba", "ab", "bbb")
    assert model.next_probabilities(np.array(row)).sum() == pytest.approx(1)


def test_rows_are_scored_as_their_tokens_one_by_one():
    model, row = fitted(3, 0.1, "abba", "ab", "bbb"), make_row(A, "abab")
    one_by_one = [math.log(model.next_probabilities(row[:t])[row[t]]) for t in range(1, len(row))]
    assert model.row_log_probabilities([row]) == [pytest.approx(sum(one_by_one))]


def test_longer_memory_scores_better_on_stories():
    texts = [story.text for story in stories("train", 0, 1000)]
    told = list(stories("validation", 0, 50))
    tokenizer = WordTokenizer.learn(texts, vocab_size=1)
    rows = [make_row(tokenizer, text) for text in texts]
    gaps = [
        TextModel(tokenizer, NGram(n, tokenizer.vocab_size).fit(rows).row_log_probabilities)
        .score(told)
        .gap
        for n in (1, 2, 3)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[2] > 0


def test_a_story_is_told_until_its_end_mark():
    model = fitted(2, 0, "ab")
    assert tell(model.next_probabilities, A, np.random.default_rng(0)) == "ab"
    assert (
        len(tell(fitted(2, 1, "ab").next_probabilities, A, np.random.default_rng(0), most=5)) <= 5
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NGram(0, 3), "n: expected a whole number"),
        (lambda: NGram(2, 0), "vocab_size: expected a whole number"),
        (lambda: NGram(10, 229), r"below 2\*\*63, got 229\*\*10"),
        (lambda: NGram(2, 3, -1.0), "alpha: expected 0 or more, got -1.0"),
        (lambda: NGram(2, 3, math.nan), "alpha: expected 0 or more"),
        (lambda: fitted(2, 1, "ab").row_log_probabilities([np.array([0, 3])]), "got 0 to 3"),
        (lambda: NGram(2, 3).fit([np.array([], int)]), "got none: an empty sequence"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_it_says_which_n_grams_it_never_counted():
    model = NGram(2, vocab_size=3).fit([np.array([0, 1, 1, 2, 0])])
    assert model.never_counted(np.array([0, 1, 2, 1])).tolist() == [False, False, True]


def test_a_row_of_one_id_has_nothing_to_predict():
    model = NGram(2, vocab_size=3).fit([np.array([0, 1, 1, 2, 0])])
    assert model.row_log_probabilities([np.array([0])]) == [0.0]
    with pytest.raises(ValueError, match="an empty sequence has no next token"):
        model.next_probabilities(np.array([], int))


def test_what_is_impossible_costs_infinitely_many_bits():
    told = list(stories("validation", 0, 2))
    tokenizer = WordTokenizer.learn([story.text for story in told], vocab_size=1)
    model = NGram(3, tokenizer.vocab_size, alpha=0).fit([make_row(tokenizer, told[0].text)])
    score = TextModel(tokenizer, model.row_log_probabilities).score(told)
    assert score.bits_per_character == np.inf and not score.leaks


@pytest.mark.parametrize("alpha", [-0.1, np.nan, np.inf, 1e308, None, "a"])
def test_a_smoothing_that_makes_no_sense_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha: expected"):
        NGram(2, 3, alpha)


def test_a_size_of_numpy_cannot_slip_through_the_limit():
    with pytest.raises(ValueError, match="below 2\\*\\*63"):
        NGram(10, np.int64(229))
