"""The page Export in a real browser: what is downloaded there is used by a process that has never seen the app."""

from urllib.parse import urlencode

import pytest
from browser_models import RUNS
from browsing import changed_to, cosine_in_a_fresh_process, downloaded, go, is_wider_than_its_place, unpacked, wait_for
from playwright.sync_api import expect

from subemb.runs import Run, run_and_keep
from subemb.tasks.sides import Subject, open_sides

(SETTINGS,) = RUNS["exported"]
RUN = {"model": "exported", "method": "product", "f": 3, "q": 4, "iterations": 2}
PAIR = ("the small bird sings", "the old dog sits under the tree")


@pytest.fixture
def kept(in_places) -> Run:
    return run_and_keep("exported", None, SETTINGS.to_dict())


def drawn(page) -> None:
    """Wait for the last of the cards."""
    page.locator(".st-key-export_report_download button").wait_for()


def test_the_compact_folder_gives_the_cosine_that_the_page_shows(server, in_places, kept, new_page, tmp_path):
    page = new_page(keep="desk")
    go(page, f"{server.url}/Similarity?{urlencode({**RUN, 'first': PAIR[0], 'second': PAIR[1]})}")
    scores = page.locator("[data-testid=stMetricValue]")
    shown = wait_for(page, lambda: values if len(values := scores.all_inner_texts()) >= 2 else None, 150)
    page.get_by_role("link", name="Export").click()
    drawn(page)
    page.locator(".st-key-export_compact_make button").click()
    page.locator(".st-key-export_compact_download button").wait_for(timeout=120_000)
    folder = unpacked(downloaded(page, "export_compact_download", tmp_path))
    cosine = cosine_in_a_fresh_process(folder, PAIR, in_places)
    assert f"{cosine:.3f}" == shown[1].replace("−", "-")
    side = open_sides(Subject("exported", None, kept.model["identity"], kept.key))["compressed"]
    one, other = side.encode(list(PAIR))
    exact = float(one @ other) / float((one @ one) * (other @ other)) ** 0.5
    assert cosine == pytest.approx(exact, abs=1e-6)


def test_the_report_opens_from_the_disk_and_draws_itself(server, new_page, tmp_path):
    page = new_page(keep="desk")
    go(page, f"{server.url}/Export?{urlencode(RUN)}")
    drawn(page)
    path = downloaded(page, "export_report_download", tmp_path)
    for width, scheme, back in ((1280, "light", "rgb(255, 255, 255)"), (390, "dark", "rgb(18, 22, 30)")):
        reader = new_page(width=width, color_scheme=scheme, offline=True)
        asked = []
        reader.on("request", lambda request, asked=asked: asked.append(request.url))
        reader.goto(path.as_uri())
        reader.locator("html[data-drawn=yes]").wait_for()
        expect(reader.locator("#chart-error .trace.scatter")).to_have_count(1 + SETTINGS.subspaces)
        assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
        assert reader.evaluate("getComputedStyle(document.body).backgroundColor") == back
        assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
        expect(reader.get_by_role("heading", level=1)).to_contain_text("exported")


def test_nothing_is_wider_than_the_page(server, new_page):
    page = new_page(keep="desk")
    go(page, f"{server.url}/Export?{urlencode(RUN)}")
    drawn(page)
    for width, scheme in ((1280, "dark"), (390, "light")):
        changed_to(page, width, scheme)
        drawn(page)
        assert not is_wider_than_its_place(page)
        assert page.get_by_test_id("stAlertContentError").count() == 0
