"""The page Export in a real browser: what is downloaded there is used by a process that has never seen the app."""

from urllib.parse import urlencode

import pytest
from browsing import cosine_in_a_fresh_process, downloaded, is_wider_than_its_place, unpacked, wait_for
from checkpoints import SPECIAL, WORDS, make_bert
from playwright.sync_api import expect

from subemb.codec.settings import CompressionSettings
from subemb.runs import Run, run_and_keep
from subemb.tasks.sides import Subject, open_sides

SETTINGS = CompressionSettings("product", subspaces=3, codebook_size=4, iterations=2)
RUN = {"model": "small", "method": "product", "f": 3, "q": 4, "iterations": 2}
PAIR = ("the small bird sings", "the old dog sits under the tree")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    models, cache = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("cache")
    make_bert(models / "small", [*SPECIAL, *WORDS], dim=24, initializer_range=0.3)
    given = {"SUBEMB_MODELS": str(models), "SUBEMB_CACHE": str(cache)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        yield given


@pytest.fixture(scope="module")
def kept(environment) -> Run:
    return run_and_keep("small", None, SETTINGS.to_dict())


@pytest.fixture(scope="module")
def server(start_app, environment, kept):
    return start_app(environment)


def drawn(page) -> None:
    """Wait for the last of the cards."""
    page.locator(".st-key-export_report_download button").wait_for()


def test_the_compact_folder_gives_the_cosine_that_the_page_shows(server, environment, kept, page, tmp_path):
    page.goto(f"{server.url}/Similarity?{urlencode({**RUN, 'first': PAIR[0], 'second': PAIR[1]})}")
    scores = page.locator("[data-testid=stMetricValue]")
    shown = wait_for(page, lambda: values if len(values := scores.all_inner_texts()) >= 2 else None, 150)
    page.get_by_role("link", name="Export").click()
    drawn(page)
    page.locator(".st-key-export_compact_make button").click()
    page.locator(".st-key-export_compact_download button").wait_for(timeout=120_000)
    folder = unpacked(downloaded(page, "export_compact_download", tmp_path))
    cosine = cosine_in_a_fresh_process(folder, PAIR, environment)
    assert f"{cosine:.3f}" == shown[1].replace("−", "-")
    side = open_sides(Subject("small", None, kept.model["identity"], kept.key))["compressed"]
    one, other = side.encode(list(PAIR))
    exact = float(one @ other) / float((one @ one) * (other @ other)) ** 0.5
    assert cosine == pytest.approx(exact, abs=1e-6)


def test_the_report_opens_from_the_disk_and_draws_itself(server, new_page, tmp_path):
    page = new_page()
    page.goto(f"{server.url}/Export?{urlencode(RUN)}")
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
        expect(reader.get_by_role("heading", level=1)).to_contain_text("small")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_nothing_is_wider_than_the_page(server, new_page, width, scheme):
    page = new_page(width=width, height=900, color_scheme=scheme)
    page.goto(f"{server.url}/Export?{urlencode(RUN)}")
    drawn(page)
    assert not is_wider_than_its_place(page)
    assert page.get_by_test_id("stAlertContentError").count() == 0
