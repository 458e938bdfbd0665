"""The lesson in a real browser: from the first step to the last by keyboard."""

import re

from browsing import is_wider_than_its_place, settled, wait_for
from playwright.sync_api import expect

QUERY = "model=learner&method=cluster&f=2&q=8"
TITLES = (
    "A table of numbers",
    "Cut it into pieces",
    "Find shared points",
    "Write down the codes",
    "Two words collide",
    "Put it together again",
    "Count every byte",
    "One token of your model",
    "What a sentence feels",
    "What adaptation repairs",
)


def test_the_lesson_by_keyboard_and_on_to_another_page(server, new_page):
    page = new_page()
    page.goto(f"{server.url}/How_it_works?{QUERY}")
    settled(page)
    for number, title in enumerate(TITLES, 1):
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
        if number == 3:  # k-means steps in the browser alone
            page.get_by_role("button", name="One step on").click()
            expect(page.get_by_text("12 words join the nearest codeword.")).to_be_visible()
            assert page.locator(".plane .dot").count() == 12
            expect(page.locator(".plane .count")).to_have_text("2 / 10")
            page.emulate_media(color_scheme="dark")  # a script is called anew for another theme
            settled(page)
            page.get_by_role("button", name="One step on").click()
            expect(page.locator(".plane .count")).to_have_text("3 / 10")
            page.emulate_media(color_scheme="light")
        if number == 9:
            expect(page.get_by_role("img", name=re.compile("Directions: "))).to_be_visible()
            field = page.get_by_label("A sentence")
            field.focus()
            field.press("ArrowRight")  # is the field's, not the page's
            expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
            field.blur()
        if number > 1:
            assert f"step={number}" in page.url
        if number < len(TITLES):
            settled(page)
            page.keyboard.press("PageDown" if number % 2 else "ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name=TITLES[-2], exact=True)).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name=TITLES[-1], exact=True)).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Leave")).to_be_visible()
    expect(page.locator("[data-testid=stSidebar]")).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    assert not is_wider_than_its_place(page)
    settled(page)
    page.keyboard.press("ArrowRight")  # beyond the last step
    wait_for(page, lambda: "How_it_works" not in page.url)
    settled(page)
    assert "present=1" in page.url
    assert "model=learner" in page.url
    place = page.url.split("?")[0]
    page.keyboard.press("p")
    wait_for(page, lambda: "present=1" not in page.url)
    settled(page)
    page.keyboard.press("ArrowRight")  # nobody is presenting any more
    page.keyboard.press("p")
    wait_for(page, lambda: "present=1" in page.url)
    settled(page)
    assert page.url.split("?")[0] == place
