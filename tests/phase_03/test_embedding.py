"""The table: rows looked up, blame added where it belongs, and the line that loses it."""

import numpy as np
import pytest

from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_03.embedding import Embedding


def rng(seed=0):
    return np.random.default_rng(seed)


def test_rows_are_those_of_one_hot_vectors():
    table, ids = Embedding(5, 3, rng()), [[3, 1, 3], [0, 4, 4]]
    np.testing.assert_array_equal(table.forward(ids), np.eye(5)[ids] @ table.params["W"])


@pytest.mark.parametrize("ids", [[2], [3, 1, 3, 3], [[0, 0], [0, 0]], [[3, 1], [4, 3]]], ids=str)
def test_gradient_with_ids_that_come_again(ids):
    table = Embedding(5, 3, rng())
    c = rng(1).normal(size=(*np.shape(ids), 3))
    table.forward(ids)
    _, grads = table.backward(c)
    errors = check_gradients(lambda: float(np.sum(table.forward(ids) * c)), table.params, grads)
    assert errors["W"] < TOLERANCE


def test_the_wrong_way_loses_blame_and_the_check_sees_it():
    table, ids, c = Embedding(5, 3, rng()), [3, 1, 3, 3], rng(1).normal(size=(4, 3))
    wrong = np.zeros((5, 3))
    wrong[ids] += c
    np.testing.assert_array_equal(wrong[3], c[3])  # only the last of the three
    errors = check_gradients(
        lambda: float(np.sum(table.forward(ids) * c)), table.params, {"W": wrong}
    )
    assert errors["W"] > 0.1


def test_blame_by_hand():
    table = Embedding(3, 1, rng())
    table.forward([2, 0, 2])
    dL_dids, grads = table.backward([[1.0], [10.0], [100.0]])
    assert grads["W"].tolist() == [[10], [0], [101]]
    assert dL_dids.tolist() == [0, 0, 0]


def test_float32_stays_float32():
    table = Embedding(3, 2, rng(), np.float32)
    assert table.forward([0]).dtype == np.float32
    assert table.backward(np.ones((1, 2)))[1]["W"].dtype == np.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Embedding(3, 2, rng()).forward([3]), "from 0 to 2, got 3 to 3"),
        (lambda: Embedding(3, 2, rng()).forward([]), "got none"),
        (lambda: Embedding(3, 2, rng()).forward([0.5]), "got float64"),
        (lambda: Embedding(3, 2, rng()).backward(np.ones((1, 2))), "call forward first"),
        (lambda: Embedding(0, 2, rng()), "vocab_size: expected a whole number"),
        (lambda: Embedding(3, 2, rng(), int), "dtype: expected a floating-point type"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
