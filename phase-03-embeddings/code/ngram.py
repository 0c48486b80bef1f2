"""N-grams: a language model that only counts.

    bigram     p(next | last)          = (#(last next) + α) / (#(last) + α V)
    trigram    p(next | last two)      = (#(last two, next) + α) / (#(last two) + α V)

#(…) is how often these tokens stood so in the training text, a whole number; V is how many tokens
there are; α is added to every count. With α = 0, what never occurred gets probability 0, and the
first surprise on new text is infinite. With α > 0 everything stays possible.

A row of ids (T,) is scored by −Σ_t ln p(id_t | what stood before), T − 1 terms. Divided by the
characters of the text and by ln 2 it is bits per character, which does not depend on how the text
was cut into tokens.

Shannon 1948, "A Mathematical Theory of Communication". Worked by hand in ``notes/ngrams.md``. Run
``python phase-03-embeddings/code/ngram.py``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phase_03.bpe import BPETokenizer
from shared.checks import check_count, is_number
from shared.language_model import Ids, TextModel, Tokenizer, check_ids, make_row, tell
from shared.plotting import BLUE, GRAY, ORANGE
from shared.progress import progress
from shared.script import finish, lesson_arguments
from shared.stories import stories
from shared.word_tokenizer import WordTokenizer

Array = NDArray[Any]


class NGram:
    """Counts of n tokens in a row, and the probabilities that follow from them.

    Parameters
    ----------
    n
        How many tokens are counted together: 2 for a bigram, 3 for a trigram.
    vocab_size
        V. V to the power of n must be below 2⁶³, so that n ids fit into one whole number.
    alpha
        What is added to every count, 0 or more.

    Raises
    ------
    ValueError
        If a setting makes no sense.
    """

    def __init__(self, n: int, vocab_size: int, alpha: float = 0.01) -> None:
        self.n, self.vocab_size = check_count("n", n), check_count("vocab_size", vocab_size)
        if self.vocab_size**self.n >= 2**63:
            raise ValueError(
                f"n: expected V to the power of n below 2**63, got {vocab_size}**{n}: "
                "count fewer tokens together"
            )
        if not is_number(alpha) or not 0 <= alpha < 1e100:
            raise ValueError(f"alpha: expected 0 or more, got {alpha!r}: try 0.01")
        self.alpha = alpha
        self.grams = self.gram_counts = self.contexts = self.context_counts = np.zeros(0, np.int64)

    def keys(self, row: Ids) -> Ids:
        """Return each n tokens in a row as one whole number, (T − 1,); the start is repeated."""
        row = check_ids("row", row, self.vocab_size)
        if len(row) == 1:
            return np.zeros(0, np.int64)  # nothing stands after the first id
        row = np.concatenate([np.repeat(row[:1], self.n - 1), row[1:]])
        windows = np.lib.stride_tricks.sliding_window_view(row, self.n)  # (T − 1, n)
        return windows @ self.vocab_size ** np.arange(self.n)[::-1]

    def fit(self, rows: Sequence[Ids]) -> "NGram":
        """Count the n-grams of rows that begin and end with the end mark."""
        keys = np.concatenate([self.keys(row) for row in rows])
        self.grams, self.gram_counts = np.unique(keys, return_counts=True)
        self.contexts, self.context_counts = np.unique(keys // self.vocab_size, return_counts=True)
        return self

    def log_probabilities(self, keys: Ids) -> Array:
        """Return ln p of the last token of each n-gram, given the others; −∞ for the impossible."""
        gram = look_up(keys, self.grams, self.gram_counts) + self.alpha
        context = look_up(keys // self.vocab_size, self.contexts, self.context_counts)
        total = context + self.alpha * self.vocab_size
        with np.errstate(divide="ignore"):
            return np.log(np.divide(gram, total, where=total > 0, out=np.zeros_like(total)))

    def never_counted(self, row: Ids) -> NDArray[np.bool_]:
        """Return which n-grams of a row (T,) did not occur in the training text, (T − 1,)."""
        return look_up(self.keys(row), self.grams, self.gram_counts) == 0

    def row_log_probabilities(self, rows: Sequence[Ids]) -> list[float]:
        """Return ln p of each row after its first id."""
        return [float(self.log_probabilities(self.keys(row)).sum()) for row in rows]

    def next_probabilities(self, row: Ids) -> Array:
        """Return p of each token after a row of at least one: (V,)."""
        row = check_ids("row", row, self.vocab_size)
        context = self.keys(np.append(row, 0))[-1] // self.vocab_size
        return np.exp(
            self.log_probabilities(context * self.vocab_size + np.arange(self.vocab_size))
        )

    @property
    def parameters(self) -> int:
        """How many different n-grams were counted."""
        return len(self.grams)


def look_up(keys: Ids, known: Ids, counts: Ids) -> Array:
    """Return the count of each key, 0 for one that is not known, of the shape of keys."""
    if len(known) == 0:
        return np.zeros(keys.shape)
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[places] == keys, counts[places], 0.0)


def draw(scores: dict[str, float], floor: float, alphas: Array, curves: dict[str, Array]) -> Figure:
    """Draw bits per character for each kind of token, and against α."""
    figure = Figure(figsize=(8, 3.8))
    bars, smoothing = figure.subplots(1, 2)
    bars.barh(list(scores), list(scores.values()), color=BLUE)
    for place, height in enumerate(scores.values()):
        bars.text(height + 0.05, place, f"{height:.2f}", va="center")
    bars.axvline(floor, color=GRAY, linestyle="--", label=f"floor {floor:.2f}")
    bars.invert_yaxis()
    bars.set_xlim(0, 3.8)
    bars.grid(axis="y", visible=False)
    bars.set_xlabel("bits per character")
    bars.set_title("Longer tokens, longer memory")
    bars.legend()
    for (name, values), color in zip(curves.items(), (ORANGE, BLUE), strict=True):
        smoothing.semilogx(alphas, values, ".-", color=color, label=name)
    smoothing.set_ylim(0, None)
    smoothing.set_xlabel("α, added to every count")
    smoothing.set_ylabel("bits per character")
    smoothing.set_title("Word trigram: how much to add")
    smoothing.legend()
    figure.tight_layout()
    return figure


def main() -> None:
    """Count stories in characters, in byte pairs and in words, and judge all by one measure."""
    arguments = lesson_arguments(__doc__, __file__)
    texts = [story.text for story in stories("train", 0, 20_000)]
    told = list(stories("validation", 0, 500))
    characters = WordTokenizer.learn(texts, vocab_size=1)
    pairs = BPETokenizer.train(texts[:5000], 512)
    words = WordTokenizer.learn(texts, vocab_size=1000)

    print(f"{len(texts):,} stories counted, {len(told)} others scored, in bits per character")
    scores: dict[str, float] = {}
    kinds: tuple[tuple[str, Tokenizer, tuple[int, ...]], ...] = (
        ("characters", characters, (2, 3)),
        ("byte pairs", pairs, (2,)),
        ("words", words, (2, 3)),
    )
    for kind, tokenizer, orders in progress(kinds, "counting"):
        rows = [make_row(tokenizer, text) for text in texts]
        for n in orders:
            model = NGram(n, tokenizer.vocab_size).fit(rows)
            result = TextModel(tokenizer, model.row_log_probabilities).score(told)
            name = f"{ {2: 'bigram', 3: 'trigram'}[n] }, {kind}"
            scores[name] = result.bits_per_character
            print(
                f"  {name:19}  V = {tokenizer.vocab_size:3}  {model.parameters:5,} counts"
                f"  {result.bits_per_character:.3f}"
            )
    print(f"  floor                                     {result.floor:.3f}")

    # The loop ended with the trigram over words: it tells a story, and others look further back.
    print(tell(model.next_probabilities, words, np.random.default_rng(0)))

    print("words, further back; new: the share of n-grams in the other stories never counted")
    others = [make_row(words, story.text) for story in told]
    for n in range(3, 7):
        longer = NGram(n, words.vocab_size).fit(rows)
        new = np.concatenate([longer.never_counted(row) for row in others]).mean()
        result = TextModel(words, longer.row_log_probabilities).score(told)
        print(
            f"  n = {n}  {longer.parameters:7,} counts, new {new:5.1%}"
            f"   {result.bits_per_character:.3f}"
        )

    alphas = np.logspace(-4, 1, 11)
    curves = {}
    for count in (20, 20_000):
        model.fit(rows[:count])
        curves[f"{count:,} stories"] = np.zeros(len(alphas))
        for place, model.alpha in enumerate(alphas.tolist()):
            result = TextModel(words, model.row_log_probabilities).score(told)
            curves[f"{count:,} stories"][place] = result.bits_per_character
    few = NGram(3, words.vocab_size, alpha=0).fit(rows[:20])
    surprise = few.row_log_probabilities([make_row(words, story.text) for story in told])
    print(f"20 stories counted, α = 0: {np.isinf(surprise).sum()} of {len(told)} are impossible")
    finish(draw(scores, result.floor, alphas, curves), arguments)


if __name__ == "__main__":
    main()
