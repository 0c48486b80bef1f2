"""Counting instead of training: what skip-gram approximates, as a table.

    PMI(w, c) = ln( #(w, c) · N / (#(w) · #(c)) )      how much more often than by chance
    PPMI(w, c) = max(PMI(w, c), 0)                     what is rarer than chance counts as chance
    PPMI ≈ left · diag(strengths) · right              its C strongest parts (SVD)
    w · c ≈ PMI(w, c) − ln k                           what skip-gram's vectors come to (k drawn)

#(w, c) is how often word w and neighbour c stood together, (V, V); #(w) and #(c) are its row and
column sums; N is the sum of all. PMI, the *pointwise mutual information*, is 0 for words that meet
as often as chance has it, ln 2 for twice as often, and −∞ for words that never meet.

The *singular value decomposition* (SVD) writes a table as a sum of simple ones, strongest first.
With the first C of them each word has C numbers: its row in left, (V, C), each number times the
root of its strength, (C,). They serve as word vectors, without any training.

Levy & Goldberg showed that skip-gram with k drawn pairs, given enough numbers for each word, has
its best loss exactly where w · c = PMI − ln k. Both ways look for the same table.

Levy & Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization". Derived in
``notes/skipgram.md``. Run ``python phase-03-embeddings/code/ppmi_svd.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_03.skipgram import train_on_words
from phase_03.words import nearest, neighbours, read_words
from shared.checks import check_array, check_count
from shared.language_model import Ids, check_ids
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments
from shared.stories import stories

Array = NDArray[Any]


def count_pairs(words: Ids, contexts: Ids, vocab_size: int) -> Array:
    """Return how often each pair of words (N,) and contexts (N,) stood together, (V, V)."""
    if np.ndim(words) != 1 or np.shape(words) != np.shape(contexts):
        raise ValueError(
            f"words, contexts: expected two rows of one length, got shapes {np.shape(words)} and "
            f"{np.shape(contexts)}: take both from neighbours()"
        )
    both = check_ids("words", words, vocab_size) * vocab_size
    both = both + check_ids("contexts", contexts, vocab_size)
    return np.bincount(both, minlength=vocab_size**2).reshape(vocab_size, vocab_size)


def pointwise_mutual_information(counts: ArrayLike) -> Array:
    """Return PMI of a table of counts (V, V); −∞ where the count is 0.

    Raises
    ------
    ValueError
        If a count is below 0, or all are 0.
    """
    counts = check_array("counts", counts, ("V", "W"), "give a table of counts")
    if counts.min() < 0 or counts.sum() == 0:
        raise ValueError(
            f"counts: expected 0 or more and not all 0, got from {counts.min():g} to "
            f"{counts.max():g}: count pairs first"
        )
    rows, columns = counts.sum(axis=1, keepdims=True), counts.sum(axis=0, keepdims=True)
    by_chance = rows * columns / counts.sum()  # the count if nothing kept company
    with np.errstate(divide="ignore"):
        return np.log(np.divide(counts, by_chance, where=counts > 0, out=np.zeros_like(counts)))


def svd_vectors(counts: ArrayLike, width: int) -> Array:
    """Return vectors of ``width`` numbers for the words of a table of counts: (V, width)."""
    ppmi = np.maximum(pointwise_mutual_information(counts), 0)
    if check_count("width", width) > min(ppmi.shape):
        raise ValueError(
            f"width: expected at most {min(ppmi.shape)}, the size of the table, got {width}: "
            "choose fewer numbers for each word"
        )
    left, strengths, _ = np.linalg.svd(ppmi, full_matrices=False)
    return left[:, :width] * np.sqrt(strengths[:width])


def agreement(scores: Array, pmi: Array, counts: Array, least: int = 50) -> float:
    """Return the correlation of scores and PMI over pairs that met ``least`` times or more."""
    often = counts >= least
    return float(np.corrcoef(scores[often], pmi[often])[0, 1])


def draw(scores: dict[int, Array], shifted: Array, counts: Array, least: int = 50) -> Figure:
    """Draw skip-gram's scores against shifted PMI, for few and for many numbers a word."""
    figure = Figure(figsize=(8, 4))
    panels = figure.subplots(1, len(scores), sharex=True, sharey=True)
    often = counts >= least
    for axes, (width, table) in zip(panels, scores.items(), strict=True):
        axes.plot([-5, 5], [-5, 5], color=GRAY, linewidth=1)
        axes.plot(shifted[often], table[often], ".", color=BLUE, markersize=2.5, alpha=0.5)
        correlation = agreement(table, shifted, counts, least)
        axes.set_title(f"{width} numbers a word: correlation {correlation:.2f}")
        axes.set_xlabel("PMI − ln 5, counted")
        axes.set_aspect("equal")
    own = np.diag_indices(len(counts))
    met = often[own]
    panels[-1].plot(shifted[own][met], table[own][met], "o", color=ORANGE, markersize=4, mfc="none")
    panels[-1].text(1.6, -2.2, "a word\nbeside itself", color=ORANGE, fontsize=9)
    panels[0].set_ylabel("w · c, trained")
    figure.tight_layout()
    return figure


def main() -> None:
    """Count the company that words keep, factor the table, and find skip-gram in it."""
    arguments = lesson_arguments(__doc__, __file__)
    words = read_words([story.text for story in stories("train", 0, 10_000)])
    V = len(words.names)
    counts = count_pairs(*neighbours(words.ids), V)
    pmi = pointwise_mutual_information(counts)
    print(f"counts {counts.shape}, {counts.sum():,} pairs, {np.mean(counts == 0):.0%} never met")
    for w, c in (("an", "owl"), ("a", "owl"), ("the", "owl")):
        i, j = words.id_of(w), words.id_of(c)
        print(f"  {w} … {c}: {counts[i, j]:6,} times, PMI {pmi[i, j]:.2f}")

    vectors = svd_vectors(counts, 16)
    print(f"PPMI by SVD, vectors {vectors.shape}")
    for word in ("fox", "red", "three", "sang"):
        i = words.id_of(word)
        found = nearest(vectors, vectors[i], 5, leave_out=[i])
        print(f"  near {word:6} " + ", ".join(f"{words.names[j]} {c:.2f}" for j, c in found))

    scores, shifted = {}, pmi - np.log(5)
    print("skip-gram's w · c against PMI − ln 5, over pairs that met 50 times or more")
    for width in (4, 16):
        model, _ = train_on_words(words, width)
        scores[width] = model.params["W"] @ model.params["U"].T
        correlation = agreement(scores[width], shifted, counts)
        print(f"  {width:2} numbers a word: correlation {correlation:.3f}")
    finish(draw(scores, shifted, counts), arguments)


if __name__ == "__main__":
    main()
