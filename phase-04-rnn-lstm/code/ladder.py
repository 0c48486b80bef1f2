"""The ladder so far: all language models of phases 3 and 4 on the same held-out stories.

    bits per character = −Σ log₂ p(story) / Σ characters        gap = bits per character − floor

p(story) is what a model gives a story and its end mark, whatever its tokens; the end counts as one
character. The floor is the same number for the storyteller itself. The probes ask five questions,
one skill at a time.

Training all models takes about five minutes on one core. The rungs are written to ``ladder.json``
in this phase. Run ``python phase-04-rnn-lstm/code/ladder.py``; ``make ladder`` adds those of the
later phases and makes the table of the root README.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from phase_03.bpe import BPETokenizer
from phase_03.neural_lm import train_on_stories as train_neural
from phase_03.ngram import NGram
from phase_04.language_model import CELLS
from phase_04.language_model import train_on_stories as train_recurrent
from shared.ladder import Rung, draw, measure, save, table
from shared.language_model import RowLogProbabilities, TextModel, Tokenizer, make_row
from shared.plotting import save_figure
from shared.script import shown
from shared.stories import stories
from shared.word_tokenizer import WordTokenizer

PHASE = Path(__file__).resolve().parents[1]
Trained = tuple[RowLogProbabilities, int]  # a model, and how many parameters it has


def contestants(
    texts: list[str], steps: int
) -> list[tuple[str, str, Tokenizer, Callable[[], Trained]]]:
    """Return the name, the kind of tokens, the tokenizer and the training of each model."""
    characters = WordTokenizer.learn(texts, vocab_size=1)
    pairs = BPETokenizer.train(texts[:5000], 512)
    words = WordTokenizer.learn(texts, vocab_size=1000)

    def count(n: int, tokenizer: Tokenizer) -> Callable[[], Trained]:
        def train() -> Trained:
            rows = [make_row(tokenizer, text) for text in texts]
            model = NGram(n, tokenizer.vocab_size).fit(rows)
            return model.row_log_probabilities, model.parameters

        return train

    def neural() -> Trained:
        model, _ = train_neural(texts, words)
        size = sum(array.size for array in model.params.values())
        return model.row_log_probabilities, size

    def recurrent(cell: str) -> Callable[[], Trained]:
        def train() -> Trained:
            model, _ = train_recurrent(cell, texts, words, steps)
            return model.row_log_probabilities, model.parameters

        return train

    return [
        ("bigram", "characters", characters, count(2, characters)),
        ("bigram", "byte pairs", pairs, count(2, pairs)),
        ("bigram", "words", words, count(2, words)),
        ("trigram", "words", words, count(3, words)),
        ("neural LM", "words", words, neural),
        *((cell, "words", words, recurrent(cell)) for cell in CELLS),
    ]


def build(texts: list[str], steps: int) -> list[Rung]:
    """Train and measure all models, one after the other."""
    rungs = []
    for name, tokens, tokenizer, train in contestants(texts, steps):
        start = time.perf_counter()
        row_log_probabilities, parameters = train()
        seconds = time.perf_counter() - start
        model = TextModel(tokenizer, row_log_probabilities)
        rungs.append(measure(name, tokens, model, parameters, seconds))
        last = rungs[-1]
        print(f"{name}, {tokens}: {last.bits_per_character:.4f} bits per character", flush=True)
    return rungs


def main() -> None:
    """Build the rungs of this phase and the one before, and their figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--steps", type=int, default=10_000, help="training steps of the recurrent models"
    )
    parser.add_argument(
        "--stories", type=int, default=20_000, help="how many stories are read (default 20,000)"
    )
    parser.add_argument(
        "--out", type=Path, default=PHASE, metavar="FOLDER", help=f"default {shown(PHASE)}"
    )
    arguments = parser.parse_args()
    texts = [story.text for story in stories("train", 0, arguments.stories)]
    rungs = build(texts, arguments.steps)
    print(table(rungs))
    (arguments.out / "figures").mkdir(parents=True, exist_ok=True)
    save_figure(draw(rungs), arguments.out / "figures/ladder.png")
    save(rungs, arguments.out / "ladder.json")
    print(f"wrote {shown(arguments.out / 'figures/ladder.png')} and ladder.json")


if __name__ == "__main__":
    main()
