"""The gated recurrent unit: two gates, and no memory beside what comes out.

    r = σ(x_t W_xr + h_{t−1} W_hr + b_r)                 reset: how much of the past to look at
    u = σ(x_t W_xu + h_{t−1} W_hu + b_u)                 update: how much of the past to keep
    n = tanh(x_t W_xn + r ⊙ (h_{t−1} W_hn + b_h) + b_n)  what is new
    h_t = u ⊙ h_{t−1} + (1 − u) ⊙ n

    backward:  dL_dz_n = dL_dh ⊙ (1 − u) ⊙ (1 − n²)
               dL_dz_r = dL_dz_n ⊙ (h_{t−1} W_hn + b_h) ⊙ r(1 − r)
               dL_dz_u = dL_dh ⊙ (h_{t−1} − n) ⊙ u(1 − u)
               carried = dL_dh ⊙ u + blame of the three pieces through W_hᵀ

x is (B, T, inputs), h (B, C). W_x (inputs, 3C), W_h (C, 3C) and b (3C,) hold the pieces r, u and n
side by side; b_h is (C,).

One gate does what two do in the LSTM: what is kept and what is let in always sum to 1. Where u is
near 1 the old state passes through as it is, and blame too. The formula is the one of PyTorch,
where r comes after the product; in the paper it comes before.

Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
Translation". Derived in ``notes/lstm.md``. Run ``python phase-04-rnn-lstm/code/gru.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_01.activations import sigmoid
from phase_02.layers import Arrays
from phase_04.lstm import LSTM
from phase_04.rnn import Recurrent, check_recurrent
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


class GRU(Recurrent):
    """A recurrent layer with a reset gate and an update gate.

    Parameters
    ----------
    inputs, units
        Numbers per step before and after.
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
        super().__init__(inputs, units, 3, dtype)
        self.params = {
            "W_x": self.first_weights(inputs, rng),
            "W_h": self.first_weights(units, rng),
            "b": np.zeros(3 * units, self.dtype),
            "b_h": np.zeros(units, self.dtype),
        }

    def forward(self, x: ArrayLike, start: ArrayLike | None = None) -> Array:
        """Map (B, T, inputs) to the states h, (B, T, C)."""
        W_x, W_h, b, b_h = (self.params[name] for name in ("W_x", "W_h", "b", "b_h"))
        z_x = self.begin(x, start) @ W_x + b  # (T, B, 3C): all steps at once
        C = self.units
        self.gated = np.empty_like(z_x)  # r, u and n of each step
        self.past = np.empty_like(z_x[..., :C])  # what r lets through or not
        for t in range(len(z_x)):
            h = self.states[t]
            z_h = h @ W_h
            self.gated[t, :, : 2 * C] = sigmoid(z_x[t, :, : 2 * C] + z_h[:, : 2 * C])
            self.past[t] = z_h[:, 2 * C :] + b_h
            r, u = self.gated[t, :, :C], self.gated[t, :, C : 2 * C]
            n = np.tanh(z_x[t, :, 2 * C :] + r * self.past[t])
            self.gated[t, :, 2 * C :] = n
            self.states[t + 1] = u * h + (1 - u) * n
        return self.states[1:].swapaxes(0, 1)

    def backward(self, dL_dstates: ArrayLike) -> tuple[Array, Array, Arrays]:
        """Return the gradients of x, of the start, and of W_x, W_h, b and b_h."""
        W_h, dL_dstates = self.params["W_h"], self.blame(dL_dstates)
        C = self.units
        dL_dz = np.empty_like(self.gated)  # for what comes from x: r, u, n
        dL_dz_h = np.empty_like(self.gated)  # for what comes from h: the same, but n behind r
        carried = np.zeros_like(self.states[0])
        for t in reversed(range(len(dL_dz))):
            r, u, n = np.split(self.gated[t], 3, axis=1)
            dL_dh = dL_dstates[t] + carried
            # h = u h_before + (1 − u) n
            dL_dz_n = dL_dh * (1 - u) * (1 - n**2)
            dL_dz[t, :, C : 2 * C] = dL_dh * (self.states[t] - n) * u * (1 - u)
            # n = tanh(z_n + r past)
            dL_dz[t, :, :C] = dL_dz_n * self.past[t] * r * (1 - r)
            dL_dz[t, :, 2 * C :] = dL_dz_n
            # r, u and past are made of h_before W_h
            dL_dz_h[t] = dL_dz[t]
            dL_dz_h[t, :, 2 * C :] = dL_dz_n * r
            carried = dL_dh * u + dL_dz_h[t] @ W_h.T
        dL_dx, grads = self.input_gradients(dL_dz)
        dL_db_h = dL_dz_h[:, :, 2 * C :].sum(axis=(0, 1))
        return dL_dx, carried, {**grads, "W_h": self.memory_gradient(dL_dz_h), "b_h": dL_db_h}


def draw(kept: dict[float, Array]) -> Figure:
    """Draw how a state fades for several values of the update gate."""
    figure = Figure(figsize=(7, 3.4))
    axes = figure.subplots()
    for (u, h), color in zip(kept.items(), (ORANGE, GRAY, BLUE), strict=True):
        axes.plot(h, ".-", color=color, label=f"u = {u:g}")
    axes.set_xlabel("step")
    axes.set_ylabel("h")
    axes.set_ylim(0, 1.05)
    axes.set_title("The update gate decides how long something lasts")
    axes.legend()
    figure.tight_layout()
    return figure


def main() -> None:
    """Let a state fade at three speeds, and check every gradient."""
    arguments = lesson_arguments(__doc__, __file__)
    kept = {}
    x = np.zeros((1, 40, 1))
    print(f"x {x.shape}, all 0; h starts at 1, (1, 1)")
    for u in (0.5, 0.9, 0.99):
        layer = GRU(1, 1, np.random.default_rng(0))
        for array in layer.params.values():
            array[...] = 0
        layer.params["b"][1] = np.log(u / (1 - u))  # so that the sigmoid of it is u
        h = layer.forward(x, [[1.0]]).ravel()
        kept[u] = np.append(1.0, h)
        print(f"  u = {u:<4g}  h after 1, 10, 40 steps: {h[[0, 9, 39]].round(4)}")
    for kind in (LSTM, GRU):
        params = kind(10, 20, np.random.default_rng(0)).params
        size = sum(array.size for array in params.values())
        print(f"{kind.__name__:4} with 10 inputs and 20 units: {size:,} parameters")

    errors = check_recurrent(GRU(4, 5, np.random.default_rng(0)), np.random.default_rng(1))
    print("gradient check, T = 6, B = 3, float64: relative errors")
    print("  " + "   ".join(f"{name} {error:.1e}" for name, error in errors.items()))
    finish(draw(kept), arguments)


if __name__ == "__main__":
    main()
