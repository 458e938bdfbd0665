"""How it works: the method in ten steps, by numbers that can be checked by hand."""

from subemb.ui.pages.lesson.page import draw

draw()
