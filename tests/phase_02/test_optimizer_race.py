"""The race is run by the rules: same start, same steps, the best learning rate for each."""

import numpy as np
import pytest

from phase_00.gradient_descent import RAVINE, START, descend, height, height_gradient
from phase_02.optimizer_race import best_roll, best_training, roll
from phase_02.optimizers import SGD, Adam, Momentum


def test_sgd_rolls_as_gradient_descent_of_phase_0():
    path = descend(lambda w: height_gradient(w, RAVINE), START, 0.05, 20)
    np.testing.assert_allclose(roll(SGD, 0.05, 20), path, rtol=1e-12)


@pytest.mark.parametrize("kind", [SGD, Momentum, Adam])
def test_no_other_rate_of_the_grid_ends_lower(kind):
    rate, path = best_roll(kind, 30)
    np.testing.assert_array_equal(path[0], START)
    assert 0.001 < rate < 1.024, "the best is at the edge of the grid"
    for factor in (0.5, 2):
        assert height(path[-1], RAVINE) <= height(roll(kind, factor * rate, 30)[-1], RAVINE)


@pytest.mark.slow
def test_adam_learns_the_spirals_in_few_steps():
    _, losses, right = best_training(Adam, 300)
    assert len(losses) == 300
    assert right > 0.95
