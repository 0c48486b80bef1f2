"""Layer normalisation: give each token's numbers the average 0 and the size 1, then let it choose.

    forward     μ = mean(x),  var = mean((x − μ)²)              over the C numbers of one token
                x̂ = (x − μ) / √(var + ε)
                a = g ⊙ x̂ + b
    backward    dL_dx̂ = dL_da ⊙ g         dL_dg = Σ dL_da ⊙ x̂         dL_db = Σ dL_da
                dL_dx = (dL_dx̂ − mean(dL_dx̂) − x̂ mean(dL_dx̂ ⊙ x̂)) / √(var + ε)

x, x̂ and a are (…, C); μ and var are (…, 1), one for each token; g and b are (C,), the gain and the
bias; ε is 1e-5. The Σ at dL_dg and dL_db goes over all tokens. The two means that are taken off
dL_dx̂ are the directions that the norm removes: moving all numbers up together changes nothing, and
stretching them changes nothing, so no blame can go there.

The variance is computed in two passes: first the mean, then the squares of the differences. The
shortcut mean(x²) − μ² subtracts two large numbers, and in float32 loses all digits.

Ba, Kiros & Hinton 2016, "Layer Normalization". Derived in ``notes/layer_norm.md``. Run
``python phase-05-attention-numpy/code/layer_norm.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_02.gradient_check import check_layer
from phase_02.layers import Arrays, Layer, check_blame
from shared.checks import check_array, check_count, check_float_type, check_number
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


class LayerNorm(Layer):
    """Normalise each token by itself.

    Parameters
    ----------
    n_embd
        C, how many numbers describe a token.
    eps
        ε, which keeps a token whose numbers are all equal from a division by 0.
    dtype
        The precision of everything.
    """

    def __init__(self, n_embd: int, eps: float = 1e-5, dtype: DTypeLike = np.float64) -> None:
        super().__init__()
        shape, dtype = check_count("n_embd", n_embd), check_float_type("dtype", dtype)
        self.params = {"g": np.ones(shape, dtype), "b": np.zeros(shape, dtype)}
        self.eps = check_number("eps", eps, 0)
        self.x_hat: Array = np.empty((0, n_embd))  # of the last forward pass: none yet
        self.std: Array = np.empty((0, 1))

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map (…, C) to (…, C)."""
        g, b = self.params["g"], self.params["b"]
        x = check_array("x", x, (None, len(g)), "the last axis must be the token's numbers")
        x = x.astype(g.dtype, copy=False)
        centred = x - x.mean(axis=-1, keepdims=True)
        var = np.square(centred).mean(axis=-1, keepdims=True)
        self.std = np.sqrt(var + self.eps)
        self.x_hat = centred / self.std  # kept: with std it is all that backward needs
        return g * self.x_hat + b

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return dL_dx (…, C), and dL_dg and dL_db."""
        x_hat = self.x_hat
        dL_da = check_blame(dL_da, x_hat.shape)
        # a = g ⊙ x̂ + b: one g and one b served every token
        rows = tuple(range(dL_da.ndim - 1))
        dL_dg = (dL_da * x_hat).sum(axis=rows)
        dL_db = dL_da.sum(axis=rows)
        dL_dx_hat = dL_da * self.params["g"]
        # x̂ = (x − μ) / √(var + ε): x moves x̂ directly, through μ, and through var
        shift = dL_dx_hat.mean(axis=-1, keepdims=True)
        stretch = (dL_dx_hat * x_hat).mean(axis=-1, keepdims=True)
        dL_dx = (dL_dx_hat - shift - x_hat * stretch) / self.std
        return dL_dx, {"g": dL_dg, "b": dL_db}


def one_pass_variance(x: Array) -> Array:
    """Return the variance by the shortcut mean(x²) − mean(x)², which loses digits."""
    return np.square(x).mean(axis=-1) - np.square(x.mean(axis=-1))


def variance_errors(offsets: Array, dtype: DTypeLike) -> tuple[Array, Array]:
    """Return the relative error of both ways for numbers of variance 1 around each offset."""
    noise = np.random.default_rng(0).normal(size=768)
    two_pass, one_pass = [], []
    for offset in offsets:
        x = (noise + offset).astype(dtype)
        exact = x.astype(np.longdouble).var()
        centred = x - x.mean()
        two_pass.append(abs(np.square(centred).mean() - exact) / exact)
        one_pass.append(abs(one_pass_variance(x) - exact) / exact)
    return np.array(two_pass, float), np.array(one_pass, float)


def draw(offsets: Array, errors: tuple[Array, Array]) -> Figure:
    """Draw the error of the variance for both ways, in float32."""
    figure = Figure(figsize=(7, 3.6))
    axes = figure.subplots()
    for values, color, name in zip(
        errors, (BLUE, ORANGE), ("mean of (x − μ)²", "mean of x² − μ²"), strict=True
    ):
        axes.loglog(offsets, np.maximum(values, 1e-9), "o-", color=color, label=name)
    axes.axhline(1, color=GRAY, linestyle=":", label="as large as the variance itself")
    axes.set_xlabel("average of the numbers; their variance is 1")
    axes.set_ylabel("relative error in float32")
    axes.set_title("Two passes keep the digits")
    axes.legend()
    figure.tight_layout()
    return figure


def main() -> None:
    """Normalise by hand, see what blame cannot do, and lose digits the short way."""
    arguments = lesson_arguments(__doc__, __file__)
    layer = LayerNorm(4)
    x = np.array([[1.0, 2.0, 3.0, 6.0], [100.0, 200.0, 300.0, 600.0]])
    a = layer.forward(x)
    print(f"x {x.shape} → a {a.shape}; each row by itself")
    for before, after in zip(x, a, strict=True):
        print(f"  {before} → {after.round(3)}")
    dL_dx, _ = layer.backward([[1.0, 0, 0, 0], [1.0, 0, 0, 0]])
    print("blame of 1 for the first number of each row")
    for row, values in zip(dL_dx, x, strict=True):
        along = abs(row @ (values - values.mean())) < 1e-4
        print(f"  dL_dx {row.round(6)}  sum {abs(row.sum()):.0e}; none along x − μ: {along}")

    errors = check_layer(
        LayerNorm(6), np.random.default_rng(0).normal(size=(3, 5, 6)), np.random.default_rng(1)
    )
    print("gradient check, float64: relative errors")
    print("  " + "   ".join(f"{name} {error:.0e}" for name, error in errors.items()))

    offsets = np.logspace(0, 5, 11)
    errors_of = variance_errors(offsets, np.float32)
    print(
        "variance 1 around a large average, float32: relative error of two passes, of the shortcut"
    )
    for place in (0, 4, 8):
        print(f"  {offsets[place]:8.0f}   {errors_of[0][place]:.0e}   {errors_of[1][place]:.0e}")
    finish(draw(offsets, errors_of), arguments)


if __name__ == "__main__":
    main()
