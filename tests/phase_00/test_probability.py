"""Averages and surprises worked by hand, and the inequality that makes a floor a floor."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase_00.probability import cross_entropy, entropy, expectation, kl_divergence, sample

POSITIVE = st.lists(st.floats(0.01, 1), min_size=4, max_size=4)


def normalized(counts):
    return np.array(counts) / sum(counts)


def test_known_values():
    assert expectation([1, 2, 3, 4, 5, 6], np.full(6, 1 / 6)) == pytest.approx(3.5)
    assert entropy([0.5, 0.5]) == pytest.approx(math.log(2))  # one bit
    assert entropy([1.0, 0.0]) == 0
    # H(p, q) = −(½ ln ¼ + ½ ln ¾)
    assert cross_entropy([0.5, 0.5], [0.25, 0.75]) == pytest.approx(-math.log(3 / 16) / 2)


@given(POSITIVE, POSITIVE)
def test_no_belief_is_less_surprised_than_the_truth(p, q):
    p, q = normalized(p), normalized(q)
    assert cross_entropy(p, q) >= entropy(p) - 1e-12
    assert kl_divergence(p, p) == 0
    assert kl_divergence(p, q) == pytest.approx(float(np.sum(p * np.log(p / q))), abs=1e-12)


def test_ruling_out_what_happens_costs_infinitely_much():
    assert cross_entropy([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert cross_entropy([1.0, 0.0], [1.0, 0.0]) == 0


def test_samples_have_their_probabilities():
    p = np.array([0.2, 0.0, 0.5, 0.3, 0.0])
    outcomes = sample(p, 100_000, np.random.default_rng(0))
    shares = np.bincount(outcomes, minlength=5) / 100_000
    # five standard deviations of a share: 5 · sqrt(0.25 / 100,000) = 0.008
    np.testing.assert_allclose(shares, p, atol=0.008)
    assert shares[1] == shares[4] == 0


def test_samples_at_the_ends_of_the_line():
    class Given:
        """A generator whose uniform numbers are given."""

        def __init__(self, numbers):
            self.numbers = np.array(numbers)

        def random(self, count):
            return self.numbers[:count]

    almost_1 = 1 - 2**-53
    assert sample([0.0, 0.5, 0.5, 0.0], 3, Given([0.0, 0.5, almost_1])).tolist() == [1, 2, 2]
    # ten times 0.1 sums to a little less than 1, and the last number must not fall beside it
    assert sample([0.1] * 10 + [0.0], 1, Given([almost_1])).tolist() == [9]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: entropy([]), "no entries"),
        (lambda: entropy([0.5, 0.4]), "sum 0.9"),
        (lambda: entropy([1.5, -0.5]), "smallest -0.5"),
        (lambda: entropy([0.5, np.nan]), "nan"),
        (lambda: entropy([[0.5, 0.5]]), r"shape \(V,\), got shape \(1, 2\)"),
        (lambda: cross_entropy([0.5, 0.5], [1.0]), r"q: .* shape \(2,\), got shape \(1,\)"),
        (lambda: expectation([1.0], [0.5, 0.5]), "v: .* one number for each outcome"),
        (lambda: sample([2.0], 1, np.random.default_rng(0)), "sum 2"),
        (lambda: sample([1.0], -1, np.random.default_rng(0)), "count: expected a whole number"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
