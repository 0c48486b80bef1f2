"""Byte-pair encoding: tokens that are learned from text, and that can write anything.

    start      256 tokens, one for each byte
    train      find the pair of neighbours that occurs most often; make it one token; again
    encode     cut the text into pieces, spell each in bytes, redo the merges in their order
    decode     put the bytes of the tokens in a row

A text of T characters becomes a list of ids, each from 0 to V − 1. The last id is the end mark,
which no text contains: it stands between documents. With V = 512 there are 256 bytes, 255 merges
and the end mark; GPT-2 has 256, 50,000 and 1.

A *piece* is a word with the space before it, a number, or some punctuation. Merges never cross from
piece to piece, so that "fox." and "fox" share the token for the animal. Bytes, not characters, are
the start: there are only 256, and every text in every script is made of them, so no text is ever
unknown.

Gage 1994, "A New Algorithm for Data Compression"; Sennrich, Haddow & Birch 2015, "Neural Machine
Translation of Rare Words with Subword Units". Worked by hand in ``notes/bpe.md``. Run
``python phase-03-embeddings/code/bpe.py``.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from matplotlib.figure import Figure

from shared.checks import check_count
from shared.language_model import check_ids
from shared.plotting import BLUE, GRAY
from shared.progress import progress
from shared.script import finish, lesson_arguments
from shared.stories import stories

Pair = tuple[int, int]

BYTES = 256
# Ends of words such as 's, words, numbers, punctuation; then spaces, but the last before a word.
PIECES = r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+"


class BPETokenizer:
    """Texts to ids and back.

    Parameters
    ----------
    merges
        The pairs that become one token, in the order in which they were learned. The first makes
        token 256.
    pattern
        A regular expression for the pieces of a text.

    Raises
    ------
    ValueError
        If a pair is made of tokens that do not exist before it.
    """

    def __init__(self, merges: Sequence[Pair], pattern: str = PIECES) -> None:
        self.merges: list[Pair] = [(left, right) for left, right in merges]
        self.pattern = compile_pattern(pattern)
        self.ranks: dict[Pair, int] = {}
        self.tokens = [bytes([byte]) for byte in range(BYTES)]  # what each token stands for
        for left, right in self.merges:
            known = len(self.tokens)
            if not (0 <= left < known and 0 <= right < known) or (left, right) in self.ranks:
                raise ValueError(
                    f"merges: expected new pairs of tokens below {known}, got {(left, right)}: "
                    "keep the order in which they were learned"
                )
            self.ranks[left, right] = known
            self.tokens.append(self.tokens[left] + self.tokens[right])
        self.spelled: dict[bytes, tuple[int, ...]] = {}  # pieces that were already encoded

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, pattern: str = PIECES) -> "BPETokenizer":
        """Learn merges from texts until there are ``vocab_size`` tokens, or nothing to merge.

        Raises
        ------
        ValueError
            If ``vocab_size`` leaves no room for the bytes and the end mark, or there is no text.
        """
        if check_count("vocab_size", vocab_size) < BYTES + 1:
            raise ValueError(
                f"vocab_size: expected at least {BYTES + 1}, one for each byte and the end mark, "
                f"got {vocab_size}: choose a larger one"
            )
        if isinstance(texts, str):
            raise ValueError("texts: expected a list of strings, got one string: write [text]")
        compiled = compile_pattern(pattern)
        pieces: Counter[bytes] = Counter()
        for text in texts:
            pieces.update(to_bytes(piece) for piece in cut(text, compiled))
        if not pieces:
            raise ValueError("texts: expected some text, got none: give a list of strings")
        words, times = [list(piece) for piece in pieces], list(pieces.values())

        # How often each pair occurs, and in which words, kept up to date from merge to merge.
        count: Counter[Pair] = Counter()
        found_in: dict[Pair, set[int]] = defaultdict(set)
        for i, word in enumerate(words):
            for pair in pairwise(word):
                count[pair] += times[i]
                found_in[pair].add(i)
        merges: list[Pair] = []
        for new in progress(range(BYTES, vocab_size - 1), "merging"):
            best = max(count, key=lambda pair: (count[pair], pair), default=None)
            if best is None or count[best] < 2:
                break
            merges.append(best)
            for i in found_in.pop(best):
                for pair in pairwise(words[i]):
                    count[pair] -= times[i]
                words[i] = merge(words[i], best, new)
                for pair in pairwise(words[i]):
                    count[pair] += times[i]
                    found_in[pair].add(i)
            del count[best]
        return cls(merges, pattern)

    @property
    def vocab_size(self) -> int:
        """V, the number of tokens, the end mark included."""
        return len(self.tokens) + 1

    @property
    def end(self) -> int:
        """The id of the end mark."""
        return len(self.tokens)

    def encode(self, text: str | bytes) -> list[int]:
        """Return the ids of a text, or of any bytes.

        Raises
        ------
        ValueError
            If the text is no text (half of a surrogate pair), or the pattern leaves parts out.
        """
        data = text if isinstance(text, bytes) else to_bytes(text)
        text = data.decode(errors="surrogateescape")  # what is no UTF-8 keeps its byte
        ids: list[int] = []
        for piece in cut(text, self.pattern):
            ids += self.spell(piece.encode(errors="surrogateescape"))
        return ids

    def spell(self, piece: bytes) -> tuple[int, ...]:
        """Return the ids of one piece: the merge that was learned first comes first.

        It takes as many passes over the piece as there are merges in it: seconds for a piece of
        100,000 letters without a space.
        """
        if piece not in self.spelled:
            ids = list(piece)
            while len(ids) > 1:
                best = min(pairwise(ids), key=lambda p: self.ranks.get(p, 1 << 30))
                if best not in self.ranks:
                    break
                ids = merge(ids, best, self.ranks[best])
            self.spelled[piece] = tuple(ids)
        return self.spelled[piece]

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of some ids; end marks become nothing.

        Raises
        ------
        ValueError
            If an id is unknown.
        """
        ids = list(ids)
        if not ids:
            return b""
        known = check_ids("ids", ids, self.vocab_size).ravel().tolist()
        return b"".join(self.tokens[i] for i in known if i != self.end)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of some ids; bytes that are no UTF-8 are shown as �."""
        return self.decode_bytes(ids).decode(errors="replace")

    def save(self, path: Path) -> None:
        """Write the tokenizer as JSON."""
        saved = {"format": "bpe", "version": 1, "pattern": self.pattern.pattern}
        path.write_text(json.dumps(saved | {"merges": self.merges}), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "BPETokenizer":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file holds something else, or was written by another version.
        """
        expected = f"{path}: expected a saved BPE tokenizer of version 1"
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            kind, version = saved["format"], saved["version"]
            if (kind, version) == ("bpe", 1):
                merges = [(left, right) for left, right in saved["merges"]]
                if not all(type(i) is int for pair in merges for i in pair):
                    raise ValueError("a merge that is no pair of whole numbers")
                return cls(merges, saved["pattern"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(
                f"{expected}, got a damaged file ({error!r}): train it and save it again"
            ) from error
        raise ValueError(
            f"{expected}, got format {kind!r} version {version!r}: use the program that wrote it"
        )


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return a regular expression, ready to use.

    Raises
    ------
    ValueError
        If it is none, or captures groups: then `findall` returns groups and not pieces.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError) as error:
        raise ValueError(
            f"pattern: expected a regular expression, got {pattern!r} ({error}): mend it"
        ) from error
    if compiled.groups:
        raise ValueError(
            f"pattern: expected no groups, got {compiled.groups} in {pattern!r}: write (?:…)"
        )
    return compiled


def cut(text: str, pattern: re.Pattern[str]) -> list[str]:
    """Cut a text into pieces.

    Raises
    ------
    ValueError
        If the pattern leaves a character out.
    """
    pieces = pattern.findall(text)
    if sum(map(len, pieces)) != len(text):
        raise ValueError(
            f"pattern: expected one that leaves no character out, got {pattern.pattern!r}: "
            "end it with |."
        )
    return pieces


def to_bytes(text: str) -> bytes:
    """Return a text in UTF-8."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"text: expected characters, got half of a surrogate pair at {error.start}: "
            "decode it with errors='replace' when you read it"
        ) from error


def merge(ids: list[int], pair: Pair, new: int) -> list[int]:
    """Return the ids with ``new`` in place of each ``pair``, from left to right."""
    merged, i = [], 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


def draw(text: str, stages: dict[int, BPETokenizer], sizes: dict[int, float]) -> Figure:
    """Draw a sentence in tokens for several vocabularies, and how much a token holds."""
    figure = Figure(figsize=(8, 4.6))
    words, length = figure.subplots(2, 1, height_ratios=[1, 1.3])
    for row, (size, tokenizer) in enumerate(stages.items()):
        left = 0
        for i in tokenizer.encode(text):
            token = tokenizer.decode([i])
            words.text(
                left + len(token) / 2,
                -row,
                token.replace(" ", "␣"),
                ha="center",
                va="center",
                family="monospace",
                bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": BLUE},
            )
            left += len(token)
        words.text(-1, -row, f"V = {size}", ha="right", va="center", color=GRAY)
    words.set_xlim(-7, len(text) + 0.5)
    words.set_ylim(-len(stages) + 0.4, 0.6)
    words.axis("off")
    words.set_title("The same sentence, with more and more merges")
    length.plot(list(sizes), list(sizes.values()), "o-", color=BLUE)
    length.set_xlabel("tokens in the vocabulary, V")
    length.set_ylabel("bytes per token")
    length.set_title("The first merges gain most")
    length.set_ylim(0, None)
    figure.tight_layout()
    return figure


def main() -> None:
    """Learn a vocabulary of 512 tokens from five megabytes of stories."""
    arguments = lesson_arguments(__doc__, __file__)

    texts = [story.text for story in stories("train", 0, 16_500)]
    size = sum(len(text.encode()) for text in texts)
    tokenizer = BPETokenizer.train(texts, 512)
    print(f"{len(texts):,} stories, {size / 1e6:.1f} MB → {tokenizer.vocab_size} tokens")
    first = [tokenizer.tokens[i].decode() for i in range(BYTES, BYTES + 12)]
    last = [tokenizer.tokens[i].decode() for i in range(tokenizer.end - 6, tokenizer.end)]
    print(f"  first merges {first}")
    print(f"  last merges  {last}")

    held_out = [story.text for story in stories("validation", 0, 200)]
    sizes = {}
    for vocab_size in (257, 272, 288, 320, 352, 384, 416, 448, 480, 512):
        smaller = BPETokenizer(tokenizer.merges[: vocab_size - BYTES - 1])
        tokens = sum(len(smaller.encode(text)) for text in held_out)
        sizes[vocab_size] = sum(len(text.encode()) for text in held_out) / tokens
    print("bytes per token on 200 held-out stories")
    for vocab_size in (257, 320, 512):
        print(f"  V = {vocab_size}: {sizes[vocab_size]:.2f}")

    for text in ("There Miko met an owl.", "Zürich 🦊"):
        ids = tokenizer.encode(text)
        print(f"{text!r} → {len(ids)} ids {ids}")
        print(f"  and back: {tokenizer.decode(ids)!r}")
    ids = tokenizer.encode(b"\xff\x00")
    print(f"bytes that are no text: {ids} → {tokenizer.decode_bytes(ids)!r}")
    stages = {
        vocab_size: BPETokenizer(tokenizer.merges[: vocab_size - BYTES - 1])
        for vocab_size in (257, 288, 352, 512)
    }
    finish(draw("One day there was an owl named Miko.", stages, sizes), arguments)


if __name__ == "__main__":
    main()
