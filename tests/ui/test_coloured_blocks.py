"""Blocks: colours that can be read, HTML that holds nothing but what was put in."""

from html.parser import HTMLParser

import pytest
from checkpoints import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st

from subemb.ui.widgets.coloured_blocks import (
    COLORS,
    LARGEST_DRAWING,
    Row,
    block_colors,
    color_number,
    palette,
    rows_that_fit,
    table_html,
    wrapped_html,
)
from subemb.ui.widgets.colours import contrast
from subemb.ui.widgets.leads import codeword_link, token_link

OWN_ELEMENTS = {"style", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "bdi", "small", "ul", "li", "a"}


class Reader(HTMLParser):
    """What a browser would see: elements, attributes, text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.texts = [], [], []
        self._inside = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += attributes
        self._inside.append(tag)

    def handle_endtag(self, tag):
        assert self._inside.pop() == tag, "elements overlap"

    def handle_data(self, data):
        if "style" not in self._inside:
            self.texts.append(data)


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the well-known grey just below the limit
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


def test_every_number_can_be_read_on_its_block():
    assert len(set(palette())) == COLORS
    assert min(contrast(background, text) for background, text in palette()) >= 4.5


def test_every_block_stands_out_from_one_page_or_has_a_lasting_edge():
    # Light theme #FFFFFF, dark theme #12161E: colours lie between, so that none vanishes in either.
    for background, _ in palette():
        assert contrast(background, "#ffffff") >= 1.8
        assert contrast(background, "#12161e") >= 2.5


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 400), st.integers(0, 70_000), st.integers(0, 70_000))
def test_colour_is_a_function_of_subspace_and_code(subspace, first, second):
    assert block_colors(subspace, first) == block_colors(subspace, first)
    same = (first - second) % COLORS == 0
    assert (color_number(subspace, first) == color_number(subspace, second)) == same


def test_rows_that_fit_bound_the_drawing():
    assert rows_that_fit(3) == LARGEST_DRAWING // 3
    assert rows_that_fit(384) * 384 <= LARGEST_DRAWING
    assert rows_that_fit(10**9) == 1


def test_codes_stand_in_their_cells_in_order():
    html = table_html([Row("cat", [7, 0, 31], "note"), Row("dog", [7, 1, 2])], "two rows")
    reader = Reader(html)
    assert [text for text in reader.texts if text.strip()] == [
        "two rows", "token \\ subspace", "0", "1", "2", "cat", "note", "7", "0", "31", "dog", "7", "1", "2",
    ]  # fmt: skip
    assert reader.elements.count("td") == 6
    assert html.count(f"--c:{block_colors(0, 7)[0]}") == 2  # the shared block, once a row


def test_a_token_of_another_tier_does_not_stretch_the_drawing():
    rows = [Row("cat", [7, 0], token=3, is_current=True), Row("dog", [7] * 77, token=4), Row("cow", [1, 2], token=5)]
    reader = Reader(table_html(rows, "three"))
    assert "".join(reader.texts).count("+ 69") == 1  # of 77, 8 are drawn
    assert reader.elements.count("td") == 3 * 8 + 1
    assert [value for name, value in reader.attributes if name == "href"].count(token_link(4)) == 2
    alone = Reader(table_html(rows[1:], "two"))  # where no token is the page's, nothing is left out
    assert alone.elements.count("td") == 2 * 77


def test_shared_blocks_are_told_by_more_than_colour():
    html = table_html([Row("cat", [7, 0], shared=[True, False])], "one row")
    assert html.count("sb-same") - html.split("</style>")[0].count("sb-same") == 1
    assert html.count("sb-own") - html.split("</style>")[0].count("sb-own") == 1
    assert " shared" in Reader(html).texts  # for who listens


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text):
    for html in (table_html([Row(text, [1, 2], text, token=3)], text), wrapped_html(Row(text, [1, 2]), text)):
        reader = Reader(html)
        assert set(reader.elements) <= OWN_ELEMENTS
        assert not [name for name, _ in reader.attributes if name.startswith("on")]
        links = {value for name, value in reader.attributes if name in ("href", "src")}
        assert links <= {token_link(3), codeword_link(0, 1), codeword_link(1, 2)}, (
            "they lead to numbers, never to what a token says"
        )


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=30))
def test_any_text_keeps_the_structure(text):
    plain, hostile = Reader(table_html([Row("x", [5])], "y")), Reader(table_html([Row(text, [5])], text))
    assert hostile.elements == plain.elements
    assert [name for name, _ in hostile.attributes] == [name for name, _ in plain.attributes]


def test_wrapped_blocks_tell_their_subspace():
    reader = Reader(wrapped_html(Row("cat", list(range(20))), "codes of cat", "stage"))
    assert "".join(reader.texts).count("stage") == 20
    assert ("title", "stage 19, code 19: who uses it") in reader.attributes


def test_names_and_blocks_lead_on_but_the_token_that_the_page_is_about_does_not():
    rows = [Row("cat", [7, 0], token=3, tier=2, is_current=True), Row("dog", [7, 1], token=4, tier=2)]
    links = [value for name, value in Reader(table_html(rows, "two")).attributes if name == "href"]
    assert links == [*(codeword_link(i, code, 2) for i, code in enumerate([7, 0])), token_link(4), codeword_link(0, 7, 2), codeword_link(1, 1, 2)]  # fmt: skip


def test_a_drawing_of_very_many_blocks_says_and_leads_nowhere_but_its_names_do():
    rows = [Row("cat", [7] * 40, token=number) for number in range(40)]
    links = {value for name, value in Reader(table_html(rows, "many")).attributes if name == "href"}
    assert links == {token_link(number) for number in range(40)}
