"""Rows, padding and the model of texts, against values worked by hand."""

from itertools import pairwise

import numpy as np
import pytest

from shared.language_model import TextModel, check_ids, make_row, pad, tell
from shared.stories import log_probability, stories
from shared.word_tokenizer import WordTokenizer

LETTERS = WordTokenizer(list("abc"))


def test_rows_begin_and_end_with_the_end_mark():
    assert make_row(LETTERS, "cab").tolist() == [0, 3, 1, 2, 0]
    assert make_row(LETTERS, "cab", ended=False).tolist() == [0, 3, 1, 2]
    assert make_row(LETTERS, "").tolist() == [0, 0]


def test_padding_fills_up_on_the_right():
    table, real = pad([np.array([1, 2, 3]), np.array([4])], 9)
    assert table.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert real.tolist() == [[True, True, True], [True, False, False]]


@pytest.mark.parametrize("rows", [[], [np.array([1]), np.array([], int)]])
def test_empty_rows_are_refused(rows):
    with pytest.raises(ValueError, match="rows: expected sequences with at least one id"):
        pad(rows, 0)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 4], "expected token ids from 0 to 3, got 0 to 4: use the tokenizer"),
        ([-1], "got -1 to -1"),
        ([], "got none: an empty sequence"),
        ([1.0], "got float64: encode the text"),
        ("abc", "encode the text"),
        ([[1], [1, 2]], "unequal length: pad them"),
    ],
)
def test_what_is_no_id_is_refused(ids, message):
    with pytest.raises(ValueError, match=message):
        check_ids("ids", ids, 4)


def test_a_text_model_asks_for_complete_texts_and_for_beginnings():
    asked = []

    def lengths(rows):
        asked.extend(row.tolist() for row in rows)
        return [-float(len(row)) for row in rows]

    model = TextModel(LETTERS, lengths)
    assert model.complete(["ab", "c"]) == [-4, -3]
    assert model.beginning(["ab"]) == [-3]
    assert asked == [[0, 1, 2, 0], [0, 3, 0], [0, 1, 2]]


def test_who_knows_the_true_distribution_scores_the_floor_exactly():
    told = list(stories("validation", 0, 20))
    tokenizer = WordTokenizer.learn([story.text for story in told], vocab_size=1)

    def truth(rows):
        return [log_probability(tokenizer.decode(row)) for row in rows]

    assert TextModel(tokenizer, truth).score(told).gap == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("row", [[1.9, 2.9], [True], [[1]], 3])
def test_rows_that_are_no_ids_are_refused(row):
    with pytest.raises(ValueError, match="rows: expected sequences of token ids"):
        pad([np.array(row)], 0)


def test_a_model_that_never_ends_is_stopped():
    tokenizer = WordTokenizer(["a"])
    told = tell(lambda row: np.array([0.0, 1.0]), tokenizer, np.random.default_rng(0), most=5)
    assert told == "aaaaa"
    with pytest.raises(ValueError, match="most: expected"):
        tell(lambda row: np.array([0.0, 1.0]), tokenizer, np.random.default_rng(0), most=0)


def test_a_model_that_ends_at_once_tells_nothing():
    assert tell(lambda row: [1.0, 0.0], WordTokenizer(["a"]), np.random.default_rng(0)) == ""


def test_the_whole_row_is_read_and_tokens_are_drawn():
    seen = []

    def model(row):
        seen.append(row.tolist())
        return [0.0, 0.5, 0.5] if len(row) < 60 else [1.0, 0.0, 0.0]

    told = tell(model, WordTokenizer(["a", "b"]), np.random.default_rng(0))
    assert 15 < told.count("a") < 45 and len(told) == 59
    assert all(longer[:-1] == shorter for shorter, longer in pairwise(seen))
    assert seen[0] == [0]


@pytest.mark.parametrize("p", [[0.0, 0.0], [np.nan, 1.0], [-1.0, 2.0], [[0.5, 0.5]], [1.0] * 3])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="next_probabilities: expected"):
        tell(lambda row: p, WordTokenizer(["a"]), np.random.default_rng(0))
