"""The GRU: one step by hand, PyTorch's layer, and a state that fades as its gate says."""

import math

import numpy as np
import pytest
import torch

from phase_04.gru import GRU


def sigma(z):
    return 1 / (1 + math.exp(-z))


def test_one_step_by_hand():
    layer = GRU(1, 1, np.random.default_rng(0))
    layer.params["W_x"][...], layer.params["W_h"][...] = [[1, 2, 3]], [[0.1, 0.2, 0.3]]
    layer.params["b"][...], layer.params["b_h"][...] = [0.5, 0.6, 0.7], 0.9
    h = layer.forward([[[0.2]]], [[-0.5]]).item()
    r, u = sigma(0.2 - 0.05 + 0.5), sigma(0.4 - 0.1 + 0.6)
    n = math.tanh(0.6 + 0.7 + r * (-0.15 + 0.9))
    assert h == pytest.approx(u * -0.5 + (1 - u) * n)


def test_states_are_those_of_pytorch():
    ours, r = GRU(4, 5, np.random.default_rng(0)), np.random.default_rng(1)
    for name in ("b", "b_h"):
        ours.params[name][...] = r.normal(size=ours.params[name].shape)
    theirs = torch.nn.GRU(4, 5, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(torch.from_numpy(ours.params["W_x"].T))
        theirs.weight_hh_l0.copy_(torch.from_numpy(ours.params["W_h"].T))
        theirs.bias_ih_l0.copy_(torch.from_numpy(ours.params["b"]))
        theirs.bias_hh_l0.copy_(torch.from_numpy(np.append(np.zeros(10), ours.params["b_h"])))
    x = np.random.default_rng(2).normal(size=(3, 6, 4))
    np.testing.assert_allclose(ours.forward(x), theirs(torch.from_numpy(x))[0].detach(), rtol=1e-10)


def test_an_update_gate_of_nine_tenths_keeps_nine_tenths():
    layer = GRU(1, 1, np.random.default_rng(0))
    for array in layer.params.values():
        array[...] = 0
    layer.params["b"][1] = math.log(9)
    h = layer.forward(np.zeros((1, 5, 1)), [[1.0]]).ravel()
    np.testing.assert_allclose(h, 0.9 ** np.arange(1, 6))
