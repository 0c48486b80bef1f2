"""Training: rows by hand, a judge that counts whole rows, tasks learned, the committed weights."""

import sys

import numpy as np
import pytest

from phase_00.softmax import softmax
from phase_02.optimizers import Adam
from phase_05 import train_gpt_numpy
from phase_05.gpt_numpy import GPT
from phase_05.train_gpt_numpy import (
    BAR,
    DIGITS,
    PHASE,
    STEPS,
    TASKS,
    draw_task,
    next_probabilities,
    overfit,
    share_right,
    story_gpt,
    train,
    train_on_stories,
    train_on_task,
)
from shared.ladder import load, measure
from shared.language_model import TextModel, make_row
from shared.stories import stories
from shared.weights import load_arrays
from shared.word_tokenizer import WordTokenizer


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def texts():
    return [story.text for story in stories("train", 0, 20_000)]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return WordTokenizer.learn(texts, vocab_size=1000)


class Given:
    """Stands in for a generator and gives the digits of the docstring."""

    def integers(self, high, size):
        assert (high, size) == (10, (1, DIGITS))
        return np.array([[4, 7, 0, 7, 1, 9]])


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("copy", [4, 7, 0, 7, 1, 9]),
        ("reverse", [9, 1, 7, 0, 7, 4]),
        ("sort", [0, 1, 4, 7, 7, 9]),
    ],
)
def test_rows_by_hand(task, answer):
    ids, counts = draw_task(task, 1, Given())
    assert ids.tolist() == [[4, 7, 0, 7, 1, 9, BAR, *answer]]
    assert counts.tolist() == [[False] * 7 + [True] * 6]


@pytest.mark.parametrize("task", TASKS)
def test_drawn_rows_have_all_digits_one_bar_and_their_answer(task):
    ids, counts = draw_task(task, 500, rng())
    assert ids.shape == counts.shape == (500, 2 * DIGITS + 1)
    assert set(ids[:, :DIGITS].ravel().tolist()) == set(range(10))
    assert (ids[:, DIGITS] == BAR).all()
    answers = {"copy": list, "reverse": lambda d: d[::-1], "sort": sorted}
    for row in ids.tolist():
        assert row[DIGITS + 1 :] == answers[task](row[:DIGITS])


class Sorter:
    """A model that knows the answer; of some rows it gets one place wrong."""

    def __init__(self, mistakes=()):
        self.mistakes, self.widths = dict(mistakes), []

    def forward(self, written):
        self.widths.append(written.shape[1])
        place = written.shape[1] - DIGITS - 1
        digit = np.sort(written[:, :DIGITS], axis=1)[:, place]
        for row, wrong in self.mistakes.items():
            if wrong == place:
                digit[row] = (digit[row] + 1) % 10
        # only what is said at the last place is asked for
        said = np.zeros((*written.shape, BAR + 1))
        said[np.arange(len(written)), -1, digit] = 1
        return said


def test_a_model_that_knows_the_answer_gets_everything_right_without_seeing_it():
    model, ids = Sorter(), draw_task("sort", 20, rng())[0]
    assert share_right(model, ids) == 1
    assert model.widths == [7, 8, 9, 10, 11, 12]


@pytest.mark.parametrize("place", range(DIGITS))
def test_one_mistake_spoils_one_row(place):
    ids = draw_task("sort", 20, rng())[0]
    assert share_right(Sorter({3: place}), ids) == 19 / 20
    assert share_right(Sorter({3: place, 7: 0}), ids) == 18 / 20


def test_a_model_goes_on_from_what_it_wrote_itself():
    ids, seen = draw_task("sort", 4, rng())[0], []

    class Watched(Sorter):
        def forward(self, written):
            seen.append(written.copy())
            return super().forward(written)

    share_right(Watched({2: 0}), ids)
    assert (seen[1][2, -1] == (ids[2, DIGITS + 1] + 1) % 10) and seen[1][1, -1] == ids[1, 7]


def test_training_reduces_the_loss_and_begins_near_chance():
    model, losses, right = train_on_task("copy", steps=60)
    assert len(losses) == 60 and model.parameters == 6960
    assert abs(losses[0] - np.log(BAR + 1)) < 0.5
    assert np.mean(losses[-5:]) < losses[0] - 0.15
    assert 0 <= right < 0.5


def test_training_comes_from_the_seed():
    (_, one, _), (_, same, _), (_, other, _) = (train_on_task("sort", 3, s) for s in (3, 3, 4))
    assert one == same and one != other


def test_what_does_not_count_teaches_nothing():
    ids, counts = draw_task("sort", 8, rng())
    counts = counts.copy()
    counts[:, -1] = False
    other = ids.copy()
    other[:, -1] = (ids[:, -1] + 1) % 10  # the last id is only ever a target

    def losses(rows):
        return train(GPT(BAR + 1, 12, 1, 2, 4, rng()), lambda: (rows, counts), 4)

    assert losses(ids) == losses(other)


def test_the_learning_rate_rises_then_falls_and_gradients_are_clipped(monkeypatch):
    rates, lengths = [], []

    class Watched(Adam):
        def step(self, grads):
            rates.append(self.learning_rate)
            lengths.append(np.sqrt(sum(float((g**2).sum()) for g in grads.values())))
            super().step(grads)

    monkeypatch.setattr(train_gpt_numpy, "Adam", Watched)
    model = GPT(BAR + 1, 12, 1, 2, 4, rng())
    model.params["token_embedding.W"][...] *= 10  # long gradients
    r = rng(1)
    train(model, lambda: draw_task("sort", 8, r), 40, learning_rate=0.01)
    assert rates[1] == max(rates) == pytest.approx(0.01)
    assert rates[0] < rates[1] and rates[1:] == sorted(rates[1:], reverse=True)
    assert max(lengths) <= 1 + 1e-5 and max(lengths) > 0.99


def test_models_are_smaller_than_ten_thousand(tokenizer):
    assert tokenizer.vocab_size == 229
    assert story_gpt(tokenizer, rng()).parameters == 8460


def test_probabilities_are_those_of_the_last_place(tokenizer):
    model, row = story_gpt(tokenizer, rng()), np.array([0, 5, 9])
    p = next_probabilities(model)(row)
    assert p.shape == (229,) and p.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(p, softmax(model.forward(row[None]))[0, 2])


def test_training_on_stories_begins_near_chance_and_learns(texts, tokenizer):
    _, losses = train_on_stories(texts[:200], tokenizer, 30)
    assert len(losses) == 30
    assert abs(losses[0] - np.log(229)) < 0.5
    assert losses[-1] < losses[0] - 0.7


def test_overfitting_begins_near_chance_and_falls(texts, tokenizer):
    losses = overfit(texts[:2], tokenizer, steps=20)
    assert abs(losses[0] - np.log(229)) < 0.5
    assert losses[-1] < losses[0] - 1


@pytest.mark.slow
def test_two_stories_are_learned_by_heart(texts, tokenizer):
    assert overfit(texts[:2], tokenizer)[-1] < 0.01


@pytest.mark.slow
def test_six_digits_are_sorted():
    model, _, right = train_on_task("sort", seed=1)
    assert model.parameters < 10_000
    assert right >= 0.95


def test_the_committed_weights_are_those_of_the_story_model(tokenizer):
    (rung,) = load(PHASE / "ladder.json")
    assert (rung.name, rung.tokens, rung.parameters) == ("GPT, NumPy", "words", 8460)
    assert rung.gap > 0
    arrays = load_arrays(PHASE / "gpt_stories.npz")
    model = story_gpt(tokenizer, rng())
    assert {name: array.shape for name, array in arrays.items()} == {
        name: array.shape for name, array in model.params.items()
    }
    model.load(PHASE / "gpt_stories.npz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(model.params[name], array)


@pytest.mark.slow
def test_the_committed_weights_score_what_the_committed_rung_says(tokenizer):
    (rung,) = load(PHASE / "ladder.json")
    model = story_gpt(tokenizer, rng())
    model.load(PHASE / "gpt_stories.npz")
    told = TextModel(tokenizer, model.row_log_probabilities)
    fresh = measure(rung.name, rung.tokens, told, model.parameters, rung.seconds)
    assert fresh.bits_per_character == pytest.approx(rung.bits_per_character, abs=1e-6)
    assert fresh.floor == pytest.approx(rung.floor, abs=1e-12)
    assert fresh.probes == rung.probes


@pytest.mark.slow
def test_the_command_writes_everything(tmp_path, monkeypatch, capsys, tokenizer):
    out = tmp_path / "new"
    given = ["--steps", "3", "--task-steps", "3", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["train_gpt_numpy.py", *given])
    train_gpt_numpy.main()
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == {
        "gpt_stories.npz",
        "ladder.json",
        "figures/train_gpt_numpy.png",
    }
    (rung,) = load(out / "ladder.json")
    assert (rung.name, rung.tokens, rung.parameters) == ("GPT, NumPy", "words", 8460)
    story_gpt(tokenizer, rng(9)).load(out / "gpt_stories.npz")
    said = capsys.readouterr().out
    assert f"{rung.bits_per_character:.3f} bits per character" in said
    assert all(f"{task} six digits, 6,960 parameters" in said for task in TASKS)


def test_the_command_explains_its_defaults(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train_gpt_numpy.py", "--help"])
    with pytest.raises(SystemExit) as end:
        train_gpt_numpy.main()
    assert end.value.code == 0
    assert f"(default {STEPS:,})" in capsys.readouterr().out


def too_long(tokenizer):
    return overfit([" ".join(["cat"] * 200)], tokenizer, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: draw_task("add", 1, rng()), "task: expected one of copy, reverse, sort, got"),
        (lambda _: draw_task("sort", 0, rng()), "count: expected a whole number of at least 1"),
        (lambda _: train_on_task("sort", 0), "steps: expected a whole number of at least 1"),
        (lambda _: train_on_task("add", 1), "task: expected one of"),
        (lambda tokenizer: overfit([], tokenizer), "rows: expected sequences .* got lengths"),
        (too_long, "x: expected at most 160 tokens in a sequence"),
        (lambda tokenizer: train_on_stories(["a"], tokenizer, 0), "steps: expected a whole number"),
    ],
)
def test_bad_input_is_refused(call, message, tokenizer):
    with pytest.raises(ValueError, match=message):
        call(tokenizer)


def test_every_story_is_read_with_its_end_and_filler_does_not_count(monkeypatch):
    drawn = []

    def record(model, draw_batch, steps, **settings):
        drawn.extend(draw_batch() for _ in range(40))
        return []

    monkeypatch.setattr(train_gpt_numpy, "train", record)
    texts = ["a" * length for length in range(1, 61)]
    tokenizer = WordTokenizer(["a"])
    train_gpt_numpy.train_on_stories(texts, tokenizer, steps=1)
    train_gpt_numpy.overfit(["a", "aaa"], tokenizer)
    lengths = set()
    for ids, real in drawn:
        for row, is_real in zip(ids, real, strict=True):
            told = row[is_real]
            assert told[0] == told[-1] == tokenizer.end
            assert (told[1:-1] == 1).all()
            assert is_real[: len(told)].all()  # real first, then filler
            lengths.add(len(told) - 2)
    assert lengths == set(range(1, 61))
    assert drawn[0][0].shape[0] == 16


def test_no_stories_are_refused():
    with pytest.raises(ValueError, match="texts: expected at least one"):
        train_gpt_numpy.train_on_stories([], WordTokenizer(["a"]), steps=1)


def test_copied_letters_are_those_of_the_second_name(monkeypatch):
    told = list(stories("validation", 0, 3))
    tokenizer = WordTokenizer.learn([story.text for story in told], vocab_size=1)

    class Knows:
        """Sure of every vowel that comes next, and of nothing else."""

        def forward(self, ids):
            names = [tokenizer.ids[letter] for letter in "aeiou"]
            z = np.zeros((1, ids.shape[1], tokenizer.vocab_size))
            row = make_row(tokenizer, self.text, ended=False)
            for place, after in enumerate(row[1:]):
                z[0, place, after] = 50.0 if after in names else -50.0
            return z

    for story in told:
        model = Knows()
        beginning = story.text.split(".")[0] + ". "
        model.text = beginning + beginning.split(" named ")[1].removesuffix(". ")
        shares = train_gpt_numpy.copied_letters(model, tokenizer, [story])
        assert shares["vowels"] > 0.99
        assert shares["first letter"] < 1e-9 > shares["other consonants"]
