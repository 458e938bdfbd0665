"""The method: from a token table to codes and codebooks, and back into a model.

Reading order: readable, which has the algorithms in plain loops; subspaces, sizes, compressed; blocks, kmeans, unique, chunks, methods, estimates;
settings, weights, compression; layers, modules; storage, loading.
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
    "load": "loading",
}

__all__ = list(_EXPORTS)
__getattr__, __dir__ = lazy_names(__name__, _EXPORTS)
