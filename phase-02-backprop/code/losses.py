"""Losses: one number for how wrong the model is, and the first blame that goes backward.

    MSE                      L = mean((ŷ − y)²)             dL_dŷ = 2 (ŷ − y) / entries
    softmax cross-entropy    L = mean(−ln softmax(z)_y)     dL_dz = (p − one-hot(y)) / N

ŷ and y are numbers of the same shape. z are the logits, (…, V): scores before softmax, one for each
of V classes. p = softmax(z), y is the right class of each of the N examples, (…), from 0 to V − 1;
one-hot(y) is 1 at the right class and 0 elsewhere. L is a single number; cross-entropy is how
surprised we are by the model's prediction, in nats.

Softmax and the logarithm belong together. Apart, a probability that rounds to 0 has no logarithm,
and its slope divides by 0. Together their slope is p − y: what was predicted minus what was right.

Derived in ``notes/softmax_cross_entropy.md``. Run ``python phase-02-backprop/code/losses.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_00.softmax import log_softmax
from phase_02.layers import Softmax
from shared.checks import check_array, check_labels
from shared.plotting import BLUE, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def check_forward(kept: Array) -> None:
    """Refuse to go backward if forward has kept nothing yet."""
    if kept.size == 0:
        raise ValueError(
            "backward: expected a forward pass before it, got none: call forward first"
        )


class MeanSquaredError:
    """The average squared distance of predicted numbers from the right ones."""

    error: Array = np.empty(0)  # of the last prediction: none yet

    def forward(self, y_pred: ArrayLike, y: ArrayLike) -> float:
        """Return the loss of predictions and targets of the same shape.

        Raises
        ------
        ValueError
            If the shapes differ, there are no entries, or one is not finite.
        """
        y_pred = check_array("y_pred", y_pred, np.shape(y_pred), "give the model's numbers")
        y = check_array("y", y, y_pred.shape, "predictions and targets have one shape")
        y = y.astype(y_pred.dtype, copy=False)
        self.error = y_pred - y
        return float(np.mean(self.error**2))

    def backward(self) -> Array:
        """Return dL_dy_pred, of the shape of the predictions."""
        check_forward(self.error)
        return 2 * self.error / self.error.size


class SoftmaxCrossEntropy:
    """How surprised we are by the model's prediction: −ln of the right class's probability."""

    log_p: Array = np.empty(0)  # of the last logits: none yet

    def forward(self, z: ArrayLike, y: ArrayLike) -> float:
        """Return the average loss in nats.

        Parameters
        ----------
        z
            Logits, (…, V).
        y
            The right classes, (…), each from 0 to V − 1.

        Raises
        ------
        ValueError
            If the shapes do not fit, there are no entries, a logit is not finite, or a class is
            not one of the V.
        """
        z = check_array("z", z, (None, "V"), "give one row of logits per example")
        self.y = check_labels("y", y, z.shape[:-1], z.shape[-1])[..., None]  # (…, 1)
        self.log_p = log_softmax(z)
        return float(-np.take_along_axis(self.log_p, self.y, axis=-1).mean())

    def backward(self) -> Array:
        """Return dL_dz, of the shape of the logits."""
        check_forward(self.log_p)
        dL_dz = np.exp(self.log_p)
        right = np.take_along_axis(dL_dz, self.y, axis=-1)
        np.put_along_axis(dL_dz, self.y, right - 1, axis=-1)  # p − one-hot(y)
        return dL_dz / self.y.size


def draw(z: Array, p: Array, dL_dz: Array) -> Figure:
    """Draw one prediction and the blame for its logits."""
    figure = Figure(figsize=(7, 3))
    left, right = figure.subplots(1, 2)
    names = [f"z = {score:g}" for score in z]
    left.bar(names, p, color=BLUE)
    left.set_title("predicted p; right is class 2")
    right.bar(names, dL_dz, color=ORANGE)
    right.axhline(0, color="black", linewidth=0.8)
    right.set_title("blame p − y: lower, lower, raise")
    for axes in (left, right):
        axes.grid(axis="x", visible=False)
    figure.tight_layout()
    return figure


def main() -> None:
    """Measure surprise, see its blame, and break the two-step version."""
    arguments = lesson_arguments(__doc__, __file__)

    squared = MeanSquaredError()
    print(f"MSE of [2, 5] for [1, 1]: {squared.forward([2.0, 5.0], [1.0, 1.0]):g}")
    print(f"  blame {squared.backward()}, shape {squared.backward().shape}")

    loss = SoftmaxCrossEntropy()
    z, y = np.array([[1.0, 2.0, 0.5]]), np.array([2])
    print(f"logits {z[0]}, right class 2: loss {loss.forward(z, y):.4f} nats")
    dL_dz = loss.backward()
    print(f"  blame p − y    {dL_dz[0].round(4)}, sum {abs(dL_dz.sum()):.4f}")
    apart = Softmax()
    p = apart.forward(z)
    dL_dp = np.array([[0.0, 0.0, -1 / p[0, 2]]])
    print(f"  in two steps   {apart.backward(dL_dp)[0][0].round(4)}")

    far = np.array([[1000.0, 0.0, 0.0]])
    print(f"logits {far[0]}: together the loss is {loss.forward(far, y):g}")
    with np.errstate(divide="ignore"):
        print(f"  in two steps −ln({apart.forward(far)[0, 2]:g}) = {-np.log(apart.p[0, 2]):g}")
    finish(draw(z[0], p[0], dL_dz[0]), arguments)


if __name__ == "__main__":
    main()
