"""Mutual information by hand, its factors, and skip-gram found in it."""

import math

import numpy as np
import pytest

from phase_03.ppmi_svd import agreement, count_pairs, pointwise_mutual_information, svd_vectors
from phase_03.skipgram import train_on_words
from phase_03.words import neighbours, read_words
from shared.stories import stories


def test_counts_by_hand():
    counts = count_pairs(np.array([0, 0, 2]), np.array([1, 1, 0]), 3)
    assert counts.tolist() == [[0, 2, 0], [0, 0, 0], [1, 0, 0]]


def test_mutual_information_by_hand():
    # 8 pairs, rows 4 and 4, columns 4 and 4: chance gives 2 in each cell
    pmi = pointwise_mutual_information([[4, 0], [0, 4]])
    assert pmi.tolist() == [[math.log(2), -math.inf], [-math.inf, math.log(2)]]
    np.testing.assert_array_equal(pointwise_mutual_information([[2, 2], [2, 2]]), 0)


def test_all_directions_together_are_the_table():
    rng = np.random.default_rng(0)
    half = rng.integers(1, 20, size=(6, 6))
    counts = half + half.T + 40 * np.eye(6, dtype=int)  # symmetric, and strong on the diagonal
    ppmi = np.maximum(pointwise_mutual_information(counts), 0)
    vectors = svd_vectors(counts, 6)
    np.testing.assert_allclose(vectors @ vectors.T, ppmi, atol=1e-12)


@pytest.mark.slow
def test_skip_gram_approximates_shifted_mutual_information():
    words = read_words([story.text for story in stories("train", 0, 10_000)])
    counts = count_pairs(*neighbours(words.ids), len(words.names))
    shifted = pointwise_mutual_information(counts) - math.log(5)
    model, _ = train_on_words(words, seed=1)
    scores = model.params["W"] @ model.params["U"].T
    assert agreement(scores, shifted, counts) > 0.95
    often = counts >= 50
    slope = np.polyfit(shifted[often], scores[often], 1)[0]
    assert slope == pytest.approx(1, abs=0.15)  # not only correlated: the numbers themselves


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pointwise_mutual_information([[0, 0]]), "not all 0"),
        (lambda: pointwise_mutual_information([[1, -1]]), "got from -1 to 1"),
        (lambda: svd_vectors(np.ones((3, 3)), 4), "width: expected at most 3"),
        (lambda: count_pairs(np.array([3]), np.array([0]), 3), "words: .* got 3 to 3"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("words", "contexts"), [([0, 1, 2], [1]), ([0, 1], [1, 2, 0]), ([[0]], [[1]])]
)
def test_rows_of_different_lengths_are_refused(words, contexts):
    with pytest.raises(ValueError, match="words, contexts: expected two rows of one length"):
        count_pairs(words, contexts, 3)
