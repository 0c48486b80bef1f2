"""Named arrays in a file: ``.npz``, which NumPy reads, or ``.safetensors``, which everyone reads.

A safetensors file is what Hugging Face publishes weights in. Writing and reading it is the
``safetensors`` package's job, and only that needs the package.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUFFIXES = (".npz", ".safetensors")


def check_suffix(path: Path) -> None:
    """Refuse a file name that says no known format."""
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}, got "
            f"{path.suffix or 'no ending'}: rename it"
        )


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays under their names; the ending of the name chooses the format.

    Raises
    ------
    ValueError
        If the name has another ending.
    """
    check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez(path, **arrays)  # type: ignore[arg-type]  # names become keyword arguments
    else:
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read what `save_arrays` wrote.

    Raises
    ------
    ValueError
        If the name has another ending, or the file is damaged.
    FileNotFoundError
        If there is none.
    """
    check_suffix(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected saved arrays, found no file: save some first")
    damaged = f"{path}: expected named arrays in {path.suffix} form, got a damaged file: save again"
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except (zipfile.BadZipFile, ValueError, EOFError, AttributeError) as error:
            raise ValueError(damaged) from error
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(damaged) from error
