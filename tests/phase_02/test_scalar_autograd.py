"""Blame by single numbers: a graph worked by hand, nudging, and the two classic mistakes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase_00.derivatives import numerical_gradient
from phase_02.scalar_autograd import Value

NUMBERS = st.floats(0.5, 2)  # away from 0, where 1 / b bends too sharply for a nudge


def everything(a, b):
    """A result that uses every operation, and both inputs more than once."""
    c = a * b - a / b + 3.0
    d = (c**2 + 1.0).log() + (-b).exp() + a.tanh() * (b - 0.1).relu()
    return 2.0 * d + c + (1.0 - a) + 1.0 / b


def everything_in_floats(at):
    a, b = at
    c = a * b - a / b + 3
    d = math.log(c**2 + 1) + math.exp(-b) + math.tanh(a) * max(b - 0.1, 0)
    return 2 * d + c + (1 - a) + 1 / b


@given(NUMBERS, NUMBERS)
def test_every_operation_against_nudging(a, b):
    inputs = Value(a), Value(b)
    result = everything(*inputs)
    result.backward()
    assert result.data == pytest.approx(everything_in_floats((a, b)))
    nudged = numerical_gradient(everything_in_floats, [a, b])
    np.testing.assert_allclose([v.grad for v in inputs], nudged, rtol=1e-6, atol=1e-7)


def test_squared_error_by_hand():
    # L = (w·3 + b − 10)² at w = 2, b = 1: the error is −3, so ∂L/∂w = 2·(−3)·3 and ∂L/∂b = 2·(−3)
    w, b = Value(2.0), Value(1.0)
    ((w * 3.0 + b - 10.0) ** 2).backward()
    assert (w.grad, b.grad) == (-18, -6)


def test_blame_from_all_uses_is_added():
    a = Value(3.0)
    (a * a + a).backward()
    assert a.grad == 7


def test_a_value_waits_for_all_that_was_made_from_it():
    # u is used by v and, later, by the result: reached too early, it would hand on only half
    a = Value(2.0)
    u = a * 3.0
    v = u * u
    (v * 10.0 + u).backward()
    assert a.grad == 3 * (2 * 6 * 10 + 1)


def test_calling_backward_again_adds_the_gradient_once_more():
    a = Value(3.0)
    result = (a * a) * 2.0
    result.backward()
    result.backward()
    assert a.grad == 2 * 12


def test_a_graph_deeper_than_the_recursion_limit():
    a = Value(1.0)
    total = a
    for _ in range(5000):
        total = total + 0.0
    total.backward()
    assert a.grad == 1


@pytest.mark.parametrize("number", [-1.0, 0.0])
def test_dead_relu_gets_no_blame(number):
    a = Value(number)
    a.relu().backward()
    assert a.grad == 0


@pytest.mark.parametrize("wrong", [math.nan, math.inf, "1", None])
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(ValueError, match="data: expected"):
        Value(wrong)


def test_logarithm_of_nothing_is_refused():
    with pytest.raises(ValueError, match="under a logarithm: expected a number above 0"):
        Value(0.0).log()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Value(1.0) / 0, "power: expected one for which 0 has a slope, got -1"),
        (lambda: Value(0.0) ** 0.5, "power: expected one for which 0 has a slope, got 0.5"),
        (lambda: Value(-1.0) ** 0.5, "power: expected one for which -1 has a slope"),
        (lambda: Value(2.0) ** Value(2.0), "power: expected a finite number"),
        (lambda: Value(1e200) ** 2, "power: expected a result up to"),
        (lambda: Value(1000.0).exp(), "exp: expected a result up to"),
        (lambda: Value(1.0) + "a", "number: expected a finite number, got 'a'"),
        (lambda: None * Value(1.0), "number: expected a finite number, got None"),
    ],
)
def test_what_has_no_result_or_no_slope_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_slopes_of_powers():
    for base, power, slope in ((0.0, 1, 1), (0.0, 2, 0), (-2.0, 3, 12), (4.0, 0.5, 0.25)):
        a = Value(base)
        (a**power).backward()
        assert a.grad == slope
