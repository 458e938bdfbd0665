"""The page The paper's claims, without a browser: verdicts first, a card a claim, the reader's notes, measuring from the page."""

import json

import pytest
from apps import checked, html_of, open_app, own_folders, rerun_until, table_with, texts
from checkpoints import SPECIAL, make_bert

from subemb.base.text import escape_markdown
from subemb.codec.settings import CompressionSettings
from subemb.reproduce import judge, reproduce
from subemb.reproduce.claim import FAILS, HOLDS, Judged, Part
from subemb.reproduce.claims import BY_NUMBER, tally
from subemb.reproduce.rows import Sizes
from subemb.ui.pages.claims import page as claims
from subemb.ui.pages.claims.pictures import chart_html, drawn_parts
from subemb.ui.shell.request import Request
from subemb.ui.shell.text import unbroken

PAGE = "pages/11_Claims.py"
QUICK = Sizes(pairs=10, steps=1, seconds=1.0, seeds=1, tokens=5)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Two small models: of one the untrained rows were measured, of the other nothing."""
    with own_folders(tmp_path_factory) as models:
        words = ["the", "a", "man", "woman", "is", *(f"word{number}" for number in range(200))]
        for name in ("small", "other"):
            make_bert(models / name, [*SPECIAL, *words, name], dim=12)
        yield models


@pytest.fixture(scope="module")
def measured(folder):
    """The rows of the claims that need no training."""
    return reproduce("small", only=[1, 2, 7], sizes=QUICK)


def opened(model="small"):
    return checked(open_app(PAGE, Request(model, None, CompressionSettings("int8"))))


def test_verdicts_come_first_then_a_card_a_claim(measured):
    test = opened()
    found = judge(measured)
    assert f"**small: {tally(found)}.**" in texts(test)
    assert html_of(test).count('href="#claim-') == 12
    assert [header.value for header in test.header] == [unbroken(f"{one.claim.number}. {one.claim.title}") for one in found]
    assert all(unbroken(escape_markdown(one.sentence)) in texts(test) for one in found)
    assert "2610.10385" in texts(test)
    assert "MqEcDNQwOSA" in texts(test)


@pytest.mark.slow
def test_behind_a_click_are_the_paper_the_rule_the_numbers_and_a_note_that_stays(measured):
    test = opened()
    test.session_state["claim_open_2"] = True
    test.run()
    second = judge(measured)[1]
    assert escape_markdown(second.claim.rule) in texts(test)
    assert len(table_with(test, "what", "on", "verdict")) == len(second.parts)
    test.text_area(key="claim_note_2").input("Table 3 says so").run()
    test.session_state["claims_behind"] = True
    checked(test.run())
    assert len(table_with(test, "row", "bytes")) == len(measured.done)
    assert test.text_area(key="claim_note_2").value == "Table 3 says so"


def test_everything_can_be_taken_away_with_the_readers_notes(measured, monkeypatch):
    monkeypatch.setattr(claims.st, "session_state", {"claim_note_1": "mine"})
    found = json.loads(claims.everything(judge(measured), measured))
    assert [one["number"] for one in found["claims"]] == list(range(1, 13))
    assert found["claims"][0]["reader"] == "mine"


def test_a_model_that_was_not_measured_says_what_it_costs(folder):
    test = opened("other")
    assert "Nothing has been measured of **other** yet" in texts(test)
    assert "At least it takes about" in texts(test)
    assert not html_of(test).count('href="#claim-')


@pytest.mark.slow
def test_what_is_missing_can_be_measured_from_the_page_and_stopped(measured):
    test = opened()
    test.button(key="claims_button").click().run()
    assert "claims_cancel" in {button.key for button in test.button}
    test.button(key="claims_cancel").click().run()
    rerun_until(test, lambda test: "claims_button" in {button.key for button in test.button})


def test_a_chart_with_many_numbers_shows_the_worst_of_each_setting():
    values = {"f = 3": (-20.0, -15.0, -9.0, -8.0, -7.0), "f = 24": (-3.0, -2.0, -1.0, -0.5, 0.5)}
    parts = tuple(
        Part(f"{f}, Q = 61, adapted", f"set {n}", HOLDS if value > -4 else FAILS, value, value - 1, value + 1)
        for f, found in values.items()
        for n, value in enumerate(found)
    )
    judged = Judged(BY_NUMBER[4], HOLDS, "It holds.", parts)
    drawn = drawn_parts(judged)
    assert [part.value for part in drawn] == [-20.0, -3.0, -2.0, -1.0, -0.5, 0.5]
    picture = chart_html(judged)
    assert picture.count("✓") == 5
    assert picture.count("✗") == 1
    assert "4 more behind the click" in picture


def test_names_of_sets_are_text_in_pictures():
    part = Part("f = 3", "<script>", HOLDS, 1.0)
    assert "<script>" not in chart_html(Judged(BY_NUMBER[4], HOLDS, "", (part,)))
