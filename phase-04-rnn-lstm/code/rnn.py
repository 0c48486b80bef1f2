"""The recurrent network: one small layer, used again at every step, with a memory between.

    forward     z_t = x_t W_x + h_{t−1} W_h + b                h_t = tanh(z_t)
    backward    dL_dz_t = (dL_dh_t + carried) ⊙ (1 − h_t²)     carried: blame from later steps
                carried = dL_dz_t W_hᵀ                         handed to step t − 1
                dL_dW_x = Σ_t x_tᵀ dL_dz_t    dL_dW_h = Σ_t h_{t−1}ᵀ dL_dz_t    dL_db = Σ_t dL_dz_t

x is (B, T, inputs): B sequences of T steps. h_t is (B, C), the *state*: C numbers that the network
remembers; h_0 is given, or 0. W_x is (inputs, C), W_h (C, C), b (C,). The same W_x, W_h and b serve
all steps, so their blame is summed over all steps. That is *backpropagation through time*: the loop
written out as T layers that share their weights, and blamed from the last to the first.

A row that is shorter than T is filled up on its right. What comes after its end changes nothing
before it, so no mask is needed here: read the state at its last real step, and blame no other.

Elman 1990, "Finding Structure in Time"; Werbos 1990, "Backpropagation Through Time: What It Does
and How to Do It". Derived in ``notes/backpropagation_through_time.md``. Run
``python phase-04-rnn-lstm/code/rnn.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_01.initialization import initial_weights
from phase_02.gradient_check import check_gradients
from phase_02.layers import Arrays, check_blame
from shared.checks import check_array, check_count, check_float_type
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


class Recurrent:
    """What every recurrent layer offers.

    Attributes
    ----------
    params
        The numbers that training adjusts, by name.
    units
        C, how many numbers come out of each step.
    state_size
        S, how many numbers go from step to step. The first C of them are what comes out.
    """

    params: Arrays
    states = np.empty((1, 0, 0))  # of the last forward pass, (T + 1, B, S): none yet

    def __init__(self, inputs: int, units: int, gates: int, dtype: DTypeLike) -> None:
        self.inputs, self.units = check_count("inputs", inputs), check_count("units", units)
        self.gates, self.state_size = gates, units
        self.dtype = check_float_type("dtype", dtype)

    def first_weights(self, inputs: int, rng: np.random.Generator) -> Array:
        """Return weights (inputs, gates · C): each gate drawn for itself."""
        drawn = [
            initial_weights(inputs, self.units, "glorot", rng, self.dtype)
            for _ in range(self.gates)
        ]
        return np.concatenate(drawn, axis=1)

    def forward(self, x: ArrayLike, start: ArrayLike | None = None) -> Array:
        """Read sequences from left to right.

        Parameters
        ----------
        x
            The inputs, (B, T, inputs).
        start
            The state before the first step, (B, S); 0 if it is not given.

        Returns
        -------
        Array
            The state after each step, (B, T, S). It is kept for `backward`, not copied: do not
            change it.

        Raises
        ------
        ValueError
            If a shape does not fit, there is no step, or a number is not finite.
        """
        raise NotImplementedError

    def backward(self, dL_dstates: ArrayLike) -> tuple[Array, Array, Arrays]:
        """Send blame through all steps, last to first.

        Parameters
        ----------
        dL_dstates
            The gradient with respect to the states that `forward` returned, (B, T, S).

        Returns
        -------
        tuple
            The gradients with respect to x, to ``start``, and to each parameter.

        Raises
        ------
        ValueError
            If its shape is another, or it is not finite.
        """
        raise NotImplementedError

    def begin(self, x: ArrayLike, start: ArrayLike | None) -> Array:
        """Check the input, keep it step by step as (T, B, inputs), and make room for the states."""
        shape = ("B", "T", self.inputs)
        x = check_array("x", x, shape, "give B sequences of T steps, numbers for each step")
        B, T, _ = x.shape
        self.x = np.array(x.swapaxes(0, 1), self.dtype, order="C")
        self.states = np.empty((T + 1, B, self.state_size), self.dtype)
        self.states[0] = 0
        if start is not None:
            remedy = "give the last state of the same layer for the same sequences"
            self.states[0] = check_array("start", start, (B, self.state_size), remedy)
        return self.x

    def blame(self, dL_dstates: ArrayLike) -> Array:
        """Return the blame for the states, checked, step by step: (T, B, S)."""
        steps, B, S = self.states.shape
        blame = check_blame(dL_dstates, (B, steps - 1, S))
        return blame.swapaxes(0, 1).astype(self.dtype, copy=False)

    def blame_of_outputs(self, dL_dh: Array) -> Array:
        """Return blame for the states (B, T, S) from blame for the outputs of the last steps.

        Parameters
        ----------
        dL_dh
            The gradient with respect to what came out of the last steps, (B, steps, C).
        """
        T, B = len(self.states) - 1, len(dL_dh)
        dL_dstates = np.zeros((B, T, self.state_size), self.dtype)
        dL_dstates[:, T - dL_dh.shape[1] :, : self.units] = dL_dh
        return dL_dstates

    def input_gradients(self, dL_dz: Array) -> tuple[Array, Arrays]:
        """Return dL_dx (B, T, inputs), and the gradients of W_x and b, summed over all steps."""
        rows = dL_dz.reshape(-1, dL_dz.shape[-1])  # (T B, gates · C)
        x_rows = self.x.reshape(-1, self.inputs)
        dL_dx = dL_dz @ self.params["W_x"].T
        return dL_dx.swapaxes(0, 1), {"W_x": x_rows.T @ rows, "b": rows.sum(axis=0)}

    def memory_gradient(self, dL_dz: Array) -> Array:
        """Return the gradient of W_h: what each step's h before it did to its z, summed."""
        h_before = self.states[:-1, :, : self.units].reshape(-1, self.units)  # (T B, C)
        return h_before.T @ dL_dz.reshape(len(h_before), -1)


class RNN(Recurrent):
    """The plain recurrent layer.

    Parameters
    ----------
    inputs, units
        Numbers per step before and after.
    rng
        Where the first weights come from. W_h begins as a rotation, which keeps all lengths.
    dtype
        The precision of everything.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(inputs, units, 1, dtype)
        rotation = np.linalg.qr(rng.normal(size=(units, units)))[0]
        self.params = {
            "W_x": self.first_weights(inputs, rng),
            "W_h": rotation.astype(self.dtype),
            "b": np.zeros(units, self.dtype),
        }

    def forward(self, x: ArrayLike, start: ArrayLike | None = None) -> Array:
        """Map (B, T, inputs) to the states h, (B, T, C)."""
        W_x, W_h, b = (self.params[name] for name in ("W_x", "W_h", "b"))
        z_x = self.begin(x, start) @ W_x + b  # (T, B, C): all steps at once
        for t in range(len(z_x)):
            self.states[t + 1] = np.tanh(z_x[t] + self.states[t] @ W_h)
        return self.states[1:].swapaxes(0, 1)

    def backward(self, dL_dstates: ArrayLike) -> tuple[Array, Array, Arrays]:
        """Return the gradients of x, of the start, and of W_x, W_h and b."""
        W_h, dL_dh = self.params["W_h"], self.blame(dL_dstates)
        dL_dz = np.empty_like(self.states[1:])
        carried = np.zeros_like(self.states[0])
        for t in reversed(range(len(dL_dz))):
            # h = tanh(z), and h goes both to the output and to the next step
            dL_dz[t] = (dL_dh[t] + carried) * (1 - self.states[t + 1] ** 2)
            # z = x W_x + h_before W_h + b
            carried = dL_dz[t] @ W_h.T
        dL_dx, grads = self.input_gradients(dL_dz)
        return dL_dx, carried, {**grads, "W_h": self.memory_gradient(dL_dz)}


def check_recurrent(layer: Recurrent, rng: np.random.Generator, T: int = 6) -> dict[str, float]:
    """Check a layer's backward pass with random parameters, start and blame.

    Returns
    -------
    dict
        The relative error for x, for the start, and for each parameter.
    """
    x, start = rng.normal(size=(3, T, layer.inputs)), rng.normal(size=(3, layer.state_size))
    for array in layer.params.values():
        array[...] = rng.normal(size=array.shape) / np.sqrt(layer.units)
    c = rng.normal(size=layer.forward(x, start).shape)
    dL_dx, dL_dstart, grads = layer.backward(c)
    return check_gradients(
        lambda: float(np.sum(layer.forward(x, start) * c)),
        {"x": x, "start": start, **layer.params},
        {"x": dL_dx, "start": dL_dstart, **grads},
    )


def draw() -> Figure:
    """Draw one layer with its loop, and the same written out over four steps."""
    figure = Figure(figsize=(8, 3.4))
    axes = figure.subplots()
    arrow = {"arrowstyle": "-|>", "color": GRAY, "linewidth": 1.5}
    back = {
        "arrowstyle": "-|>",
        "color": ORANGE,
        "linewidth": 1.5,
        "connectionstyle": "arc3,rad=0.4",
    }
    for step in range(5):
        x = -2.2 if step == 0 else 1.7 * step
        name = ("h", "x") if step == 0 else (f"h{'₁₂₃₄'[step - 1]}", f"x{'₁₂₃₄'[step - 1]}")
        for height, text in ((0.0, name[0]), (-1.4, name[1])):
            axes.plot(x, height, "o", markersize=34, color="white", markeredgecolor=BLUE, mew=2)
            axes.text(x, height, text, ha="center", va="center")
        axes.annotate("", xy=(x, -0.42), xytext=(x, -0.98), arrowprops=arrow)
        axes.text(x + 0.12, -0.72, "W_x", fontsize=9)
        axes.annotate("", xy=(x, 1.1), xytext=(x, 0.42), arrowprops=arrow)
        if step > 1:
            axes.annotate("", xy=(x - 0.42, 0), xytext=(x - 1.28, 0), arrowprops=arrow)
            axes.text(x - 0.85, 0.1, "W_h", fontsize=9, ha="center")
            axes.annotate("", xy=(x - 1.45, 0.36), xytext=(x - 0.25, 0.36), arrowprops=back)
    loop = {**arrow, "connectionstyle": "arc3,rad=1.6"}
    axes.annotate("", xy=(-2.5, -0.25), xytext=(-2.5, 0.25), arrowprops=loop | {"shrinkA": 2})
    axes.text(-3.45, 0, "W_h", fontsize=9, ha="center")
    axes.text(-0.6, -0.05, "written out:", ha="center", color=GRAY)
    axes.set_xlim(-3.9, 7.6)
    axes.set_ylim(-1.9, 1.3)
    axes.axis("off")
    axes.set_title("One layer, four times: memory flows right, blame flows left (orange)")
    return figure


def main() -> None:
    """Carry one number through time by hand, and check every gradient."""
    arguments = lesson_arguments(__doc__, __file__)
    layer = RNN(1, 1, np.random.default_rng(0))
    for name, value in (("W_x", 1.0), ("W_h", 0.5), ("b", 0.0)):
        layer.params[name][...] = value
    x = np.array([[[1.0], [0.0], [0.0], [0.0]]])
    states = layer.forward(x)
    print(f"x {x.shape} → states {states.shape}; W_x = 1, W_h = 0.5, b = 0")
    print(f"  x   {x.ravel()}\n  h   {states.ravel().round(4)}")
    dL_dx, _, grads = layer.backward([[[0.0], [0.0], [0.0], [1.0]]])
    print("blame of 1 for the last state")
    print(f"  dL_dx   {dL_dx.ravel().round(4)}: what each step did to the last")
    print(f"  dL_dW_h {grads['W_h'].item():.4f}, dL_db {grads['b'].item():.4f}: summed over steps")
    layer.forward(x[:, 2:], states[:, 1])
    _, _, grads = layer.backward([[[0.0], [1.0]]])
    print(f"truncated after two steps: dL_dW_h {grads['W_h'].item():.4f}, the rest is not seen")

    errors = check_recurrent(RNN(4, 5, np.random.default_rng(0)), np.random.default_rng(1))
    print("gradient check, T = 6, B = 3, float64: relative errors")
    print("  " + "   ".join(f"{name} {error:.1e}" for name, error in errors.items()))
    finish(draw(), arguments)


if __name__ == "__main__":
    main()
