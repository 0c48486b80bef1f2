"""Words, neighbours and nearest vectors, each by hand."""

import numpy as np
import pytest

from phase_03.words import NAME, nearest, neighbours, read_words


def test_rare_words_are_names():
    words = read_words(["Miko had a fox. Lubo had a fox."], least=2)
    assert words.names == [NAME, ".", "a", "fox", "had"]
    assert words.ids.tolist() == [0, 4, 2, 3, 1, 0, 4, 2, 3, 1]
    assert words.id_of("fox") == 3


def test_neighbours_by_hand():
    left, right = neighbours(np.array([7, 8, 9]), window=2)
    found = sorted(zip(left.tolist(), right.tolist(), strict=True))
    assert found == [(7, 8), (7, 9), (8, 7), (8, 9), (9, 7), (9, 8)]


def test_nearest_goes_by_direction_not_by_length():
    vectors = [[1.0, 0.0], [10.0, 1.0], [1.0, 1.0], [-1.0, 0.0]]
    found = nearest(vectors, [1.0, 0.0], 3, leave_out=[0])
    assert [row for row, _ in found] == [1, 2, 3]
    assert found[1][1] == pytest.approx(np.sqrt(0.5))
    assert found[2][1] == -1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: read_words([]), "texts: expected some words, got none"),
        (lambda: read_words(["a a"], least=1).id_of("fox"), "got 'fox'"),
        (lambda: neighbours(np.array([1, 2]), window=2), "more than window = 2 words, got 2"),
        (lambda: neighbours(np.array([1, 2, 3]), window=0), "window: expected a whole number"),
        (lambda: nearest(np.ones((3, 2)), np.ones(3)), r"target: .* \(2,\), got shape \(3,\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_short_and_long_vectors_have_the_same_cosine():
    for size in (1e-100, 1e-7, 1.0, 1e100):
        assert nearest(size * np.eye(2), [size, 0.0]) == [(0, 1.0), (1, 0.0)]
    assert nearest(np.zeros((1, 2)), [1.0, 0.0]) == [(0, 0.0)]
