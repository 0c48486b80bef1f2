"""The copy task: what is asked, contestants of one size, and who keeps what for how long."""

import numpy as np
import pytest

from phase_04.copy_task import CONTESTANTS, draw_batch, make_cell, train_and_test


def test_a_batch_shows_symbols_waits_and_asks():
    x, y = draw_batch(2, 5, np.random.default_rng(0))
    assert x.shape == (5, 8, 6)
    signs = x.argmax(axis=2)
    np.testing.assert_array_equal(signs[:, :3], y)
    assert (signs[:, 3:5] == 4).all()
    assert (signs[:, 5:] == 5).all()
    np.testing.assert_array_equal(x.sum(axis=2), 1)


def test_contestants_are_of_one_size():
    cells = [make_cell(name, np.random.default_rng(0)) for name in CONTESTANTS]
    sizes = [sum(array.size for array in cell.params.values()) for cell in cells]
    assert max(sizes) < 1.05 * min(sizes)
    assert cells[2].params["b"][28] == 1
    assert cells[3].params["b"][28] == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTESTANTS)
def test_a_short_wait_is_survived(name):
    assert train_and_test(name, 5, steps=600, seed=1) > 0.9


@pytest.mark.slow
def test_without_training_it_is_a_guess():
    assert train_and_test("RNN, rotation", 5, steps=1) < 0.5


def test_no_wait_is_refused():
    with pytest.raises(ValueError, match="wait: expected a whole number"):
        draw_batch(0, 1, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["gru", "CNN", "RNN, random", ""])
def test_an_unknown_contestant_is_refused(name):
    with pytest.raises(ValueError, match="name: expected one of"):
        make_cell(name, np.random.default_rng(0))


def test_training_for_no_step_is_refused():
    with pytest.raises(ValueError, match="steps: expected"):
        train_and_test("GRU", 5, steps=0)


@pytest.mark.slow
def test_an_open_gate_protects_what_a_rotation_mixes_up():
    gate, rotation = (
        train_and_test(name, 60, talk=True, seed=1) for name in ("LSTM, b_f = 4", "RNN, rotation")
    )
    assert gate > rotation + 0.15


@pytest.mark.slow
def test_the_usual_lstm_forgets_first():
    assert train_and_test("LSTM, b_f = 1", 30, seed=1) < 0.9
    assert train_and_test("RNN, rotation", 30, seed=1) >= 0.9


def test_talk_comes_during_the_wait_only():
    x, y = draw_batch(50, 20, np.random.default_rng(0), talk=True)
    signs = x.argmax(axis=-1)
    np.testing.assert_array_equal(signs[:, :3], y)
    assert set(signs[:, 3:53].ravel()) == {0, 1, 2, 3}
    assert (signs[:, 53:] == 5).all()
