"""A map of the words: sixteen numbers a word, laid flat.

    X = vectors − mean          (V, C)
    X = left · diag(strengths) · directions    singular value decomposition, strongest first
    map = X · directions[:2]ᵀ   (V, 2): where each word lies in the two strongest directions

Principal component analysis. Each row of the skip-gram table is a point in a space of C directions.
Turning the space does not change distances; PCA turns it so that the first axis is the one along
which the points lie furthest apart, the second the next, and so on. Keeping two makes a map. What
differs only in the other directions falls on one spot.

Pearson 1901, "On lines and planes of closest fit to systems of points in space". Explained in
``notes/analogies.md``. Run ``python phase-03-embeddings/code/word_map.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from phase_03.skipgram import train_on_words
from phase_03.words import read_words
from shared.checks import check_array, check_count
from shared.plotting import BLUE, GRAY, GREEN, ORANGE, PINK
from shared.script import finish, lesson_arguments
from shared.stories import STORIES, stories

Array = NDArray[Any]

GROUPS: dict[str, tuple[str, ...]] = {
    "animals": STORIES.kinds,
    "friends": STORIES.friends,
    "places": STORIES.places,
    "things": tuple(many for _, many in STORIES.items),
    "toys": STORIES.toys,
    "wished": tuple(verb for verb, _ in STORIES.verbs),
    "done": tuple(past for _, past in STORIES.verbs),
    "feelings": STORIES.feelings,
    "motions": STORIES.motions,
    "numbers": ("one", "two", "three", "four", "five", "six"),
}
NAMED = ("fox", "excited", "sleepy", "Tom", "river", "one", "two", "danced")


def principal_components(vectors: ArrayLike, count: int = 2) -> tuple[Array, Array]:
    """Return where each row lies along the strongest directions, and the share each explains.

    Parameters
    ----------
    vectors
        One row for each word, (V, C).
    count
        How many directions to keep.

    Returns
    -------
    tuple
        Places (V, count), and the share of the variance that each direction holds, (count,).
    """
    vectors = check_array("vectors", vectors, ("V", "C"), "give one row for each word")
    if check_count("count", count) > min(vectors.shape):
        raise ValueError(
            f"count: expected at most {min(vectors.shape)} directions, got {count}: keep fewer"
        )
    X = vectors - vectors.mean(axis=0)
    _, strengths, directions = np.linalg.svd(X, full_matrices=False)
    shares = strengths**2 / max(float(np.sum(strengths**2)), 1e-12)
    return X @ directions[:count].T, shares[:count]


def draw(places: Array, names: list[str]) -> Figure:
    """Draw the words of each group in their own colour; name each group, and some words."""
    figure = Figure(figsize=(8, 5.4))
    axes = figure.subplots()
    colors = [BLUE, ORANGE, GREEN, PINK, GRAY]
    for i, (group, members) in enumerate(GROUPS.items()):
        found = places[[names.index(word) for word in members]]
        axes.plot(*found.T, "os^"[i // 5], color=colors[i % 5], markersize=5, alpha=0.7)
        axes.annotate(
            group,
            (found[:, 0].mean(), found[:, 1].max()),
            xytext=(0, 8),
            textcoords="offset points",
            ha="right" if group == "numbers" else "center",  # its neighbours' names need the room
            color=colors[i % 5],
            weight="bold",
        )
    for word in NAMED:
        place = places[names.index(word)]
        axes.annotate(word, place, xytext=(4, -9), textcoords="offset points", fontsize=8)
    axes.margins(0.1)
    axes.set_xlabel("the strongest direction")
    axes.set_ylabel("the second strongest")
    axes.set_title("Words that keep the same company lie together")
    return figure


def main() -> None:
    """Lay the words of the stories out on a plane."""
    arguments = lesson_arguments(__doc__, __file__)
    words = read_words([story.text for story in stories("train", 0, 10_000)])
    model, _ = train_on_words(words)
    places, shares = principal_components(model.params["W"])
    print(f"vectors {model.params['W'].shape} → map {places.shape}")
    print(f"  the first two directions hold {shares.sum():.0%} of the variance")
    vectors = model.params["W"]
    print("  group    spread   from the middle")
    for group, members in GROUPS.items():
        mine = vectors[[words.id_of(word) for word in members]]
        spread = np.linalg.norm(mine - mine.mean(axis=0), axis=1).mean()
        away = np.linalg.norm(mine.mean(axis=0) - vectors.mean(axis=0))
        print(f"  {group:9} {spread:6.2f} {away:17.2f}")
    finish(draw(places, words.names), arguments)


if __name__ == "__main__":
    main()
