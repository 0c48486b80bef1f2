"""Probability: chance, averages, and how surprised a prediction leaves us.

    expectation      E[v] = Σ_i p_i v_i                      the average in the long run
    surprise         −ln p                                   0 when certain, larger when rarer
    entropy          H(p) = −Σ_i p_i ln p_i                  average surprise of who knows p
    cross-entropy    H(p, q) = −Σ_i p_i ln q_i               average surprise of who believes q
    KL divergence    KL(p ‖ q) = H(p, q) − H(p)              what believing q costs; never below 0

p are the probabilities of V outcomes, shape (V,): each at least 0, together 1. q are the ones that
a model believes in, v a number for each outcome. Surprise is measured in nats; divided by ln 2 it
is in bits, and one bit is the surprise of a coin toss.

Cross-entropy is the loss of every language model here. Its lowest value is the entropy: the floor
that no model can pass, because the rest of the surprise is in the world and not in the model.

Shannon 1948, "A Mathematical Theory of Communication". Worked by hand in ``notes/entropy.md``. Run
``python phase-00-python-math/code/probability.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from shared.checks import check_array, check_count
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def check_probabilities(name: str, p: ArrayLike, outcomes: int | str = "V") -> Array:
    """Return ``p`` as an array (V,) of probabilities.

    Raises
    ------
    ValueError
        If it is no vector of finite numbers, if one is below 0, or if they do not sum to 1.
    """
    p = check_array(name, p, (outcomes,), "give one probability for each outcome")
    if p.min() < 0 or abs(p.sum() - 1) > 1e-6:
        raise ValueError(
            f"{name}: expected probabilities of at least 0 with sum 1, got smallest {p.min():g} "
            f"and sum {p.sum():g}: divide counts by their sum, or send scores through softmax"
        )
    return p


def expectation(v: ArrayLike, p: ArrayLike) -> float:
    """Return E[v], the average of the numbers v (V,) weighted by their probabilities p (V,).

    Raises
    ------
    ValueError
        If p are no probabilities, or v has another shape.
    """
    p = check_probabilities("p", p)
    v = check_array("v", v, p.shape, "give one number for each outcome")
    return float(v @ p)


def sample(p: ArrayLike, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw ``count`` outcomes, numbered from 0, with the probabilities p (V,).

    Outcome i owns a piece of the line from 0 to 1 as long as p_i; a uniform number falls into one.

    Raises
    ------
    ValueError
        If p are no probabilities, or ``count`` is not a whole number of at least 1.
    """
    p = check_probabilities("p", p)
    check_count("count", count)
    ends = np.cumsum(p)
    outcomes = np.searchsorted(ends, rng.random(count), side="right")
    return np.minimum(outcomes, np.flatnonzero(p)[-1])  # the ends may sum to a hair less than 1


def cross_entropy(p: ArrayLike, q: ArrayLike) -> float:
    """Return H(p, q) in nats: how surprised we are on average if p is true and we believe q.

    It is infinite if q rules out what p lets happen.

    Raises
    ------
    ValueError
        If p or q are no probabilities, or q has another number of outcomes.
    """
    p = check_probabilities("p", p)
    q = check_probabilities("q", q, p.shape[0])
    possible = p > 0  # what never happens surprises nobody
    if np.any(q[possible] == 0):
        return float("inf")
    return float(-p[possible] @ np.log(q[possible]))


def entropy(p: ArrayLike) -> float:
    """Return H(p) in nats: the average surprise of someone who knows p; see `cross_entropy`."""
    return cross_entropy(p, p)


def kl_divergence(p: ArrayLike, q: ArrayLike) -> float:
    """Return KL(p ‖ q) in nats: the surprise that believing q adds; see `cross_entropy`."""
    return max(cross_entropy(p, q) - entropy(p), 0.0)  # rounding may leave a hair below 0


def draw(rolls: Array, rain: float) -> Figure:
    """Draw an average that settles, and the surprise of forecasts with its floor."""
    figure = Figure(figsize=(7, 3.4))
    average, surprise = figure.subplots(1, 2)

    counts = np.arange(1, len(rolls) + 1)
    average.semilogx(counts, np.cumsum(rolls) / counts, color=BLUE)
    average.axhline(3.5, color=GRAY, linestyle="--", label="expectation 3.5")
    average.set_ylim(1, 6)
    average.set_xlabel("rolls of a die")
    average.set_ylabel("average so far")
    average.set_title("Averages settle")
    average.legend()

    q = np.linspace(0.02, 0.98, 200)
    p = np.array([rain, 1 - rain])
    surprise.plot(q, [cross_entropy(p, [value, 1 - value]) for value in q], color=BLUE)
    surprise.axhline(entropy(p), color=GRAY, linestyle="--", label=f"floor {entropy(p):.3f}")
    surprise.plot(rain, entropy(p), "o", color=ORANGE)
    surprise.set_ylim(0, 2.5)
    surprise.set_xlabel("forecast q of rain")
    surprise.set_ylabel("cross-entropy in nats")
    surprise.set_title(f"It rains on {rain:.0%} of days")
    surprise.legend()
    figure.tight_layout()
    return figure


def main() -> None:
    """Roll dice, toss coins, and judge three weather forecasters."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)

    faces, fair = np.arange(1, 7), np.full(6, 1 / 6)
    rolls = faces[sample(fair, 10_000, rng)]
    print(f"a die: faces {faces}, expectation {expectation(faces, fair):.2f}")
    for count in (10, 100, 10_000):
        print(f"  average of {count:>6,} rolls {rolls[:count].mean():.3f}")

    print("surprise −ln p, in nats and bits")
    for p in (1.0, 0.5, 0.01):
        print(f"  p = {p:<4g}  {-np.log(p) + 0:.3f} nats   {-np.log2(p) + 0:.3f} bits")

    rain = np.array([0.7, 0.3])
    print(f"it rains with p = {rain}, shape {rain.shape}: entropy {entropy(rain):.3f} nats")
    for name, q in (("knows", [0.7, 0.3]), ("shrugs", [0.5, 0.5]), ("is sure", [0.01, 0.99])):
        print(
            f"  who {name:7} believes {q!s:12}  cross-entropy {cross_entropy(rain, q):.3f}"
            f"   = entropy + KL {kl_divergence(rain, q):.3f}"
        )
    finish(draw(rolls, 0.7), arguments)


if __name__ == "__main__":
    main()
