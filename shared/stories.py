"""The story corpus: a storyteller that knows the exact probability of every story it tells.

A story is told by one small program, :func:`tell`. Wherever something is open, the program asks
its narrator to *choose* one of n options; each has probability 1/n, so

    log p(story) = - log n_1 - log n_2 - ... - log n_K        (natural logarithm, K choices)

Two narrators run the same program. The *writer* draws each choice at random: that makes stories.
The *reader* has the finished text and finds out which option was taken: that gives the probability
of any text, and minus infinity for a text that the program cannot tell. The options of a choice
are put down at once and none is the beginning of another, so the text leaves no doubt about any
choice: every story has exactly one derivation, and its probability is the product above.

Since the probabilities are exact, the best possible score of a language model is known. Its
average cost cannot be lower than the storyteller's own: that is the *floor*.

The stories plant five things to learn, each of which ``shared/probes.py`` asks for:

========  ==================================================================================
grammar   *an* owl, not *a* owl; wanted to *sing*, not wanted to *sang*
name      the hero's made-up name, copied letter by letter, even when it was never seen before
number    three apples stay three apples to the end
holder    who holds the toy now, after all that was given and taken
kind      which of the two characters was the fox, and which the owl
========  ==================================================================================

Randomness is ``random.Random(seed).random()``. Of all methods of that class it is the one whose
sequence the Python documentation promises to keep for a given seed; ``choice`` or ``shuffle`` may
change from version to version. A draw is ``int(random() * n)``, the same on every platform.

Run ``python -m shared.stories --seed 3`` to read a story with its probability.
"""

import argparse
import math
import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Grammar:
    """The words that a story is made of, one tuple for each choice.

    ``items`` and ``verbs`` are pairs: (one, many) and (to do, did).
    """

    openings: tuple[str, ...]
    looks: tuple[str, ...]
    kinds: tuple[str, ...]
    syllables: tuple[str, ...]
    numbers: tuple[str, ...]
    items: tuple[tuple[str, str], ...]
    motions: tuple[str, ...]
    places: tuple[str, ...]
    friends: tuple[str, ...]
    toy_looks: tuple[str, ...]
    toys: tuple[str, ...]
    moods: tuple[str, ...]
    verbs: tuple[tuple[str, str], ...]
    feelings: tuple[str, ...]
    most_events: int


STORIES = Grammar(
    openings=("Once upon a time", "One day", "Long ago", "One morning", "Last summer", "Far away"),
    looks=(
        *("big", "small", "young", "quiet", "brave", "funny", "gray", "brown"),
        *("old", "ugly", "odd", "eager"),
    ),
    kinds=(
        *("fox", "bear", "cat", "dog", "frog", "goat", "hen", "lion"),
        *("mouse", "pig", "rabbit", "wolf", "ant", "ape", "otter", "owl"),
    ),
    syllables=tuple(consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"),
    numbers=("one", "two", "three", "four", "five", "six"),
    items=(
        *(("apple", "apples"), ("berry", "berries"), ("cake", "cakes"), ("coin", "coins")),
        *(("cookie", "cookies"), ("egg", "eggs"), ("flower", "flowers"), ("leaf", "leaves")),
        *(("nut", "nuts"), ("peach", "peaches"), ("shell", "shells"), ("stone", "stones")),
    ),
    motions=("walked", "ran", "hurried", "went", "jumped", "marched", "raced", "skipped"),
    places=(
        *("river", "forest", "garden", "lake", "hill", "farm", "park", "beach"),
        *("village", "bridge", "market", "meadow"),
    ),
    friends=(
        *("Anna", "Ben", "Clara", "Emma", "Finn", "Grace", "Henry", "Jack"),
        *("Lily", "Max", "Nora", "Oscar", "Rosa", "Sam", "Tom", "Will"),
    ),
    toy_looks=("red", "blue", "green", "new", "shiny", "tiny", "old", "orange"),
    toys=(
        *("ball", "bell", "book", "drum", "hat", "kite", "lamp", "ring"),
        *("rope", "spoon", "top", "whistle"),
    ),
    moods=("happily", "slowly"),
    verbs=(
        *(("sing", "sang"), ("dance", "danced"), ("play", "played"), ("swim", "swam")),
        *(("laugh", "laughed"), ("sleep", "slept"), ("hide", "hid"), ("draw", "drew")),
        *(("cook", "cooked"), ("rest", "rested"), ("climb", "climbed"), ("dig", "dug")),
    ),
    feelings=("happy", "proud", "tired", "lucky", "hungry", "sleepy", "excited", "amazed"),
    most_events=4,
)


class Narrator(Protocol):
    """Whoever runs the program :func:`tell`: the writer, the reader, or a test that tries all."""

    def say(self, text: str) -> None:
        """Put down ``text``, which leaves nothing open."""

    def choose(self, options: Sequence[str], after: str) -> int:
        """Put down one of the ``options`` and then ``after``; return the option's index."""

    def invent(self, syllables: Sequence[str]) -> str:
        """Put down a made-up name of three syllables and return it."""

    def contrast(self, phenomenon: str, right: str, wrong: Sequence[str]) -> None:
        """Note that ``right`` has just been told, where none of ``wrong`` could stand."""


def tell(narrator: Narrator, grammar: Grammar) -> None:
    """Tell one story. This program *is* the grammar: the order of its choices is the story's."""
    say, choose, contrast = narrator.say, narrator.choose, narrator.contrast

    # Who: a hero with a made-up name.
    choose(grammar.openings, after=" there was ")
    choose([with_article(look) for look in grammar.looks], after=" ")
    hero_kind = grammar.kinds[choose(grammar.kinds, after=" named ")]
    hero = narrator.invent(grammar.syllables)
    say(f". {hero} had ")

    # How many: one apple, or three apples.
    number = choose(grammar.numbers, after=" ")
    item = choose([one if number == 0 else many for one, many in grammar.items], after=". ")

    # Where, and whom the hero meets there.
    say(f"{hero} ")
    choose(grammar.motions, after=" to the ")
    choose(grammar.places, after=". ")
    say(f"There {hero} met ")
    contrast("name", f"{hero} met", [f"{name} met" for name in similar_names(hero)])
    friend_kind = grammar.kinds[
        choose([with_article(kind) for kind in grammar.kinds], after=" named ")
    ]
    right, wrong = with_article(friend_kind), with_wrong_article(friend_kind)
    contrast("grammar", f"{right} named", [f"{wrong} named"])
    friend = grammar.friends[choose(grammar.friends, after=". ")]

    # What: a toy that one of them has, and that changes hands.
    pair = (hero, friend)
    holder = choose(pair, after=" had ")
    choose([with_article(look) for look in grammar.toy_looks], after=" ")
    toy = grammar.toys[choose(grammar.toys, after=". ")]
    for event in range(grammar.most_events):
        subject = choose(pair if event == 0 else (*pair, "In the end"), after=" ")
        if subject == len(pair):
            break
        holder = tell_event(narrator, grammar, pair, toy, holder, subject)
    else:
        say("In the end ")

    # The end asks what is still known: the holder, the number, the kind.
    claims = [f"{name} had the {toy}." for name in pair]
    say(f"{claims[holder]} ")
    contrast("holder", claims[holder], [claims[1 - holder]])

    one, many = grammar.items[item]
    amounts = [f"{word} {many if i else one}." for i, word in enumerate(grammar.numbers)]
    say(f"{hero} still had {amounts[number]} ")
    contrast("number", amounts[number], amounts[:number] + amounts[number + 1 :])

    subject = choose(pair, after=" was ")
    choose([with_article(feeling) for feeling in grammar.feelings], after=" ")
    answer = (hero_kind, friend_kind)[subject]
    say(f"{answer}.")
    contrast("kind", f"{answer}.", [f"{kind}." for kind in grammar.kinds if kind != answer])


def tell_event(
    narrator: Narrator,
    grammar: Grammar,
    pair: tuple[str, str],
    toy: str,
    holder: int,
    subject: int,
) -> int:
    """Tell what one of the ``pair`` does (0 or 1); return who of them holds the toy after it."""
    other = 1 - subject
    if subject == holder:
        transfers = [f"{gave} the {toy} to {pair[other]}. " for gave in ("gave", "handed")]
    else:
        transfers = [f"{took} the {toy} from {pair[other]}. " for took in ("took", "got")]
    wishes = ["wanted to "]
    deeds = [f"{mood} " for mood in grammar.moods]
    action = narrator.choose([*transfers, *wishes, *deeds], after="")
    if action < len(transfers):
        return 1 - holder

    wished = action < len(transfers) + len(wishes)
    forms = [verb if wished else past for verb, past in grammar.verbs]
    others = [past if wished else verb for verb, past in grammar.verbs]
    verb = narrator.choose(forms, after=". ")
    narrator.contrast("grammar", f"{forms[verb]}.", [f"{others[verb]}."])
    return holder


def with_article(word: str) -> str:
    """Return ``a fox`` for fox and ``an owl`` for owl."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def with_wrong_article(word: str) -> str:
    """Return ``an fox`` for fox and ``a owl`` for owl."""
    return f"a {word}" if word[0] in "aeiou" else f"an {word}"


def similar_names(name: str) -> list[str]:
    """Return the names that differ from ``name`` in one vowel, the last or the one before."""
    return [
        name[:i] + vowel + name[i + 1 :] for i in (3, 5) for vowel in "aeiou" if vowel != name[i]
    ]


def split_of(name: str) -> str:
    """Return the split that a hero's name belongs to: 90% train, 5% validation, 5% test.

    Every story names its hero, so the three splits share no story, and the heroes of the
    validation and test stories have names that no training story contains. CRC-32 is a fixed
    public function that treats similar names as unrelated.
    """
    remainder = zlib.crc32(name.encode()) % 20
    return "validation" if remainder == 0 else "test" if remainder == 1 else "train"


class Writer:
    """Draws every choice at random; the hero's name is one of the split's."""

    def __init__(self, seed: int, split: str) -> None:
        self.random = random.Random(f"{split} {seed}").random
        self.split = split
        self.parts: list[str] = []
        self.log_probability = 0.0

    def say(self, text: str) -> None:
        """Put down ``text``."""
        self.parts.append(text)

    def choose(self, options: Sequence[str], after: str) -> int:
        """Draw one of the options."""
        index = int(self.random() * len(options))
        self.log_probability -= math.log(len(options))
        self.parts.append(options[index])
        self.parts.append(after)
        return index

    def invent(self, syllables: Sequence[str]) -> str:
        """Draw names until one belongs to the split.

        The probability is that of the name among *all* names: a model that has read the training
        split cannot know which names are kept for validation, so this is what the best model pays.
        """
        while True:
            drawn = [syllables[int(self.random() * len(syllables))] for _ in range(3)]
            name = "".join(drawn).capitalize()
            if split_of(name) == self.split:
                break
        self.log_probability -= 3 * math.log(len(syllables))
        self.parts.append(name)
        return name

    def contrast(self, phenomenon: str, right: str, wrong: Sequence[str]) -> None:
        """Contrasts are for probes; a story does not need them."""


class NotAStory(Exception):
    """The text cannot be told by the grammar."""


class Reader:
    """Finds out from the text which option every choice took."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.log_probability = 0.0

    def say(self, text: str) -> None:
        """Pass over ``text``, which must stand here."""
        if not self.text.startswith(text, self.position):
            raise NotAStory(f"expected {text!r} at character {self.position}")
        self.position += len(text)

    def choose(self, options: Sequence[str], after: str) -> int:
        """Find the option that stands here."""
        for index, option in enumerate(options):
            if self.text.startswith(option + after, self.position):
                self.position += len(option) + len(after)
                self.log_probability -= math.log(len(options))
                return index
        raise NotAStory(f"expected one of {list(options)} at character {self.position}")

    def invent(self, syllables: Sequence[str]) -> str:
        """Read a name and check its syllables."""
        name = self.text[self.position : self.position + 6]
        known = {*syllables, *(syllable.capitalize() for syllable in syllables)}
        parts = [name[0:2], name[2:4], name[4:6]]
        if name != name.capitalize() or not known.issuperset(parts):
            raise NotAStory(f"expected a made-up name at character {self.position}, got {name!r}")
        self.position += len(name)
        self.log_probability -= 3 * math.log(len(syllables))
        return name

    def contrast(self, phenomenon: str, right: str, wrong: Sequence[str]) -> None:
        """Contrasts are for probes; reading does not need them."""


@dataclass(frozen=True)
class Story:
    """A text and its exact log-probability in nats."""

    text: str
    log_probability: float


def story(seed: int, split: str = "train", grammar: Grammar = STORIES) -> Story:
    """Tell story number ``seed`` of a split.

    Parameters
    ----------
    seed
        Any integer; the same seed gives the same story on every machine.
    split
        ``train``, ``validation`` or ``test``: no story is in two of them.
    grammar
        The words to tell with.

    Raises
    ------
    ValueError
        If ``split`` is not one of the three.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    writer = Writer(seed, split)
    tell(writer, grammar)
    return Story("".join(writer.parts), writer.log_probability)


def stories(split: str, first: int, count: int) -> Iterator[Story]:
    """Tell the stories numbered ``first`` to ``first + count - 1`` of a split."""
    return (story(seed, split) for seed in range(first, first + count))


def log_probability(text: str, grammar: Grammar = STORIES) -> float:
    """Return the log-probability (nats) of a text, ``-inf`` if the grammar cannot tell it."""
    reader = Reader(text)
    try:
        tell(reader, grammar)
    except NotAStory:
        return -math.inf
    return reader.log_probability if reader.position == len(text) else -math.inf


def floor_bits_per_character(told: Iterable[Story]) -> float:
    """Return the lowest possible bits per character on these stories: the storyteller's own.

    The end of a story counts as one character: a model has to predict it too.
    """
    bits = characters = 0.0
    for one in told:
        bits -= one.log_probability / math.log(2)
        characters += len(one.text) + 1
    if characters == 0:
        raise ValueError("expected at least one story, got none: pass a larger count")
    return bits / characters


def main() -> None:
    """Print a few stories, each with what it costs to tell it, and the floor over many."""
    parser = argparse.ArgumentParser(description="Tell stories with their exact probability.")
    parser.add_argument("--seed", type=int, default=0, help="number of the first story (default 0)")
    parser.add_argument("--count", type=int, default=3, help="how many stories (default 3)")
    parser.add_argument("--split", choices=SPLITS, default="train", help="default: train")
    arguments = parser.parse_args()

    for one in stories(arguments.split, arguments.seed, arguments.count):
        bits = -one.log_probability / math.log(2)
        print(f"{one.text}\n    {len(one.text)} characters, {bits:.2f} bits\n")
    floor = floor_bits_per_character(stories(arguments.split, arguments.seed, 1000))
    print(f"floor over 1,000 stories: {floor:.4f} bits per character")


if __name__ == "__main__":
    main()
