"""The loops that say what ``@`` means, against ``@``."""

import numpy as np
import pytest

from phase_00.vectors_and_matrices import dot, matmul, transform

rng = np.random.default_rng(0)


def test_products_by_hand():
    assert dot([2, 1], [1, 2]) == 4
    # the first row: 1·5 + 2·7 = 19 and 1·6 + 2·8 = 22
    assert matmul([[1, 2], [3, 4]], [[5, 6], [7, 8]]).tolist() == [[19, 22], [43, 50]]


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (1, 4, 3), (5, 1, 2), (3, 4, 5)])
def test_loops_equal_numpy(m, k, n):
    A, B = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    np.testing.assert_allclose(matmul(A, B), A @ B, rtol=1e-12)


def test_a_matrix_moves_the_unit_vectors_to_its_rows():
    W = rng.normal(size=(2, 2))
    np.testing.assert_array_equal(transform(np.eye(2), W), W)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dot([1, 2], [1, 2, 3]), r"w: expected .* shape \(2,\), got shape \(3,\)"),
        (lambda: dot([], []), "x: .* no entries"),
        (lambda: matmul(np.ones((2, 3)), np.ones((2, 3))), r"B: .* shape \(3, n\).*try B.T"),
        (lambda: matmul([1, 2], np.ones((2, 3))), r"A: .* shape \(m, k\)"),
        (lambda: transform(np.ones((4, 3)), np.eye(2)), r"points: .* shape \(N, 2\)"),
        (lambda: transform(np.ones((4, 2)), [[1, np.nan], [0, 1]]), "W: .* 1 of 4 that are nan"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
