"""The embedding: a table with one row of numbers for each token, and how blame finds its way in.

    forward     e_i = W[id_i]                          look up the row of each id
    backward    dL_dW[v] = Σ_{i: id_i = v} dL_de_i     add up the blame of all places that used v

ids are (…), whole numbers from 0 to V − 1; W is (V, C), a row of C numbers for each of V tokens; e
is (…, C). Looking up row 3 is the same as multiplying (0, 0, 0, 1, 0, …) with W, only faster.

A token that stands twice in a batch gets blame from both places, and both count. The line
``dL_dW[ids] += dL_de`` looks right and is wrong: NumPy reads a copy of the row for each place, adds
to each copy, and writes all copies back to the same row. The last one wins. ``np.add.at`` adds all.

Bengio, Ducharme, Vincent & Jauvin 2003, "A Neural Probabilistic Language Model". Worked by hand in
``notes/embedding.md``. Run ``python phase-03-embeddings/code/embedding.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_02.gradient_check import check_gradients
from phase_02.layers import Arrays, Layer, check_blame
from shared.checks import check_count, check_float_type
from shared.language_model import Ids, check_ids
from shared.plotting import BLUE, GREEN, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


class Embedding(Layer):
    """A row of numbers for each token.

    Parameters
    ----------
    vocab_size
        V, how many tokens there are.
    width
        C, how many numbers each has.
    rng
        Where the first numbers come from: a bell curve of width 1.
    dtype
        Their precision.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        shape = (check_count("vocab_size", vocab_size), check_count("width", width))
        self.params = {"W": rng.normal(size=shape).astype(check_float_type("dtype", dtype))}
        self.ids: Ids = np.empty(0, np.int64)

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Map ids (…) to their rows (…, C)."""
        W = self.params["W"]
        self.ids = check_ids("x", x, len(W))
        return W[self.ids]

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return zeros for the ids, which are names and cannot be nudged, and dL_dW."""
        W = self.params["W"]
        dL_de = check_blame(dL_da, (*self.ids.shape, W.shape[1]))
        # e = W[ids]: a row that was used at several places is blamed for all of them.
        dL_dW = np.zeros_like(W)
        np.add.at(dL_dW, self.ids, dL_de)
        return np.zeros(self.ids.shape), {"W": dL_dW}


def draw(ids: list[int], right: Array, wrong: Array) -> Figure:
    """Draw which rows get how much blame, by both ways."""
    figure = Figure(figsize=(7, 3))
    rows = np.arange(len(right))
    axes = figure.subplots()
    axes.bar(rows - 0.2, right, 0.4, color=BLUE, label="np.add.at: all blame arrives")
    axes.bar(rows + 0.2, wrong, 0.4, color=ORANGE, label="dL_dW[ids] += …: the last one wins")
    for row in sorted(set(ids)):
        axes.text(row, right[row] + 0.05, f"used {ids.count(row)}×", ha="center", color=GREEN)
    axes.set_ylim(0, max(right) + 1)
    axes.set_xticks(rows)
    axes.set_xlabel("row of the table")
    axes.set_ylabel("blame")
    axes.grid(axis="x", visible=False)
    axes.set_title(f"A blame of 1 for each id of {ids}")
    axes.legend(loc="upper left")
    figure.tight_layout()
    return figure


def main() -> None:
    """Look rows up, blame them, and lose blame the wrong way."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)
    table = Embedding(5, 1, rng)
    ids = [3, 1, 3, 3]
    e = table.forward(ids)
    print(f"W {table.params['W'].shape}, ids {ids} → e {e.shape}")
    _, grads = table.backward(np.ones(e.shape))
    wrong = np.zeros((5, 1))
    wrong[ids] += np.ones(e.shape)
    print(f"blame of 1 for each place: right {grads['W'].ravel()}")
    print(f"  dL_dW[ids] += dL_de  gives {wrong.ravel()}")

    one_hot = np.eye(5)[ids]  # (4, 5)
    same = np.array_equal(one_hot @ table.params["W"], e)
    print(f"one-hot (4, 5) @ W (5, 1) gives the same rows: {same}")

    table = Embedding(5, 3, rng)
    c = rng.normal(size=(2, 4, 3))
    batch = [[3, 1, 3, 3], [0, 1, 1, 4]]
    table.forward(batch)
    _, right = table.backward(c)
    lost = {"W": np.zeros((5, 3))}
    lost["W"][batch] += c
    for name, gradient in (("np.add.at", right), ("+= on ids", lost)):
        error = check_gradients(
            lambda: float(np.sum(table.forward(batch) * c)), table.params, gradient
        )["W"]
        print(f"gradient check, ids (2, 4), {name}: relative error {error:.1e}")
    finish(draw(ids, grads["W"].ravel(), wrong.ravel()), arguments)


if __name__ == "__main__":
    main()
