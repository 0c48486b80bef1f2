"""The multi-layer perceptron: a forward pass by hand, hinges on a curve, and counted pieces."""

import numpy as np
import pytest

from phase_01.activations import relu, tanh
from phase_01.mlp import MLP, follow_curve, largest_gap, linear_regions, wave


def random_network(sizes, activation=relu):
    """A network whose biases are not 0 either."""
    rng = np.random.default_rng(0)
    network = MLP(sizes, activation, rng)
    for array in network.parameters():
        array += rng.normal(size=array.shape)
    return network


def test_forward_by_hand():
    network = MLP([2, 2, 1], relu, np.random.default_rng(0))
    network.weights[0][...] = [[1, -1], [2, 0]]
    network.biases[0][...] = [0, 1]
    network.weights[1][...] = [[3], [4]]
    network.biases[1][...] = [-1]
    # (1, 2): z = (1 + 4, −1 + 1) = (5, 0), a = (5, 0), 3·5 + 4·0 − 1 = 14
    # (−1, 0): z = (−1, 1 + 1) = (−1, 2), a = (0, 2), 3·0 + 4·2 − 1 = 7
    assert network.forward([[1, 2], [-1, 0]]).tolist() == [[14], [7]]


def test_no_bend_after_the_last_layer():
    network = random_network([3, 2])
    x = np.random.default_rng(1).normal(size=(50, 3))
    z = network.forward(x)
    np.testing.assert_allclose(z, x @ network.weights[0] + network.biases[0])
    assert z.min() < 0


def test_each_example_is_on_its_own():
    network = random_network([3, 5, 4, 2], tanh)
    x = np.random.default_rng(1).normal(size=(6, 3))
    alone = np.concatenate([network.forward(x[[row]]) for row in range(6)])
    np.testing.assert_allclose(network.forward(x), alone)


def test_without_a_bend_all_layers_are_one():
    network = random_network([3, 5, 4, 2], lambda z: z)
    (W0, W1, W2), (b0, b1, b2) = network.weights, network.biases
    x = np.random.default_rng(1).normal(size=(6, 3))
    one_layer = x @ (W0 @ W1 @ W2) + (b0 @ W1 @ W2 + b1 @ W2 + b2)
    np.testing.assert_allclose(network.forward(x), one_layer)


def test_parameters_are_the_arrays_themselves():
    network = MLP([2, 8, 8, 1], relu, np.random.default_rng(0))
    shapes = [array.shape for array in network.parameters()]
    assert shapes == [(2, 8), (8,), (8, 8), (8,), (8, 1), (1,)]
    assert network.n_parameters() == 16 + 8 + 64 + 8 + 8 + 1
    assert all(not bias.any() for bias in network.biases)
    x = np.ones((1, 2))
    before = network.forward(x)
    network.parameters()[-1][...] = 5
    np.testing.assert_allclose(network.forward(x), before + 5)


def test_hinges_touch_the_curve_at_their_corners():
    network = follow_curve(np.sin, 10)
    corners = np.linspace(0, 1, 11)
    np.testing.assert_allclose(network.forward(corners[:, None])[:, 0], np.sin(corners), atol=1e-12)
    middle = (corners[:-1] + corners[1:]) / 2
    chords = (np.sin(corners[:-1]) + np.sin(corners[1:])) / 2
    np.testing.assert_allclose(network.forward(middle[:, None])[:, 0], chords, atol=1e-12)


def test_twice_the_hinges_a_quarter_of_the_gap():
    gaps = [largest_gap(follow_curve(wave, units)) for units in (64, 128, 256)]
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.1)
    assert gaps[1] / gaps[2] == pytest.approx(4, rel=0.1)


def test_pieces_are_counted():
    assert [linear_regions(follow_curve(wave, units), 0.0, 1.0) for units in (1, 7, 64)] == [
        1,
        7,
        64,
    ]
    # hinges at −1 and 2: three pieces on −3…3, two on 0…3, one on 0…1
    network = MLP([1, 2, 1], relu, np.random.default_rng(0))
    network.weights[0][...] = [[1, -1]]
    network.biases[0][...] = [1, 2]
    assert linear_regions(network, -3.0, 3.0) == 3
    assert linear_regions(network, 0.0, 3.0) == 2
    assert linear_regions(network, 0.0, 1.0) == 1


def test_deeper_networks_bend_more_often_than_they_have_units_in_a_layer():
    # two units make a tent: 2x up to ½, then down again. A tent of a tent has four slopes.
    network = MLP([1, 2, 2, 1], relu, np.random.default_rng(0))
    network.weights[0][...] = [[1, 1]]
    network.biases[0][...] = [0, -0.5]
    network.weights[1][...] = [[2, 2], [-4, -4]]  # the tent, given to both units of the next layer
    network.biases[1][...] = [0, -0.5]
    network.weights[2][...] = [[2], [-4]]
    assert linear_regions(network, 0.0, 1.0) == 4
    x = np.array([[0.0], [0.25], [0.5], [0.75], [1.0]])
    np.testing.assert_allclose(network.forward(x)[:, 0], [0, 1, 0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: MLP([3], relu, rng), "sizes: expected at least two"),
        (lambda rng: MLP([3, 0, 1], relu, rng), "outputs: expected a whole number"),
        (lambda rng: MLP([3, 1], relu, rng, "xavier"), "scheme: expected one of"),
        (lambda rng: MLP([3, 1], relu, rng).forward([1.0, 2.0, 3.0]), r"x: .* got shape \(3,\)"),
        (lambda rng: MLP([3, 1], relu, rng).forward(np.ones((2, 4))), r"\(N, 3\), got shape"),
        (lambda rng: MLP([1, 1], relu, rng).forward([[np.nan]]), "1 of 1 that are nan"),
        (lambda rng: MLP([1, 1], relu, rng).forward(np.ones((0, 1))), "no entries"),
        (lambda rng: follow_curve(wave, 0), "outputs: expected a whole number"),
        (lambda rng: follow_curve(lambda x: x[:2], 4), r"\(5,\), got shape \(2,\)"),
        (lambda rng: linear_regions(MLP([2, 3, 1], relu, rng), 0.0, 1.0), r"\(N, 2\), got"),
        (lambda rng: linear_regions(MLP([1, 3, 1], relu, rng), 1.0, 0.0), "high: expected"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0))
