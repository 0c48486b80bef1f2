"""The LSTM: one step by hand, PyTorch's layer, and a memory that lasts."""

import math

import numpy as np
import torch

from phase_04.lstm import LSTM, latch


def sigma(z):
    return 1 / (1 + math.exp(-z))


def test_one_step_by_hand():
    layer = LSTM(1, 1, np.random.default_rng(0))
    layer.params["W_x"][...], layer.params["W_h"][...] = [[1, 2, 3, 4]], [[0.1, 0.2, 0.3, 0.4]]
    layer.params["b"][...] = [0.5, 0.6, 0.7, 0.8]
    h, c = layer.forward([[[0.2]]], [[0.5, -1.0]])[0, 0]
    i, f = sigma(0.2 + 0.05 + 0.5), sigma(0.4 + 0.1 + 0.6)
    o, g = sigma(0.6 + 0.15 + 0.7), math.tanh(0.8 + 0.2 + 0.8)
    np.testing.assert_allclose(c, f * -1.0 + i * g)
    np.testing.assert_allclose(h, o * math.tanh(f * -1.0 + i * g))


def test_the_forget_gate_begins_open():
    b = LSTM(2, 3, np.random.default_rng(0)).params["b"]
    assert b.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_states_are_those_of_pytorch():
    ours = LSTM(4, 5, np.random.default_rng(0))
    ours.params["b"][...] = np.random.default_rng(1).normal(size=20)
    theirs = torch.nn.LSTM(4, 5, batch_first=True, dtype=torch.float64)
    order = np.concatenate([np.arange(10), np.arange(15, 20), np.arange(10, 15)])  # i, f, g, o
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(torch.from_numpy(ours.params["W_x"][:, order].T))
        theirs.weight_hh_l0.copy_(torch.from_numpy(ours.params["W_h"][:, order].T))
        theirs.bias_ih_l0.copy_(torch.from_numpy(ours.params["b"][order]))
        theirs.bias_hh_l0.zero_()
    x = np.random.default_rng(2).normal(size=(3, 6, 4))
    h, (_, c) = theirs(torch.from_numpy(x))
    states = ours.forward(x)
    np.testing.assert_allclose(states[..., :5], h.detach(), rtol=1e-10)
    np.testing.assert_allclose(states[:, -1, 5:], c[0].detach(), rtol=1e-10)


def test_a_latched_pulse_outlasts_a_hundred_steps():
    x = np.zeros((1, 100, 1))
    x[0, 2] = 1
    c = latch().forward(x)[0, :, 1]
    assert abs(c[1]) < 1e-9
    assert c[2] > 0.99
    assert c[-1] > 0.99
