"""The paper's claims: each measured, with a verdict."""

from subemb.ui.pages.claims.page import draw

draw()
