"""The tabs "A pair" and "Lists" of the page Similarity in a real browser."""

import re
from urllib.parse import urlencode

from browsing import changed_to, go, is_wider_than_its_place, nothing_is_computed, wait_for
from playwright.sync_api import expect

RUN = {"model": "birds", "method": "product", "f": 3, "q": 4, "iterations": 2}
HOSTILE = "<img src=x onerror=alert(1)> $x$ :smile: **b**"


def address(server, **query) -> str:
    return f"{server.url}/Similarity?{urlencode({**RUN, **query})}"


def compared(page) -> None:
    """Wait until the pair's result is drawn, to its end; the browser loads some parts of it later than others."""
    expect(page.get_by_text("Sentence vector: ")).to_be_visible(timeout=150_000)  # a worker starts for the first
    page.locator(".te").nth(1).wait_for()
    nothing_is_computed(page)


def shown(page) -> tuple[list[str], list[str]]:
    """Both scores, and the tokens with their effects."""
    scores = page.locator("[data-testid=stMetricValue]").all_inner_texts()
    return scores, page.locator(".te li").evaluate_all(
        "items => items.map(item => item.querySelector('bdi').textContent + ' ' + item.querySelector('small').textContent)"
    )


def test_a_typed_pair_and_its_link(server, new_page):
    page = new_page(keep="desk")
    go(page, address(server, first="the cat sits", second="a dog runs"))
    compared(page)
    page.get_by_role("textbox", name="First sentence").fill("the small bird sings")
    page.get_by_role("textbox", name="Second sentence").fill("the old dog sits under the tree")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".te bdi", has_text="bird")).to_be_visible()
    compared(page)
    bars = page.locator(".te-bar")
    expect(bars).to_have_count(2)
    for place, side in enumerate(("original", "compressed")):
        name = bars.nth(place).get_attribute("aria-label")
        assert re.fullmatch(rf"{side}: cosine -?\d\.\d{{3}} on a scale from (0|-1) to 1", name)
        assert bars.nth(place).locator("div").bounding_box()["width"] > 1
    wait_for(page, lambda: "first=the+small+bird+sings" in page.url or "first=the%20small%20bird%20sings" in page.url)
    # Pointing at a token shows its numbers.
    token = page.locator(".te li", has_text="bird")
    details = token.locator(".te-d")
    expect(details).not_to_be_visible()
    token.hover()
    expect(details).to_be_visible()
    wait_for(page, lambda: "by subspace: 0:" in details.inner_text())
    # Somebody else opens the link.
    other = new_page()
    other.goto(page.url)
    compared(other)
    wait_for(page, lambda: shown(other) == shown(page))
    assert len(shown(page)[1]) == 6 + 9


def test_tokens_can_be_read_by_keyboard(server, new_page):
    page = new_page(keep="desk")
    go(page, address(server, first="the cat sits", second="a dog runs"))
    compared(page)
    page.mouse.move(0, 0)  # what is pointed at tells its numbers too
    token = page.locator(".te li").nth(1)
    token.get_by_role("link").focus()
    expect(token.locator(".te-d")).to_be_visible()
    page.keyboard.press("Tab")
    expect(token.locator(".te-d")).not_to_be_visible()
    expect(page.locator(".te li").nth(2).locator(".te-d")).to_be_visible()


def test_hostile_text_shows_as_itself(server, new_page):
    page, events = new_page(keep="desk"), []
    page.on("dialog", lambda dialog: (events.append(dialog.message), dialog.dismiss()))
    go(page, address(server, first=HOSTILE, second="the cat sits"))
    compared(page)
    expect(page.get_by_role("textbox", name="First sentence")).to_have_value(HOSTILE)
    tokens = page.locator(".te bdi")
    wait_for(page, lambda: tokens.all_inner_texts()[:5] == ["[CLS]", "<", "img", "src", "="])
    go(page, address(server, similarity="Lists", list1=f"{HOSTILE}\nthe cat", list2=HOSTILE))
    page.get_by_role("button", name="Compare the lists").click()
    expect(page.get_by_text("Nearest sentences")).to_be_visible()
    labels = page.locator(".js-plotly-plot .yaxislayer-above text")
    wait_for(page, lambda: any("<img" in label for label in labels.all_text_contents()))
    assert page.evaluate("() => document.querySelectorAll('[onerror], img[src=x], .katex').length") == 0
    assert not events


def test_nothing_is_wider_than_the_page(server, new_page):
    windows = ((1280, "dark"), (390, "light"))
    page = new_page(keep="desk")
    page.emulate_media(color_scheme="dark")
    go(page, address(server, first="the cat sits on the mat " * 8, second="believable " * 6 + "x" * 200))
    for width, scheme in windows:
        changed_to(page, width, scheme)
        compared(page)
        assert not is_wider_than_its_place(page)
        rights = page.locator(".te li").evaluate_all("items => items.map(item => item.getBoundingClientRect().right)")
        assert max(rights) <= width
    page.set_viewport_size({"width": 1280, "height": 900})
    go(page, address(server, similarity="Lists"))
    page.get_by_role("button", name="Compare the lists").click()
    expect(page.get_by_text("Nearest sentences")).to_be_visible()
    for width, scheme in windows:
        changed_to(page, width, scheme)
        expect(page.get_by_text("Nearest sentences")).to_be_visible()
        assert not is_wider_than_its_place(page)
        assert page.get_by_test_id("stAlertContentError").count() == 0
