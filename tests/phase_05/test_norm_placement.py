"""Two places for a norm: which blocks get long gradients, which stacks train without warm-up."""

import numpy as np
import pytest

from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_02.optimizers import Adam
from phase_05 import norm_placement
from phase_05.layer_norm import LayerNorm
from phase_05.norm_placement import gradient_by_depth, loss_and_gradients, stack, train
from phase_05.train_gpt_numpy import BAR, DIGITS, draw_task


def small(pre_norm, depth=2):
    """A float64 stack whose parameters are random and none of them 0."""
    model = stack(depth, pre_norm, np.random.default_rng(0), 4, np.float64)
    r = np.random.default_rng(1)
    for array in model.params.values():
        array[...] = r.normal(size=array.shape)
    return model


def rows_of_seed_2(model):
    return loss_and_gradients(model, np.random.default_rng(2))


@pytest.mark.parametrize("pre_norm", [True, False])
def test_backward_is_the_derivative_of_the_loss(pre_norm):
    model = small(pre_norm, depth=1)
    _, grads = rows_of_seed_2(model)
    errors = check_gradients(lambda: rows_of_seed_2(model)[0], model.params, grads)
    assert max(errors.values()) < TOLERANCE


def test_only_pre_norm_needs_a_last_norm():
    pre, post = (stack(3, pre_norm, np.random.default_rng(0)) for pre_norm in (True, False))
    assert len(pre.layers) == 7 and len(post.layers) == 6
    assert isinstance(pre.layers[-2], LayerNorm)
    sizes = [sum(array.size for array in model.params.values()) for model in (pre, post)]
    assert sizes[0] - sizes[1] == 2 * 16


@pytest.mark.parametrize("pre_norm", [True, False])
def test_the_stack_has_the_norms_where_it_says(pre_norm):
    model = small(pre_norm)
    ids = draw_task("sort", 3, np.random.default_rng(0))[0][:, :-1]
    tokens, places, first, *_ = model.layers
    x = places.forward(tokens.forward(ids))
    look = first.look
    if pre_norm:
        x1 = x + look.part.forward(look.norm.forward(x))
    else:
        x1 = look.norm.forward(x + look.part.forward(x))
    np.testing.assert_allclose(look.forward(x), x1, rtol=1e-12)
    assert model.forward(ids).shape == (3, 2 * DIGITS, BAR + 1)


def test_untrained_gradients_fall_with_depth_for_pre_norm_and_rise_for_post_norm():
    pre, post = gradient_by_depth(24, True), gradient_by_depth(24, False)
    assert pre.shape == post.shape == (24,)
    assert pre.argmax() == 0 and post.argmax() == 23
    assert pre[:8].mean() > 1.5 * pre[-8:].mean()
    assert post[-8:].mean() > 2 * post[:8].mean()
    assert (pre > 0).all() and (post > 0).all()


def test_a_length_is_that_of_the_gradient_of_w_down():
    rng = np.random.default_rng(0)
    model = stack(2, False, rng)
    _, grads = loss_and_gradients(model, rng)
    by_hand = [np.sqrt((grads[f"{place}.feed_forward.down.W"] ** 2).sum()) for place in (2, 3)]
    np.testing.assert_allclose(gradient_by_depth(2, False), by_hand, rtol=1e-6)
    assert gradient_by_depth(1, True).shape == (1,)


@pytest.mark.parametrize(
    ("warmup", "shares"), [(0, [1, 1, 1, 1, 1]), (4, [1 / 4, 1 / 2, 3 / 4, 1, 1])]
)
def test_warm_up_raises_the_learning_rate_step_by_step(warmup, shares, monkeypatch):
    rates = []

    class Watched(Adam):
        def step(self, grads):
            rates.append(self.learning_rate)
            super().step(grads)

    monkeypatch.setattr(norm_placement, "Adam", Watched)
    assert len(train(False, warmup, steps=5, learning_rate=0.02)) == 5
    np.testing.assert_allclose(rates, 0.02 * np.array(shares))


def test_cold_and_warm_begin_alike_and_come_from_the_seed():
    warm, cold = train(False, 100, steps=2, seed=1), train(False, 0, steps=2, seed=1)
    assert warm[0] == cold[0] and warm[1] != cold[1]
    assert warm == train(False, 100, steps=2, seed=1)
    assert warm[0] != train(False, 100, steps=1, seed=2)[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_post_norm_needs_its_warm_up_and_pre_norm_does_not(seed):
    ends = {
        (pre_norm, warmup): np.mean(train(pre_norm, warmup, seed=seed)[-20:])
        for pre_norm, warmup in ((False, 0), (False, 100), (True, 0))
    }
    assert ends[False, 0] > 1.5
    assert ends[False, 100] < 1.2
    assert ends[True, 0] < 0.8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stack(1, True, np.random.default_rng(0), 3), "n_embd: expected a multiple of"),
        (lambda: stack(1, True, np.random.default_rng(0), 0), "width: expected a whole number"),
        (lambda: train(True, 0, steps=1, learning_rate=-1.0), "learning_rate: expected"),
        (lambda: small(True).forward([[BAR + 1]]), "x: expected token ids from 0 to 10"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
