"""Reconstruction error: which tokens and subspaces lost how much, and how other methods do at the same size."""

from ...shell.frame import page
from ...widgets.other_side import compared_sides
from .equal_bytes import equal_bytes_view
from .views import Measured, extremes_view, ids_view, kinds_view, overview

VIEWS = {
    "Overview": overview,
    "Kinds and scripts": kinds_view,
    "By id": ids_view,
    "Best and worst": extremes_view,
    "Equal bytes": equal_bytes_view,
}


def draw() -> None:
    """The page."""
    frame = page(
        "Reconstruction error",
        "How far the compressed vectors are from the original ones: over all tokens, by group, and against other methods of the same size.",
    )
    with frame.errors():
        if frame.run is not None:
            compared_sides(frame)
            frame.tabs(VIEWS, "part", Measured(frame))
