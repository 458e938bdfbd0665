"""Looking at a result: errors, neighbours, use of codes, 2-D layouts. Every name is imported on first use."""

from ..base.lazy import lazy_names

_EXPORTS = {
    "reconstruction_error": "error",
    "ReconstructionError": "error",
    "id_bins": "error",
    "nearest": "neighbours",
    "Neighbours": "neighbours",
    "compare_neighbours": "neighbours",
    "NeighboursCompared": "neighbours",
    "neighbours_kept": "neighbours",
    "near_before": "neighbours",
    "NearBefore": "neighbours",
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
__getattr__, __dir__ = lazy_names(__name__, _EXPORTS)
