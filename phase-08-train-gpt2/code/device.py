"""Where to compute: CUDA, Apple's MPS or the CPU.

MPS is used from torch 2.14 and macOS 15 on. Before, bfloat16 and float16 attention without
gradients could see future tokens there: training was right, but validation and samples were
silently wrong (pytorch issue 195910).
"""

import platform
import resource
import sys

import torch

from shared.errors import InputError


def choose_device(name: str) -> torch.device:
    """Return the device to compute on.

    Parameters
    ----------
    name
        ``auto`` takes CUDA, else MPS, else the CPU; ``cuda``, ``mps`` and ``cpu`` are as they say.

    Raises
    ------
    InputError
        If the named device is not here or must not be trusted.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if cuda else "mps" if mps and not _mps_problem() else "cpu"
    if name == "cuda" and not cuda:
        raise InputError("training.device: expected a CUDA GPU, got none: use auto or cpu")
    if name == "mps":
        if not mps:
            raise InputError("training.device: expected an Apple GPU, got none: use auto or cpu")
        if problem := _mps_problem():
            raise InputError(f"training.device: {problem}, or use cpu")
    return torch.device(name)


def _mps_problem() -> str:
    """Why MPS must not be used here; empty when it may."""
    if _version(torch.__version__) < (2, 14):
        return f"MPS expected torch 2.14 or newer, got {torch.__version__}: run `make setup`"
    if _version(platform.mac_ver()[0]) < (15,):
        return f"MPS expected macOS 15 or newer, got {platform.mac_ver()[0]}: update macOS"
    return ""


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("+")[0].split(".")[:2] if part.isdigit())


def peak_memory_gib(device: torch.device) -> float:
    """Return the most memory used so far, in GiB: of the GPU, or of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes, Linux: KiB
    return peak / (2**30 if sys.platform == "darwin" else 2**20)
