"""Five kinds of questions to a language model, one skill at a time.

A probe is the beginning of a held-out story, a continuation that is right there and some that are
wrong. The model is asked how likely a story begins so. It passes when it finds a right continuation
likelier than every wrong one. Any model that gives texts a probability can be asked.

Run ``python -m shared.probes`` to read some.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from shared.stories import STORIES, Writer, tell

PHENOMENA = ("grammar", "name", "number", "holder", "kind")
# What a model passes by luck without having read the story. A name is written letter by
# letter: for the right one of nine, its favourite vowel must be right at both places, 1/5 · 1/5.
LUCK = {"grammar": 1 / 2, "name": 1 / 25, "number": 1 / 6, "holder": 1 / 2, "kind": 1 / 16}


@dataclass(frozen=True)
class Probe:
    """The beginning of a story, what can follow, and what cannot."""

    phenomenon: str
    prefix: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


class Prober(Writer):
    """A writer that notes its contrasts as probes."""

    def __init__(self, seed: int, split: str) -> None:
        super().__init__(seed, split)
        self.probes: dict[str, Probe] = {}  # the last of each phenomenon

    def contrast(self, phenomenon: str, right: str, wrong: Sequence[str]) -> None:
        """Note what has just been told as a probe."""
        prefix = "".join(self.parts).rstrip(" ").removesuffix(right)
        self.probes[phenomenon] = Probe(phenomenon, prefix, (right,), tuple(wrong))


def probes(split: str = "validation", count: int = 100) -> list[Probe]:
    """Return ``count`` probes for each phenomenon, one per story at most, always the same."""
    found: dict[str, list[Probe]] = defaultdict(list)
    seed = 0
    while any(len(found[phenomenon]) < count for phenomenon in PHENOMENA):
        prober = Prober(seed, split)
        tell(prober, STORIES)
        for phenomenon, probe in prober.probes.items():
            found[phenomenon].append(probe)
        seed += 1
    return [probe for phenomenon in PHENOMENA for probe in found[phenomenon][:count]]


def accuracy(
    log_probabilities: Callable[[Sequence[str]], Sequence[float]], asked: Iterable[Probe]
) -> dict[str, float]:
    """Return the share of probes that a model passes, for each phenomenon.

    Parameters
    ----------
    log_probabilities
        The model: for each text, the log-probability that a story begins with it.
    asked
        The probes.
    """
    asked = list(asked)
    texts = [
        probe.prefix + continuation
        for probe in asked
        for continuation in (*probe.right, *probe.wrong)
    ]
    scores = iter(log_probabilities(texts))
    passed: dict[str, list[bool]] = defaultdict(list)
    for probe in asked:
        right = max(next(scores) for _ in probe.right)
        wrong = max(next(scores) for _ in probe.wrong)
        passed[probe.phenomenon].append(right > wrong)
    return {phenomenon: sum(each) / len(each) for phenomenon, each in passed.items()}


def main() -> None:
    """Print probes of each phenomenon."""
    parser = argparse.ArgumentParser(description="Show what the probes ask.")
    parser.add_argument("--count", type=int, default=1, help="probes per phenomenon (default 1)")
    for probe in probes(count=parser.parse_args().count):
        print(f"{probe.phenomenon}\n  {probe.prefix}...")
        print(f"  right: {' | '.join(probe.right)}\n  wrong: {' | '.join(probe.wrong)}\n")


if __name__ == "__main__":
    main()
