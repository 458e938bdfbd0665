"""The pages Assignments and Reconstruction error in a real browser, on a small model that is compressed beforehand."""

import csv
import io
import re

import pytest
from browsing import go, is_wider_than_its_place, nothing_is_computed, wait_for
from browsing import settled as at_rest
from checkpoints import SPECIAL
from playwright.sync_api import expect

FEW_QUERY = "model=kings&method=product&f=3&q=8&iterations=3"
MANY_QUERY = "model=kings&method=product&f=48&q=8&iterations=2"
TABS = {
    "Assignments": ("Token", "Sentence", "Codewords", "Usage", "Collisions", "All tokens"),
    "Reconstruction_error": ("Overview", "Kinds and scripts", "By id", "Best and worst", "Equal bytes"),
}


def settled(page):
    """Wait until the script has run and nothing is being computed."""
    page.locator("[data-testid=stMain] [role=tabpanel]").first.wait_for()
    nothing_is_computed(page)
    at_rest(page)


@pytest.fixture
def assignments(server, new_page):
    """A tab of the page Assignments: one page for several tests."""

    def shown(tab: str):
        page = new_page(keep="desk")
        if f"{server.url}/Assignments?" not in page.url:
            go(page, f"{server.url}/Assignments?{FEW_QUERY}")
            settled(page)
        page.get_by_role("tab", name=tab, exact=True).click()
        settled(page)
        return page

    return shown


def test_equal_codes_have_equal_colours_and_numbers(assignments):
    page = assignments("Token")
    page.get_by_role("textbox", name="Find a token").fill("queen")
    page.get_by_role("textbox", name="Find a token").press("Enter")
    expect(page.get_by_text("id 6 · whole word")).to_be_visible()
    wait_for(page, lambda: "token=queen" in page.url)
    seen = page.locator("table .sb-b").evaluate_all(
        """blocks => blocks.map(block => [block.closest('td').cellIndex, block.firstChild.textContent,
            getComputedStyle(block).borderTopColor, block.classList.contains('sb-own')])"""
    )
    assert len(seen) == 2 * 11 * 3  # two drawings of the token and ten neighbours
    colours = {}
    for column, code, colour, _ in seen:
        assert colours.setdefault((column, code), colour) == colour
    chosen = {(column, code) for column, code, _, _ in seen[:3]}
    assert all(((column, code) in chosen) != is_own for column, code, _, is_own in seen)


def test_views_can_be_reached_by_keyboard(assignments):
    page = assignments("Token")
    page.get_by_role("tab", name="Token", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Sentence")).to_be_visible()
    drawing = page.get_by_role("region", name="tokens, in order")
    drawing.focus()
    assert drawing.evaluate("element => element === document.activeElement")  # arrow keys scroll it then


def test_the_whole_table_can_be_downloaded(assignments):
    page = assignments("All tokens")
    with page.expect_download() as started:
        page.get_by_role("button", name="Download CSV (308 rows)").click()
    rows = list(csv.DictReader(io.StringIO(started.value.path().read_text(encoding="utf-8-sig"))))
    assert [row["token"] for row in rows[:6]] == [*SPECIAL, "king"]
    assert len(rows) == 308
    assert all(0 <= int(row[f"subspace {i}"]) < 8 for row in rows for i in range(3))


def test_a_pasted_book_is_cut_and_the_page_goes_on(assignments):
    page = assignments("Sentence")
    field = page.get_by_role("textbox", name="Sentence")
    # 9.9 MB; few places to break a line after what is kept, for Chromium takes seconds to break millions of lines.
    book = "king queen " * 200 + ("k" * 999 + " ") * 9_900
    field.fill(book)
    assert field.evaluate("element => element.value.length") == len(book)
    field.press("Control+Enter")
    expect(page.get_by_text("9,902,200 characters were given; the first 2,000 are kept.")).to_be_visible(timeout=180_000)
    expect(page.get_by_text("the first 128 of").first).to_be_visible()
    assert len(page.url) < 5000
    field.fill("king")
    field.press("Control+Enter")
    expect(page.get_by_text("Drawn: 3 tokens")).to_be_visible()
    wait_for(page, lambda: "sentence=king" in page.url)
    expect(page.get_by_text("characters were given")).not_to_be_visible()


def test_a_link_opens_the_same_codeword(server, new_page):
    first = new_page(keep="desk")
    go(first, f"{server.url}/Assignments?{FEW_QUERY}&view=Codewords")
    settled(first)
    first.get_by_label("Code", exact=True).fill("5")
    first.get_by_label("Code", exact=True).press("Enter")
    sentence = first.get_by_text(re.compile("of 308 tokens .* use code 5 of subspace 0"))
    expect(sentence).to_be_visible()
    second = new_page()
    second.goto(first.url)
    expect(second.get_by_text(sentence.inner_text())).to_be_visible()


def test_settings_of_a_page_stay_when_coming_back(server, new_page):
    page = new_page(keep="desk")
    go(page, f"{server.url}/Assignments?{FEW_QUERY}&view=Codewords&subspace=1&code=2")
    settled(page)
    page.get_by_role("link", name="Reconstruction error").click()
    expect(page.get_by_role("heading", name="Reconstruction error")).to_be_visible()
    wait_for(page, lambda: "method=product" in page.url)
    settled(page)
    page.get_by_role("link", name="Assignments").click()
    expect(page.get_by_role("heading", name="Assignments")).to_be_visible()
    settled(page)
    page.get_by_role("tab", name="Codewords").click()
    expect(page.get_by_text(re.compile("use code 2 of subspace 1"))).to_be_visible()


@pytest.mark.parametrize("path", TABS)
def test_nothing_is_wider_than_the_page(server, new_page, path):
    page = new_page(width=390, height=900, color_scheme="dark", keep="phone")  # the menu begins closed, and is at both widths
    go(page, f"{server.url}/{path}?{MANY_QUERY}")
    settled(page)
    for tab in TABS[path]:
        page.get_by_role("tab", name=tab, exact=True).click()
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            settled(page)
            assert not is_wider_than_its_place(page), (tab, width)
            assert page.get_by_test_id("stException").count() == 0, tab
            assert page.get_by_test_id("stAlertContentError").count() == 0, tab


def test_a_comparison_runs_and_opens_a_run(server, new_page):
    page = new_page(keep="desk")
    go(page, f"{server.url}/Reconstruction_error?{FEW_QUERY}&part=Equal+bytes")
    settled(page)
    page.get_by_role("button", name="Compare at equal bytes").click()
    expect(page.get_by_text("Select a row to show that run on all pages.")).to_be_visible(timeout=120_000)
    settled(page)
    chart = page.get_by_test_id("stPlotlyChart")
    for method in ("Cluster (unique)", "Residual", "Low rank (SVD)", "int8", "int4"):
        expect(chart.get_by_text(method, exact=True)).to_be_visible()
    # The first column of the table selects rows; the second row is the first method after the run's own.
    rows = page.get_by_test_id("stDataFrame").last
    rows.scroll_into_view_if_needed()
    box = rows.bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + 38 + 35 + 17)
    expect(page.locator(".st-key-page_header p", has_text="Cluster (unique), f = 2, Q = 31")).to_be_visible()
    expect(page.get_by_text("Not run yet")).to_have_count(0)  # the form is that of the run that was opened
    wait_for(page, lambda: "method=cluster" in page.url)
