"""Pages of a server that is open to the public (SUBEMB_PUBLIC)."""

import pytest
from apps import checked, open_app, own_folders
from streamlit.testing.v1 import AppTest

from subemb.ui.shell.request import Request
from subemb.ui.shell.sidebar import ANOTHER
from subemb.ui.widgets.pairs_source import FILES, HUB


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    with own_folders(tmp_path_factory) as models:
        (models / "half a model").mkdir()
        (models / "half a model" / "config.json").write_text("{}")
        yield models


@pytest.fixture
def public(folders, monkeypatch) -> None:
    monkeypatch.setenv("SUBEMB_PUBLIC", "1")


def test_no_hub_ids_and_no_broken_folders_are_offered(public):
    app = checked(open_app("app.py"))
    picker = app.selectbox(key="form_model")
    assert picker.options == ["all-MiniLM-L6-v2"]
    assert ANOTHER not in picker.options
    assert "half a model" not in str([*app.markdown, *app.caption, *app.expander])


def test_a_link_cannot_name_a_hub_model(public, folders):
    app = open_app("app.py", Request("somebody/model"))
    assert any("open to the public and downloads nothing" in box.value for box in app.error)
    assert not [one for one in app.text_input if one.key == "form_hub_id"]
    assert str(folders) not in str(app.error)


def page_with_pairs() -> None:
    from subemb.ui.shell.frame import Frame
    from subemb.ui.shell.visit import this_visit
    from subemb.ui.widgets.pairs_source import choose_pairs

    choose_pairs(Frame(this_visit(), None), "similarity", "set")


def test_labelled_sets_come_from_files_only(public):
    app = checked(AppTest.from_function(page_with_pairs, default_timeout=30).run())
    (choices,) = [one for one in app.button_group if one.key == "set_source"]
    assert FILES in choices.options
    assert HUB not in choices.options


def test_a_defect_is_told_by_a_number(public, monkeypatch, caplog):
    def broken(frame):
        raise RuntimeError("secret in /home/somebody")

    monkeypatch.setattr("subemb.ui.pages.home.page.pictures", broken)
    monkeypatch.setattr("subemb.ui.pages.home.page.explain_empty", broken)
    app = open_app("app.py")
    (said,) = [box.value for box in app.error]
    assert "secret" not in said
    number = said.split("number ")[1][:8]
    assert number in caplog.text
    assert "secret in /home/somebody" in caplog.text
