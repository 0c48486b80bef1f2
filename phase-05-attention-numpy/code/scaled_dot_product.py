"""Scaled dot-product attention: each query looks at all keys, and takes a mixture of the values.

    forward     s = q kᵀ / √D                     how well each key answers each query
                s = −∞ where the mask forbids
                α = softmax(s)                    how much each query looks at each key
                a = α v                           what it takes home
    backward    dL_dα = dL_da vᵀ                  dL_dv = αᵀ dL_da
                dL_ds = α ⊙ (dL_dα − Σ dL_dα ⊙ α)
                dL_dq = dL_ds k / √D              dL_dk = dL_dsᵀ q / √D

q is (…, T, D): T queries of D numbers. k is (…, S, D) and v (…, S, D_v): S keys, and the value that
belongs to each. s and α are (…, T, S), a is (…, T, D_v). The Σ goes over the S keys. The leading
axes … are sequences and heads: all of them at once. The mask is True where looking is allowed.

A sum of D products of random numbers of size 1 has the size √D. Divided by √D, scores have the size
1 whatever D is. Without it the softmax of wide heads is nearly one-hot, and its slope nearly 0.

Vaswani et al. 2017, "Attention Is All You Need". Derived in ``notes/scaled_dot_product.md``. Run
``python phase-05-attention-numpy/code/scaled_dot_product.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_00.probability import entropy
from phase_02.gradient_check import check_gradients
from phase_02.layers import Softmax, check_blame, softmax_backward
from shared.checks import check_array, check_count, describe
from shared.plotting import BLUE, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def causal_mask(T: int) -> NDArray[np.bool_]:
    """Return the mask (T, T) with which each place looks at itself and at what is before it."""
    return np.tril(np.ones((check_count("T", T), T), bool))


def check_mask(
    mask: ArrayLike,
    shape: tuple[int, ...],
    remedy: str = "give (T, S), or an axis of 1 where all agree",
) -> NDArray[np.bool_]:
    """Return ``mask`` if it says yes or no for each of the scores, or for each along some axes.

    Raises
    ------
    ValueError
        If it does not hold truth values, or cannot be spread to ``shape``.
    """
    expected = f"mask: expected True and False that spread to the shape {describe(shape)}"
    try:
        array = np.asarray(mask)
    except ValueError as error:
        raise ValueError(f"{expected}, got rows of unequal length: {remedy}") from error
    if array.dtype != bool:
        raise ValueError(
            f"{expected}, got {array.dtype}: write mask == 1 or mask > 0; True means look"
        )
    try:
        np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"{expected}, got shape {array.shape}: {remedy}") from None
    return array


def masked_softmax(s: Array, mask: NDArray[np.bool_] | None = None) -> Array:
    """Turn scores (…, S) into probabilities, 0 where the mask is False.

    A row in which nothing is allowed becomes 0 everywhere: who may look at nothing takes nothing.
    """
    if mask is not None:
        s = np.where(mask, s, -np.inf)  # before the softmax: after it, rows would not sum to 1
    highest = s.max(axis=-1, keepdims=True)
    highest[np.isneginf(highest)] = 0  # a row without a highest score: −∞ − −∞ is not a number
    e = np.exp(s - highest)
    total = e.sum(axis=-1, keepdims=True)
    total[total == 0] = 1
    e /= total
    return e


class ScaledDotProduct:
    """Attention without weights of its own.

    Parameters
    ----------
    scaled
        Whether scores are divided by √D. Only experiments say no.
    """

    attention: Array = np.empty(0)  # α of the last forward pass: none yet
    v: Array = np.empty(0)

    def __init__(self, scaled: bool = True) -> None:
        self.scaled = scaled

    def forward(
        self, q: ArrayLike, k: ArrayLike, v: ArrayLike, mask: ArrayLike | None = None
    ) -> Array:
        """Let each query look.

        q, k and v are kept for `backward`, not copied; so is α, which is (…, T, S).

        Parameters
        ----------
        q, k, v
            Queries (…, T, D), keys (…, S, D) and values (…, S, D_v), with equal leading axes.
        mask
            True where a query may look at a key; (T, S), or anything that spreads to (…, T, S).

        Returns
        -------
        Array
            A mixture of values for each query, (…, T, D_v).

        Raises
        ------
        ValueError
            If a shape does not fit, a number is not finite, or the mask is not one.
        """
        q = check_array("q", q, (None, "T", "D"), "give each query D numbers")
        *leading, T, D = q.shape
        k = check_array("k", k, (*leading, "S", D), "give keys as many numbers as queries")
        S = k.shape[-2]
        v = check_array("v", v, (*leading, S, "D_v"), "give one value for each key")
        if mask is not None:
            mask = check_mask(mask, (*leading, T, S))
        self.scale = 1 / np.sqrt(D).astype(q.dtype) if self.scaled else q.dtype.type(1)
        self.q, self.k, self.v = q, k, v
        s = q @ k.swapaxes(-1, -2) * self.scale  # (…, T, S)
        self.attention = masked_softmax(s, mask)
        return self.attention @ v

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Array, Array]:
        """Return dL_dq, dL_dk and dL_dv, each of the shape of what it belongs to.

        Raises
        ------
        ValueError
            If the shape of the gradient (…, T, D_v) is another, or it is not finite.
        """
        alpha = self.attention
        dL_da = check_blame(dL_da, (*alpha.shape[:-1], self.v.shape[-1]))
        # a = α v
        dL_dalpha = dL_da @ self.v.swapaxes(-1, -2)
        dL_dv = alpha.swapaxes(-1, -2) @ dL_da
        # α = softmax(s); where the mask forbids α is 0, and so is the blame
        dL_ds = softmax_backward(alpha, dL_dalpha)
        # s = q kᵀ / √D
        dL_ds *= self.scale
        dL_dq = dL_ds @ self.k
        dL_dk = dL_ds.swapaxes(-1, -2) @ self.q
        return dL_dq, dL_dk, dL_dv


def check_attention(
    rng: np.random.Generator, mask: ArrayLike | None = None, scaled: bool = True
) -> dict[str, float]:
    """Check the backward pass on random q, k and v of 2 × 3 heads; T = S = 4, D = 5, D_v = 2."""
    layer = ScaledDotProduct(scaled)
    arrays = {name: rng.normal(size=(2, 3, 4, 2 if name == "v" else 5)) for name in "qkv"}
    q, k, v = arrays.values()
    c = rng.normal(size=layer.forward(q, k, v, mask).shape)
    gradients = dict(zip("qkv", layer.backward(c), strict=True))
    return check_gradients(
        lambda: float(np.sum(layer.forward(q, k, v, mask) * c)), arrays, gradients
    )


def entropy_and_slope(D: int, scaled: bool) -> tuple[float, float]:
    """Measure 1,000 queries that look at 16 keys, all of them random numbers of size 1.

    Returns
    -------
    tuple
        The entropy of their attention in bits, on average; and the length of the gradient for
        their scores under random blame of size 1 for α, for the query in the middle: half of the
        queries get less.
    """
    rng = np.random.default_rng(0)
    q, k = rng.normal(size=(1000, 1, D)), rng.normal(size=(1000, 16, D))
    softmax = Softmax()
    s = np.squeeze(q @ k.swapaxes(-1, -2), axis=1)  # (1000, 16)
    alpha = softmax.forward(s / np.sqrt(D) if scaled else s)
    dL_ds, _ = softmax.backward(rng.normal(size=alpha.shape))
    bits = np.mean([entropy(row) for row in alpha]) / np.log(2)
    return float(bits), float(np.median(np.linalg.norm(dL_ds, axis=-1)))


WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def draw(measured: dict[bool, list[tuple[float, float]]]) -> Figure:
    """Draw entropy and gradient against the width of a head, with and without √D."""
    figure = Figure(figsize=(8, 3.4))
    titles = ("How widely a query looks", "What half of the queries still get")
    labels = ("entropy of α in bits", "length of dL_ds, median")
    for place, axes in enumerate(figure.subplots(1, 2)):
        for scaled, color, name in ((True, BLUE, "q kᵀ / √D"), (False, ORANGE, "q kᵀ")):
            values = [pair[place] for pair in measured[scaled]]
            axes.semilogx(WIDTHS, values, "o-", color=color, label=name, base=2)
        axes.set_ylim(bottom=0)
        axes.set_xticks(WIDTHS[::3], [str(D) for D in WIDTHS[::3]])
        axes.set_xlabel("D, numbers per head")
        axes.set_ylabel(labels[place])
        axes.set_title(titles[place])
    axes.legend(loc="lower left")
    figure.tight_layout()
    return figure


def main() -> None:
    """Look by hand, check every gradient, and measure what √D is for."""
    arguments = lesson_arguments(__doc__, __file__)
    layer = ScaledDotProduct()
    q = np.array([[4.0, 0.0], [0.0, 4.0], [0.0, 0.0]])
    k = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    v = np.array([[10.0], [20.0], [30.0]])
    a = layer.forward(q, k, v, causal_mask(3))
    print(f"q {q.shape}, k {k.shape}, v {v.shape} → α {layer.attention.shape}, a {a.shape}")
    for row, (weights, result) in enumerate(zip(layer.attention, a, strict=True)):
        print(f"  query {row} looks {weights.round(3)} and takes {result[0]:.2f}")

    print("gradient check, float64: relative errors")
    nobody = np.ones((4, 4), bool)
    nobody[1] = False
    for name, mask in (("no mask", None), ("causal", causal_mask(4)), ("row 1 sees none", nobody)):
        errors = check_attention(np.random.default_rng(0), mask)
        print(f"  {name:16}" + "   ".join(f"{key} {error:.1e}" for key, error in errors.items()))

    measured = {scaled: [entropy_and_slope(D, scaled) for D in WIDTHS] for scaled in (True, False)}
    print("16 keys, so at most 4 bits     entropy of α      dL_ds, median")
    print("     D                      with √D  without     with √D  without")
    for place, D in list(enumerate(WIDTHS))[::3]:
        (with_bits, with_slope), (bits, slope) = measured[True][place], measured[False][place]
        print(f"  {D:4} {with_bits:28.2f} {bits:8.2f} {with_slope:11.4f} {slope:8.4f}")
    finish(draw(measured), arguments)


if __name__ == "__main__":
    main()
