"""The page Token map in a real browser: what links the two maps happens there."""

from itertools import pairwise
from urllib.parse import urlencode

import pytest
from browser_models import MAPPED, RUNS
from browsing import LEFT, RIGHT, changed_to, downloaded_rows, lasso, maps_are_drawn, wait_for

from subemb.ui.shell.request import Request, to_query

(SETTINGS,) = RUNS["mapped"]

#: What one map shows: selected ids, how many traces of tokens there are, the visible range, the tool, and a mark we leave on
#: the chart's element: it is gone once the chart has been built anew.
STATE = """(place) => {
  const plot = document.querySelector(`.st-key-${place} .js-plotly-plot`);
  if (!plot || !plot._fullLayout || !plot._fullLayout.xaxis) return null;
  const traces = plot.data.filter((trace) => trace.customdata);
  return {
    ids: traces.flatMap((t) => (t.selectedpoints || []).map((i) => t.customdata[i])).sort((a, b) => a - b),
    range: [...plot._fullLayout.xaxis.range, ...plot._fullLayout.yaxis.range].map((value) => Number(value.toFixed(4))),
    tool: plot._fullLayout.dragmode,
    colours: JSON.stringify(traces.map((t) => t.marker.cmax ?? t.marker.color)),
    hover: [...plot.querySelectorAll('.hovertext')].map((node) => node.textContent).join(' '),
    marked: plot.dataset.marked || '',
  };
}"""


@pytest.fixture
def open_map(server):
    def opened(page, **query):
        page.goto(f"{server.url}/Token_map?{urlencode(to_query(Request('mapped', None, SETTINGS)) | query)}")
        maps_are_drawn(page)
        return page

    return opened


@pytest.fixture
def maps(new_page, open_map):
    """The maps in a window of some width, light or dark, and nothing selected: one page for several tests."""

    def shown(width: int = 1280, scheme: str = "light"):
        page = new_page(width=390, keep="maps")  # narrow at first: the menu begins closed then, and is at both widths
        if "Token_map" not in page.url:
            open_map(page)
        changed_to(page, width, scheme)
        maps_are_drawn(page)
        if bar(page):
            page.locator(".st-key-map_clear button").click()
            wait_for(page, lambda: not state(page, LEFT)["ids"] and not state(page, RIGHT)["ids"] and not bar(page))
        return page

    return shown


def state(page, place):
    return page.evaluate(STATE, place)


def bar(page) -> str:
    place = page.locator(".st-key-map_selection_bar")
    return place.inner_text() if place.count() else ""


def both_show_the_same(page, changed_from=()):
    """Wait until both maps show one selection, other than a given one, and return its ids."""

    def same():
        left, right = state(page, LEFT), state(page, RIGHT)
        agree = left and right and left["ids"] == right["ids"] != list(changed_from)
        return left["ids"] if agree and left["ids"] else None

    return wait_for(page, same)


def listed(page, tmp_path) -> list[dict]:
    """The rows of the table below, through its download."""
    return downloaded_rows(page, "map_selected_download", tmp_path)


def test_on_a_phone_the_maps_stand_below_each_other_and_nothing_sticks_out(maps):
    page = maps(390, "dark")
    left, right = (page.locator(f".st-key-{place}").bounding_box() for place in (LEFT, RIGHT))
    assert right["y"] >= left["y"] + left["height"]
    assert left["width"] > 300
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    lasso(page, LEFT, radius=50)
    assert both_show_the_same(page)


def test_a_lasso_on_one_map_selects_the_same_tokens_on_the_other_and_in_the_table(maps, tmp_path):
    page = maps()
    lasso(page, LEFT)
    ids = both_show_the_same(page)
    assert 1 < len(ids) < len(MAPPED)
    wait_for(page, lambda: f"{len(ids):,} tokens selected with a lasso on the original map" in bar(page))
    rows = listed(page, tmp_path)
    assert [int(row["id"]) for row in rows] == ids
    assert {"token", "kind", "code 0", "code 1", "code 2", "error", "cosine", "x before", "x after"} <= set(rows[0])

    lasso(page, RIGHT, radius=40)  # the last one wins
    again = both_show_the_same(page, changed_from=ids)
    wait_for(page, lambda: f"{len(again):,} token" in bar(page) and "on the reconstructed map" in bar(page))
    assert [int(row["id"]) for row in listed(page, tmp_path)] == again

    page.locator(".st-key-map_clear button").click()
    wait_for(page, lambda: not state(page, LEFT)["ids"] and not state(page, RIGHT)["ids"])
    wait_for(page, lambda: not bar(page))


def test_shift_adds_and_a_double_click_clears(maps):
    page = maps()
    lasso(page, LEFT, radius=30)
    first = both_show_the_same(page)
    lasso(page, RIGHT, radius=30, keys="Shift")
    both = both_show_the_same(page, changed_from=first)
    assert set(first) < set(both)
    box = page.locator(f".st-key-{RIGHT} .nsewdrag").first.bounding_box()
    page.mouse.dblclick(box["x"] + 8, box["y"] + 8)
    wait_for(page, lambda: not state(page, LEFT)["ids"] and not state(page, RIGHT)["ids"])


def test_pointing_at_a_token_points_at_it_on_the_other_map(maps):
    page = maps()
    box = page.locator(f".st-key-{LEFT} .nsewdrag").first.bounding_box()
    for step in range(0, 60, 4):
        page.mouse.move(box["x"] + box["width"] / 2 + step, box["y"] + box["height"] / 2)
        page.wait_for_timeout(120)
        if state(page, LEFT)["hover"]:
            break
    wait_for(page, lambda: state(page, LEFT)["hover"] and state(page, LEFT)["hover"] == state(page, RIGHT)["hover"])


def test_a_click_selects_one_token(maps):
    page = maps()
    box = page.locator(f".st-key-{RIGHT} .nsewdrag").first.bounding_box()
    for step in range(0, 80, 4):
        x, y = box["x"] + box["width"] / 2 + step, box["y"] + box["height"] / 2 + 10
        page.mouse.move(x, y)
        page.wait_for_timeout(120)
        if state(page, RIGHT)["hover"]:
            break
    page.mouse.click(x, y)
    ids = both_show_the_same(page)
    assert len(ids) == 1
    assert f"id {ids[0]}codes" in state(page, RIGHT)["hover"]
    wait_for(page, lambda: "1 token selected by clicking on the reconstructed map" in bar(page))


def test_zoom_and_tool_are_shared_and_survive_selecting_colouring_and_searching(page, open_map):
    open_map(page)
    whole = state(page, LEFT)["range"]
    assert whole == state(page, RIGHT)["range"]
    for place in (LEFT, RIGHT):
        page.evaluate("(place) => { document.querySelector(`.st-key-${place} .js-plotly-plot`).dataset.marked = 'yes' }", place)
    page.locator(f'.st-key-{RIGHT} [data-title="Zoom in"]').click(force=True)
    zoomed = wait_for(page, lambda: state(page, LEFT)["range"] != whole and state(page, LEFT)["range"])
    assert state(page, RIGHT)["range"] == zoomed
    lasso(page, LEFT)
    ids = both_show_the_same(page)
    wait_for(page, lambda: f"{len(ids):,} token" in bar(page))
    assert state(page, LEFT)["marked"] == state(page, RIGHT)["marked"] == "yes"  # selecting builds no chart anew

    page.locator(f'.st-key-{LEFT} [data-title="Pan"]').click(force=True)
    wait_for(page, lambda: state(page, RIGHT)["tool"] == "pan")
    colours = state(page, LEFT)["colours"]
    page.locator(".st-key-map_colour input").click()
    page.get_by_role("option", name="Norm").click()
    wait_for(page, lambda: (now := state(page, LEFT)) and now["colours"] != colours and now["range"] == zoomed)
    assert both_show_the_same(page) == ids
    page.locator(".st-key-map_find input").fill("king")
    page.locator(".st-key-map_find input").press("Enter")
    page.get_by_text("2 tokens found for king").wait_for()
    for place in (LEFT, RIGHT):
        wait_for(page, lambda place=place: (now := state(page, place)) and now["range"] == zoomed and now["ids"] == ids)
        wait_for(page, lambda place=place: state(page, place)["tool"] == "pan")
    wait_for(page, lambda: "map_colour=Norm" in page.url)
    wait_for(page, lambda: "map_find=king" in page.url)

    page.locator(f'.st-key-{LEFT} [data-title="Lasso Select"]').click(force=True)
    lasso(page, RIGHT, radius=35)  # the search has put a line above the maps: what is sent must still arrive
    again = both_show_the_same(page, changed_from=ids)
    wait_for(page, lambda: f"{len(again):,} token" in bar(page) and "on the reconstructed map" in bar(page))


def test_a_hostile_vocabulary_shows_as_itself(new_page, open_map):
    page = new_page()
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_map(page, map_find="<")
    names = page.locator(f".st-key-{LEFT} .annotation-text")
    wait_for(page, lambda: {"<b>x</b>", "</script>"} <= set(names.all_text_contents()))
    page.locator(".st-key-map_select_found button").click()
    wait_for(page, lambda: "selected by searching" in bar(page))
    page.locator(".st-key-map_find input").fill("<img src=x onerror=alert(1)>")
    page.locator(".st-key-map_find input").press("Enter")
    page.get_by_text("1 token found for <img src=x onerror=alert(1)>").wait_for()
    assert not page.locator("img[src='x']").count()
    assert page.title() != "owned"
    assert not dialogs


def test_a_finger_on_a_map_scrolls_the_page_until_a_tool_is_tapped(new_page, open_map):
    page = open_map(new_page(width=390, height=844, has_touch=True, is_mobile=True))
    scrolled = "document.querySelector('[data-testid=stMain]').scrollTop"
    page.locator(f".st-key-{LEFT} .nsewdrag").first.scroll_into_view_if_needed()
    before = page.evaluate(scrolled)
    swipe(page, LEFT, [(0, 0), (0, -200)])
    wait_for(page, lambda: page.evaluate(scrolled) > before + 100)
    assert not state(page, LEFT)["ids"]
    page.locator(f'.st-key-{LEFT} [data-title="Lasso Select"]').tap()
    page.locator(f".st-key-{LEFT} .nsewdrag").first.scroll_into_view_if_needed()
    place = page.evaluate(scrolled)
    swipe(page, LEFT, [(-60, -60), (60, -60), (60, 60), (-60, 60), (-60, -60)])
    assert both_show_the_same(page)
    assert page.evaluate(scrolled) == place


def swipe(page, place, corners) -> None:
    """Draw a line with a finger; corners: right and down of the middle of a map."""
    box = page.locator(f".st-key-{place} .nsewdrag").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        where = [{"x": x + right, "y": y + down} for right, down in points]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})

    touch("touchStart", corners[0])
    for (right, down), (next_right, next_down) in pairwise(corners):
        for step in range(1, 11):
            touch("touchMove", (right + (next_right - right) * step / 10, down + (next_down - down) * step / 10))
            page.wait_for_timeout(15)
    touch("touchEnd")


def test_three_visitors_at_once_all_get_their_umap(new_page, server):
    """Two ask for the same, the third for another seed; no two fits may run at once."""
    pages = []
    for seed in (0, 0, 1):
        page = new_page()
        query = to_query(Request("mapped", None, SETTINGS)) | {"map": "UMAP", "map_umap_tokens": "1,000", "map_seed": seed}
        page.goto(f"{server.url}/Token_map?{urlencode(query)}")
        pages.append(page)
    for page in pages:
        page.locator(".st-key-map_umap_start button").wait_for()
    for page in pages:
        page.locator(".st-key-map_umap_start button").click()
    drawn = []
    for page in pages:
        wait_for(page, lambda page=page: state(page, LEFT) and state(page, RIGHT), seconds=240)
        page.get_by_text("Neighbours kept, all 16 axes").wait_for()
        drawn.append(page.evaluate(f"document.querySelector('.st-key-{LEFT} .js-plotly-plot').data[0].customdata"))
    assert drawn[0] == drawn[1] != drawn[2]

    pages[0].reload()  # from the disk, without a button
    wait_for(pages[0], lambda: state(pages[0], LEFT) and state(pages[0], RIGHT), seconds=60)
    lasso(pages[0], LEFT, radius=80)
    assert both_show_the_same(pages[0])
