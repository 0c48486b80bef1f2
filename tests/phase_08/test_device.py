"""Which device is taken, and which is refused; Apple's GPU is played by fakes."""

import platform

import pytest
import torch

from phase_08.device import choose_device, peak_memory_gib
from shared.errors import InputError


def pretend(monkeypatch, cuda=False, mps=False, version="2.14.0", macos="15.1"):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch, "__version__", version)
    monkeypatch.setattr(platform, "mac_ver", lambda: (macos, ("", "", ""), ""))


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ({}, "cpu"),
        ({"cuda": True}, "cuda"),
        ({"mps": True}, "mps"),
        ({"mps": True, "version": "2.13.0"}, "cpu"),
        ({"mps": True, "version": "2.9.1"}, "cpu"),
        ({"mps": True, "version": "3.0.0"}, "mps"),
        ({"mps": True, "macos": "14.6"}, "cpu"),
    ],
)
def test_auto_takes_the_best_that_can_be_trusted(machine, expected, monkeypatch):
    pretend(monkeypatch, **machine)
    assert choose_device("auto").type == expected


@pytest.mark.parametrize(
    ("name", "machine", "message"),
    [
        ("cuda", {}, "expected a CUDA GPU, got none: use auto or cpu"),
        ("mps", {}, "expected an Apple GPU, got none: use auto or cpu"),
        ("mps", {"mps": True, "version": "2.13.0+x"}, "expected torch 2.14 or newer, got 2.13.0"),
        ("mps", {"mps": True, "macos": "14.6"}, "expected macOS 15 or newer, got 14.6: update"),
    ],
)
def test_a_named_device_that_cannot_be_used_is_refused(name, machine, message, monkeypatch):
    pretend(monkeypatch, **machine)
    with pytest.raises(InputError, match=message):
        choose_device(name)


def test_memory_of_this_process_is_plausible():
    before = peak_memory_gib(torch.device("cpu"))
    held = torch.ones(2**26)  # a quarter of a GiB
    after = peak_memory_gib(torch.device("cpu"))
    assert 0.05 < before <= after < 200
    assert after > 0.25
    assert held.sum() > 0
