"""Rows of tokens: made anew from a step's number, held-out text never trained on."""

import re

import pytest
import torch
from torch.nn import functional as F

from phase_08.config import PRESETS, DataConfig, make_parser, parse_run
from phase_08.data import IGNORE, POOL, StoryData, TextData, characters, load_data, pad, read_text
from shared.errors import InputError
from shared.stories import STORIES, story, tell
from shared.word_tokenizer import END, WordTokenizer

CONFIG = DataConfig(batch_size=4)


@pytest.fixture(scope="module")
def told():
    return StoryData(CONFIG, block_size=160, seed=0)


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("The sun rose. A bird sang! Nobody heard it, as ever.\n" * 60, encoding="utf-8")
    return path


def test_a_batch_depends_on_its_number_only(told, book):
    again = StoryData(CONFIG, block_size=160, seed=0)
    backwards = {step: again.batch(step) for step in reversed(range(40))}
    assert all(told.batch(step) == backwards[step] for step in range(40))
    assert StoryData(CONFIG, 160, seed=1).batch(0) != told.batch(0)

    config = DataConfig(path=str(book), batch_size=4)
    one, other = (TextData(config, block_size=8, seed=0) for _ in range(2))
    assert one.batch(7) == [*map(list, other.batch(7))] != one.batch(8)


def test_story_rows_are_whole_stories_and_none_comes_twice(told):
    rows = [row for step in range(3 * POOL) for row in told.batch(step)]
    texts = [told.tokenizer.decode(row) for row in rows]
    assert sorted(texts) == sorted(story(seed).text for seed in range(len(rows)))
    assert all(row[0] == row[-1] == END and END not in row[1:-1] for row in rows)
    assert len(set(texts)) == len(texts) == 3 * POOL * 4


def test_validation_heroes_are_never_trained_on(told):
    def heroes(rows):
        return {re.findall(r"named (\w+)", told.tokenizer.decode(row))[0] for row in rows}

    trained = heroes(row for step in range(200) for row in told.batch(step))
    held_out = told.validation(100)
    assert not trained & heroes(held_out.rows)
    assert held_out.characters == [len(one.text) + 1 for one in held_out.stories]
    texts = [told.tokenizer.decode(row) for row in held_out.rows]
    assert texts == [one.text for one in held_out.stories]


class LongestTeller:
    """Chooses what takes most tokens, to find the longest story."""

    def __init__(self, tokenizer):
        self.tokenizer, self.text = tokenizer, ""

    def say(self, text):
        self.text += text

    def choose(self, options, after):
        index = max(range(len(options)), key=lambda i: len(self.tokenizer.encode(options[i])))
        self.text += options[index] + after
        return index

    def invent(self, syllables):
        self.text += "Zuzuzu"
        return "Zuzuzu"

    def contrast(self, phenomenon, right, wrong):
        pass


def test_the_longest_story_fits_the_preset():
    config, _ = parse_run(make_parser(""), ["--config", str(PRESETS / "stories_5min.yaml")])
    data = StoryData(config.data, config.model.block_size, seed=0)
    teller = LongestTeller(data.tokenizer)
    tell(teller, STORIES)
    needed = len(data.tokenizer.encode(teller.text)) + 1
    longest_seen = max(len(row) - 1 for row in data.validation(2000).rows)
    assert longest_seen <= needed <= config.model.block_size


def test_a_block_too_small_for_the_stories_is_refused():
    with pytest.raises(InputError, match="expected room for a story of 1"):
        StoryData(CONFIG, block_size=60, seed=0)


def test_text_windows_come_from_the_training_part_and_validation_covers_the_rest(book):
    data = TextData(DataConfig(path=str(book), batch_size=4), block_size=8, seed=0)
    text = read_text(book)
    cut = len(text) * 9 // 10
    assert data.tokenizer.decode(data.ids) == text[:cut]
    for step in range(50):
        for row in data.batch(step):
            assert len(row) == 9
            assert data.tokenizer.decode(row) in text[:cut]
    held_out = data.validation(10_000)
    covered = [held_out.rows[0][0]] + [token for row in held_out.rows for token in row[1:]]
    assert data.tokenizer.decode(covered) == text[cut:]
    first = len(data.tokenizer.tokens[covered[0]])
    assert sum(held_out.characters) == len(text) - cut - first
    assert held_out.stories == []
    assert len(data.validation(3).rows) == 3


def test_characters_by_hand():
    tokenizer = WordTokenizer(["a", "b", " word"])
    assert characters([END, 1, 3, 2, END], tokenizer) == 1 + 5 + 1 + 1


def test_padding_does_not_count():
    rows = [[0, 5, 6, 0], [0, 7, 0]]
    inputs, targets = pad(rows)
    assert inputs.tolist() == [[0, 5, 6], [0, 7, END]]
    assert targets.tolist() == [[5, 6, 0], [7, 0, IGNORE]]
    assert pad(rows, width=5)[0].shape == (2, 5)

    logits = torch.randn(2, 3, 8)
    together = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
    alone = [
        F.cross_entropy(logits[i, : len(row) - 1], targets[i, : len(row) - 1], reduction="sum")
        for i, row in enumerate(rows)
    ]
    torch.testing.assert_close(together, sum(alone) / 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a text file, got .*No such file"),
        (b"", "expected text, got nothing"),
        (b" \n \n", "expected text, got nothing"),
        (b"caf\xe9 au lait" * 100, "expected UTF-8 text, got byte 0xe9 at 3"),
        (b"too short", "expected more than 8 tokens of training text .*, got 8"),
    ],
)
def test_a_bad_text_file_is_refused(content, message, tmp_path):
    path = tmp_path / "book.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_data(DataConfig(path=str(path)), block_size=8, seed=0)
    assert "\n" not in str(caught.value)
