"""Named arrays in a file: what was saved comes back bit for bit, and what is damaged is refused."""

import io
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from shared.weights import SUFFIXES, check_suffix, load_arrays, save_arrays


def arrays():
    """Numbers of several types and shapes, some of them at the ends of what a type can hold."""
    r = np.random.default_rng(0)
    return {
        "blocks.0.attention.qkv.W": r.normal(size=(3, 4)),
        "blocks.0.attention.qkv.b": np.array([0.1, -0.0, 1e-45, 3e38], np.float32),
        "edges": np.array([np.nan, np.inf, -np.inf, 5e-324, 1.7e308]),
        "ids": np.array([[1, -(2**62)]]),
        "seen": np.array([True, False]),
        "one": np.array(2.5),
        "none": np.empty((0, 3)),
    }


def same(one, other):
    """Whether names, types, shapes and every bit agree."""
    return set(one) == set(other) and all(
        isinstance(other[name], np.ndarray)
        and (array.dtype, array.shape, array.tobytes())
        == (other[name].dtype, other[name].shape, other[name].tobytes())
        for name, array in one.items()
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_saved_comes_back_bit_for_bit(tmp_path, suffix):
    path = tmp_path / "new" / "folder" / f"weights{suffix}"
    save_arrays(path, arrays())
    assert same(arrays(), load_arrays(path))


def test_a_bit_that_differs_is_found():
    changed = arrays()
    changed["blocks.0.attention.qkv.b"][1] = 0.0  # was −0.0
    assert not same(arrays(), changed)
    assert not same(arrays(), arrays() | {"one": np.array(2.5, np.float32)})
    assert not same(arrays(), {name: array for name, array in arrays().items() if name != "one"})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_views_are_saved_as_they_look(tmp_path, suffix):
    table = np.arange(12.0).reshape(3, 4)
    views = {"turned": table.T, "every other": table[:, ::2], "backward": table[::-1]}
    save_arrays(tmp_path / f"views{suffix}", views)
    assert same(views, load_arrays(tmp_path / f"views{suffix}"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_loaded_can_be_changed_and_the_file_stays(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    save_arrays(path, arrays())
    loaded = load_arrays(path)
    loaded["one"][...] = 3
    assert same(arrays(), load_arrays(path))
    save_arrays(path, loaded)  # over the old one
    assert load_arrays(path)["one"] == 3


def test_pytorch_and_numpy_read_the_same_file(tmp_path):
    numbers = {"W": torch.linspace(0, 1, 6).reshape(2, 3)}
    save_file(numbers, tmp_path / "theirs.safetensors")
    np.testing.assert_array_equal(load_arrays(tmp_path / "theirs.safetensors")["W"], numbers["W"])
    save_arrays(tmp_path / "ours.npz", {"W": numbers["W"].numpy()})
    with np.load(tmp_path / "ours.npz") as archive:
        np.testing.assert_array_equal(archive["W"], numbers["W"])


@pytest.mark.parametrize("name", ["weights.pt", "weights", "weights.npz.gz", "weights.NPZ", ".npz"])
def test_another_ending_is_refused_by_both(tmp_path, name):
    path = tmp_path / name
    message = r"expected a name that ends in \.npz or \.safetensors, got .*: rename it"
    with pytest.raises(ValueError, match=message):
        save_arrays(path, arrays())
    assert not path.exists()
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=message):
        load_arrays(path)
    with pytest.raises(ValueError, match=message):
        check_suffix(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_is_named(tmp_path, suffix):
    with pytest.raises(FileNotFoundError, match=r"none\S*: expected saved arrays, found no file"):
        load_arrays(tmp_path / f"none{suffix}")


def small(tmp_path, suffix):
    """A file of two arrays: its path, and its bytes."""
    path = tmp_path / f"small{suffix}"
    save_arrays(path, {"W": np.arange(3.0), "b": np.ones(1, np.float32)})
    return path, path.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_ends_too_early_is_refused(tmp_path, suffix):
    path, content = small(tmp_path, suffix)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="got a damaged file: save again"):
            load_arrays(path)


@pytest.mark.parametrize("bit", [1, 32])
def test_npz_with_a_flipped_bit_is_refused_or_its_numbers_are_right(tmp_path, bit):
    path, content = small(tmp_path, ".npz")
    whole, refused = load_arrays(path), 0
    for place in range(len(content)):
        broken = bytearray(content)
        broken[place] ^= bit
        path.write_bytes(broken)
        try:
            found = load_arrays(path)
        except ValueError as error:
            assert "damaged" in str(error)
            refused += 1
        else:  # a name may differ or an array be lost, which the caller sees; a number never does
            for array in found.values():
                assert any(same({"": array}, {"": one}) for one in whole.values())
    assert refused > len(content) / 2


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PK\3\4", b"not weights at all" * 9])
def test_what_never_was_such_a_file_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="got a damaged file: save again"):
        load_arrays(path)


def one_array(file):
    np.save(file, np.ones(3))


def text_in_a_zip(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("W", "hello")


def objects(file):
    np.savez(file, W=np.array([{}], object))


@pytest.mark.parametrize("write", [one_array, text_in_a_zip, objects])
def test_npz_without_named_arrays_of_numbers_is_refused(tmp_path, write):
    file = io.BytesIO()
    write(file)
    (tmp_path / "weights.npz").write_bytes(file.getvalue())
    with pytest.raises(ValueError, match="expected named arrays"):
        load_arrays(tmp_path / "weights.npz")


def test_numbers_that_numpy_does_not_have_are_refused(tmp_path):
    save_file({"W": torch.ones(3, dtype=torch.bfloat16)}, tmp_path / "short.safetensors")
    with pytest.raises(ValueError, match=r"a type that NumPy has, got .*bfloat16.*as float32"):
        load_arrays(tmp_path / "short.safetensors")


@pytest.mark.parametrize("name", ["file", "allow_pickle", "a.npy"])
def test_names_that_numpy_keeps_for_itself_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="expected an array of numbers, and a name other than"):
        save_arrays(tmp_path / "a.npz", {name: np.ones(2), "b": np.ones(2)})


@pytest.mark.parametrize("array", [np.array([None]), np.array(["a"]), np.array([1j])])
def test_what_holds_no_numbers_is_refused(array, tmp_path):
    with pytest.raises(ValueError, match="expected an array of numbers"):
        save_arrays(tmp_path / "a.safetensors", {"a": array})
