"""The page Runs, without a browser; and what a visitor has after the server was started anew."""

from types import SimpleNamespace

import pytest
from apps import checked, open_app, own_folders, table_with, texts
from checkpoints import SPECIAL, make_bert

from subemb.base.errors import InputError
from subemb.codec.settings import CompressionSettings
from subemb.runs import RUNS, run_and_keep
from subemb.ui.pages.runs import page as runs_page
from subemb.ui.pages.runs.page import ALL, Filter, deleted
from subemb.ui.shell import visitor as visitors
from subemb.ui.shell.request import Request
from subemb.ui.shell.visitor import MOST_RUNS, MOST_TAGS, VISITORS, Visitor, key_of_token, new_token, visitor_of

PAGE = "pages/10_Runs.py"


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, *(f"word{number}" for number in range(100))], dim=12)
        yield folder


@pytest.fixture(autouse=True)
def restarted():
    """Forget every visitor in memory, as a restart does."""
    visitors._visitors.clear()
    return visitors._visitors.clear


def kept(f, seed=0):
    return run_and_keep("small", None, settings(f, seed).to_dict())


def settings(f, seed=0):
    return CompressionSettings("product", subspaces=f, codebook_size=8, iterations=2, seed=seed)


def opened(f, **query):
    return checked(open_app(PAGE, Request("small", None, settings(f)), **query))


def test_runs_and_tags_of_a_visitor_are_there_after_a_restart_and_others_see_none(browser, restarted):
    token = browser("anna")
    runs = [kept(2), kept(3)]
    for f in (2, 3):
        opened(f)
    visitor_of(token).tag(runs[0].key, ["for class", " <b>x</b> ", ""])
    restarted()
    test = opened(2)
    table = table_with(test, "run", "tags")
    assert set(table["tags"]) == {"for class, <b>x</b>", ""}
    kept_as = ", Q = 8, 32-bit codebooks"  # which small tables choose
    assert set(table["run"]) == {f"Product quantization, f = {f}{kept_as}" for f in (2, 3)}  # what differs, no more
    assert "All with vocabulary weights, at most 2 iterations, seed 0." in texts(test)
    assert len(table) == 2
    assert table["when"].notna().all()
    browser("ben")
    assert len(table_with(opened(2), "run", "error")) == 1


def test_nothing_on_disk_leads_to_a_cookie():
    token = new_token()
    Visitor(token).tag("run", ["x"])
    assert VISITORS.get(key_of_token(token)).tags == {"run": ["x"]}
    assert token not in key_of_token(token)
    assert all(token not in path.read_text() for path in VISITORS.path(key_of_token(token)).iterdir())


def test_a_damaged_list_begins_anew(restarted, caplog):
    token = new_token()
    visitor_of(token).remember("a run")
    file = VISITORS.path(key_of_token(token)) / VISITORS.file
    file.write_text('{"format": 1, "value": {"runs": 7}}')
    restarted()
    assert visitor_of(token).runs == []
    assert "cannot be read" in caplog.text


def test_what_is_kept_is_bounded():
    visitor = Visitor(new_token())
    for number in range(MOST_RUNS + 5):
        visitor.remember(f"run{number}")
    assert len(visitor.runs) == len(visitor.seen) == MOST_RUNS
    with pytest.raises(InputError, match="9 tags are too many"):
        visitor.tag("run9", map(str, range(MOST_TAGS + 1)))
    with pytest.raises(InputError, match="at most 40"):
        visitor.tag("run9", ["x" * 41])


def test_the_example_alone_is_nobodys_list_on_disk():
    visitor = Visitor(new_token())
    visitor.remember("example", is_own=False)
    assert VISITORS.stamp(key_of_token(visitor.token)) is None


@pytest.mark.slow
def test_the_search_narrows_the_table_and_says_if_nothing_is_left(browser):
    browser("carl")
    kept(2), kept(4)
    opened(2)
    test = opened(4, find="f = 4")
    assert len(table_with(test, "run", "error")) == 1
    test.text_input(key="find").set_value("nothing like it").run()
    assert "No run is like that" in texts(test)


def test_a_filter_takes_what_it_says():
    run = kept(2)
    assert Filter().takes(run, [])
    assert Filter("product for").takes(run, ["for class"])
    assert not Filter("product for").takes(run, [])
    assert not Filter(model="other").takes(run, [])
    assert not Filter(methods=["int8"]).takes(run, [])
    assert Filter(model=ALL, methods=["product"]).takes(run, [])
    scored = SimpleNamespace(
        model=run.model, settings=run.settings, task=SimpleNamespace(original=0.80, compressed=0.76, low=-0.1, high=0.0)
    )
    assert Filter(lost=4.0).takes(scored, [])  # in points, as the column Lost
    assert not Filter(lost=3.9).takes(scored, [])


@pytest.mark.slow
def test_deleting_takes_it_from_the_list_and_from_disk_only_if_nobody_else_has_it():
    anna, ben = visitor_of(new_token()), visitor_of(new_token())
    own, shared = kept(2, seed=5), kept(3, seed=5)
    for run in (own, shared):
        anna.remember(run.key)
    ben.remember(shared.key)
    shown = []
    visit = SimpleNamespace(visitor=anna, shown_key=own.key, show=shown.append, reset_form=False, notice=None)
    deleted(visit, [own, shared])
    assert anna.runs == []
    assert RUNS.get(own.key) is None
    assert RUNS.get(shared.key) is not None
    assert shown == [None], "the run on the pages is gone, so the example is shown"
    visitors._visitors.clear()
    assert visitor_of(ben.token).runs == [shared.key]
    assert visitor_of(anna.token).runs == []


@pytest.mark.slow
def test_two_runs_stand_side_by_side_and_what_differs_is_marked(browser, monkeypatch):
    browser("dora")
    first, second = kept(2), kept(6)
    monkeypatch.setattr(runs_page, "table_of_runs", lambda frame, runs: [first, second])
    test = opened(2)
    assert "B is" in texts(test)
    assert "with an error of" in texts(test)
    table = table_with(test, "A", "B")
    rows = {title: (a, b, mark) for title, a, b, mark in zip(table[""], table["A"], table["B"], table["differs"], strict=True)}
    assert rows["model"] == ("small", "small", "")
    assert rows["Subspaces f"] == ("2", "6", "≠")
    assert rows["relative error"][0] == f"{first.quality['relative_error']:.4f}"


@pytest.mark.parametrize("query", [{"lost": "inf"}, {"lost": "nan"}, {"find": "x" * 5000}])
def test_whatever_the_address_says_the_page_stands(browser, query):
    browser("eve")
    kept(2)
    assert not open_app(PAGE, Request("small", None, settings(2)), **query).exception
