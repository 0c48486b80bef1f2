"""Timing two ways of doing the same, in turns, on one CPU thread.

A shared machine is never equally fast twice, so the two take turns in one run, and what counts is
the quotient. The benchmarks lie with the tests because phases 2 to 5 have no PyTorch. NumPy and
torch read the number of threads when they are imported: a benchmark calls `one_thread` first.
"""

import os
import statistics
import time
from collections.abc import Callable


def one_thread() -> None:
    """Let NumPy and torch use one thread, if they are not imported yet."""
    for library in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM"):
        os.environ[f"{library}_NUM_THREADS"] = "1"


def seconds(step: Callable[[], object], repeats: int) -> float:
    """The seconds of one call, averaged over some."""
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def compare(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int, repeats: int
) -> tuple[float, float]:
    """Median seconds of both, measured in turns."""
    measured = [(seconds(ours, repeats), seconds(theirs, repeats)) for _ in range(rounds)]
    return statistics.median(a for a, _ in measured), statistics.median(b for _, b in measured)


def report(
    what: str, ours: float, theirs: float, aim: float, timed: str = "forward + backward"
) -> None:
    """Print both times and their quotient."""
    print(f"{what}, float32, one thread: {timed}")
    print(f"  ours      {1e3 * ours:.3f} ms")
    print(f"  PyTorch   {1e3 * theirs:.3f} ms")
    print(f"  quotient  {ours / theirs:.2f}   (at most {aim:g} is the aim)")
