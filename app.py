"""Home: pick a model, set the compression, run it, read the size and quality cards."""

from subemb.ui.pages.home.page import draw

draw()
