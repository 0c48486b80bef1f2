"""The word tokenizer gives every text back, and says which characters it lacks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InputError
from shared.stories import stories
from shared.word_tokenizer import END, WordTokenizer

TEXTS = [one.text for one in stories("train", 0, 400)]
TOKENIZER = WordTokenizer.learn(TEXTS, vocab_size=256)


def test_known_value():
    tokenizer = WordTokenizer([" ", ".", "M", "i", "k", "o", " had", " an", " egg"])
    pieces = [tokenizer.tokens[i] for i in tokenizer.encode(" Miko had an egg.")]
    assert pieces == [" ", "M", "i", "k", "o", " had", " an", " egg", "."]


def test_held_out_stories_come_back():
    for one in stories("validation", 0, 100):
        ids = TOKENIZER.encode(one.text)
        assert TOKENIZER.decode(ids) == one.text
        assert END not in ids


@given(st.text(alphabet=TOKENIZER.characters))
def test_any_text_of_known_characters_comes_back(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(st.lists(st.text(min_size=1), min_size=1))
def test_any_text_comes_back_to_who_learned_it(documents):
    tokenizer = WordTokenizer.learn(documents, vocab_size=50, min_documents=1)
    for text in documents:
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_names_are_spelled_and_words_are_not():
    pieces = [TOKENIZER.tokens[i] for i in TOKENIZER.encode(" Zuriru gave the kite to Anna.")]
    assert pieces == [" ", *"Zuriru", " gave", " the", " kite", " to", " Anna", "."]


def test_a_word_must_be_in_enough_documents():
    tokenizer = WordTokenizer.learn(["sun sun sun", "moon", "moon"], 50, min_documents=2)
    assert "moon" in tokenizer.tokens
    assert "sun" not in tokenizer.tokens


def test_vocabulary_size_is_kept_but_no_character_is_lost():
    for size in (5, 60, 100):
        tokenizer = WordTokenizer.learn(TEXTS, size)
        characters = set("".join(TEXTS))
        assert tokenizer.vocab_size == max(size, 1 + len(characters))
        assert set(tokenizer.characters) == characters


def test_learning_twice_gives_the_same():
    assert WordTokenizer.learn(reversed(TEXTS), 256).tokens == TOKENIZER.tokens


def test_unknown_character_is_named():
    with pytest.raises(InputError, match="got 'ß'"):
        TOKENIZER.encode("Once upon a time there was a gro\u00df")


def test_saved_and_loaded():
    again = WordTokenizer.from_json(TOKENIZER.to_json())
    assert again.tokens == TOKENIZER.tokens
    assert again.encode(TEXTS[0]) == TOKENIZER.encode(TEXTS[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a saved word tokenizer"),
        ("[1]", "expected a saved word tokenizer"),
        ("{}", "expected a saved word tokenizer"),
        (json.dumps({"format": "bpe", "version": 1, "tokens": []}), "got 'bpe' version 1"),
        (json.dumps({"format": "words", "version": 9, "tokens": []}), "got 'words' version 9"),
        (json.dumps({"format": "words", "version": 1, "tokens": ["a", "a"]}), "duplicates"),
    ],
)
def test_damaged_file_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        WordTokenizer.from_json(text)
