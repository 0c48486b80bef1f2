"""Additive attention: the first attention, a small network that judges each pair.

    forward     u_tj = tanh(q_t W_q + k_j W_k)          (B, T, R, A)    compare
                s_tj = u_tj · w                         (B, T, R)       judge
                α_t = softmax(s_t)                      (B, T, R)       share out
                a_t = Σ_j α_tj k_j                      (B, T, C_k)     take a mixture
    backward    dL_dα = dL_da kᵀ,  dL_ds = α ⊙ (dL_dα − Σ_j dL_dα ⊙ α)
                dL_du = dL_ds w,   dL_dz = dL_du ⊙ (1 − u²)
                dL_dq = (Σ_j dL_dz) W_qᵀ                dL_dk = (Σ_t dL_dz) W_kᵀ + αᵀ dL_da

q is (B, T, C_q): the states of a decoder that writes T ids. k is (B, R, C_k): the states of an
encoder that has read R. W_q is (C_q, A), W_k (C_k, A) and w (A,): A numbers to compare in. z is
what goes into tanh. k plays two parts, what is compared and what is taken, so it is blamed for
both. The mask (B, R) is True at the ids that are real.

Instead of one page that must hold everything, the writer now has all pages that the reader wrote,
and looks, at each step, at those that it needs.

Bahdanau, Cho & Bengio 2014, "Neural Machine Translation by Jointly Learning to Align and
Translate". Derived in ``notes/additive_attention.md``. Run
``python phase-05-attention-numpy/code/additive_attention.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_01.initialization import initial_weights
from phase_02.gradient_check import check_gradients
from phase_02.layers import Arrays, check_blame, softmax_backward
from phase_05.scaled_dot_product import check_mask, masked_softmax
from shared.checks import check_array, check_count
from shared.plotting import draw_attention
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


class AdditiveAttention:
    """A network of one hidden layer that scores each pair of query and key.

    Parameters
    ----------
    queries, keys
        C_q and C_k, numbers per query and per key.
    hidden
        A, numbers in which they are compared.
    rng
        Where the first weights come from.
    dtype
        The precision of everything.
    """

    def __init__(
        self,
        queries: int,
        keys: int,
        hidden: int,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float64,
    ) -> None:
        check_count("hidden", hidden)
        self.params: Arrays = {
            "W_q": initial_weights(queries, hidden, "glorot", rng, dtype),
            "W_k": initial_weights(keys, hidden, "glorot", rng, dtype),
            "w": initial_weights(hidden, 1, "glorot", rng, dtype)[:, 0],
        }
        # of the last forward pass: none yet
        self.k: Array = np.empty((0, 0, keys))
        self.attention: Array = np.empty((0, 0, 0))  # α

    def forward(self, q: ArrayLike, k: ArrayLike, mask: ArrayLike | None = None) -> Array:
        """Let each query look at the keys of its sequence.

        q and k are kept for `backward`, not copied: change neither in place before it has run.

        Parameters
        ----------
        q, k
            Queries (B, T, C_q) and keys (B, R, C_k).
        mask
            True where a key is real, (B, R) or what spreads to it; all are, if it is not given.

        Returns
        -------
        Array
            A mixture of keys for each query, (B, T, C_k).

        Raises
        ------
        ValueError
            If a shape does not fit, a number is not finite, or the mask is not one.
        """
        W_q, W_k, w = (self.params[name] for name in ("W_q", "W_k", "w"))
        q = check_array("q", q, ("B", "T", len(W_q)), "give the decoder's states")
        k = check_array("k", k, (len(q), "R", len(W_k)), "give the encoder's states")
        self.q, self.k = q.astype(W_q.dtype, copy=False), k.astype(W_k.dtype, copy=False)
        if mask is not None:
            rows, remedy = self.k.shape[:2], "say of each key whether it is real, (B, R)"
            mask = np.broadcast_to(check_mask(mask, rows, remedy), rows)[:, None]  # for all queries
        # (B, T, 1, A) + (B, 1, R, A): every query beside every key
        self.u = np.tanh((self.q @ W_q)[:, :, None] + (self.k @ W_k)[:, None])
        self.attention = masked_softmax(self.u @ w, mask)
        return self.attention @ self.k

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Array, Arrays]:
        """Return dL_dq, dL_dk, and the gradients of W_q, W_k and w.

        Raises
        ------
        ValueError
            If the shape of the gradient (B, T, C_k) is another, or it is not finite.
        """
        W_q, W_k, w = (self.params[name] for name in ("W_q", "W_k", "w"))
        alpha, A = self.attention, len(w)
        dL_da = check_blame(dL_da, (*alpha.shape[:2], self.k.shape[-1]))
        # a = α k
        dL_dalpha = dL_da @ self.k.swapaxes(1, 2)
        dL_dk_taken = alpha.swapaxes(1, 2) @ dL_da
        # α = softmax(s)
        dL_ds = softmax_backward(alpha, dL_dalpha)
        # s = u w, u = tanh(z)
        dL_dw = dL_ds.ravel() @ self.u.reshape(-1, A)
        dL_dz = dL_ds[..., None] * w * (1 - self.u**2)  # (B, T, R, A)
        # z = q W_q + k W_k: a query met all keys, a key met all queries
        dL_dzq, dL_dzk = dL_dz.sum(axis=2), dL_dz.sum(axis=1)
        dL_dW_q = self.q.reshape(-1, len(W_q)).T @ dL_dzq.reshape(-1, A)
        dL_dW_k = self.k.reshape(-1, len(W_k)).T @ dL_dzk.reshape(-1, A)
        dL_dq = dL_dzq @ W_q.T
        dL_dk = dL_dzk @ W_k.T + dL_dk_taken
        return dL_dq, dL_dk, {"W_q": dL_dW_q, "W_k": dL_dW_k, "w": dL_dw}


def check_additive(layer: AdditiveAttention, rng: np.random.Generator) -> dict[str, float]:
    """Check the backward pass with random weights, two rows of 3 queries and 4 keys, and a mask."""
    W_q, W_k = layer.params["W_q"], layer.params["W_k"]
    q, k = rng.normal(size=(2, 3, len(W_q))), rng.normal(size=(2, 4, len(W_k)))
    mask = np.array([[True] * 4, [True, True, False, False]])
    for array in layer.params.values():
        array[...] = rng.normal(size=array.shape)
    c = rng.normal(size=layer.forward(q, k, mask).shape)
    dL_dq, dL_dk, grads = layer.backward(c)
    return check_gradients(
        lambda: float(np.sum(layer.forward(q, k, mask) * c)),
        {"q": q, "k": k, **layer.params},
        {"q": dL_dq, "k": dL_dk, **grads},
    )


def main() -> None:
    """Judge three pages by hand, and check every gradient."""
    arguments = lesson_arguments(__doc__, __file__)
    layer = AdditiveAttention(1, 1, 1, np.random.default_rng(0))
    for name, value in (("W_q", 1.0), ("W_k", -1.0), ("w", -4.0)):
        layer.params[name][...] = value
    q, k = np.array([[[1.0], [3.0]]]), np.array([[[1.0], [2.0], [3.0]]])
    a = layer.forward(q, k)
    print(f"q {q.shape}, k {k.shape} → α {layer.attention.shape}, a {a.shape}")
    print("W_q = 1, W_k = −1, w = −4: the score is −4 tanh(q − k)")
    for query, weights, result in zip(q[0], layer.attention[0], a[0], strict=True):
        print(
            f"  q = {query[0]:g} looks {weights.round(3)} at k = 1, 2, 3 and takes {result[0]:.3f}"
        )
    errors = check_additive(
        AdditiveAttention(3, 4, 5, np.random.default_rng(0)), np.random.default_rng(1)
    )
    print("gradient check, B = 2, T = 3, R = 4, a mask, float64: relative errors")
    print("  " + "   ".join(f"{name} {error:.1e}" for name, error in errors.items()))

    figure = Figure(figsize=(5, 3))
    axes = figure.subplots()
    draw_attention(axes, layer.attention[0], ["q = 1", "q = 3"], ["k = 1", "k = 2", "k = 3"])
    axes.set_title("Each query shares out one look")
    figure.tight_layout()
    finish(figure, arguments)


if __name__ == "__main__":
    main()
