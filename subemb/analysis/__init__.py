"""Looking at a result: errors, neighbours, use of codes, 2-D layouts. Every name is imported on first use."""

from importlib import import_module

_EXPORTS = {
    "reconstruction_error": "error",
    "ReconstructionError": "error",
    "id_bins": "error",
    "nearest": "neighbours",
    "Neighbours": "neighbours",
    "neighbours_kept": "neighbours",
    "NeighboursKept": "neighbours",
    "code_usage": "usage",
    "CodeUsage": "usage",
    "collision_groups": "usage",
    "CollisionGroup": "usage",
    "members": "usage",
    "Members": "usage",
    "tokens_by_code": "usage",
    "shared_blocks": "usage",
    "sample_tokens": "layout",
    "pca_layout": "layout",
    "umap_layout": "layout",
    "kept_umap_layout": "layout",
    "Layout": "layout",
    "UmapSettings": "layout",
    "layout_displacement": "layout",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
