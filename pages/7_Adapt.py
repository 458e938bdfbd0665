"""Adapt: train the compact table until the model is itself again."""

from subemb.ui.pages.adapt.page import adapt_page
from subemb.ui.shell.frame import page

frame = page(
    "Adapt",
    "Codes and codebooks were found by looking at the table alone. Here the original model becomes a teacher: the codebooks are trained "
    "until the model answers as it did. Nothing but sentences without labels is needed, or not even those. "
    "Or fine-tune it on masked words or labelled pairs, and the original alike.",
)
with frame.errors():
    if frame.run is not None:
        adapt_page(frame)
