"""A progress bar for what takes more than a moment."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress(items: Iterable[Item], name: str) -> Iterator[Item]:
    """Go through ``items`` with a bar on the terminal; none where the output goes to a file."""
    yield from tqdm(items, desc=name, disable=None, leave=False)
