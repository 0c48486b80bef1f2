"""Long short-term memory: a memory that is added to instead of multiplied.

    z_t = x_t W_x + h_{t−1} W_h + b       (B, 4C), cut into four pieces of C
    i = σ(z_i)   f = σ(z_f)   o = σ(z_o)  gates, 0 to 1: let in, keep, let out
    g = tanh(z_g)                         what could be remembered
    c_t = f ⊙ c_{t−1} + i ⊙ g             the memory, (B, C)
    h_t = o ⊙ tanh(c_t)                   what comes out, (B, C)

    backward:  dL_dc = carried_c + dL_dh ⊙ o ⊙ (1 − tanh²c)
               dL_dz_i = dL_dc ⊙ g ⊙ i(1 − i)          dL_dz_f = dL_dc ⊙ c_{t−1} ⊙ f(1 − f)
               dL_dz_o = dL_dh ⊙ tanh c ⊙ o(1 − o)     dL_dz_g = dL_dc ⊙ i ⊙ (1 − g²)
               carried_c = dL_dc ⊙ f                   carried_h = dL_dz W_hᵀ

x is (B, T, inputs), W_x (inputs, 4C), W_h (C, 4C), b (4C,). The state is (B, 2C): h and then c.

The plain network multiplies its whole memory with W_h at each step, and blame on its way back is
multiplied as often. Here c_t is the old c times f, plus something new. Where f is near 1, memory
and blame pass through as they are, for as long as the gate stays open. b begins with 1 for the
forget gate, so that it is open at first.

Hochreiter & Schmidhuber 1997, "Long Short-Term Memory"; the forget gate f is from Gers, Schmidhuber
& Cummins 2000, "Learning to Forget: Continual Prediction with LSTM". Derived in ``notes/lstm.md``.
Run ``python phase-04-rnn-lstm/code/lstm.py``.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_01.activations import sigmoid
from phase_02.layers import Arrays
from phase_04.rnn import RNN, Recurrent, check_recurrent
from shared.plotting import BLUE, GRAY, GREEN, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


class LSTM(Recurrent):
    """A recurrent layer with gates and a memory cell.

    Parameters
    ----------
    inputs, units
        Numbers per step before and after; the state has twice as many as come out.
    rng
        Where the first weights come from.
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
        super().__init__(inputs, units, 4, dtype)
        self.state_size = 2 * units
        self.params = {
            "W_x": self.first_weights(inputs, rng),
            "W_h": self.first_weights(units, rng),
            "b": np.zeros(4 * units, self.dtype),
        }
        self.params["b"][units : 2 * units] = 1  # keep, until training says otherwise

    def forward(self, x: ArrayLike, start: ArrayLike | None = None) -> Array:
        """Map (B, T, inputs) to the states, (B, T, 2C): h and c side by side."""
        W_x, W_h, b = (self.params[name] for name in ("W_x", "W_h", "b"))
        z_x = self.begin(x, start) @ W_x + b  # (T, B, 4C): all steps at once
        C = self.units
        self.gated = np.empty_like(z_x)  # i, f, o and g of each step
        self.tanh_c = np.empty_like(z_x[..., :C])
        for t in range(len(z_x)):
            h, c = self.states[t, :, :C], self.states[t, :, C:]
            z = z_x[t] + h @ W_h
            self.gated[t, :, : 3 * C] = sigmoid(z[:, : 3 * C])
            self.gated[t, :, 3 * C :] = np.tanh(z[:, 3 * C :])
            i, f, o, g = np.split(self.gated[t], 4, axis=1)
            c = f * c + i * g
            self.tanh_c[t] = np.tanh(c)
            self.states[t + 1, :, :C] = o * self.tanh_c[t]
            self.states[t + 1, :, C:] = c
        return self.states[1:].swapaxes(0, 1)

    def backward(self, dL_dstates: ArrayLike) -> tuple[Array, Array, Arrays]:
        """Return the gradients of x, of the start, and of W_x, W_h and b."""
        W_h, dL_dstates = self.params["W_h"], self.blame(dL_dstates)
        C = self.units
        dL_dz = np.empty_like(self.gated)
        carried = np.zeros_like(self.states[0])
        for t in reversed(range(len(dL_dz))):
            i, f, o, g = np.split(self.gated[t], 4, axis=1)
            dL_dstate = dL_dstates[t] + carried
            dL_dh, dL_dc = dL_dstate[:, :C], dL_dstate[:, C:]
            # h = o tanh(c)
            dL_dc = dL_dc + dL_dh * o * (1 - self.tanh_c[t] ** 2)
            # c = f c_before + i g; the gates are sigmoids of z, g is its tanh
            dL_dz[t, :, :C] = dL_dc * g
            dL_dz[t, :, C : 2 * C] = dL_dc * self.states[t, :, C:]
            dL_dz[t, :, 2 * C : 3 * C] = dL_dh * self.tanh_c[t]
            gates = self.gated[t, :, : 3 * C]
            dL_dz[t, :, : 3 * C] *= gates * (1 - gates)
            dL_dz[t, :, 3 * C :] = dL_dc * i * (1 - g**2)
            # z = x W_x + h_before W_h + b
            carried = np.concatenate([dL_dz[t] @ W_h.T, dL_dc * f], axis=1)
        dL_dx, grads = self.input_gradients(dL_dz)
        return dL_dx, carried, {**grads, "W_h": self.memory_gradient(dL_dz)}


def latch() -> LSTM:
    """Return one unit with weights set by hand: an input of 1 is stored, and kept for good."""
    layer = LSTM(1, 1, np.random.default_rng(0))
    layer.params["W_h"][...] = 0
    layer.params["W_x"][...] = [[20, 0, 0, 20]]  # i and g listen to x; f and o do not
    layer.params["b"][...] = [-10, 10, 10, 0]  # i is shut unless x opens it; f and o are open
    return layer


def draw_cell(axes: Axes) -> None:
    """Draw one step: the page c runs straight through, and so does blame."""
    circles = {"×f": (1.0, 1.0), "+": (2.2, 1.0), "×o": (3.4, 0.0)}
    boxes = {"f": (1.0, -1.0), "i ⊙ g": (2.2, -1.0), "o": (3.4, -1.0)}
    line = {"arrowstyle": "-|>", "color": GRAY, "linewidth": 1.5}
    for start, end in (
        ((0, 1), (0.76, 1)),
        ((1.24, 1), (1.96, 1)),
        ((2.44, 1), (4.6, 1)),
        ((1, -0.7), (1, 0.72)),
        ((2.2, -0.7), (2.2, 0.72)),
        ((3.4, -0.7), (3.4, -0.26)),
        ((3.4, 1), (3.4, 0.26)),
        ((3.64, 0), (4.6, 0)),
        *(((x, -1.75), (x, -1.3)) for x, _ in boxes.values()),
    ):
        axes.annotate("", xy=end, xytext=start, arrowprops=line)
    axes.plot([0, 3.4], [-1.75, -1.75], color=GRAY, linewidth=1.5)
    for text, place in circles.items():
        axes.plot(*place, "o", markersize=24, color="white", markeredgecolor=BLUE, mew=2)
        axes.text(*place, text[0], ha="center", va="center")
    for text, place in boxes.items():
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": BLUE, "linewidth": 2}
        axes.text(*place, text, ha="center", va="center", bbox=box)
    for x, y, text in ((-0.1, 1, "c before"), (-0.1, -1.75, "x, h before")):
        axes.text(x, y, text, ha="right", va="center")
    for y, text in ((1, "c"), (0, "h")):
        axes.text(4.7, y, text, va="center")
    axes.text(3.5, 0.55, "tanh", fontsize=9, color=GRAY)
    back = {"arrowstyle": "-|>", "color": ORANGE, "linewidth": 2}
    axes.annotate("", xy=(0, 1.6), xytext=(4.6, 1.6), arrowprops=back)
    axes.text(2.3, 1.72, "blame, times f", ha="center", color=ORANGE)
    axes.set_xlim(-1.7, 5.0)
    axes.set_ylim(-2.1, 2.2)
    axes.axis("off")
    axes.set_title("One step of the cell")


def draw(x: Array, kept: dict[str, Array]) -> Figure:
    """Draw the cell, and how long it remembers a pulse."""
    figure = Figure(figsize=(9.5, 3.6))
    cell, axes = figure.subplots(1, 2)
    draw_cell(cell)
    steps = np.arange(1, len(x) + 1)
    axes.bar(steps, x, color="#cccccc", label="input x")
    for (name, h), color in zip(kept.items(), (BLUE, ORANGE, GREEN), strict=True):
        axes.plot(steps, h, ".-", color=color, label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("what comes out")
    axes.set_ylim(-0.1, 1.1)
    axes.set_title("One pulse, forty steps")
    axes.legend(loc="center right")
    figure.tight_layout()
    return figure


def main() -> None:
    """Store one pulse by hand, and check every gradient."""
    arguments = lesson_arguments(__doc__, __file__)
    x = np.zeros((1, 40, 1))
    x[0, 2] = 1
    lstm = latch()
    states = lstm.forward(x)
    print(f"x {x.shape}, 1 at step 3, else 0 → states {states.shape}: h and c")
    print("  step    i     f     g      c       h")
    for t in (1, 2, 3, 39):
        i, f, _, g = lstm.gated[t, 0]
        h, c = states[0, t]
        print(f"  {t + 1:4}  {i:.3f} {f:.3f} {g:.3f}  {c:.4f}  {h:.4f}")
    kept = {"LSTM, gates set by hand": states[0, :, 0]}
    for weight in (0.9, 0.5):
        rnn = RNN(1, 1, np.random.default_rng(0))
        rnn.params["W_x"][...], rnn.params["W_h"][...] = 1, weight
        kept[f"plain network, W_h = {weight}"] = rnn.forward(x)[0, :, 0]
    print("left at step 40: " + ", ".join(f"{name} {h[-1]:.1g}" for name, h in kept.items()))

    errors = check_recurrent(LSTM(4, 5, np.random.default_rng(0)), np.random.default_rng(1))
    print("gradient check, T = 6, B = 3, float64: relative errors")
    print("  " + "   ".join(f"{name} {error:.1e}" for name, error in errors.items()))
    finish(draw(x.ravel(), kept), arguments)


if __name__ == "__main__":
    main()
