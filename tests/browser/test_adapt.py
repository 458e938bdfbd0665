"""The page Adapt in a real browser: start, watch the curve move, pause, go on, stop, see the three sides, take it away."""

import re
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from browsing import cosine_in_a_fresh_process, downloaded, go, is_wider_than_its_place, unpacked, wait_for
from checkpoints import WORDS
from playwright.sync_api import expect

import subemb
from subemb.adaptation import library
from subemb.models.load import load_listed
from subemb.runs import compressed_of

QUERY = "model=learner&method=cluster&f=2&q=8"
POINTS = """() => { const plot = document.querySelector('.st-key-adapt_live_loss .js-plotly-plot');
  return plot && plot.data ? plot.data[0].x.length : 0; }"""


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def sides(key: str) -> dict:
    compressed = compressed_of(library.run_key_of(key))
    model = load_listed("learner")
    return {"original": model, "compressed": subemb.attach(model, compressed), "adapted": library.open_adapted(key)}


def test_start_watch_pause_go_on_stop_take_away(server, in_places, new_page, tmp_path):
    page = new_page(keep="desk")
    go(page, f"{server.url}/Adapt?{QUERY}")
    page.get_by_role("textbox", name="Sentences").fill(
        "\n".join(f"{first} {second}" for first in WORDS[:8] for second in WORDS[8:16])
    )
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("button", name="Pause").wait_for()
    first = wait_for(page, lambda: page.evaluate(POINTS), 120)
    wait_for(page, lambda: page.evaluate(POINTS) > first, 120)  # the curve moves
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_role("link", name="Similarity").click()
    page.get_by_role("heading", name="Similarity", level=1).wait_for()
    sidebar.get_by_role("link", name="Adapt").click()  # who comes back sees it again
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").wait_for()
    expect(page.get_by_text(re.compile(r"Saved at step [\d,]+ of [\d,]+"))).to_be_visible()
    link = page.url
    assert "adaptation=" in link

    other = new_page(width=390, height=844, color_scheme="dark")  # a closed tab, opened again on a phone
    other.goto(link)
    other.get_by_role("button", name="Go on").click()
    other.get_by_role("button", name="Stop and keep the best").click()
    expect(other.get_by_text("Whole model")).to_be_visible()
    for side in ("original", "compressed", "adapted"):
        expect(other.get_by_text(f"Spearman x 100, {side}")).to_be_visible()
    assert not is_wider_than_its_place(other)

    go(page, link)
    expect(page.get_by_text("Whole model")).to_be_visible()
    expect(page.get_by_text("stopped early", exact=False).first).to_be_visible()
    assert not is_wider_than_its_place(page)

    main = page.get_by_test_id("stMain")  # the sidebar has links of the same names
    main.get_by_role("link", name="Similarity").click()
    expect(page.get_by_text("Cosine, adapted")).to_be_visible()
    (key,) = parse_qs(urlparse(page.url).query)["adapted"]
    pair = tuple(page.get_by_role("textbox", name=label).input_value() for label in ("First sentence", "Second sentence"))
    values = {name: cosine(*side.encode(list(pair)).astype(np.float64)) for name, side in sides(key).items()}
    for name, value in values.items():
        card = page.get_by_test_id("stMetric").filter(has_text=f"Cosine, {name}")
        expect(card.get_by_test_id("stMetricValue")).to_have_text(f"{value:.3f}".replace("-", "−"))
    assert not is_wider_than_its_place(page)
    sidebar.get_by_role("link", name="Export").click()
    expect(page.get_by_text("as adapted")).to_be_visible()  # the third side goes along
    page.locator(".st-key-export_compact_make button").click()
    page.locator(".st-key-export_compact_download button").wait_for(timeout=120_000)
    folder = unpacked(downloaded(page, "export_compact_download", tmp_path))
    assert cosine_in_a_fresh_process(folder, pair, in_places) == pytest.approx(values["adapted"], abs=1e-6)
