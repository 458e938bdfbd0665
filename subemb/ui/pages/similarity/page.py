"""Similarity: what compression does to the similarity of sentences and words."""

from ...shell.frame import page
from ...widgets.adapted_side import adapted_side
from ...widgets.other_side import other_side
from .labelled import similarity_set_view
from .lists import lists_view
from .pair import pair_view
from .words import words_view

VIEWS = {"A pair": pair_view, "Lists": lists_view, "Labelled set": similarity_set_view, "Words": words_view}


def draw() -> None:
    """The page."""
    frame = page(
        "Similarity",
        "How alike two sentences are, by the original model and on the compressed table: for a pair of your own, for lists, for sets "
        "with human scores, and for single words.",
    )
    with frame.errors():
        if frame.run is not None:
            other_side(frame)
            adapted_side(frame)
            frame.tabs(VIEWS, "similarity", frame)
