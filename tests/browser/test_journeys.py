"""Two journeys in a real browser: a teacher hands out a link to two runs side by side; an engineer takes the smallest good setting away.

The lesson by keyboard is in test_lesson.py, a student's first visit in test_journey.py.
"""

import json
import re

from browsing import downloaded, go, settled, unpacked, wait_for
from playwright.sync_api import expect

from subemb.ui.shell.visitor import COOKIE

LONG = 180_000  # ms, on a busy machine
A, B = "model=kings&method=product&f=3&q=8&iterations=3", "model=kings&method=product&f=48&q=8&iterations=2"


def kept_lines(page) -> list[str]:
    """What a page says of run A and of run B."""
    return [text for text in page.locator("[data-testid=stMarkdown] p").all_inner_texts() if re.match("Run [AB]: ", text)]


def test_a_teacher_hands_out_a_link_to_two_runs_and_a_neighbour_leads_on_and_back(server, new_page):
    page = new_page(keep="desk")
    go(page, f"{server.url}/Assignments?{B}")
    settled(page)
    wait_for(
        page, lambda: COOKIE in {one["name"] for one in page.context.cookies()}
    )  # by which the next visit is known as hers
    go(page, f"{server.url}/Assignments?{A}&token=queen")
    settled(page)
    page.get_by_role("combobox", name="Compare with").click()
    page.get_by_role("option", name=re.compile("run B: .*f = 48")).click()
    said = wait_for(page, lambda: len(lines := kept_lines(page)) == 2 and lines)
    wait_for(page, lambda: "b=method" in page.url)
    other = new_page(width=390, height=844, locale="en-GB")  # of somebody else
    other.goto(page.url)
    assert wait_for(other, lambda: len(lines := kept_lines(other)) == 2 and lines) == said
    settled(page)
    neighbour = page.locator("tbody a.lead:not(.sb-b)").first
    name = neighbour.inner_text()
    neighbour.click()
    expect(page.get_by_text(re.compile(rf"^{re.escape(name)} · id \d+"))).to_be_visible()
    assert "b=method" in page.url
    page.go_back()
    wait_for(page, lambda: kept_lines(page) == said)
    expect(page.get_by_role("textbox", name="Find a token")).to_have_value("queen")

    go(page, f"{server.url}/Assignments?{A}&view=Usage&subspace=1")
    settled(page)
    bar = page.locator(".st-key-counts .point path").first
    bar.scroll_into_view_if_needed()
    settled(page)
    box = bar.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_text(re.compile(r"\) use code"))).to_be_visible()
    assert "view=Codewords" in page.url
    assert "subspace=1" in page.url


def test_an_engineer_takes_away_the_smallest_setting_within_some_points(server, new_page, tmp_path):
    page = new_page(keep="desk")
    go(page, f"{server.url}/Trade-off")
    expect(page.get_by_text("The smallest setting within 2 points of all-MiniLM-L6-v2: int4")).to_be_visible()
    points = page.get_by_role("spinbutton", name="Points to lose")
    points.fill("21")  # of which the answer comes along as a finished run
    points.press("Enter")
    expect(
        page.get_by_text("The smallest setting within 21 points of all-MiniLM-L6-v2: Cluster (unique), f = 3")
    ).to_be_visible()
    page.get_by_role("button", name="Open this setting").click()
    page.get_by_role("link", name="Look at this run").wait_for()
    wait_for(page, lambda: "method=cluster" in page.url)
    page.get_by_role("link", name="Export").click()
    page.locator(".st-key-export_compact_make button").click()
    page.locator(".st-key-export_compact_download button").wait_for(timeout=LONG)
    folder = unpacked(downloaded(page, "export_compact_download", tmp_path))
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["settings"]["method"] == "cluster"
