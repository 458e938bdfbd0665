"""Subspace embedding of language models: compress a token table, look at the result, use it.

The public API; every name is imported on first use, so that ``import subemb`` costs nothing.
"""

from importlib import import_module

__version__ = "0.1.0"

_EXPORTS = {
    "load": "subemb.models.load",
    "PretrainedModel": "subemb.models.model",
    "compress": "subemb.models.named",
    "attach": "subemb.models.named",
    "adapt": "subemb.adaptation",
    "sweep": "subemb.sweep.run",
    "AdaptationSettings": "subemb.adaptation",
    "Compressed": "subemb.codec",
    "CompressionSettings": "subemb.codec",
    "SubspaceEmbedding": "subemb.codec",
    "SubspaceLinear": "subemb.codec",
    "InputError": "subemb.base.errors",
    "Cancelled": "subemb.base.errors",
}
_SUBPACKAGES = ("adaptation", "analysis", "codec", "evaluate", "export", "models")

__all__ = ["__version__", *_EXPORTS, *_SUBPACKAGES]


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    if name in _SUBPACKAGES:
        return import_module(f"subemb.{name}")
    raise AttributeError(f"module 'subemb' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
