"""Strips of tokens coloured by effect, and bars of scores, as HTML."""

import re
from html.parser import HTMLParser

import pytest
from checkpoints import HOSTILE

from subemb.ui.pages.similarity.pair import LOWERS, RAISES, TokenEffect, bar_html, legend_html, strip_html


def test_every_token_has_its_number_with_its_sign_and_a_colour_by_its_size():
    html = strip_html([TokenEffect("a", 0.2, ""), TokenEffect("b", -0.1, ""), TokenEffect("c", 0.0, "")], 0.2, "x")
    assert re.findall(r"<small>(.*?)</small>", html) == ["+0.200", "−0.100", "0"]
    assert re.findall(r"--c:(.*?);--a:(.*?)%", html) == [(RAISES, "60"), (LOWERS, "30"), (LOWERS, "0")]


def test_nothing_a_token_says_is_markup():
    html = strip_html([TokenEffect(text, 0.1, text, True) for text in HOSTILE], 0.1, HOSTILE[0])
    found = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.update([tag, *(name for name, _ in attributes)])

    Reader().feed(html)
    assert found == {
        "style",
        "div",
        "ul",
        "li",
        "bdi",
        "small",
        "span",
        "class",
        "data-tells",
        "aria-hidden",
        "aria-label",
        "tabindex",
        "title",
    }


def test_the_legend_names_both_ends():
    assert "−0.0040" in legend_html(0.004)
    assert "+0.0040" in legend_html(0.004)


@pytest.mark.parametrize(
    ("value", "low", "left", "width"),
    [(0.25, 0, 0, 25), (0.5, -1, 50, 25), (-0.5, -1, 25, 25), (2, 0, 0, 100), (-3, -1, 0, 50)],
)
def test_bars_start_at_zero_and_stay_on_their_track(value, low, left, width):
    html = bar_html(value, low, 1, "#000", "score")
    assert f"left:{left:.2f}%;width:{width:.2f}%" in html
    assert 'aria-label="score"' in html
