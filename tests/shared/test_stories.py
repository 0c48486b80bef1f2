"""The storyteller: its probabilities are sound, its stories stay the same, its floor is a floor."""

import hashlib
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.stories import (
    SPLITS,
    STORIES,
    Grammar,
    Reader,
    Story,
    Writer,
    floor_bits_per_character,
    log_probability,
    split_of,
    stories,
    story,
    tell,
)

SMALL = Grammar(
    openings=("One day",),
    looks=("big", "old"),
    kinds=("fox", "owl"),
    syllables=("ba", "bo"),
    numbers=("one", "two"),
    items=(("leaf", "leaves"),),
    motions=("ran",),
    places=("hill",),
    friends=("Ben",),
    toy_looks=("red",),
    toys=("ball",),
    moods=("slowly",),
    verbs=(("sing", "sang"),),
    feelings=("happy",),
    most_events=2,
)


class Replayer:
    """Tells the story of a script of choices; beyond the script it takes the first option."""

    def __init__(self, script: Sequence[int]) -> None:
        self.script = script
        self.taken: list[int] = []
        self.counts: list[int] = []
        self.text = ""
        self.log_probability = 0.0

    def say(self, text):
        self.text += text

    def choose(self, options, after):
        place = len(self.taken)
        index = self.script[place] if place < len(self.script) else 0
        self.taken.append(index)
        self.counts.append(len(options))
        self.text += options[index] + after
        self.log_probability -= math.log(len(options))
        return index

    def invent(self, syllables):
        start = len(self.text)
        for _ in range(3):
            self.choose(syllables, after="")
        name = self.text[start:].capitalize()
        self.text = self.text[:start] + name
        return name

    def contrast(self, phenomenon, right, wrong):
        assert self.text.rstrip(" ").endswith(right)


def every_derivation(grammar: Grammar) -> Iterator[Replayer]:
    """Every way to tell a story of a small grammar."""
    scripts: list[tuple[int, ...]] = [()]
    while scripts:
        script = scripts.pop()
        replayer = Replayer(script)
        tell(replayer, grammar)
        yield replayer
        for place in range(len(script), len(replayer.taken)):
            before = tuple(replayer.taken[:place])
            scripts += [(*before, other) for other in range(1, replayer.counts[place])]


def unsoundness(grammar: Grammar) -> str:
    """What is wrong with a grammar's probabilities; empty when nothing is."""
    told = list(every_derivation(grammar))
    total = math.fsum(math.exp(each.log_probability) for each in told)
    if abs(total - 1) > 1e-12:
        return f"probabilities sum to {total}"
    if len({each.text for each in told}) < len(told):
        return "a text has two derivations"
    for each in told:
        if not math.isclose(log_probability(each.text, grammar), each.log_probability):
            return f"read otherwise than told: {each.text}"
    return ""


@pytest.mark.parametrize(
    "grammar",
    [
        SMALL,
        replace(SMALL, most_events=1, friends=("Ben", "Baba"), places=("hill", "park")),
        replace(SMALL, syllables=("ba", "be", "bi"), numbers=("one",), kinds=("fox",)),
        replace(SMALL, friends=("Bababa",), toys=("ball", "bell"), looks=("big",)),
        replace(SMALL, most_events=3, syllables=("ba",), looks=("big",), kinds=("owl",)),
    ],
)
def test_small_grammar_is_sound(grammar):
    # "Bababa" is a possible hero too: the pair then has one name, and two derivations.
    problem = unsoundness(grammar)
    assert problem == ("a text has two derivations" if "Bababa" in grammar.friends else "")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"places": ("hill", "hill")}, "a text has two derivations"),
        ({"motions": ("ran", "ran to the hill. There")}, "read otherwise than told"),
    ],
)
def test_planted_ambiguity_is_seen(change, problem):
    assert unsoundness(replace(SMALL, **change)).startswith(problem)


def test_no_friend_could_be_a_hero():
    heroes = re.compile("([bdfgklmnprstvz][aeiou]){3}")
    assert not any(heroes.fullmatch(friend.lower()) for friend in STORIES.friends)


def test_no_option_begins_another():
    class Checker(Writer):
        def choose(self, options, after):
            full = sorted(option + after for option in options)
            for one, next_one in itertools.pairwise(full):
                assert not next_one.startswith(one), (one, next_one)
            return super().choose(options, after)

    for seed in range(300):
        tell(Checker(seed, "train"), STORIES)
    with pytest.raises(AssertionError):
        tell(Checker(0, "train"), replace(STORIES, openings=("One day", "One day there was there")))


@pytest.mark.slow
def test_reading_and_telling_agree_on_ten_thousand_stories():
    told = [one for split in SPLITS for one in stories(split, 0, 3334)]
    assert len(told) > 10_000
    assert all(log_probability(one.text) == one.log_probability for one in told)


def test_what_cannot_be_told_has_probability_zero():
    text = story(3).text
    assert log_probability(text) == story(3).log_probability
    planted = [
        "",
        text[:-1],
        text + " ",
        text + "\n",
        text + text,
        " " + text,
        text.lower(),
        text.replace("a brown hen", "an brown hen"),
        text.replace("five leaves. Anna", "six leaves. Anna"),
        text.replace("five", "one"),
        text.replace("end Paruvu", "end Anna"),
        text.replace("a tired hen", "a tired owl"),
        text.replace("wanted to sing", "wanted to sang"),
        text.replace("There Paruvu", "There Paruva"),
        text.replace("Paruvu", "Perpvu"),
    ]
    for wrong in planted:
        assert wrong != text
        assert log_probability(wrong) == -math.inf, wrong


@given(st.integers(0, 10_000), st.integers(0, 400), st.sampled_from("abemot. BN"))
def test_an_edited_story_is_impossible_or_told_with_its_own_probability(seed, place, letter):
    text = story(seed).text
    edited = text[: place % len(text)] + letter + text[place % len(text) + 1 :]
    got = log_probability(edited)
    if got > -math.inf:
        script: list[int] = []

        class Recorder(Reader):
            def choose(self, options, after):
                index = super().choose(options, after)
                script.append(index)
                return index

            def invent(self, syllables):
                name = super().invent(syllables)
                script.extend(list(syllables).index(name[i : i + 2].lower()) for i in (0, 2, 4))
                return name

        tell(Recorder(edited), STORIES)
        again = Replayer(script)
        tell(again, STORIES)
        assert again.text == edited
        assert math.isclose(again.log_probability, got)


def test_there_are_more_than_a_million_million_stories():
    # Stories that differ in one of these choices differ in their text.
    grammar = STORIES
    lists = (grammar.openings, grammar.looks, grammar.kinds, grammar.numbers, grammar.items)
    lists += (grammar.motions, grammar.places, grammar.kinds, grammar.friends, grammar.toys)
    assert len(grammar.syllables) ** 3 * math.prod(len(words) for words in lists) > 10**12


def test_vocabulary_is_small():
    words: set[str] = set()
    for one in stories("train", 0, 3000):
        hero = re.findall(r"named (\w+)", one.text)[0]
        words |= set(re.findall(r"[a-z]+", one.text.replace(hero, "").lower()))
    assert 150 <= len(words) <= 250


def test_splits_are_disjoint():
    for split in SPLITS:
        for one in stories(split, 0, 200):
            hero = re.findall(r"named (\w+)", one.text)[0]
            assert split_of(hero) == split
    names = [
        (a + b + c).capitalize()
        for a in STORIES.syllables[::5]
        for b in STORIES.syllables
        for c in STORIES.syllables
    ]
    shares = {split: sum(split_of(name) == split for name in names) for split in SPLITS}
    assert shares["train"] / len(names) == pytest.approx(0.90, abs=0.01)
    assert shares["validation"] / len(names) == pytest.approx(0.05, abs=0.005)


def test_stories_stay_the_same_on_every_machine():
    assert story(0).text == (
        "One day there was an eager fox named Nenizu. Nenizu had one apple. Nenizu skipped to the "
        "village. There Nenizu met an otter named Clara. Clara had an orange rope. Nenizu got the "
        "rope from Clara. In the end Nenizu had the rope. Nenizu still had one apple. Nenizu was a "
        "proud fox."
    )
    for split, expected in GOLDEN.items():
        text = "\n".join(one.text for one in stories(split, 0, 1000))
        assert hashlib.sha256(text.encode()).hexdigest()[:16] == expected


GOLDEN = {
    "train": "70f6816dd80e693f",
    "validation": "65037436227878ff",
    "test": "33fd80b15339e20d",
}


def test_floor_by_hand():
    told = [Story("ab", -3 * math.log(2)), Story("abcde", -6 * math.log(2))]
    assert floor_bits_per_character(told) == pytest.approx(9 / (3 + 6))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="expected at least one story, got none"):
        floor_bits_per_character([])
    with pytest.raises(ValueError, match="expected one of train, validation, test, got 'dev'"):
        story(0, "dev")
