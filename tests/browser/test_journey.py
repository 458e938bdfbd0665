"""What a first visitor does, on the real bundled model, in a real browser."""

import re

import pytest
from browsing import (
    LEFT,
    changed_to,
    downloaded_rows,
    go,
    is_wider_than_its_place,
    lasso,
    map_state,
    maps_are_drawn,
    settled,
    wait_for,
)
from playwright.sync_api import expect

from subemb.base.plain import from_plain
from subemb.runs import Run

LONG = 180_000  # ms: compressing 30,522 tokens on a busy machine


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def server(start_app, cache):
    """A server that has never run anything."""
    return start_app({"SUBEMB_CACHE": str(cache)})


def metric(page, label: str) -> str:
    """The number under a label of a card; nothing while there is no card, or the old one beside the new one."""
    card = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True))
    values = card.get_by_test_id("stMetricValue").all_inner_texts()
    return values[0].strip() if len(values) == 1 else ""


def cards_of(page) -> dict[str, str]:
    page.get_by_text("Details", exact=True).wait_for(timeout=LONG)
    if not page.get_by_text("Neighbours kept at 10", exact=True).is_visible():
        page.get_by_text("Details", exact=True).click()
    page.get_by_text("Neighbours kept at 10", exact=True).wait_for(timeout=LONG)
    labels = (
        "Original table",
        "Compressed, in total",
        "Codebooks",
        "Codes",
        "Relative error",
        "Mean cosine",
        "Distinct tuples",
    )
    wait_for(page, lambda: all(metric(page, label) for label in labels))
    return {label: metric(page, label) for label in labels}


def kept_runs(cache) -> list[Run]:
    import json

    return [from_plain(Run, json.loads(path.read_text())["value"]) for path in (cache / "runs").glob("*/run.json")]


def test_a_first_visit_sees_a_whole_result_at_once_and_the_papers_by_one_click(new_page, server, cache):
    page = new_page(keep="visit")
    page.goto(server.url)
    page.get_by_text("of the sentence similarity").wait_for()
    page.get_by_role("img", name="46.9 MB become 234 kB").wait_for()
    page.get_by_role("img", name=re.compile("Sentence similarity .* before, .* after")).wait_for()
    settled(page)
    been = page.evaluate("history.length")
    page.get_by_text("The paper's", exact=True).click()
    page.get_by_role("img", name="46.9 MB become 69.5 kB").wait_for()
    wait_for(page, lambda: "method=cluster" in page.url)
    settled(page)
    assert page.evaluate("history.length") == been + 1  # one press of Back leads to what was there before
    cards = cards_of(page)
    assert cards["Original table"] == "46.9 MB"
    assert cards["Codebooks"] == "12.3 kB"  # 32 x 384 numbers in 8 bits, and a scale of 2 bytes for each of 3 codebooks
    assert cards["Codes"] == "57.2 kB"  # 30,522 x 3 codes x 5 bits
    assert cards["Distinct tuples"] == "30,522"
    assert float(cards["Relative error"]) < 0.95
    assert kept_runs(cache) == []  # nothing was computed


def test_run_then_map_then_lasso_then_table(new_page, server, cache, tmp_path):
    page = new_page(keep="visit")
    go(page, f"{server.url}/")
    page.get_by_text("The paper's", exact=True).click()
    page.get_by_role("img", name="46.9 MB become 69.5 kB").wait_for()
    settled(page)
    page.get_by_role("spinbutton", name="Subspaces f").fill("4")
    page.get_by_role("spinbutton", name="Subspaces f").press("Enter")
    page.get_by_text("Q = 14", exact=False).wait_for()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("button", name="Cancel").wait_for()
    page.get_by_text(re.compile(r"Step \d+: relative error 0\.\d{4}")).wait_for(timeout=LONG)  # the live curve
    page.get_by_role("img", name=re.compile("46.9 MB become")).wait_for(timeout=LONG)
    cards_of(page)
    wait_for(page, lambda: metric(page, "Codebooks") == "5.38 kB", LONG / 1000)  # 14 x 384 numbers in 8 bits, and 4 scales
    assert cards_of(page)["Distinct tuples"] == "30,522"
    wait_for(page, lambda: "f=4" in page.url)

    page.get_by_role("link", name="Token map").click()
    maps_are_drawn(page)
    wait_for(page, lambda: "f=4" in page.url)
    lasso(page, LEFT, radius=25)
    ids = wait_for(page, lambda: map_state(page)["ids"], 30)
    page.locator(".st-key-map_selected_download button").wait_for()
    rows = downloaded_rows(page, "map_selected_download", tmp_path)
    assert sorted(int(row["id"]) for row in rows) == ids
    assert {"code 0", "code 1", "code 2", "code 3"} <= set(rows[0])
    page.get_by_role("button", name="Cancel").click()  # what it shows are the principal axes; UMAP takes half a minute more
    page.get_by_role("button", name="Cancel").wait_for(state="detached")
    assert map_state(page)["ids"] == ids


def test_a_link_shows_another_visitor_the_same(new_page, server):
    link = f"{server.url}/?model=all-MiniLM-L6-v2&method=arbitrary&f=3"
    first = new_page(keep="visit")
    go(first, link)
    first.get_by_text("has not been computed on this server yet").wait_for()
    first.get_by_role("button", name="Run", exact=True).click()
    cards_of(first)
    second = new_page()
    wait_for(first, lambda: metric(first, "Codes") == "0 B")
    second.goto(first.url)
    assert cards_of(second) == cards_of(first)
    wait_for(second, lambda: second.get_by_text("Arbitrary", exact=False).count() > 0)


def test_a_run_can_be_cancelled_and_the_page_keeps_what_it_had(new_page, server):
    page = new_page(keep="visit")
    go(page, f"{server.url}/")
    page.get_by_text("The paper's", exact=True).click()
    page.get_by_role("img", name="46.9 MB become 69.5 kB").wait_for()
    before = cards_of(page)
    settled(page)
    page.get_by_role("spinbutton", name="Subspaces f").fill("6")
    page.get_by_role("spinbutton", name="Subspaces f").press("Enter")
    page.get_by_text("Q = 6", exact=False).wait_for()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Stopped. What was computed before is still here.").wait_for()
    assert cards_of(page) == before
    wait_for(page, lambda: page.get_by_role("button", name="Run", exact=True).is_enabled())


def test_home_fits_wide_and_narrow(server, new_page):
    page = new_page(keep="visit")
    go(page, f"{server.url}/")
    cards_of(page)
    for width, scheme in ((1280, "light"), (390, "dark")):
        changed_to(page, width, scheme)
        cards_of(page)
        assert not is_wider_than_its_place(page)
        cut = page.evaluate(
            """() => [...document.querySelectorAll('[data-testid=stMetricValue] > div')]
            .filter((value) => value.scrollWidth > value.clientWidth + 1).map((value) => value.textContent)"""
        )
        assert not cut, f"numbers that do not fit their card: {cut}"

    changed_to(page, 1280, "light")
    page.get_by_test_id("stSidebar").hover()
    page.get_by_test_id("stSidebarCollapseButton").locator("button").click()
    opens = page.get_by_test_id("stExpandSidebarButton")
    opens.wait_for()
    title = page.get_by_role("heading", level=1)
    wait_for(page, lambda: title.bounding_box()["x"] >= opens.bounding_box()["x"] + opens.bounding_box()["width"])
    opens.click()
    expect(opens).to_have_count(0)
