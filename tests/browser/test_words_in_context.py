"""The page Words in context in a real browser, on a small model that was trained and compressed beforehand."""

import masked_models
import pytest
from browsing import go, is_wider_than_its_place, settled, wait_for
from playwright.sync_api import expect

QUERY = "model=animals&method=product&f=4&q=12&iterations=3"
WORKER = 180_000  # milliseconds; a cold worker first imports torch and transformers
SENTENCE = "the+dog+says+woof+in+the+garden+."


def test_a_word_is_clicked_and_both_columns_are_filled(server, new_page):
    page = new_page(keep="desk")
    go(page, f"{server.url}/Words_in_context?{QUERY}&masked={SENTENCE}")
    page.get_by_role("radio", name="woof").click()
    before, after = page.get_by_role("table", name="original: 10 best"), page.get_by_role("table", name="compressed: 10 best")
    expect(before).to_be_visible(timeout=WORKER)
    expect(after).to_be_visible()
    expect(before.get_by_role("rowheader").first).to_contain_text("woof")
    expect(before.get_by_role("rowheader").first).to_contain_text("the hidden word")
    expect(page.get_by_text("KL divergence")).to_be_visible()
    wait_for(page, lambda: "word=3" in page.url)
    # side by side, and bars of one scale: equal probability, equal length
    assert abs(before.bounding_box()["y"] - after.bounding_box()["y"]) < 2
    assert before.bounding_box()["x"] + before.bounding_box()["width"] <= after.bounding_box()["x"]
    drawn = page.locator("table.mw tbody tr").evaluate_all(
        """rows => rows.map(row => [parseFloat(row.querySelector('.mw-p').textContent),
            row.querySelector('.mw-b').getBoundingClientRect().width])"""
    )
    assert len(drawn) == 20
    # the fillings of both sides are in view without scrolling
    page.set_viewport_size({"width": 1280, "height": 720})
    for table in (before, after):
        wait_for(page, lambda table=table: table.bounding_box()["y"] + table.bounding_box()["height"] <= 720)
    largest = max(drawn)
    for percent, width in drawn:
        assert width == pytest.approx(max(2, largest[1] * percent / largest[0]), abs=1.5)
    # a link shows the same to somebody else, on a phone
    phone = new_page(width=390, height=844, color_scheme="dark")
    phone.goto(page.url)
    expect(phone.get_by_role("table", name="compressed: 10 best")).to_be_visible(timeout=WORKER)
    wait_for(page, lambda: phone.get_by_role("table").all_inner_texts() == page.get_by_role("table").all_inner_texts())
    assert not is_wider_than_its_place(phone)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("radio", name="dog").click()
    wait_for(page, lambda: "word=1" in page.url)
    settled(page)
    page.go_back()  # to the word before
    expect(page.get_by_role("radio", name="woof")).to_be_checked()
    expect(before.get_by_role("rowheader").first).to_contain_text("woof", timeout=WORKER)
    settled(page)
    assert "word=3" in page.url
    been = page.evaluate("history.length")
    field = page.get_by_label("Sentence, with [MASK] for a hidden word")
    field.fill("the cat says meow in the garden .")
    field.press("Enter")
    wait_for(page, lambda: "cat" in page.url and "word=" not in page.url)
    settled(page)
    assert page.evaluate("history.length") == been  # one step, in the place of the one that Back left behind
    page.go_back()
    expect(page.get_by_role("radio", name="woof")).to_be_checked()
    expect(before.get_by_role("rowheader").first).to_contain_text("woof", timeout=WORKER)
    kl = page.get_by_test_id("stMetricValue").first.inner_text()
    page.get_by_test_id("stMain").get_by_text("output", exact=True).click()
    expect(page.get_by_test_id("stMetricValue").first).not_to_have_text(kl, timeout=WORKER)
    wait_for(page, lambda: "tables=output" in page.url)
    page.get_by_role("tab", name="Input or output").click()
    page.get_by_role("button", name="Compare input and output").click()
    expect(page.locator(".st-key-table_uses .js-plotly-plot")).to_be_visible(timeout=WORKER)
    assert not is_wider_than_its_place(page)


def test_a_text_is_scored_and_nothing_is_wider_than_the_page(server, new_page):
    page = new_page(keep="desk")
    text = "%0A".join(sentence.replace(" ", "+") for sentence in masked_models.sentences()[:6])
    go(page, f"{server.url}/Words_in_context?{QUERY}&masked_view=Text&scored={text}")
    page.get_by_role("button", name="Compute pseudo-perplexity").click()
    expect(page.get_by_text("paired bootstrap over sentences")).to_be_visible(timeout=WORKER)
    expect(page.locator(".st-key-sentence_scores_1 .js-plotly-plot")).to_be_visible(timeout=WORKER)
    assert not is_wider_than_its_place(page)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(500)
    assert not is_wider_than_its_place(page)


def test_a_model_without_head_offers_others(server, new_page):
    page = new_page(width=390, height=844, keep="phone")
    go(page, f"{server.url}/Words_in_context?{QUERY.replace('animals', 'headless')}")
    page.get_by_role("button", name="Choose").last.click()
    expect(page.get_by_text("animals is chosen in the sidebar")).to_be_visible(timeout=WORKER)
    assert not is_wider_than_its_place(page)
