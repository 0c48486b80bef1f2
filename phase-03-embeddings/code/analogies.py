"""Analogies: directions on the map, and what they can and cannot know.

    vector(answer) ≈ vector(b) − vector(a) + vector(c)        a is to b as c is to …

The vectors are (C,), rows of skip-gram's W. b − a is the step from a to b: from "sing" to "sang" it
is the step from what is wanted to what was done. The same step from "dance" should land among the
things that were done. The answer is the nearest word, a, b and c themselves left out.

A vector knows the company that a word keeps, and nothing else. In the stories "sang" and "danced"
keep the same company, and no sentence ties "dance" to "danced" rather than to "swam". So the step
finds the right kind of word and cannot find the right word. Every vector from text has this limit;
larger texts only hide it better.

Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space". Explained in
``notes/analogies.md``. Run ``python phase-03-embeddings/code/analogies.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phase_03.skipgram import train_on_words
from phase_03.words import Words, nearest, read_words
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments
from shared.stories import STORIES, stories

Array = NDArray[Any]

SINGULAR, PLURAL = ([pair[i] for pair in STORIES.items] for i in (0, 1))
WISHED, DONE = ([pair[i] for pair in STORIES.verbs] for i in (0, 1))


def analogy(vectors: Array, words: Words, a: str, b: str, c: str) -> list[str]:
    """Return the words nearest to b − a + c, the nearest first.

    Raises
    ------
    ValueError
        If a word has no vector.
    """
    ids = [words.id_of(word) for word in (a, b, c)]
    target = vectors[ids[1]] - vectors[ids[0]] + vectors[ids[2]]
    return [words.names[i] for i, _ in nearest(vectors, target, len(vectors), leave_out=ids)]


def success(vectors: Array, words: Words, left: list[str], right: list[str]) -> tuple[float, float]:
    """Ask all analogies between two lists of partners, left[i] to right[i].

    Returns
    -------
    tuple
        How often the answer is some word of the right list, and how often it is the partner.
    """
    kind, partner = [], []
    for i, a in enumerate(left):
        for j, c in enumerate(left):
            if i != j:
                answer = analogy(vectors, words, a, right[i], c)[0]
                kind.append(answer in right)
                partner.append(answer == right[j])
    return float(np.mean(kind)), float(np.mean(partner))


def draw(flat: Array, groups: dict[str, list[int]], names: list[str]) -> Figure:
    """Draw both groups of partners on a plane, with an arrow from each to its partner."""
    figure = Figure(figsize=(7, 4.2))
    axes = figure.subplots()
    starts, ends = groups.values()
    for start, end in zip(starts, ends, strict=True):
        axes.annotate(
            "",
            xy=flat[end],
            xytext=flat[start],
            arrowprops={"arrowstyle": "-|>", "color": GRAY, "alpha": 0.5},
        )
    for (name, members), color in zip(groups.items(), (BLUE, ORANGE), strict=True):
        axes.plot(*flat[members].T, "o", color=color, label=name)
    for i in (*starts[:2], *ends[:2]):
        axes.annotate(names[i], flat[i], xytext=(6, 6), textcoords="offset points")
    axes.set_xlabel("the strongest direction")
    axes.set_ylabel("the second strongest (stretched)")
    axes.set_title("One step for all verbs, but the arrows cross")
    axes.legend()
    return figure


def main() -> None:
    """Ask skip-gram for analogies that work, and for one kind that cannot."""
    arguments = lesson_arguments(__doc__, __file__)
    words = read_words([story.text for story in stories("train", 0, 10_000)])
    model, _ = train_on_words(words)
    vectors = model.params["W"]
    for a, b, c in (
        ("sing", "sang", "dance"),
        ("egg", "eggs", "coin"),
        ("gave", "to", "took"),
        ("a", "fox", "an"),
    ):
        answers = analogy(vectors, words, a, b, c)[:4]
        print(f"{a} is to {b} as {c} is to … {', '.join(answers)}")
    for name, left, right in (("verbs", WISHED, DONE), ("things", SINGULAR, PLURAL)):
        kind, partner = success(vectors, words, left, right)
        print(
            f"{name}, all {len(left) * (len(left) - 1)} analogies: the right kind {kind:.0%}, "
            f"the very partner {partner:.0%}, "
            f"guessing among {len(left) - 1}: {1 / (len(left) - 1):.0%}"
        )
    ids = [words.id_of(word) for word in (*WISHED, *DONE)]
    chosen = vectors[ids] - vectors[ids].mean(axis=0)
    flat = (
        chosen @ np.linalg.svd(chosen)[2][:2].T
    )  # onto the two directions in which they differ most
    groups = {"wanted to …": list(range(12)), "happily …": list(range(12, 24))}
    finish(draw(flat, groups, [words.names[i] for i in ids]), arguments)


if __name__ == "__main__":
    main()
