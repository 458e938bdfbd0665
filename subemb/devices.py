"""Where to compute: on the CPU, or on a CUDA device where there is one."""

from typing import TYPE_CHECKING

from .base.errors import InputError

if TYPE_CHECKING:
    import torch

#: ``auto`` is cuda where torch finds it, else the CPU.
DEVICES = ("auto", "cpu", "cuda")


def device_for(name: str) -> "torch.device":
    """The device of a name of DEVICES. Raises InputError for ``cuda`` where there is none."""
    import torch

    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError(f"device is {name!r}, but torch {torch.__version__} finds no CUDA device here; use cpu or auto")
    return torch.device("cuda")
