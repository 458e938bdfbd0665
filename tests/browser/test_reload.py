"""A tab that is loaded again, and a browser that goes back: what the visitor was doing is still there."""

import re

from browsing import go
from playwright.sync_api import expect

RUNS = "model=learner&method=product&f=2&q=8&seed={seed}"


def press_run(page) -> None:
    page.get_by_role("button", name="Run", exact=True).click()


def test_loading_again_finds_the_queued_run_and_back_the_one_before(server, new_page):
    page = new_page()
    page.goto(f"{server.url}/?{RUNS.format(seed=901)}")
    press_run(page)
    expect(page.get_by_text("This run", exact=True)).to_be_visible()
    assert any(cookie["name"] == "subemb_visitor" for cookie in page.context.cookies())

    # A run that takes long enough to be met: the bundled model's, with settings that nobody used before.
    go(page, f"{server.url}/?model=all-MiniLM-L6-v2&method=residual&f=6&q=256&iterations=300&tolerance=0.0&seed=902")
    press_run(page)
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    cancel.wait_for()
    page.reload()
    cancel.wait_for()
    stranger = new_page(locale="en-GB")  # a context, and so cookies, of its own
    stranger.goto(page.url)
    stranger.get_by_role("button", name="Run", exact=True).wait_for()
    expect(stranger.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    cancel.click()
    page.get_by_role("button", name="Run", exact=True).wait_for()

    go(page, f"{server.url}/?{RUNS.format(seed=901)}")
    seed = page.get_by_role("spinbutton", name="Seed")
    page.get_by_text("Seed and stopping").click()
    seed.fill("903")
    seed.press("Enter")
    expect(page.get_by_text("Not run yet")).to_be_visible()
    press_run(page)
    expect(page).to_have_url(re.compile("seed=903"))
    page.wait_for_timeout(3500)  # at once, it would be taken for an address that was on its way
    page.go_back()
    expect(page).to_have_url(re.compile("seed=901"))
    expect(page.get_by_text("seed 901").first).to_be_visible()
    expect(seed).to_have_value("901")
