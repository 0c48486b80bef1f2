"""Byte pairs: merges worked by hand, any bytes there and back, files that are not what they say."""

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase_03.bpe import BPETokenizer, cut, merge
from shared.stories import stories

TRAINED = BPETokenizer.train([story.text for story in stories("train", 0, 200)], 400)


def test_merges_by_hand():
    # "aab" 3 times and "ab" once: (a, b) stands 4 times, (a, a) 3 times; then (a, ab) 3 times
    tokenizer = BPETokenizer.train(["aab aab", "aab.ab"], 259, pattern=r"\w+|\W")
    assert tokenizer.merges == [(97, 98), (97, 256)]
    assert tokenizer.tokens[256:] == [b"ab", b"aab"]
    assert tokenizer.encode("aaab") == [97, 257]
    assert tokenizer.vocab_size == 259
    assert tokenizer.end == 258


def test_a_merge_goes_from_left_to_right():
    assert merge([1, 1, 1, 2], (1, 1), 9) == [9, 1, 2]
    assert merge([1, 2, 1, 2], (1, 2), 9) == [9, 9]
    assert merge([2, 1], (1, 2), 9) == [2, 1]
    assert merge([], (1, 2), 9) == []


def test_merges_are_those_of_counting_anew_each_time():
    """The slow way, without bookkeeping: count all pairs in all words before each merge."""
    texts = [story.text for story in stories("train", 0, 30)]
    tokenizer = BPETokenizer.train(texts, 320)
    words = [list(piece.encode()) for text in texts for piece in tokenizer.pattern.findall(text)]
    for new, merged in enumerate(tokenizer.merges, start=256):
        pairs = [pair for word in words for pair in pairwise(word)]
        count = {pair: pairs.count(pair) for pair in set(pairs)}
        assert count[merged] == max(count.values())
        words = [merge(word, merged, new) for word in words]
    assert [i for word in words for i in word] == [i for t in texts for i in tokenizer.encode(t)]


@given(st.binary(max_size=200))
def test_any_bytes_come_back(data):
    ids = TRAINED.encode(data)
    assert TRAINED.decode_bytes(ids) == data
    assert all(0 <= i < TRAINED.end for i in ids)


@given(st.text(st.characters(codec="utf-8"), max_size=100))
def test_any_text_comes_back(text):
    assert TRAINED.decode(TRAINED.encode(text)) == text
    assert TRAINED.encode(text) == TRAINED.encode(text.encode())


def test_no_token_crosses_from_word_to_word():
    for token in TRAINED.tokens:
        assert len(TRAINED.pattern.findall(token.decode(errors="replace"))) == 1


def test_five_megabytes_in_half_a_minute():
    texts = [story.text for story in stories("train", 0, 16_500)]
    assert sum(len(text.encode()) for text in texts) > 5e6
    start = time.process_time()
    tokenizer = BPETokenizer.train(texts, 512)
    assert time.process_time() - start < 30
    assert tokenizer.vocab_size == 512


def test_training_stops_when_nothing_is_left_to_merge():
    assert BPETokenizer.train(["ab"], 300).vocab_size == 257
    assert BPETokenizer.train(["abab"], 300).merges == [(97, 98)]


def test_the_end_mark_becomes_nothing():
    assert TRAINED.decode([TRAINED.end, *TRAINED.encode("fox"), TRAINED.end]) == "fox"


def test_saved_and_loaded_is_the_same(tmp_path):
    TRAINED.save(tmp_path / "bpe.json")
    loaded = BPETokenizer.load(tmp_path / "bpe.json")
    assert loaded.merges == TRAINED.merges
    assert loaded.pattern == TRAINED.pattern
    assert loaded.encode("There Miko met an owl.") == TRAINED.encode("There Miko met an owl.")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda saved: saved | {"version": 2}, "of version 1, got format 'bpe' version 2: use"),
        (lambda saved: saved | {"format": "words"}, "got format 'words'"),
        (lambda saved: saved | {"merges": [[97, 300]]}, "damaged .* pairs of tokens below 256"),
        (lambda saved: saved | {"merges": [[97, 98], [97, 98]]}, "damaged"),
        (lambda saved: saved | {"merges": [[97]]}, "damaged"),
        (lambda saved: saved | {"merges": None}, "damaged"),
        (lambda saved: saved | {"merges": [[97.9, 98.9]]}, "damaged"),
        (lambda saved: saved | {"merges": [["97", "98"]]}, "damaged"),
        (lambda saved: saved | {"merges": [[float("inf"), 1]]}, "damaged"),
        (lambda saved: saved | {"pattern": "a{99999999999}"}, "damaged"),
        (lambda saved: saved | {"pattern": "("}, "damaged"),
        (lambda saved: {"merges": []}, "damaged"),
        (lambda saved: [], "damaged"),
    ],
)
def test_a_wrong_file_is_refused(change, message, tmp_path):
    path = tmp_path / "bpe.json"
    TRAINED.save(path)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(ValueError, match=f"bpe.json: expected a saved BPE tokenizer .*{message}"):
        BPETokenizer.load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1, 2"])
def test_a_file_cut_short_is_refused(content, tmp_path):
    (tmp_path / "bpe.json").write_bytes(content)
    with pytest.raises(ValueError, match="damaged file"):
        BPETokenizer.load(tmp_path / "bpe.json")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BPETokenizer.train(["abc"], 256), "vocab_size: expected at least 257, .* got 256"),
        (lambda: BPETokenizer.train(["abc"], 0), "vocab_size: expected a whole number"),
        (lambda: BPETokenizer.train([], 300), "texts: expected some text, got none"),
        (lambda: BPETokenizer.train([""], 300), "texts: expected some text, got none"),
        (lambda: TRAINED.decode([0, TRAINED.vocab_size]), "ids: expected token ids from 0 to 399"),
        (lambda: TRAINED.decode([-1]), "got -1 to -1: use the tokenizer"),
        (lambda: TRAINED.encode("\ud800"), "half of a surrogate pair at 0"),
        (lambda: BPETokenizer([], pattern="a").encode("ab"), "leaves no character out, got 'a'"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BPETokenizer.train("abcabc", 300), "got one string"),
        (lambda: BPETokenizer.train(["\ud800 "], 300), "half of a surrogate pair"),
        (lambda: BPETokenizer.train(["a b"], 300, r"\w+"), "leaves no character out"),
        (lambda: BPETokenizer.train(["a b"], 300, "("), "pattern: expected a regular expression"),
        (lambda: BPETokenizer.train(["a b"], 300, "(a)|(.)"), "pattern: expected no groups"),
        (lambda: TRAINED.decode([1.0]), "ids: expected token ids"),
        (lambda: TRAINED.decode([-1]), "ids: expected token ids"),
        (lambda: TRAINED.decode([TRAINED.vocab_size]), "ids: expected token ids"),
    ],
)
def test_what_cannot_be_trained_on_or_decoded_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_was_encoded_cannot_spoil_what_will_be():
    ids = TRAINED.encode("the")
    ids.append(999)
    assert TRAINED.encode("the") == ids[:-1]


def test_pieces_of_a_text():
    text = "Don't 42 __init__  x\n\n ¿qué?"
    assert cut(text, BPETokenizer([]).pattern) == [
        "Don", "'t", " 42", " __", "init", "__", " ", " x", "\n\n", " ¿", "qué", "?",
    ]  # fmt: skip
