"""The plain recurrent layer: steps by hand, blame through time, rows of unequal length."""

import numpy as np
import pytest

from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_04.gru import GRU
from phase_04.lstm import LSTM
from phase_04.rnn import RNN, check_recurrent

CELLS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}


def rng(seed=0):
    return np.random.default_rng(seed)


def randomized(layer, seed=3):
    """The layer with parameters of which none is 0 and no two are equal, biases too."""
    r = rng(seed)
    for array in layer.params.values():
        array[...] = r.normal(size=array.shape) / np.sqrt(layer.units)
    return layer


def test_two_steps_by_hand():
    layer = RNN(1, 1, rng())
    layer.params["W_x"][...], layer.params["W_h"][...], layer.params["b"][...] = 2, 0.5, 0.1
    h = layer.forward([[[0.3], [0.0]]], [[0.4]])
    first = np.tanh(2 * 0.3 + 0.5 * 0.4 + 0.1)
    np.testing.assert_allclose(h.ravel(), [first, np.tanh(0.5 * first + 0.1)])


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("T", [1, 2, 7])
def test_backward_is_the_derivative_of_forward(name, T):
    errors = check_recurrent(CELLS[name](4, 5, rng()), rng(1), T)
    assert {"x", "start", "W_x", "W_h", "b"} <= set(errors)
    assert max(errors.values()) < TOLERANCE


@pytest.mark.parametrize("name", CELLS)
def test_the_check_uses_biases_that_differ_and_are_not_zero(name):
    layer = CELLS[name](4, 5, rng())
    check_recurrent(layer, rng(1))
    for array in layer.params.values():
        assert np.abs(array).min() > 0
        assert len(np.unique(array)) == array.size


def test_forgetting_one_step_of_blame_is_found():
    class Short(RNN):
        def backward(self, dL_dstates):
            dL_dx, dL_dstart, grads = super().backward(dL_dstates)
            last = np.zeros_like(self.states[1:])  # dL_dz of the last step alone, once too often
            last[-1] = dL_dstates[:, -1] * (1 - self.states[-1] ** 2)
            return dL_dx, dL_dstart, grads | {"W_h": grads["W_h"] - self.memory_gradient(last)}

    assert check_recurrent(Short(4, 5, rng()), rng(1))["W_h"] > 0.01


@pytest.mark.parametrize("name", CELLS)
def test_a_sequence_in_two_pieces_is_the_sequence(name):
    layer, x = randomized(CELLS[name](4, 5, rng())), rng(1).normal(size=(3, 6, 4))
    whole = layer.forward(x)
    first = layer.forward(x[:, :2])
    second = layer.forward(x[:, 2:], first[:, -1])
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_blame_in_two_pieces_is_the_whole_blame(name):
    layer, x = randomized(CELLS[name](4, 5, rng())), rng(1).normal(size=(3, 6, 4))
    c = rng(2).normal(size=layer.forward(x).shape)
    dL_dx, dL_dstart, grads = layer.backward(c)
    first = layer.forward(x[:, :2])
    layer.forward(x[:, 2:], first[:, -1])
    dL_dx_2, handed_back, grads_2 = layer.backward(c[:, 2:])
    layer.forward(x[:, :2])
    c_1 = c[:, :2].copy()
    c_1[:, -1] += handed_back
    dL_dx_1, dL_dstart_1, grads_1 = layer.backward(c_1)
    np.testing.assert_allclose(np.concatenate([dL_dx_1, dL_dx_2], axis=1), dL_dx, rtol=1e-10)
    np.testing.assert_allclose(dL_dstart_1, dL_dstart, rtol=1e-10)
    for key, grad in grads.items():
        np.testing.assert_allclose(grads_1[key] + grads_2[key], grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_what_comes_after_the_end_of_a_row_changes_nothing_before_it(name):
    layer, x = randomized(CELLS[name](4, 5, rng())), rng(1).normal(size=(2, 6, 4))
    lengths = np.array([3, 6])
    c = rng(2).normal(size=(2, layer.state_size))

    def loss():
        states = layer.forward(x)
        return float(np.sum(states[[0, 1], lengths - 1] * c))

    states = layer.forward(x)
    alone = layer.forward(x[:1, :3])
    np.testing.assert_allclose(states[0, :3], alone[0], rtol=1e-12)
    layer.forward(x)
    dL_dstates = np.zeros_like(states)
    dL_dstates[[0, 1], lengths - 1] = c
    dL_dx, _, grads = layer.backward(dL_dstates)
    assert (dL_dx[0, 3:] == 0).all()
    errors = check_gradients(loss, {"x": x, **layer.params}, {"x": dL_dx, **grads})
    assert max(errors.values()) < TOLERANCE


@pytest.mark.parametrize("name", CELLS)
def test_each_row_of_a_batch_is_read_for_itself(name):
    layer, x = randomized(CELLS[name](4, 5, rng())), rng(1).normal(size=(3, 6, 4))
    together = layer.forward(x)
    for row in range(3):
        np.testing.assert_allclose(layer.forward(x[row : row + 1])[0], together[row], rtol=1e-10)


@pytest.mark.parametrize("name", CELLS)
def test_float32_stays_float32(name):
    layer = CELLS[name](4, 5, rng(), np.float32)
    states = layer.forward(rng(1).normal(size=(2, 3, 4)))
    dL_dx, dL_dstart, grads = layer.backward(np.ones(states.shape))
    arrays = (states, dL_dx, dL_dstart, *grads.values())
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def test_the_first_memory_is_a_rotation():
    W_h = RNN(3, 7, rng()).params["W_h"]
    np.testing.assert_allclose(W_h @ W_h.T, np.eye(7), atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda cell: cell(4, 5, rng()).forward(np.ones((2, 3))), r"x: .* \(B, T, 4\), got shape"),
        (lambda cell: cell(4, 5, rng()).forward(np.ones((2, 0, 4))), "no entries"),
        (lambda cell: cell(4, 5, rng()).forward(np.full((2, 3, 4), np.nan)), "nan"),
        (lambda cell: cell(4, 5, rng()).forward(np.ones((2, 3, 4)), np.ones((3, 5))), "start: "),
        (lambda cell: cell(4, 5, rng()).backward(np.ones((2, 3, 5))), "call forward first"),
        (lambda cell: cell(0, 5, rng()), "inputs: expected a whole number"),
        (lambda cell: cell(4, 5, rng(), int), "dtype: expected a floating-point type"),
    ],
)
def test_bad_input_is_refused(name, call, message):
    with pytest.raises(ValueError, match=message):
        call(CELLS[name])


@pytest.mark.parametrize("shape", [(1, 4, 2), (4, 1, 2), (2, 3, 2)])
def test_an_input_that_changes_later_does_not_change_the_blame(shape):
    layer, x = RNN(2, 3, rng()), rng(1).normal(size=shape)
    blame = np.ones_like(layer.forward(x))
    _, _, before = layer.backward(blame)
    layer.forward(x)
    x[...] = 0
    _, _, after = layer.backward(blame)
    np.testing.assert_array_equal(after["W_x"], before["W_x"])


def test_blame_of_the_last_outputs_leaves_the_rest_alone():
    layer = LSTM(2, 3, rng())
    layer.forward(rng(1).normal(size=(4, 5, 2)))
    blame = layer.blame_of_outputs(np.ones((4, 2, 3)))
    assert blame.shape == (4, 5, 6)
    assert blame.sum() == 4 * 2 * 3 and (blame[:, 3:, :3] == 1).all()


@pytest.mark.parametrize("name", CELLS)
def test_first_weights_are_drawn_for_each_gate_by_itself(name):
    layer = CELLS[name](20, 20, rng())
    for weights in (layer.params["W_x"], layer.params["W_h"]):
        gates = np.split(weights, layer.gates, axis=1)
        assert all(0.1 < gate.std() < 0.4 for gate in gates)
        assert len({gate[0, 0] for gate in gates}) == layer.gates
