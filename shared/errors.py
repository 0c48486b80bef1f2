"""Mistakes in what a user gave: one sentence on the terminal instead of a traceback."""

import sys
from collections.abc import Callable
from functools import wraps


class InputError(ValueError):
    """What came from the user is wrong; the text says what was expected, what came, what to do."""


def exits_with_sentence(main: Callable[[], None]) -> Callable[[], None]:
    """Make a script's ``main`` end with exit code 2 and one sentence when the input is wrong."""

    @wraps(main)
    def wrapped() -> None:
        try:
            main()
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None

    return wrapped
