"""The map: the longest direction first, nothing lost when all are kept."""

import numpy as np
import pytest

from phase_03.word_map import GROUPS, principal_components


def test_the_direction_of_a_line_is_found():
    line = np.outer([-2.0, 0.0, 1.0, 1.0], [3.0, 4.0])
    places, shares = principal_components(line, 1)
    assert shares.tolist() == pytest.approx([1])
    np.testing.assert_allclose(np.abs(places[:, 0]), [10, 0, 5, 5], atol=1e-12)


def test_turning_keeps_all_distances():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(10, 4))
    places, shares = principal_components(vectors, 4)
    for i in range(10):
        np.testing.assert_allclose(
            np.linalg.norm(places - places[i], axis=1), np.linalg.norm(vectors - vectors[i], axis=1)
        )
    assert shares.sum() == pytest.approx(1)
    assert shares.tolist() == sorted(shares, reverse=True)


def test_groups_share_no_word():
    members = [word for group in GROUPS.values() for word in group]
    assert len(members) == len(set(members))


def test_too_many_directions_are_refused():
    with pytest.raises(ValueError, match="count: expected at most 4 directions, got 5"):
        principal_components(np.ones((10, 4)), 5)


def test_the_map_does_not_depend_on_where_the_middle_is():
    vectors = np.random.default_rng(0).normal(size=(10, 4))
    places, shares = principal_components(vectors, 2)
    moved, same = principal_components(vectors + 100, 2)
    np.testing.assert_allclose(np.abs(moved), np.abs(places), atol=1e-9)
    np.testing.assert_allclose(same, shares)
