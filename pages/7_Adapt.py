"""Adapt: train the compact table until the model is itself again."""

from subemb.ui.pages.adapt.page import draw

draw()
