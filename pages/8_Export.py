"""Export: take the compressed or adapted model away, as something that can be used without this app."""

from subemb.ui.pages.export.page import draw

draw()
