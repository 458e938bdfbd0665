"""Masked words: what a language model puts in the place of a mask, with the original and with the compressed table."""

from ...shell.frame import page
from ...widgets.adapted_side import adapted_side
from .sentence import sentence_view
from .tables import choose_tables, explain_no_head
from .text import text_view

VIEWS = {"A sentence": sentence_view, "Text": text_view}


def draw() -> None:
    """The page."""
    frame = page(
        "Masked words",
        "Hide a word, and a masked language model guesses it from the words around. See its best guesses with the original table and "
        "with the compressed one, and how well it guesses every token of a text.",
    )
    with frame.errors():
        if frame.run is None:
            return
        if not frame.model.has_head("masked"):
            explain_no_head(frame)
            return
        adapted_side(frame)
        frame.tabs(VIEWS, "masked_view", choose_tables(frame))
