"""Layers: each knows how to go forward, and how to hand blame backward.

    Linear     z = x @ W + b          dL_dx = dL_dz @ Wᵀ    dL_dW = xᵀ @ dL_dz    dL_db = Σ dL_dz
    Sigmoid    a = σ(z)               dL_dz = dL_da ⊙ a ⊙ (1 − a)
    Tanh       a = tanh(z)            dL_dz = dL_da ⊙ (1 − a²)
    ReLU       a = max(z, 0)          dL_dz = dL_da where z > 0, else 0
    Softmax    p = softmax(z)         dL_dz = p ⊙ (dL_dp − Σ dL_dp ⊙ p)
    Dropout    a = z ⊙ mask           dL_dz = dL_da ⊙ mask

x is (…, inputs), W (inputs, outputs), b (outputs,), z and a (…, outputs); ⊙ multiplies entry by
entry. σ is phase 1's sigmoid; mask is 0 where a number is switched off, else 1 / (1 − rate); a, or
p, is the layer's output. The Σ at dL_db goes over the examples, the one at Softmax over the last
axis. dL_dz is the gradient of the loss with respect to z, of the shape of z: how much the loss
rises for a small rise of each entry. The leading axes … are examples, as many as come at once, and
no loop runs over them.

`forward` keeps what `backward` needs and nothing else. `backward` takes the blame for the output
and returns the blame for the input and for each parameter, freshly made each time.

Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors". Derived in
``notes/linear_layer.md``. Run ``python phase-02-backprop/code/layers.py``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_00.softmax import softmax
from phase_01.activations import relu, sigmoid, tanh
from phase_01.initialization import initial_weights
from shared.checks import check_array, check_share
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]
Arrays = dict[str, Array]  # parameters, or their gradients, by name


class Layer:
    """What every layer offers.

    Attributes
    ----------
    params
        The numbers that training adjusts, by name. Change them in place, as an optimizer does:
        ``params["W"][...] = new``. A `Sequential` and its layers hold the same arrays.
    """

    def __init__(self) -> None:
        self.params: Arrays = {}

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map the input to the output, and keep what `backward` needs.

        Input and output are kept, not copied: change neither in place before `backward` has run.

        Parameters
        ----------
        x
            The input; each layer says its shape.
        training
            Whether this is a step of training. Only Dropout asks.

        Raises
        ------
        ValueError
            If the input does not fit, is empty, or is not finite.
        """
        raise NotImplementedError

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return the gradients with respect to the last input and to each parameter.

        Parameters
        ----------
        dL_da
            The gradient with respect to the output, of its shape.

        Raises
        ------
        ValueError
            If its shape is another, or it is not finite.
        """
        raise NotImplementedError


def named(prefix: str, arrays: Arrays) -> Arrays:
    """Return the arrays under longer names: ``W`` becomes ``prefix.W``."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def check_blame(dL_da: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return the gradient with respect to an output of ``shape``, checked."""
    return check_array("dL_da", dL_da, shape, "call forward first, on the same batch")


class Linear(Layer):
    """Mix the inputs: each output is a weighted sum of all of them, plus a bias.

    Parameters
    ----------
    inputs, outputs
        Numbers per example, before and after.
    rng
        Where the first weights come from; the biases start at 0.
    scheme
        How large the first weights are; see ``phase_01.initialization``.
    dtype
        Their precision, and that of everything the layer computes.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        rng: np.random.Generator,
        scheme: str = "he",
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        W = initial_weights(inputs, outputs, scheme, rng, dtype)
        self.params = {"W": W, "b": np.zeros(outputs, dtype)}
        self.x: Array = np.empty((0, inputs))

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map (…, inputs) to (…, outputs)."""
        W, b = self.params["W"], self.params["b"]
        remedy = "the last axis must be the layer's inputs"
        self.x = check_array("x", x, (None, len(W)), remedy).astype(W.dtype, copy=False)
        return self.x @ W + b

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dx (…, inputs), and dL_dW and dL_db."""
        W = self.params["W"]
        dL_dz = check_blame(dL_da, (*self.x.shape[:-1], W.shape[1]))
        # z = x @ W + b: one W and one b served every example, so their blame is summed over all.
        x_rows = self.x.reshape(-1, W.shape[0])  # (N, inputs)
        dL_dz_rows = dL_dz.reshape(-1, W.shape[1])  # (N, outputs)
        dL_dx = dL_dz @ W.T
        dL_dW = x_rows.T @ dL_dz_rows
        dL_db = dL_dz_rows.sum(axis=0)
        return dL_dx, {"W": dL_dW, "b": dL_db}


class Sigmoid(Layer):
    """Squeeze each number into 0…1."""

    a: Array = np.empty(0)  # the last result: none yet

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map numbers of any shape, entry by entry."""
        self.a = sigmoid(x)  # the slope needs only the result
        return self.a

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dz: the slope of σ is σ (1 − σ)."""
        dL_dz = check_blame(dL_da, self.a.shape) * self.a * (1 - self.a)
        return dL_dz, {}


class Tanh(Layer):
    """Squeeze each number into −1…1."""

    a: Array = np.empty(0)  # the last result: none yet

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map numbers of any shape, entry by entry."""
        self.a = tanh(x)
        return self.a

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dz: the slope of tanh is 1 − tanh²."""
        dL_dz = check_blame(dL_da, self.a.shape) * (1 - self.a**2)
        return dL_dz, {}


class ReLU(Layer):
    """Let what is above 0 pass."""

    a: Array = np.empty(0)  # the last result: none yet

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map numbers of any shape, entry by entry."""
        self.a = relu(x)
        return self.a

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dz: the slope is 1 where the number passed, else 0."""
        dL_dz = check_blame(dL_da, self.a.shape) * (self.a > 0)
        return dL_dz, {}


def softmax_backward(p: Array, dL_dp: Array) -> Array:
    """Return dL_dz for p = softmax(z) over the last axis, all of shape (…, V)."""
    average = (dL_dp * p).sum(axis=-1, keepdims=True)
    return p * (dL_dp - average)


class Softmax(Layer):
    """Turn the numbers of the last axis into probabilities that sum to 1."""

    p: Array = np.empty(0)  # the last result: none yet

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map (…, V) to (…, V)."""
        self.p = softmax(x)
        return self.p

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dz: a score raises its own probability at the cost of all others."""
        return softmax_backward(self.p, check_blame(dL_da, self.p.shape)), {}


class Dropout(Layer):
    """While training, switch numbers off at random, so that no unit relies on one other.

    What stays is divided by the share that stays, so that the average does not change.

    Parameters
    ----------
    rate
        The share that is switched off, from 0 to below 1.
    rng
        Which ones.
    """

    def __init__(self, rate: float, rng: np.random.Generator) -> None:
        super().__init__()
        self.rate, self.rng = check_share("rate", rate, "try 0.1"), rng
        self.mask: Array = np.empty(0)

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map numbers of any shape; without ``training`` they pass as they are."""
        x = check_array("x", x, (None,), "give an array of numbers")
        stays = self.rng.random(x.shape) >= self.rate if training else np.ones(x.shape, bool)
        scale = 1 / (1 - self.rate) if training else 1.0
        self.mask = (stays * scale).astype(x.dtype)
        return x * self.mask

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dz: blame passes where the number passed, scaled as it was."""
        dL_dz = check_blame(dL_da, self.mask.shape) * self.mask
        return dL_dz, {}


class Sequential(Layer):
    """Layers in a row; parameters are named by their place: ``0.W``, ``0.b``, ``2.W``."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        if not layers or not all(isinstance(layer, Layer) for layer in layers):
            got = ", ".join(type(layer).__name__ for layer in layers) or "none"
            raise ValueError(f"layers: expected at least one Layer, got {got}: give a list of them")
        if len({id(layer) for layer in layers}) < len(layers):
            raise ValueError(
                "layers: expected each layer once, got one of them twice: make another, because "
                "a layer remembers only its last input"
            )
        super().__init__()
        self.layers = list(layers)
        for place, layer in enumerate(self.layers):
            self.params |= named(f"{place}", layer.params)

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Send the input through all layers, first to last."""
        for layer in self.layers:
            x = layer.forward(x, training)
        return np.asarray(x)

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Send the blame through all layers, last to first."""
        grads: Arrays = {}
        for place, layer in reversed(list(enumerate(self.layers))):
            dL_da, layer_grads = layer.backward(dL_da)
            grads |= named(f"{place}", layer_grads)
        return np.asarray(dL_da), grads


def draw(names: list[str], shapes: list[tuple[int, ...]], grads: list[Arrays]) -> Figure:
    """Draw layers in a row: shapes forward above, shapes of the blame below."""
    figure = Figure(figsize=(8, 2.6))
    axes = figure.subplots()
    for place, (name, layer_grads) in enumerate(zip(names, grads, strict=True)):
        x = 2.4 * place
        text = "\n".join([name, *(f"dL_d{key} {grad.shape}" for key, grad in layer_grads.items())])
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": GRAY}
        axes.text(x, 0, text, ha="center", va="center", bbox=box)
    for place, shape in enumerate(shapes):
        left = 2.4 * place - 1.65
        for height, color, start, end in ((0.35, BLUE, 0, 0.9), (-0.35, ORANGE, 0.9, 0)):
            axes.annotate(
                "",
                xy=(left + end, height),
                xytext=(left + start, height),
                arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 2},
            )
            axes.text(left + 0.45, 1.6 * height, f"{shape}", color=color, ha="center", va="center")
    axes.set_xlim(-1.8, 2.4 * len(names) - 0.6)
    axes.set_ylim(-0.9, 0.9)
    axes.axis("off")
    axes.set_title("Blame has the shape of what it blames")
    return figure


def main() -> None:
    """Send a batch forward and blame backward, and look at every shape."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)

    small = Linear(2, 1, rng)
    small.params["W"][...] = [[3.0], [-1.0]]
    small.params["b"][...] = 0.5
    x = np.array([[1.0, 2.0], [4.0, 0.0]])
    z = small.forward(x)
    dL_dx, grads = small.backward([[1.0], [10.0]])
    print(f"z = x @ W + b: {x.shape} @ {(2, 1)} → {z.shape}, values {z.ravel()}")
    print("blame for z: 1 for the first example, 10 for the second")
    print(f"  dL_dW = xᵀ @ dL_dz   {grads['W'].ravel()}   (1·1 + 4·10, 2·1 + 0·10)")
    print(f"  dL_db = Σ dL_dz      {grads['b']}        (1 + 10)")
    print(f"  dL_dx = dL_dz @ Wᵀ   {dL_dx.tolist()}")

    layers: list[Layer] = [Linear(4, 8, rng), ReLU(), Linear(8, 3, rng)]
    x = rng.normal(size=(5, 4))
    shapes, all_grads = [x.shape], []
    for layer in layers:
        x = layer.forward(x)
        shapes.append(x.shape)
    dL_da = rng.normal(size=x.shape)
    for layer in reversed(layers):
        dL_da, grads = layer.backward(dL_da)
        all_grads.append(grads)
    print(f"forward   {' → '.join(map(str, shapes))}")
    print(f"backward  {dL_da.shape} arrives at the input")
    finish(draw([type(layer).__name__ for layer in layers], shapes, all_grads[::-1]), arguments)


if __name__ == "__main__":
    main()
