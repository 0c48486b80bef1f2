"""The feed-forward part of a transformer: each token thinks by itself.

    z = x W_up + b_up           widen from C to 4C numbers
    a = gelu(z)                 bend
    out = a W_down + b_down     narrow to C

    gelu(z) = z Φ(z) ≈ ½ z (1 + tanh(u)),   u = √(2/π) (z + 0.044715 z³)
    gelu'(z) ≈ ½ (1 + tanh(u)) + ½ z (1 − tanh²(u)) u',   u' = √(2/π) (1 + 0.134145 z²)

x and out are (…, C); z, a and u are (…, 4C). W_up is (C, 4C), W_down (4C, C). Φ(z) is the share of
a bell curve of width 1 that lies below z. GELU is a ReLU whose corner is rounded: z passes whole if
it is large, not at all if it is very negative, and in between in part. The tanh form is within
0.0005 of z Φ(z); GPT-2 was trained with it, so it is the one to use with GPT-2's weights.

Hendrycks & Gimpel 2016, "Gaussian Error Linear Units (GELUs)". Derived in
``notes/feed_forward.md``. Run ``python phase-05-attention-numpy/code/feed_forward.py``.
"""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_01.activations import relu
from phase_02.gradient_check import check_layer
from phase_02.layers import Arrays, Layer, Linear, check_blame, named
from shared.checks import check_array, check_count
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]

SLOPE = math.sqrt(2 / math.pi)
CUBE = 0.044715


class GELU(Layer):
    """Let a number pass in part: the more, the larger it is."""

    z: Array = np.empty(0)  # the last input: none yet

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map numbers of any shape, entry by entry."""
        z = check_array("x", x, (None,), "give an array of numbers")
        self.z = z
        self.tanh_u = np.tanh(SLOPE * (z + CUBE * z * z * z))  # dear: kept for backward
        return 0.5 * z * (1 + self.tanh_u)

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dz: z acts directly, and through u."""
        dL_da = check_blame(dL_da, self.z.shape)
        z, tanh_u = self.z, self.tanh_u
        # a = ½ z (1 + tanh u), u = √(2/π) (z + 0.044715 z³)
        du_dz = SLOPE * (1 + 3 * CUBE * z * z)
        da_dz = 0.5 * (1 + tanh_u) + 0.5 * z * (1 - tanh_u * tanh_u) * du_dz
        return dL_da * da_dz, {}


def gelu_exact(z: ArrayLike) -> Array:
    """Return z Φ(z), by the error function of Python's math module; slow, for comparison."""
    z = check_array("z", z, (None,), "give an array of numbers")
    return z * 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))


class FeedForward(Layer):
    """Widen, bend, narrow.

    Parameters
    ----------
    n_embd
        C, how many numbers describe a token.
    rng
        Where the first weights come from.
    dtype
        The precision of everything.
    """

    def __init__(
        self, n_embd: int, rng: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> None:
        super().__init__()
        self.up = Linear(check_count("n_embd", n_embd), 4 * n_embd, rng, dtype=dtype)
        self.gelu = GELU()
        self.down = Linear(4 * n_embd, n_embd, rng, "glorot", dtype)
        self.params = named("up", self.up.params) | named("down", self.down.params)

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map (…, C) to (…, C)."""
        return self.down.forward(self.gelu.forward(self.up.forward(x)))

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dx (…, C), and the gradients of both matrices and biases."""
        dL_dgelu, down = self.down.backward(dL_da)
        dL_dz, _ = self.gelu.backward(dL_dgelu)
        dL_dx, up = self.up.backward(dL_dz)
        return dL_dx, named("up", up) | named("down", down)


def draw(z: Array) -> Figure:
    """Draw GELU beside ReLU, and both slopes."""
    figure = Figure(figsize=(8, 3.4))
    value, slope = figure.subplots(1, 2)
    layer = GELU()
    value.plot(z, layer.forward(z), color=BLUE, label="GELU")
    value.plot(z, relu(z), "--", color=ORANGE, label="ReLU")
    value.set_title("A ReLU with a round corner")
    slope.plot(z, layer.backward(np.ones_like(z))[0], color=BLUE)
    slope.plot(z, (z > 0).astype(float), "--", color=ORANGE)
    slope.axhline(1, color=GRAY, linestyle=":", linewidth=1)
    slope.set_title("Its slope has no jump")
    for axes, label in ((value, "a"), (slope, "slope")):
        axes.set_xlabel("z")
        axes.set_ylabel(label)
    value.legend()
    figure.tight_layout()
    return figure


def main() -> None:
    """Compare GELU with ReLU and with its exact form, and check every gradient."""
    arguments = lesson_arguments(__doc__, __file__)
    gelu, z = GELU(), np.array([-3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0])
    print(f"z           {z}")
    print(f"ReLU        {relu(z)}")
    print(f"GELU        {gelu.forward(z).round(4)}")
    print(f"its slope   {gelu.backward(np.ones_like(z))[0].round(4)}")
    wide = np.linspace(-6, 6, 2001)
    error = np.abs(gelu.forward(wide) - gelu_exact(wide)).max()
    print(f"tanh form against z Φ(z), from −6 to 6: at most {error:.6f} apart")

    rng = np.random.default_rng(0)
    layer = FeedForward(4, rng)
    out = layer.forward(rng.normal(size=(2, 3, 4)))
    sizes = {name: array.shape for name, array in layer.params.items()}
    print(f"feed-forward (2, 3, 4) → {out.shape}; parameters {sizes}")
    print("gradient check, float64: relative errors")
    for name, checked in (("GELU", gelu), ("feed-forward", layer)):
        errors = check_layer(checked, rng.normal(size=(2, 3, 4)), rng)
        print(f"  {name:13} " + "   ".join(f"{key} {error:.0e}" for key, error in errors.items()))
    finish(draw(np.linspace(-4, 4, 401)), arguments)


if __name__ == "__main__":
    main()
