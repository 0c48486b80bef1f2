"""Causality: change one token, and see which outputs move.

    moved[t, s] = max |logits_s(ids with token t changed) − logits_s(ids)|        (T, T)

A language model is asked for the next token. If its output at place s depended on a token after s,
it would be told the answer, and its loss in training would be wonderful and worthless. So nothing
below place t may move when token t is changed: not a little, nothing, to the last bit.

Two models are compared: our GPT, and the same with its mask left out, as a bug would have it. The
second has not a single wrong shape, and every gradient of it is right.

Explained in ``notes/scaled_dot_product.md``. Run
``python phase-05-attention-numpy/code/causality.py``.
"""

from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_05.gpt_numpy import GPT
from shared.language_model import check_ids
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def influence(model: GPT, ids: ArrayLike) -> Array:
    """Return how far each output moves when each token is changed.

    Parameters
    ----------
    model
        A GPT.
    ids
        One row of token ids, (T,).

    Returns
    -------
    Array
        (T, T): entry (t, s) is the largest change of the logits at place s if token t becomes
        another one. In a causal model everything left of the diagonal is exactly 0.
    """
    V = model.sizes["vocab_size"]
    row = check_ids("ids", ids, V)
    if row.ndim != 1 or V < 2:
        raise ValueError(
            f"ids: expected one row of ids (T,) and two or more to choose from, got shape "
            f"{row.shape} and {V}: there must be something to change"
        )
    T = len(row)
    changed = np.repeat(row[None], T, axis=0)  # (T, T): row t has another token at place t
    changed[np.arange(T), np.arange(T)] = (row + 1) % V
    # one call for all, so that equal rows are computed in equal ways
    logits = model.forward(np.concatenate([row[None], changed]))  # (T + 1, T, V)
    return np.abs(logits[1:] - logits[:1]).max(axis=-1)


def leaks(moved: Array) -> list[tuple[int, int]]:
    """Return the pairs (t, s), s before t, where output s moved when token t was changed."""
    return [(int(t), int(s)) for t, s in np.argwhere(np.tril(moved, -1) > 0)]


def draw(tables: dict[str, Array]) -> Figure:
    """Draw who moves whom, for the right model and the wrong one."""
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (name, moved) in zip(panels, tables.items(), strict=True):
        seen = np.ma.masked_equal(moved, 0)
        image = axes.imshow(seen, cmap="Blues", norm=LogNorm(vmin=1e-3, vmax=1))
        axes.grid(False)
        axes.set_xlabel("output that moves")
        axes.set_title(name)
    panels[0].set_ylabel("token that is changed")
    figure.colorbar(image, ax=panels, label="largest change of a logit (white: 0)", shrink=0.9)
    return figure


def main() -> None:
    """Change every token of a row in turn, with the mask and without."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)
    model = GPT(50, 16, n_layer=2, n_head=2, n_embd=16, rng=rng)
    ids = rng.integers(50, size=16)
    tables = {"with the mask": influence(model, ids)}
    for block in model.blocks:
        block.attention.causal = False
    tables["the mask forgotten"] = influence(model, ids)
    for name, moved in tables.items():
        before = int((np.tril(moved, -1) > 0).sum())
        print(f"{name}: {before} of {16 * 15 // 2} outputs before the changed token moved")
    finish(draw(tables), arguments)


if __name__ == "__main__":
    main()
