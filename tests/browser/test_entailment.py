"""The page Entailment in a real browser: a typed pair, the demonstration set to its end, a narrow window."""

import csv

import pytest
from browsing import changed_to, go, is_wider_than_its_place, settled, wait_for
from playwright.sync_api import expect

from subemb import load
from subemb.evaluate.entailment.head_files import cards_for

SMALL_QUERY = "method=product&f=2&q=2&weights=none&iterations=2"
BUNDLED_QUERY = "model=all-MiniLM-L6-v2&method=cluster&f=3"  # a preset, whose run comes along
BARS = """() => [...document.querySelectorAll('[data-testid=stMain] .js-plotly-plot')].filter(plot => plot.data)
    .flatMap(plot => plot.data).filter(trace => trace.type === 'bar').map(trace => [trace.name, [...trace.x]])"""


def bars(page) -> dict[str, list[float]]:
    return dict(page.evaluate(BARS))


def test_a_typed_pair_gets_bars_on_both_sides(server, new_page):
    page = new_page(keep="desk")
    go(page, f"{server.url}/Entailment?model=classifier&{SMALL_QUERY}")
    before = wait_for(page, lambda: bars(page), 90)
    page.get_by_role("textbox", name="Premise").fill("the cat sits on the mat")
    page.get_by_role("textbox", name="Hypothesis").fill("a dog runs under the tree")
    page.get_by_role("button", name="Judge").click()
    after = wait_for(page, lambda: (found := bars(page)) and found != before and found, 90)
    assert list(after) == ["original", "compressed"]
    assert all(sum(values) == pytest.approx(100, abs=0.01) for values in after.values())
    expect(page.get_by_text("Original says")).to_be_visible()
    expect(page.get_by_text("Compressed says")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 720})
    for part in (".st-key-verdict", ".js-plotly-plot"):  # the answer is seen without scrolling
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= 720
    wait_for(page, lambda: "hypothesis=a+dog" in page.url)
    other = new_page()  # the link shows the same to others
    other.goto(page.url)
    assert wait_for(other, lambda: bars(other), 90) == after


def test_the_demonstration_set_runs_to_its_end(server, new_page, tmp_path):
    if not cards_for(load("all-MiniLM-L6-v2")):
        pytest.skip("no entailment head is shipped with the bundled model")
    page = new_page(keep="desk")
    go(page, f"{server.url}/Entailment?{BUNDLED_QUERY}&part=Labelled+set&entailment_set_languages=all")
    page.get_by_role("button", name="Evaluate").click()
    expect(page.get_by_role("tab", name="Flipped pairs")).to_be_visible(timeout=300_000)
    expect(page.get_by_text("Accuracy, compressed")).to_be_visible()
    expect(page.get_by_text("McNemar").first).to_be_visible()
    page.get_by_role("tab", name="By language").click()
    expect(page.get_by_text("Change by language, largest loss first")).to_be_visible()
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all pairs as CSV").click()
    download.value.save_as(tmp_path / "pairs.csv")
    with (tmp_path / "pairs.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) >= 300
    right = sum(row["original"] == row["labelled"] for row in rows) / len(rows)
    assert right > 0.4  # guessing gives a third
    expect(page.get_by_text(f"{100 * right:.1f} %", exact=True).first).to_be_visible()
    other = new_page(width=390, height=844, color_scheme="dark")
    other.goto(page.url)
    expect(other.get_by_text("Change by language, largest loss first")).to_be_visible()
    assert not is_wider_than_its_place(other)


def test_a_narrow_window_holds_everything(server, new_page):
    page = new_page(width=390, height=844, keep="phone")
    go(page, f"{server.url}/Entailment?model=encoder&{SMALL_QUERY}&premise={'cat+' * 200}")
    for scheme in ("light", "dark"):
        changed_to(page, 390, scheme)
        wait_for(page, lambda: bars(page), 90)
        assert not is_wider_than_its_place(page)
        assert page.get_by_test_id("stAlertContentError").count() == 0
        for label in ("Premise", "Hypothesis"):
            expect(page.get_by_role("textbox", name=label)).to_be_visible()
