"""The process that :mod:`subemb.models.probe` starts: builds networks without weights under a limit of time and memory."""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from ..base.errors import ModelError
from .loading import architecture


def main() -> None:
    """Read a request from standard input, and write the answer to standard output, which libraries cannot reach."""
    outgoing = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    _import_what_networks_need()
    _limit(request["seconds"], request["bytes"])
    with outgoing:
        json.dump(answer(request["folder"], request["classes"]), outgoing)


def _import_what_networks_need() -> None:
    """Before the limits, which are for the network alone: it takes some seconds of computing, ten on a slow computer."""
    import transformers

    with torch.device("meta"):
        transformers.AutoModel.from_config(transformers.BertConfig(num_hidden_layers=1))


def answer(folder: str, classes: list[str]) -> dict[str, Any]:
    """What :class:`subemb.models.probe.Architecture` has."""
    found: dict[str, Any] = {"shapes": {}}
    for auto_class in classes:
        try:
            network = architecture(Path(folder), auto_class)
        except ModelError as error:
            if auto_class != "AutoModel":
                continue  # no such head
            return {"error": str(error).partition(" cannot be built: ")[2] or str(error)}
        named = list(network.named_parameters(remove_duplicate=False))
        found["shapes"] |= {name: list(value.shape) for name, value in named}
        if auto_class == "AutoModel":
            found |= {"inputs": _inputs(network, named), "prefix": getattr(network, "base_model_prefix", "")}
            found["model_type"] = str(network.config.model_type)
    return found


def _inputs(network, named: list) -> list[str] | None:
    """Names of the parameter that is the input embedding; None if there is none."""
    try:
        weight = network.get_input_embeddings().weight
    except Exception:  # networks of every kind
        return None
    return [name for name, parameter in named if parameter is weight]


def _limit(seconds: int, memory: int) -> None:
    """End this process after so many more seconds of computing, and refuse it more than so many more bytes."""
    try:
        import resource
    except ImportError:  # Windows has no such limits; there the parent's clock ends it
        return
    with contextlib.suppress(OSError, ValueError):
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + seconds,) * 2)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGESIZE") + memory,) * 2)
