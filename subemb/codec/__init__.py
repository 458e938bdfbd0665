"""The method: from a token table to codes and codebooks, and back into a model.

Reading order: subspaces, settings, result; assignment, kmeans, unique, quantizers, compression; baselines, sizes; modules, storage.
Every name is imported on first use.
"""

from importlib import import_module

_EXPORTS = {
    "compress": "compression",
    "Compressed": "result",
    "SubspaceCompressed": "result",
    "CompressionSettings": "settings",
    "METHODS": "settings",
    "Method": "settings",
    "WEIGHTS": "settings",
    "Size": "sizes",
    "token_weights": "weights",
    "SubspaceEmbedding": "modules",
    "SubspaceLinear": "modules",
    "attach": "modules",
    "save": "storage",
    "load": "storage",
}

__all__ = [*_EXPORTS]


def __getattr__(name: str):
    if name not in _EXPORTS:
        raise AttributeError(f"module 'subemb.codec' has no attribute {name!r}")
    value = getattr(import_module(f"subemb.codec.{_EXPORTS[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
