"""The method: from a token table to codes and codebooks, and back into a model.

Reading order: subspaces, settings, result; assignment, kmeans, unique, quantizers, compression; baselines, sizes; modules, storage.
Every name is imported on first use.
"""

from ..base.lazy import lazy_names

_EXPORTS = {
    "compress": "compression",
    "Compressed": "compressed",
    "SubspaceCompressed": "compressed",
    "CompressionSettings": "settings",
    "METHODS": "methods",
    "Method": "methods.base",
    "WEIGHTS": "settings",
    "Size": "sizes",
    "token_weights": "weights",
    "SubspaceEmbedding": "modules",
    "SubspaceLinear": "modules",
    "attach": "modules",
    "save": "storage",
    "load": "storage",
}

__all__ = list(_EXPORTS)
__getattr__, __dir__ = lazy_names(__name__, _EXPORTS)
