"""Trade-off: what every byte buys, over many settings, with the visitor's own runs among them."""

from subemb.ui.pages.tradeoff.page import draw

draw()
