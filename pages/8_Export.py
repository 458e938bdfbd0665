"""Export: take the compressed or adapted model away, as something that can be used without this app."""

from subemb.ui.pages.export.page import export_view
from subemb.ui.shell.frame import page
from subemb.ui.widgets.adapted_side import adapted_side

frame = page(
    "Export",
    "Take away what you see here: a small folder for subemb, a whole model for tools that know nothing of it, the table alone for "
    "ONNX, or a report to read and print.",
)
with frame.errors():
    if frame.run is not None:
        adapted_side(frame)
        export_view(frame)
