"""Optimizers against their equations, number by number, and against steps worked by hand."""

import math

import numpy as np
import pytest

from phase_02.optimizers import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    Momentum,
    RMSProp,
    clip_gradients,
    warmup_cosine,
)

# Each rule once more, for a single number, straight from the equations: (θ, g, memory, t) → θ.


def sgd(w, g, memory, t):
    return w - 0.1 * g


def momentum(w, g, memory, t):
    memory["u"] = 0.9 * memory.get("u", 0) + g
    return w - 0.1 * memory["u"]


def rmsprop(w, g, memory, t):
    memory["v"] = 0.9 * memory.get("v", 0) + 0.1 * g * g
    return w - 0.1 * g / (math.sqrt(memory["v"]) + 1e-8)


def adam(w, g, memory, t):
    memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
    memory["v"] = 0.999 * memory.get("v", 0) + 0.001 * g * g
    m_hat, v_hat = memory["m"] / (1 - 0.9**t), memory["v"] / (1 - 0.999**t)
    return w - 0.1 * m_hat / (math.sqrt(v_hat) + 1e-8)


def adamw(w, g, memory, t):
    return adam(w - 0.1 * 0.1 * w, g, memory, t)


RULES = {SGD: sgd, Momentum: momentum, RMSProp: rmsprop, Adam: adam, AdamW: adamw}


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_steps_follow_the_equations(kind):
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(2, 3)), "row": rng.normal(size=(1, 3)), "b": rng.normal(size=3)}
    expected = {name: array.copy() for name, array in params.items()}
    memory = {name: [{} for _ in range(array.size)] for name, array in params.items()}
    optimizer = kind(params, 0.1)
    for t in range(1, 6):
        grads = {name: rng.normal(size=array.shape) for name, array in params.items()}
        optimizer.step(grads)
        for name, array in expected.items():
            rule = adam if kind is AdamW and name == "b" else RULES[kind]  # biases do not decay
            for i, g in enumerate(grads[name].ravel().tolist()):
                array.flat[i] = rule(array.flat[i], g, memory[name][i], t)
    for name, array in params.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-12)
    assert set(RULES) == set(OPTIMIZERS.values())


def test_first_step_of_adam_is_the_learning_rate():
    for size in (1e-3, 1.0, 1e3):
        params = {"w": np.zeros(1)}
        Adam(params, 0.01).step({"w": np.array([size])})
        assert params["w"][0] == pytest.approx(-0.01, rel=1e-4)


def test_params_move_in_place_and_stay_float32():
    w = np.ones((2, 2), np.float32)
    for kind in OPTIMIZERS.values():
        optimizer = kind({"w": w}, 0.1)
        before = w.copy()
        optimizer.step({"w": np.ones((2, 2))})
        assert optimizer.params["w"] is w
        assert (w < before).all()
        assert {array.dtype for array in optimizer.zeros().values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", OPTIMIZERS.values())
@pytest.mark.parametrize(
    ("grads", "message"),
    [
        ({}, r"expected one for each of \['b', 'w'\], got \[\]"),
        ({"w": np.ones(2), "c": np.ones(1)}, r"got \['c', 'w'\]"),
        ({"w": np.ones(3), "b": np.ones(1)}, r"grads\['w'\]: .* \(2,\), got shape \(3,\)"),
        ({"w": np.array([1, np.nan]), "b": np.ones(1)}, "nan"),
    ],
)
def test_bad_gradients_move_nothing(kind, grads, message):
    params = {"b": np.ones(1), "w": np.ones(2)}
    with pytest.raises(ValueError, match=message):
        kind(params, 0.1).step(grads)
    assert all((array == 1).all() for array in params.values())


@pytest.mark.parametrize("rate", [0, -1, np.nan, "fast"])
def test_bad_learning_rate_is_refused(rate):
    with pytest.raises(ValueError, match="learning_rate: expected a number above 0"):
        SGD({}, rate)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Momentum, {"beta": 1.0}, "beta: expected 0 or more and below 1, got 1.0"),
        (RMSProp, {"eps": 0.0}, "eps: expected a number above 0"),
        (Adam, {"beta1": -0.1}, "beta1: expected 0 or more"),
        (Adam, {"beta2": np.nan}, "beta2: expected 0 or more"),
        (AdamW, {"weight_decay": -1.0}, "weight_decay: expected 0 or more"),
    ],
)
def test_bad_settings_are_refused(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind({"w": np.ones(2)}, 0.1, **settings)


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (np.array([1, 2]), "w: expected an array of floating-point numbers, got int64"),
        (np.array([1.0, np.nan]), "w: .* nan"),
        (np.zeros((0, 2)), "w: .* no entries"),
        ([1.0], "w: expected an array of floating-point numbers, got list"),
        (np.float64(1), "w: expected an array of floating-point numbers, got float64"),
    ],
)
def test_bad_parameters_are_refused(w, message):
    with pytest.raises(ValueError, match=message):
        SGD({"w": w}, 0.1)


def test_clipping_by_hand():
    grads = {"W": np.array([[3.0, 4.0]]), "b": np.array([12.0])}
    clipped, norm = clip_gradients(grads, 6.5)
    assert norm == 13  # 3² + 4² + 12² = 13²
    np.testing.assert_allclose(clipped["W"], [[1.5, 2]])
    np.testing.assert_allclose(clipped["b"], [6])
    same, _ = clip_gradients(grads, 13)
    assert same["W"] is grads["W"]


def test_clipping_survives_gradients_whose_square_is_too_large():
    clipped, norm = clip_gradients({"w": np.array([3e20, 4e20], np.float32)}, np.float64(1))
    assert norm == pytest.approx(5e20)
    np.testing.assert_allclose(clipped["w"], [0.6, 0.8], rtol=1e-6)
    assert clipped["w"].dtype == np.float32


@pytest.mark.parametrize(
    ("grads", "max_norm", "message"),
    [
        ({}, 1.0, "expected at least one, got none"),
        ({"w": np.array([np.nan])}, 1.0, "nan"),
        ({"w": np.ones(2)}, 0.0, "max_norm: expected a number above 0"),
    ],
)
def test_bad_clipping_is_refused(grads, max_norm, message):
    with pytest.raises(ValueError, match=message):
        clip_gradients(grads, max_norm)


def test_schedule_by_hand():
    rates = [warmup_cosine(step, 7, 1.0, warmup=2, low=0.2) for step in range(7)]
    # up in halves; then five steps along half a cosine from 1 to 0.2, the middle one at 0.6
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[4] == pytest.approx(0.6)
    assert rates[6] == pytest.approx(0.2)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert warmup_cosine(0, 1, 1.0) == 1


@pytest.mark.parametrize(
    ("step", "steps", "warmup"), [(-1, 5, 0), (5, 5, 0), (0, 5, 5), (0, 0, 0), (0, 5, -1)]
)
def test_bad_schedules_are_refused(step, steps, warmup):
    with pytest.raises(ValueError, match="give more steps"):
        warmup_cosine(step, steps, 1.0, warmup)
    with pytest.raises(ValueError, match="peak: expected a number above 0"):
        warmup_cosine(0, 5, 0.0)
    for low in (2.0, -0.1, np.nan):
        with pytest.raises(ValueError, match="low: expected from 0 to the peak 1, got"):
            warmup_cosine(0, 5, 1.0, low=low)


@pytest.mark.parametrize("rate", [np.nan, np.inf, -0.1])
def test_a_learning_rate_gone_wrong_moves_nothing(rate):
    params = {"w": np.ones(2)}
    optimizer = SGD(params, 0.1)
    optimizer.learning_rate = rate
    with pytest.raises(ValueError, match="learning_rate: expected 0 or more, got"):
        optimizer.step({"w": np.ones(2)})
    np.testing.assert_array_equal(params["w"], 1)


@pytest.mark.parametrize("kind", OPTIMIZERS.values())
@pytest.mark.parametrize("grads", [[100, 2], np.array([100, 2], np.int8)], ids=["list", "int8"])
def test_gradients_may_be_lists_and_whole_numbers(kind, grads):
    first, second = {"w": np.ones(2)}, {"w": np.ones(2)}
    kind(first, 0.1).step({"w": grads})
    kind(second, 0.1).step({"w": np.array([100.0, 2.0])})
    np.testing.assert_array_equal(first["w"], second["w"])
