"""Token map: tokens as points, original and reconstructed in the same coordinates, side by side and linked."""

from subemb.ui.shell.frame import page

frame = page(
    "Token map",
    "Every token is a point: its original vector on the left, its reconstruction on the right, in the same coordinates. "
    "Select tokens on one map to see them on the other and in the table below.",
)
with frame.errors():
    if frame.run is not None:
        from subemb.ui.pages.token_map.page import token_map

        token_map(frame)
