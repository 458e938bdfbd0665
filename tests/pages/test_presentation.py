"""Presentation mode, without a browser: what links carry along, and where its buttons lead."""

import pytest
from apps import PAGES, checked, html_of, open_app, own_folders
from static_models import make_model2vec

from subemb.codec.settings import CompressionSettings
from subemb.runs import run_and_keep
from subemb.ui.shell import pages
from subemb.ui.shell.request import Request

SETTINGS = CompressionSettings("cluster", subspaces=3, codebook_size=4)


@pytest.fixture(scope="module")
def request_of_small(tmp_path_factory):
    with own_folders(tmp_path_factory) as models:
        make_model2vec(models / "static")
        run_and_keep("static", None, SETTINGS.to_dict())
        yield Request("static", None, SETTINGS)


def buttons(test) -> set[str]:
    return {button.key for button in test.button}


def test_it_begins_and_ends_in_the_address(request_of_small):
    test = checked(open_app("pages/2_Assignments.py", request_of_small))
    assert "page_leave" not in buttons(test)
    checked(test.button(key="presentation_begin").click().run())
    assert test.query_params["present"] == "1"
    assert "stSidebar" in html_of(test)
    checked(test.button(key="page_leave").click().run())
    assert "present" not in test.query_params


@pytest.mark.parametrize("button", ["page_before", "page_after"])
def test_its_buttons_lead_to_other_pages_with_the_same_run(request_of_small, button):
    test = checked(open_app("app.py", request_of_small, present="1"))
    checked(test.button(key=button).click().run())
    assert test.query_params["present"] == "1"
    assert test.query_params["model"] == "static"
    assert "page_leave" in buttons(test)


OLD_ADDRESSES = {"pages/99_Masked_words.py"}


def test_every_page_is_in_the_navigation():
    """A page that is not has no link, and nothing before or after it: see subemb/ui/shell/pages.py."""
    assert sorted(page.file for page in pages.PAGES.values()) == sorted(set(PAGES) - OLD_ADDRESSES)


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("listed", pages.PAGES.values(), ids=pages.PAGES)
def test_every_page_leads_on_to_the_one_after_it(request_of_small, listed):
    test = checked(open_app(listed.file, request_of_small, present="1"))
    assert test.title[0].value == listed.heading
    checked(test.button(key="page_after").click().run())
    assert test.title[0].value == pages.beside(listed.label, 1).heading
