"""Places by hand, by finite differences and by complex numbers: sines, tables and turns."""

import cmath
import math

import numpy as np
import pytest

from phase_02.gradient_check import TOLERANCE, check_gradients, check_layer
from phase_05.positional_encoding import (
    LearnedPositions,
    Rotary,
    angles,
    check_even,
    check_rotary,
    sinusoidal,
    speeds,
)
from phase_05.scaled_dot_product import ScaledDotProduct


def rng(seed=0):
    return np.random.default_rng(seed)


def rotary_error(rotary, shape=(2, 3, 5, 6)):
    """The relative error of a rotary backward pass."""
    x, c = rng(1).normal(size=shape), rng(2).normal(size=shape)
    return check_gradients(
        lambda: float(np.sum(rotary.forward(x) * c)), {"x": x}, {"x": rotary.backward(c)}
    )["x"]


def only_distance_counts(turn):
    """Whether q · k is the same wherever the two stand, for each distance."""
    q, k = rng(1).normal(size=(2, 8))
    turned_q, turned_k = (turn(np.broadcast_to(x, (40, 8))) for x in (q, k))
    scores = turned_q @ turned_k.T  # entry (t, s)
    return all(np.ptp(np.diagonal(scores, far)) < 1e-10 for far in (-39, -7, -1, 0, 1, 7))


def lengths_stay(turn):
    """Whether each turned vector is as long as before."""
    x = rng(1).normal(size=(2, 50, 8))
    return np.allclose(np.linalg.norm(turn(x), axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-12)


def test_speeds_by_hand():
    np.testing.assert_allclose(speeds(2), [1])
    np.testing.assert_allclose(speeds(8), [1, 0.1, 0.01, 0.001])
    np.testing.assert_allclose(angles(3, 4), [[0, 0], [1, 0.01], [2, 0.02]])


def test_sinusoidal_by_hand():
    expected = [
        [0, 1, 0, 1],
        [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)],
        [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)],
    ]
    np.testing.assert_allclose(sinusoidal(3, 4), expected)
    np.testing.assert_allclose(sinusoidal(3, 4)[1:, 0], [0.8415, 0.9093], atol=1e-4)


def test_each_place_has_its_own_sines_all_of_one_length():
    table = sinusoidal(500, 16)
    apart = np.linalg.norm(table[:, None] - table, axis=-1) + np.eye(500)
    assert apart.min() > 0.1
    np.testing.assert_allclose(np.linalg.norm(table, axis=-1), np.sqrt(8))


def test_a_longer_table_begins_with_the_shorter():
    np.testing.assert_array_equal(sinusoidal(9, 6)[:4], sinusoidal(4, 6))
    assert sinusoidal(1, 2).tolist() == [[0, 1]]


@pytest.mark.parametrize("places", [sinusoidal(4, 6), rng().normal(size=(4, 6))])
def test_places_tell_attention_the_order(places):
    attention, x, order = ScaledDotProduct(), rng(1).normal(size=(4, 6)), [2, 0, 3, 1]

    def look(x):
        return attention.forward(x, x, x)

    np.testing.assert_allclose(look(x[order]), look(x)[order], rtol=1e-12)
    assert np.abs(look(x[order] + places) - look(x + places)[order]).max() > 0.1


def test_learned_by_hand():
    layer = LearnedPositions(3, 1, rng())
    layer.params["W"][...] = [[10], [20], [30]]
    x = [[[1], [2]], [[3], [4]]]
    assert layer.forward(x).tolist() == [[[11], [22]], [[13], [24]]]
    dL_dx, grads = layer.backward([[[1], [2]], [[4], [8]]])
    assert dL_dx.tolist() == [[[1], [2]], [[4], [8]]]
    assert grads["W"].tolist() == [[5], [10], [0]]  # place 0 in both sequences; place 2 in none


@pytest.mark.parametrize(("B", "T"), [(1, 1), (1, 5), (3, 1), (3, 4)])
def test_learned_backward_is_the_derivative_of_forward(B, T):
    layer = LearnedPositions(5, 4, rng())
    errors = check_layer(layer, rng(1).normal(size=(B, T, 4)), rng(2))
    assert set(errors) == {"x", "W"}
    assert max(errors.values()) < TOLERANCE


class Averaged(LearnedPositions):
    """The blame of a place is averaged over the sequences."""

    def backward(self, dL_da):
        dL_dx, grads = super().backward(dL_da)
        return dL_dx, {"W": grads["W"] / self.shape[0]}


class LastWins(LearnedPositions):
    """The blame of the last sequence alone arrives."""

    def backward(self, dL_da):
        dL_dx, grads = super().backward(dL_da)
        grads["W"][: self.shape[1]] = dL_dx[-1]
        return dL_dx, grads


class FromTheEnd(LearnedPositions):
    """Blame goes to the last rows of the table instead of the first."""

    def backward(self, dL_da):
        dL_dx, grads = super().backward(dL_da)
        return dL_dx, {"W": np.roll(grads["W"], len(grads["W"]) - self.shape[1], axis=0)}


@pytest.mark.parametrize("cls", [Averaged, LastWins, FromTheEnd])
def test_the_check_finds_a_mistake_in_the_table(cls):
    errors = check_layer(cls(5, 4, rng()), rng(1).normal(size=(3, 4, 4)), rng(2))
    assert errors["x"] < TOLERANCE and errors["W"] > 0.01


def test_blame_handed_back_is_no_view_of_blame_handed_in():
    layer, blame = LearnedPositions(5, 4, rng()), np.ones((1, 3, 4))
    layer.forward(blame)
    dL_dx, _ = layer.backward(blame)
    dL_dx[...] = 7
    assert (blame == 1).all()


def test_rotary_by_hand():
    # Pairs are (0, 2) and (1, 3); at place 1 they turn by 1 and by 0.01.
    x = np.broadcast_to([1.0, 0.0, 0.0, 2.0], (2, 4))
    turned = Rotary(4).forward(x)
    assert turned[0].tolist() == [1, 0, 0, 2]
    expected = [math.cos(1), -2 * math.sin(0.01), math.sin(1), 2 * math.cos(0.01)]
    np.testing.assert_allclose(turned[1], expected)


def test_rotary_is_a_product_of_complex_numbers():
    x, D = rng().normal(size=(7, 6)), 6
    turned = Rotary(D).forward(x)
    for t in range(7):
        for i in range(D // 2):
            number = complex(x[t, i], x[t, i + D // 2]) * cmath.exp(1j * t * 10_000 ** (-2 * i / D))
            assert complex(turned[t, i], turned[t, i + D // 2]) == pytest.approx(number)


def test_rotary_sees_distances_and_keeps_lengths():
    assert only_distance_counts(Rotary(8).forward)
    assert lengths_stay(Rotary(8).forward)


def test_turns_of_another_kind_are_found():
    class OneSign(Rotary):  # both halves get "+ sin": no turn any more
        def turn(self, x, direction):
            turned = angles(x.shape[-2], self.head_dim)
            first, second = np.split(x, 2, axis=-1)
            cos, sin = np.cos(turned), direction * np.sin(turned)
            return np.concatenate([first * cos + second * sin, first * sin + second * cos], axis=-1)

    assert not only_distance_counts(OneSign(8).forward)
    assert not lengths_stay(OneSign(8).forward)
    assert not only_distance_counts(lambda x: x + sinusoidal(len(x), 8))


@pytest.mark.parametrize("shape", [(1, 2), (1, 1, 1, 6), (5, 6), (2, 3, 5, 6)])
def test_rotary_backward_is_the_derivative_of_forward(shape):
    assert rotary_error(Rotary(shape[-1]), shape) < TOLERANCE
    assert check_rotary(rng()) < TOLERANCE


def test_the_check_finds_blame_that_is_turned_the_wrong_way_or_not_at_all():
    class Onward(Rotary):
        def backward(self, dL_da):
            return self.turn(dL_da, 1)

    class Still(Rotary):
        def backward(self, dL_da):
            return np.array(dL_da)

    assert rotary_error(Onward(6)) > 0.01
    assert rotary_error(Still(6)) > 0.01


def test_turning_back_undoes_the_turn_and_place_0_does_not_turn():
    x = rng().normal(size=(3, 9, 6))
    rotary = Rotary(6)
    np.testing.assert_allclose(rotary.backward(rotary.forward(x)), x, rtol=1e-10)
    np.testing.assert_array_equal(rotary.forward(x)[:, 0], x[:, 0])
    np.testing.assert_array_equal(rotary.forward(x[:, :1]), x[:, :1])  # T = 1


def test_float32_stays_float32():
    for x in (np.ones((2, 3, 4), np.float32), np.ones((2, 3, 4))):
        layer = LearnedPositions(5, 4, rng(), np.float32)
        a = layer.forward(x)
        dL_dx, grads = layer.backward(np.ones_like(a))
        assert {array.dtype for array in (a, dL_dx, grads["W"])} == {np.dtype(np.float32)}
    x = np.ones((2, 3, 4), np.float32)
    assert Rotary(4).forward(x).dtype == Rotary(4).backward(x).dtype == np.float32


def forwarded():
    layer = LearnedPositions(5, 4, rng())
    layer.forward(np.ones((2, 3, 4)))
    return layer


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sinusoidal(3, 5), "width: expected an even number, got 5: .* in pairs"),
        (lambda: sinusoidal(0, 4), "T: expected a whole number of at least 1"),
        (lambda: speeds(0), "width: expected a whole number of at least 1"),
        (lambda: Rotary(3), "head_dim: expected an even number, got 3: .* add one"),
        (lambda: Rotary(4.0), "head_dim: expected a whole number"),
        (lambda: Rotary(4).forward(np.ones((3, 6))), r"x: .* \(…, T, 4\), got shape \(3, 6\)"),
        (lambda: Rotary(4).forward(np.ones(4)), r"x: .* got shape \(4,\): give D numbers"),
        (lambda: Rotary(4).forward(np.full((3, 4), np.nan)), "x: .* nan"),
        (lambda: Rotary(4).backward(np.ones((3, 6))), r"\(…, T, 4\), got shape \(3, 6\)"),
        (lambda: LearnedPositions(0, 4, rng()), "block_size: expected a whole number"),
        (lambda: LearnedPositions(4, 0, rng()), "width: expected a whole number"),
        (lambda: LearnedPositions(4, 4, rng(), int), "dtype: expected a floating-point type"),
        (
            lambda: LearnedPositions(2, 4, rng()).forward(np.ones((1, 3, 4))),
            "x: expected at most 2 tokens in a sequence, got 3: cut it, or train",
        ),
        (
            lambda: LearnedPositions(5, 4, rng()).forward(np.ones((3, 4))),
            r"x: .* \(B, T, 4\), got shape \(3, 4\): give C numbers",
        ),
        (lambda: LearnedPositions(5, 4, rng()).forward(np.full((1, 3, 4), np.inf)), "infinite"),
        (lambda: LearnedPositions(5, 4, rng()).backward(np.ones((1, 3, 4))), "call forward first"),
        (lambda: forwarded().backward(np.ones((2, 5, 4))), r"dL_da: .* \(2, 3, 4\), got shape"),
        (lambda: forwarded().backward(np.full((2, 3, 4), np.nan)), "dL_da: .* nan"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_even_number_passes():
    assert check_even("width", 6) == 6
