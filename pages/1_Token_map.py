"""Token map: tokens as points, original and reconstructed in the same coordinates, side by side and linked."""

from subemb.ui.pages.token_map.page import draw

draw()
