"""Tiled attention: the same result as `ScaledDotProduct`, without ever holding all the scores.

    forward     for each block of queries, over blocks of keys and values:
                    s = q kᵀ / √D                         one block of scores
                    m' = max(m, max s)                    the highest score so far
                    shrink = e^(m − m')                   by how much the sums were too large
                    total = shrink total + Σ e^(s − m')
                    mixed = shrink mixed + e^(s − m') v
                a = mixed / total                         lse = m + ln total
    backward    for each block again:
                    α = e^(s − lse)                       computed once more instead of kept
                    dL_dα = dL_da vᵀ                      dL_dv += αᵀ dL_da
                    dL_ds = α ⊙ (dL_dα − Σ dL_da ⊙ a)
                    dL_dq += dL_ds k / √D                 dL_dk += dL_dsᵀ q / √D

q is (…, T, D), k (…, S, D), v (…, S, D_v), a (…, T, D_v), lse (…, T, 1). A block is b queries and b
keys, so that s and α are (…, b, b), m, m', shrink and total (…, b, 1) and mixed (…, b, D_v). m and
m' are the maximum before and after the block; at first m = −∞, total = 0 and mixed = 0. The Σ at
total goes over the keys of the block. The Σ at dL_ds goes over the D_v numbers of a.

Plain attention keeps α, T times S numbers, until the blame comes. Here a and one number per query
are kept, and the highest number of bytes grows like T, not like T².

Milakov & Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al. 2022,
"FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness". Derived in
``notes/tiled_attention.md``. Run ``python phase-05-attention-numpy/code/tiled_attention.py``.
"""

import math
import time
import tracemalloc
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_00.softmax import softmax
from phase_02.layers import check_blame
from phase_05.scaled_dot_product import ScaledDotProduct, causal_mask
from shared.checks import check_array, check_count
from shared.plotting import BLUE, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def take_in(s: Array, m: Array, total: Array) -> tuple[Array, Array, Array, Array]:
    """Go on with a softmax: add a block of scores (…, b) to what was summed before.

    Parameters
    ----------
    s
        The scores of the block; at least one in each row is not −∞.
    m, total
        The highest score so far and the sum of e^(score − m), both (…, 1); −∞ and 0 at first.

    Returns
    -------
    tuple
        e^(s − m'), the factor for all that was summed before, and the new m' and total.
    """
    highest = np.maximum(m, s.max(axis=-1, keepdims=True))
    e = np.exp(s - highest)
    shrink = np.exp(m - highest)  # 1 while the maximum stands; e^−∞ = 0 for the first block
    return e, shrink, highest, shrink * total + e.sum(axis=-1, keepdims=True)


class TiledAttention:
    """Attention without weights of its own, block by block.

    Parameters
    ----------
    tile_size
        b, how many queries and how many keys are worked on at once.
    """

    a: Array = np.empty(0)  # the output of the last forward pass: none yet

    def __init__(self, tile_size: int = 64) -> None:
        self.tile_size = check_count("tile_size", tile_size)

    def blocks(self, end: int) -> list[slice]:
        """Cut the places 0 … end − 1 into blocks; the last may be shorter."""
        b = self.tile_size
        return [slice(start, min(start + b, end)) for start in range(0, end, b)]

    def blocks_of_keys(self, rows: slice) -> list[slice]:
        """Return the blocks of keys that some query of ``rows`` may look at."""
        return self.blocks(rows.stop if self.causal else self.k.shape[-2])

    def scores(self, rows: slice, columns: slice) -> Array:
        """Compute the scores of a block of queries for a block of keys, (…, b, b)."""
        s = self.q[..., rows, :] @ self.k[..., columns, :].swapaxes(-1, -2) * self.scale
        if self.causal and rows == columns:  # before it all keys are allowed, after it none
            s = np.where(causal_mask(s.shape[-1]), s, -np.inf)
        return s

    def forward(self, q: ArrayLike, k: ArrayLike, v: ArrayLike, causal: bool = False) -> Array:
        """Let each query look.

        q, k, v and the result are kept for `backward`, not copied: change none of them in place.

        Parameters
        ----------
        q, k, v
            Queries (…, T, D), keys (…, S, D) and values (…, S, D_v), with equal leading axes.
        causal
            Whether a query looks only at its own place and at what is before it. Needs T = S.

        Returns
        -------
        Array
            A mixture of values for each query, (…, T, D_v).

        Raises
        ------
        ValueError
            If a shape does not fit, or a number is not finite.
        """
        if not isinstance(causal, bool):
            raise ValueError(
                f"causal: expected True or False, got {type(causal).__name__}: "
                "use ScaledDotProduct with other masks"
            )
        q = check_array("q", q, (None, "T", "D"), "give each query D numbers")
        *leading, T, D = q.shape
        remedy = "keys have as many numbers as queries; if causal, there are as many of both"
        k = check_array("k", k, (*leading, T if causal else "S", D), remedy)
        v = check_array("v", v, (*leading, k.shape[-2], "D_v"), "give one value for each key")
        self.scale = 1 / np.sqrt(D).astype(q.dtype)
        self.q, self.k, self.v, self.causal = q, k, v, causal
        self.a = np.empty((*leading, T, v.shape[-1]), np.result_type(q, k, v))
        self.lse = np.empty((*leading, T, 1), self.a.dtype)
        for rows in self.blocks(T):
            mixed = np.zeros_like(self.a[..., rows, :])
            total = np.zeros_like(self.lse[..., rows, :])
            m = np.full_like(total, -np.inf)
            for columns in self.blocks_of_keys(rows):
                e, shrink, m, total = take_in(self.scores(rows, columns), m, total)
                mixed = shrink * mixed + e @ v[..., columns, :]
            self.a[..., rows, :] = mixed / total
            self.lse[..., rows, :] = m + np.log(total)
        return self.a

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Array, Array]:
        """Return dL_dq, dL_dk and dL_dv, each of the shape of what it belongs to.

        Raises
        ------
        ValueError
            If the shape of the gradient (…, T, D_v) is another, or it is not finite.
        """
        dL_da = check_blame(dL_da, self.a.shape)
        dL_dq, dL_dk, dL_dv = (np.zeros_like(array) for array in (self.q, self.k, self.v))
        for rows in self.blocks(self.q.shape[-2]):
            q, blame = self.q[..., rows, :], dL_da[..., rows, :]
            # Σ dL_dα ⊙ α over all keys, without having seen them
            row_sum = (blame * self.a[..., rows, :]).sum(axis=-1, keepdims=True)
            for columns in self.blocks_of_keys(rows):
                k, v = self.k[..., columns, :], self.v[..., columns, :]
                alpha = np.exp(self.scores(rows, columns) - self.lse[..., rows, :])
                # a = α v
                dL_dalpha = blame @ v.swapaxes(-1, -2)
                dL_dv[..., columns, :] += alpha.swapaxes(-1, -2) @ blame
                # α = softmax(s)
                dL_ds = alpha * (dL_dalpha - row_sum)
                # s = q kᵀ / √D
                dL_ds *= self.scale
                dL_dq[..., rows, :] += dL_ds @ k
                dL_dk[..., columns, :] += dL_ds.swapaxes(-1, -2) @ q
        return dL_dq, dL_dk, dL_dv


Attention = ScaledDotProduct | TiledAttention


def forward_backward(layer: Attention, arrays: list[Array], causal: bool) -> list[Array]:
    """Return a, dL_dq, dL_dk and dL_dv for q, k, v and the blame for a."""
    q, k, v, dL_da = arrays
    if isinstance(layer, TiledAttention):
        a = layer.forward(q, k, v, causal)
    else:
        a = layer.forward(q, k, v, causal_mask(q.shape[-2]) if causal else None)
    return [a, *layer.backward(dL_da)]


def one_head(T: int) -> list[Array]:
    """Return random q, k, v and blame for one head of 32 numbers, (T, 32) each, in float32."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(T, 32)).astype(np.float32) for _ in range(4)]


def peak_bytes(layer: Attention, T: int) -> int:
    """Count the bytes that a causal head takes at its worst moment, forward and then backward.

    What is there before, q, k, v and the blame, is not counted, nor what libraries under NumPy
    take for themselves. ``layer`` must be new, so that it gives nothing back meanwhile.
    """
    arrays = one_head(T)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    forward_backward(layer, arrays, causal=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - before


def seconds(layer: Attention, T: int, causal: bool) -> float:
    """Measure the time of one head, forward and backward: the best of three."""
    arrays, times = one_head(T), []
    for _ in range(3):
        start = time.perf_counter()
        forward_backward(layer, arrays, causal)
        times.append(time.perf_counter() - start)
    return min(times)


LENGTHS = (64, 128, 256, 512, 1024, 2048)


def draw(peaks: dict[str, list[int]]) -> Figure:
    """Draw the most bytes in use against the number of tokens, both axes in doublings."""
    figure = Figure(figsize=(7, 4.2))
    axes = figure.subplots()
    for (name, values), color in zip(peaks.items(), (ORANGE, BLUE), strict=True):
        axes.loglog(LENGTHS, values, "o-", color=color)
        growth = f"{name}\n2 × T: {values[-1] / values[-2]:.1f} × bytes"
        axes.annotate(
            growth,
            (LENGTHS[-1], values[-1]),
            (10, 0),
            textcoords="offset points",
            color=color,
            va="center",
        )
    axes.set_xticks(LENGTHS, [f"{T:,}" for T in LENGTHS])
    axes.set_yticks([1e5, 1e6, 1e7, 1e8], ["0.1 MB", "1 MB", "10 MB", "100 MB"])
    axes.minorticks_off()
    axes.set_xlabel("T, tokens in the sequence")
    axes.set_ylabel("most memory in use")
    axes.set_title("Without the table of scores, memory grows in step with the text")
    return figure


def main() -> None:
    """Sum in two halves, compare with plain attention, count bytes and time."""
    arguments = lesson_arguments(__doc__, __file__)
    s, v = np.array([1.0, 3.0, 2.0, 5.0]), np.array([10.0, 20.0, 30.0, 40.0])
    print(f"scores {s}, values {v}, two at a time")
    m, total, mixed = np.array([-np.inf]), np.zeros(1), 0.0
    for half in (slice(0, 2), slice(2, 4)):
        e, shrink, m, total = take_in(s[half], m, total)
        mixed = float(shrink[0]) * mixed + float(e @ v[half])
        print(
            f"  after {s[half]}   shrink {shrink[0]:.4f}   m {m[0]:.0f}   total {total[0]:.4f}"
            f"   mixed {mixed:.4f}"
        )
    print(f"  mixed / total {mixed / total[0]:.4f}, softmax all at once {softmax(s) @ v:.4f}")

    rng = np.random.default_rng(0)
    sizes = ((2, 3, 100, 16), (2, 3, 100, 16), (2, 3, 100, 24), (2, 3, 100, 24))
    arrays = [rng.normal(size=size) for size in sizes]
    print("largest difference from plain attention, float64, T = 100 in blocks of 32")
    for name, causal in (("all see all", False), ("causal", True)):
        plain = forward_backward(ScaledDotProduct(), arrays, causal)
        tiled = forward_backward(TiledAttention(32), arrays, causal)
        shown = [
            f"{what} {np.abs(x - y).max():.0e}"
            for what, x, y in zip(("a", "dL_dq", "dL_dk", "dL_dv"), plain, tiled, strict=True)
        ]
        print(f"  {name:13}" + "   ".join(shown))

    peaks = {
        "plain": [peak_bytes(ScaledDotProduct(), T) for T in LENGTHS],
        "tiled": [peak_bytes(TiledAttention(), T) for T in LENGTHS],
    }
    print("most memory in use in MB; one causal head, D = 32, float32, blocks of 64")
    print("      T     " + "     ".join(peaks))
    for T, plain_bytes, tiled_bytes in zip(LENGTHS, *peaks.values(), strict=True):
        print(f"  {T:5} {plain_bytes / 1e6:9.3f} {tiled_bytes / 1e6:9.3f}")
    for name, (*_, half_way, last) in peaks.items():
        each = (last - half_way) / (LENGTHS[-1] - LENGTHS[-2]) / 1e3
        power = math.log2(last / half_way)
        print(f"  {name}, last doubling: T to the power {power:.2f}, {each:.2f} kB for each token")
    print("time of tiled / time of plain, T = 1024")
    for name, causal in (("all see all", False), ("causal", True)):
        ratio = seconds(TiledAttention(), 1024, causal) / seconds(ScaledDotProduct(), 1024, causal)
        print(f"  {name:13}{ratio:.1f}")
    finish(draw(peaks), arguments)


if __name__ == "__main__":
    main()
