"""Named arrays in a file: ``.npz``, which NumPy reads, or ``.safetensors``, which everyone reads.

A safetensors file is what Hugging Face publishes weights in. Writing and reading it is the
``safetensors`` package's job, and only that needs the package.
"""

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
        If the name has another ending, an array has a name that NumPy keeps for itself, or holds
        no numbers.
    """
    check_suffix(path)
    for name, array in arrays.items():
        if (
            name in ("file", "allow_pickle")
            or name.endswith(".npy")
            or array.dtype.kind not in "biuf"
        ):
            raise ValueError(
                f"{name!r}: expected an array of numbers, and a name other than 'file', "
                f"'allow_pickle' and '….npy', got {array.dtype}: give it another name or type"
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez(path, **arrays)  # type: ignore[arg-type]  # names become keyword arguments
    else:
        from safetensors.numpy import save_file

        save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path)


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
        with path.open("rb") as file:
            try:
                with np.load(file, allow_pickle=False) as archive:
                    arrays = {name: archive[name] for name in archive.files}
            except Exception as error:  # a damaged archive fails in a dozen ways
                raise ValueError(damaged) from error
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError(damaged)
        return arrays
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(damaged) from error
    except TypeError as error:
        raise ValueError(
            f"{path}: expected numbers of a type that NumPy has, got {error}: save them as float32"
        ) from error
