"""Text to token ids: frequent words as one token each, everything else letter by letter.

This is the simplest tokenizer that serves both a model of the stories, whose made-up names have to
be spelled, and any other text file. Phase 3 builds a better one.

A text is cut into *pieces*: a word with the space before it (`` apple``), or one other character.
The vocabulary holds the end mark, every single character of the training text, and the pieces that
occur in many documents. A piece outside the vocabulary is written letter by letter. So every text
made of known characters can be written in exactly one way, and decoding gives it back:

    " Miko had an egg."  ->  " " "M" "i" "k" "o" " had" " an" " egg" "."

Token 0 is the end mark. It stands before the first token of a text and after the last.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

from shared.errors import InputError

END = 0  # the id of the end mark

_PIECE = re.compile(r" ?[^\W\d_]+|.", re.DOTALL)


class WordTokenizer:
    """Frequent words whole, everything else letter by letter.

    Parameters
    ----------
    tokens
        The text of token 1, 2, …; token 0 is the end mark. Every single character that a text
        may have must be among them.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = ["", *tokens]
        self.ids = {token: i for i, token in enumerate(self.tokens) if i != END}
        if len(self.ids) != len(tokens):
            raise ValueError(
                f"expected {len(tokens)} different tokens, got {len(self.ids)}: remove duplicates"
            )

    @classmethod
    def learn(
        cls, documents: Iterable[str], vocab_size: int, min_documents: int = 10
    ) -> "WordTokenizer":
        """Choose a vocabulary.

        Parameters
        ----------
        documents
            The training text, one string per document.
        vocab_size
            The most tokens to have, the end mark included. All characters are kept in any case.
        min_documents
            A word has to occur in so many documents to become a token.
        """
        found_in: Counter[str] = Counter()
        characters: set[str] = set()
        for document in documents:
            found_in.update(set(_PIECE.findall(document)))
            characters.update(document)
        words = [(-n, piece) for piece, n in found_in.items() if len(piece) > 1]
        frequent = [piece for count, piece in sorted(words) if -count >= min_documents]
        room = max(0, vocab_size - 1 - len(characters))
        return cls(sorted(characters) + frequent[:room])

    @property
    def vocab_size(self) -> int:
        """The number of tokens V, the end mark included."""
        return len(self.tokens)

    @property
    def end(self) -> int:
        """The id of the end mark."""
        return END

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without end marks.

        Raises
        ------
        InputError
            If the text has a character that the vocabulary lacks.
        """
        ids: list[int] = []
        for piece in _PIECE.findall(text):
            if piece in self.ids:
                ids.append(self.ids[piece])
            else:
                ids.extend(self._spell(piece))
        return ids

    def _spell(self, piece: str) -> list[int]:
        try:
            return [self.ids[character] for character in piece]
        except KeyError as missing:
            raise InputError(
                f"expected characters that the model was trained on, got {missing.args[0]!r}: "
                f"leave it out (known are {self.characters})"
            ) from None

    @cached_property
    def characters(self) -> str:
        """All characters that a text may have."""
        return "".join(token for token in self.tokens if len(token) == 1)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of some token ids; end marks become nothing."""
        return "".join(self.tokens[i] for i in ids)

    def to_json(self) -> str:
        """Return the tokenizer as JSON text."""
        return json.dumps({"format": "words", "version": 1, "tokens": self.tokens[1:]})

    @classmethod
    def from_json(cls, text: str) -> "WordTokenizer":
        """Return the tokenizer that :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            If the text is something else.
        """
        try:
            saved = json.loads(text)
            kind, version, tokens = saved["format"], saved["version"], saved["tokens"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"expected a saved word tokenizer, got text that is none ({error!r}): "
                "take the tokenizer.json of a checkpoint"
            ) from error
        if (kind, version) != ("words", 1):
            raise ValueError(
                f"expected format 'words' version 1, got {kind!r} version {version!r}: "
                "use the program version that wrote it"
            )
        return cls(tokens)
