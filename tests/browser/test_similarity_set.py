"""A labelled set in a real browser: upload a file as it is, evaluate, read Spearman before and after with its interval."""

import re

import numpy as np
from browser_models import RATED
from browsing import downloaded_rows, is_wider_than_its_place
from scipy.stats import spearmanr
from shared import shared_path

from subemb.codec.settings import CompressionSettings
from subemb.runs import run_and_keep

LONG = 240_000  # ms: a busy machine
RUN = "method=product&f=4&q=4&iterations=2"
TAB = "similarity=Labelled+set&similarity_set_source=Your+files"
NUMBER = r"[−+]?\d+\.\d"


def evaluate(page, url: str, file) -> None:
    """Open the tab, give the file, press Evaluate, and wait for the result."""
    page.goto(url)
    page.get_by_test_id("stFileUploaderDropzoneInput").first.set_input_files(file)
    page.get_by_role("button", name="Evaluate", exact=True).click(timeout=LONG)
    page.get_by_text("Pairs that moved most", exact=True).wait_for(timeout=LONG)


def metric(page, label: str) -> str:
    card = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True))
    return card.get_by_test_id("stMetricValue").inner_text().strip()


def summary(page) -> str:
    """The verdict, with the interval of the difference."""
    line = page.get_by_text(
        re.compile(rf"has (the same|{NUMBER} points (less|more)) Spearman (as|than) original.* {NUMBER} to {NUMBER} points")
    )
    return line.first.inner_text(timeout=LONG)


def test_a_file_is_evaluated_and_its_link_shows_another_visitor_the_same(new_page, server, tmp_path):
    generator = np.random.default_rng(0)
    file = tmp_path / "sts-made.csv"
    rows = [
        f"main\tmade\t2026\t{number}\t{generator.random() * 5:.2f}\t"
        + "\t".join(" ".join(generator.choice(RATED, 5)) for _ in "ab")
        for number in range(40)
    ]
    file.write_text("\n".join([*rows, "main\tmade\t2026\t40\t\tno score\there"]), encoding="utf-8")
    page = new_page()
    evaluate(page, f"{server.url}/Similarity?model=rated&{RUN}&{TAB}", file)
    page.get_by_text("1 row left out", exact=False).first.wait_for()
    said = summary(page)
    rows = downloaded_rows(page, "labelled_set_pairs", tmp_path)
    assert len(rows) == 40
    for side in ("original", "compressed"):
        score = spearmanr(*([float(row[column]) for row in rows] for column in ("gold", f"cosine {side}"))).statistic
        written = f"{score * 100:.1f}".replace("-", "−")
        assert metric(page, f"Spearman, {side}") == written
    page.locator(".st-key-labelled_set_scatter_0 .js-plotly-plot").wait_for()
    page.wait_for_url(re.compile("similarity_set_digest="))

    other = new_page(width=390, color_scheme="dark")
    other.goto(page.url)
    assert summary(other) == said
    other.locator(".st-key-labelled_set_gold .js-plotly-plot").wait_for()
    assert not is_wider_than_its_place(other)


def test_the_sts_benchmark_dev_file_as_it_is(page, server, in_places):
    file = shared_path("data/stsb/sts-dev.csv")
    run_and_keep("all-MiniLM-L6-v2", None, CompressionSettings("arbitrary", subspaces=3).to_dict())
    run = "model=all-MiniLM-L6-v2&method=arbitrary&f=3"
    evaluate(page, f"{server.url}/Similarity?{run}&{TAB}&similarity_set_limit=200", file)
    page.get_by_text("STS benchmark · similarity, graded scores · 1,500 pairs", exact=False).wait_for()
    page.get_by_text("200 of 1,500 pairs, seed 0", exact=False).wait_for()
    assert summary(page)
    before, after = (float(metric(page, f"Spearman, {side}")) for side in ("original", "compressed"))
    assert before > 75
    assert after < before - 20, "arbitrary codes without training lose most of it"
    page.get_by_text("mean tokens, as its authors set it", exact=False).wait_for()
