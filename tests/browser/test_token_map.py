"""The page Token map in a real browser: drawing, selecting, zooming and the morph happen there."""

from itertools import pairwise
from urllib.parse import urlencode

import pytest
from browser_models import MAPPED, RUNS
from browsing import (
    LEFT,
    RIGHT,
    changed_to,
    choose_tool,
    downloaded_rows,
    go,
    lasso,
    map_box,
    map_pixels,
    map_state,
    maps_are_drawn,
    wait_for,
)

from subemb.ui.shell.request import Request, to_query

(SETTINGS,) = RUNS["mapped"]
#: What a page that is just being replaced does to its maps.
DRAWN_WITHOUT_ROOM = """async (stage) => {
  const frames = async () => { for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame); };
  const zoom = () => stage.dispatchEvent(new KeyboardEvent("keydown", { key: "+", bubbles: true }));
  stage.style.height = "0px";
  zoom();
  await frames();
  stage.style.height = "";
  zoom();
  await frames();
}"""
ON_THE_MAP = "place => !!document.elementFromPoint(...place)?.shadowRoot?.querySelector('.map')"


@pytest.fixture
def open_map(server):
    def opened(page, **query):
        query = {"map": "PCA", **query}
        go(page, f"{server.url}/Token_map?{urlencode(to_query(Request('mapped', None, SETTINGS)) | query)}")
        maps_are_drawn(page)
        return page

    return opened


def bar(page) -> str:
    return "".join(page.locator(".st-key-map_selection_bar").all_inner_texts())  # at once: it may go while it is looked for


def overlapping(labels: list[dict]) -> list[tuple[str, str]]:
    """Names that cover each other."""
    found = []
    for place, one in enumerate(labels):
        for other in labels[:place]:
            (x, y, width, height), (a, b, c, d) = one["box"], other["box"]
            if one["side"] == other["side"] and x < a + c and a < x + width and y < b + d and b < y + height:
                found.append((one["text"], other["text"]))
    return found


def test_a_visitor_selects_colours_searches_zooms_and_gives_the_link_to_another(open_map, new_page, tmp_path):
    page = open_map(new_page(keep="desk"))
    state = map_state(page)
    assert state["points"] == len(MAPPED)
    assert len(map_pixels(page)) > 4  # background, maps, and more than one kind of token

    lasso(page, LEFT)
    ids = wait_for(page, lambda: map_state(page)["ids"])
    assert 1 < len(ids) < len(MAPPED)
    wait_for(page, lambda: f"{len(ids):,} tokens selected with a lasso on the original map" in bar(page))
    assert [int(row["id"]) for row in downloaded_rows(page, "map_selected_download", tmp_path)] == ids

    colours = set(dict(map_pixels(page)))
    page.get_by_role("combobox", name="Colour").select_option("Norm")
    wait_for(page, lambda: map_state(page)["coloured"] and set(dict(map_pixels(page))) != colours)
    assert map_state(page)["ids"] == ids
    choose_tool(page, "Zoom in")
    wait_for(page, lambda: "map_view" in page.url)
    once, address = map_state(page)["view"], page.url
    assert once["zoom"] > state["view"]["zoom"]
    choose_tool(page, "Zoom in")
    wait_for(page, lambda: page.url != address)
    page.go_back()  # the picture follows the address
    wait_for(page, lambda: page.url == address and map_state(page)["view"]["zoom"] == pytest.approx(once["zoom"], rel=1e-3))
    choose_tool(page, "Zoom in")
    wait_for(page, lambda: page.url != address)
    zoomed = map_state(page)["view"]

    page.locator(".st-key-map_find input").fill("king")
    page.locator(".st-key-map_find input").press("Enter")
    page.get_by_text("1 token found for king").wait_for()
    found = wait_for(page, lambda: map_state(page)["found"])
    assert [MAPPED[i] for i in found] == ["king"]
    wait_for(page, lambda: {"king"} == {label["text"] for label in map_state(page)["labels"] if label["id"] in found})
    assert (map_state(page)["ids"], map_state(page)["view"]) == (ids, zoomed)
    assert not overlapping(map_state(page)["labels"])

    lasso(page, RIGHT, radius=35)  # the search has put a line below the maps: what is sent must still arrive
    again = wait_for(page, lambda: (now := map_state(page)["ids"]) != ids and now)
    wait_for(page, lambda: f"{len(again):,} token" in bar(page) and "on the reconstructed map" in bar(page))
    lasso(page, LEFT, radius=30, keys="Shift")
    wait_for(page, lambda: set(again) < set(map_state(page)["ids"]))
    more = map_state(page)["ids"]

    for part in ("map_selected", "map_view", "map_colour=Norm", "map_find=king"):
        wait_for(page, lambda part=part: part in page.url)
    wait_for(page, lambda: f"{len(more):,} token" in bar(page))
    other = new_page(width=1280, locale="en-US")  # another visitor
    other.goto(page.url)
    maps_are_drawn(other)
    restored = wait_for(other, lambda: (now := map_state(other)) and now["ids"] and now)
    assert (restored["ids"], restored["colour"], restored["found"]) == (more, "Norm", found)
    assert restored["view"]["zoom"] == pytest.approx(zoomed["zoom"], rel=1e-3)

    page.get_by_role("button", name="Clear selection").click()
    wait_for(page, lambda: not map_state(page)["ids"] and not bar(page))


def test_pointing_names_a_token_a_click_opens_its_inspector_and_the_morph_moves_one_map(new_page, open_map, server):
    page = open_map(new_page(keep="desk"))
    box = map_box(page, LEFT)
    for step in range(0, 120, 4):
        page.mouse.move(x := box["x"] + box["width"] / 2 + step, y := box["y"] + box["height"] / 2)
        if map_state(page)["pointed"] is not None:
            break
    token = map_state(page)["pointed"]
    assert f"id {token}" in map_state(page)["tip"]
    page.mouse.click(x, y)
    wait_for(page, lambda: map_state(page)["ids"] == [token])
    wait_for(page, lambda: "1 token selected by clicking on the original map" in bar(page))
    page.get_by_text("neighbours are kept").wait_for()

    before = map_pixels(page)
    page.get_by_role("slider", name="From original to reconstructed").fill("40")
    wait_for(page, lambda: map_state(page)["morph"] == pytest.approx(0.4))
    assert map_pixels(page) != before
    page.locator(".stage").focus()
    page.keyboard.press("+")
    assert map_state(page)["view"]["zoom"] > 1
    page.locator(".stage").evaluate(DRAWN_WITHOUT_ROOM)
    maps_are_drawn(page)
    page.keyboard.press("0")
    page.keyboard.press("Escape")
    wait_for(page, lambda: not map_state(page)["ids"])

    go(page, f"{server.url}/Token_map")  # of the bundled model, whose presets come along
    maps_are_drawn(page)
    page.get_by_role("button", name="Presets").click()
    wait_for(page, lambda: map_state(page)["stops"] == 3)
    assert map_state(page)["right"] == "Balanced"
    page.get_by_role("slider", name="From original to The paper's").fill("300")
    wait_for(page, lambda: map_state(page)["right"] == "The paper's")

    assert all(map_state(page)["shaded"]), "tokens hide each other: shades are drawn in their places"
    for _ in range(11):
        choose_tool(page, "Zoom in")
    wait_for(page, lambda: not any(map_state(page)["shaded"]))
    page.locator(".st-key-map_find input").press_sequentially("kin")
    wait_for(page, lambda: len(map_state(page)["found"]) == 2)
    assert "map_find" not in page.url, "the server knows nothing of it yet"
    page.locator(".st-key-map_find input").press("Enter")
    wait_for(page, lambda: "map_find=kin" in page.url)
    choose_tool(page, "Zoom in")  # which the server hears of when another model is shown
    open_map(page, map_find="<")  # the map follows what is searched for, not what was typed last
    wait_for(page, lambda: (found := map_state(page)["found"]) and all(MAPPED[i].startswith("<") for i in found))
    page.wait_for_timeout(1000)
    assert map_state(page)["view"]["zoom"] < 1
    assert "map_view" not in page.url


def test_umap_comes_by_itself_with_clusters_and_both_themes_and_a_phone_show_them(new_page, open_map):
    page = open_map(new_page(keep="desk"), map="UMAP")
    first = map_state(page)["layout"]
    wait_for(page, lambda: map_state(page)["colour"] == "Clusters", seconds=240)
    page.get_by_text("% of the tokens stay in their cluster").wait_for()
    wait_for(page, lambda: page.get_by_text("UMAP arranged").or_(page.get_by_text("All 1,5")).count(), seconds=240)
    wait_for(
        page,
        lambda: map_state(page)["layout"] != first or "on two main axes" not in page.locator(".heads").inner_text(),
        seconds=240,
    )
    page.locator(".legend button").first.click()
    wait_for(page, lambda: map_state(page)["highlight"] == 0)
    page.get_by_text("tokens stay").first.wait_for()
    paper = map_pixels(page)[0][0]
    changed_to(page, 390, "dark")
    wait_for(page, lambda: map_pixels(page)[0][0] != paper)
    top, bottom = map_state(page)["panels"]
    assert bottom["y"] >= top["y"] + top["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not overlapping(map_state(page)["labels"])


def test_a_finger_on_a_map_scrolls_the_page_until_a_tool_is_tapped(new_page, open_map):
    page = open_map(new_page(width=390, height=844, has_touch=True, is_mobile=True))
    scrolled = "document.querySelector('[data-testid=stMain]').scrollTop"
    map_box(page, LEFT)
    before = page.evaluate(scrolled)
    swipe(page, [(0, 0), (0, -200)])
    wait_for(page, lambda: page.evaluate(scrolled) > before + 100)
    assert not map_state(page)["ids"]
    name = tapped_name(page)  # shows this cluster alone
    wait_for(page, lambda: map_state(page)["highlight"] == name["group"])
    tapped_name(page)
    wait_for(page, lambda: map_state(page)["highlight"] == -1)
    assert not map_state(page)["ids"]
    page.get_by_role("button", name="Select with a lasso").tap()
    map_box(page, LEFT)
    place = page.evaluate(scrolled)
    swipe(page, [(-60, -60), (60, -60), (60, 60), (-60, 60), (-60, -60)])
    wait_for(page, lambda: map_state(page)["ids"])
    assert page.evaluate(scrolled) == place


def tapped_name(page) -> dict:
    """Tap the name of a cluster on the left map, once page and names are at rest; one that nothing covers, as a header may."""
    seen: list = [None]

    def free_name():
        stage, labels = now = page.locator(".stage").bounding_box(), map_state(page)["labels"]
        seen.append(now)
        if seen[-2] != now:
            page.wait_for_timeout(150)
            return None
        for label in labels:
            left, top, width, height = label["box"]
            place = [stage["x"] + left + width / 2, stage["y"] + top + height / 2]
            if label["group"] is not None and label["side"] == LEFT and page.evaluate(ON_THE_MAP, place):
                return label, place

    page.locator(".stage").evaluate("(stage) => stage.scrollIntoView({ block: 'center' })")  # from where the finger left it
    label, place = wait_for(page, free_name)
    page.touchscreen.tap(*place)
    return label


def swipe(page, corners) -> None:
    """Draw a line with a finger; corners: right and down of the middle of the left map."""
    box = map_box(page, LEFT)
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


def test_a_hostile_vocabulary_shows_as_itself(new_page, open_map):
    page = new_page(keep="desk")
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_map(page, map_find="<")
    wait_for(page, lambda: "<b>x</b>" in {label["text"] for label in map_state(page)["labels"]})
    page.locator(".st-key-map_select_found button").click()
    wait_for(page, lambda: "selected by searching" in bar(page))
    page.locator(".st-key-map_find input").fill("<img src=x onerror=alert(1)>")
    page.locator(".st-key-map_find input").press("Enter")
    page.get_by_text("1 token found for <img src=x onerror=alert(1)>").wait_for()
    assert not page.locator("img[src='x']").count()
    assert page.title() != "owned"
    assert not dialogs
