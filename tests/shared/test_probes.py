"""The probes ask what they say: right can be told, wrong cannot, and knowing decides."""

import math
import random
from collections import Counter

import pytest

from shared.probes import LUCK, PHENOMENA, Probe, accuracy, probes
from shared.stories import STORIES, NotAStory, Reader, tell

ASKED = probes(count=40)


class BeginningReader(Reader):
    """Reads the beginning of a story: stops without complaint where the text ends."""

    class Ended(Exception):
        pass

    def say(self, text):
        rest = self.text[self.position :]
        if len(rest) <= len(text) and text.startswith(rest):
            raise self.Ended
        super().say(text)

    def choose(self, options, after):
        rest = self.text[self.position :]
        agreeing = [option for option in options if (option + after).startswith(rest)]
        if agreeing:  # each of them would go on from here
            self.log_probability += math.log(len(agreeing) / len(options))
            raise self.Ended
        return super().choose(options, after)


def storyteller(beginnings):
    """The log-probability that a story begins so, by the storyteller itself."""
    result = []
    for text in beginnings:
        reader = BeginningReader(text)
        try:
            tell(reader, STORIES)
        except BeginningReader.Ended:
            result.append(reader.log_probability)
        except NotAStory:
            result.append(-math.inf)
    return result


def test_right_can_be_told_and_wrong_cannot():
    for probe in ASKED:
        right = storyteller([probe.prefix + text for text in probe.right])
        wrong = storyteller([probe.prefix + text for text in probe.wrong])
        assert min(right) > -math.inf, probe
        assert max(wrong) == -math.inf, probe


def test_there_are_as_many_of_each_and_no_two_from_one_story():
    assert Counter(probe.phenomenon for probe in ASKED) == dict.fromkeys(PHENOMENA, 40)
    for phenomenon in PHENOMENA:
        prefixes = [probe.prefix for probe in ASKED if probe.phenomenon == phenomenon]
        assert len(set(prefixes)) == len(prefixes)


def test_who_knows_passes_and_who_does_not_fails():
    everything = dict.fromkeys(PHENOMENA, 1.0)
    nothing = dict.fromkeys(PHENOMENA, 0.0)
    assert accuracy(storyteller, ASKED) == everything
    assert accuracy(lambda texts: [-x for x in storyteller(texts)], ASKED) == nothing
    assert accuracy(lambda texts: [-1.0] * len(texts), ASKED) == nothing


def test_who_guesses_is_right_by_chance():
    guess = random.Random(0)
    asked = probes(count=400)
    shares = accuracy(lambda texts: [-guess.random() for _ in texts], asked)
    for phenomenon, share in shares.items():
        sizes = {
            len(probe.right) + len(probe.wrong) for probe in asked if probe.phenomenon == phenomenon
        }
        assert share == pytest.approx(1 / sizes.pop(), abs=0.08)
        assert not sizes


def test_the_best_of_several_right_ones_counts():
    probe = Probe("grammar", "x ", ("a", "b"), ("c",))
    scores = {"x a": -9.0, "x b": -1.0, "x c": -2.0}
    assert accuracy(lambda texts: [scores[text] for text in texts], [probe]) == {"grammar": 1.0}


def test_luck_is_one_of_so_many():
    asked = probes(count=20)
    for phenomenon, luck in LUCK.items():
        sizes = {len(p.right) + len(p.wrong) for p in asked if p.phenomenon == phenomenon}
        if phenomenon == "name":  # two vowels out of five each, spelled one after the other
            assert sizes == {1 + 2 * 4} and luck == 1 / 5**2
        else:
            assert sizes == {round(1 / luck)}
