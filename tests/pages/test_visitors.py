"""Visitors of a page: what a tab that is loaded again finds, what Back shows, and what others see of it."""

import re
import threading
import time
from types import SimpleNamespace

import jobs_functions
import pytest
from apps import checked, metrics, open_app, own_folders, rerun_until, table_with, texts
from checkpoints import SPECIAL, make_bert

from subemb.codec.settings import CompressionSettings
from subemb.jobs.manager import manager
from subemb.runs import RUNS, run_and_keep
from subemb.ui.shell import visit as visits
from subemb.ui.shell import visitor
from subemb.ui.shell.request import Request, to_query
from subemb.ui.shell.visit import submit_run
from subemb.ui.shell.visitor import new_token

HOME = "app.py"
WORDS = [f"word{number}" for number in range(200)]


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, *WORDS], dim=12)
        yield folder


@pytest.fixture
def busy(tmp_path):
    """The lane of runs is busy until ``busy()`` is called."""
    with jobs_functions.busy("compress", tmp_path) as go:
        yield go.touch


def product(f: int, seed: int = 0) -> Request:
    return Request("small", None, CompressionSettings("product", subspaces=f, codebook_size=8, iterations=2, seed=seed))


def press_run(test):
    return checked(test.button(key="run_button").click().run())


def finished(test, request: Request):
    rerun_until(test, lambda test: "run_button" in buttons(test))
    assert test.query_params["seed"] == str(request.settings.seed)
    return checked(test)


def buttons(test) -> set[str]:
    return {button.key for button in test.button}


def test_a_tab_that_is_loaded_again_finds_its_queued_run_and_the_runs_of_the_visit(browser, busy):
    browser("anna")
    earlier, queued = product(2, seed=11), product(3, seed=12)
    run_and_keep("small", None, earlier.settings.to_dict())
    test = checked(open_app(HOME, earlier))
    test.number_input(key="form_f_product").set_value(3).run()
    test.number_input(key="form_seed").set_value(12).run()
    press_run(test)
    assert "cancel_button" in buttons(test)
    again = checked(open_app(HOME, earlier))
    assert "cancel_button" in buttons(again), "it waits for the same run"
    busy()
    finished(again, queued)
    assert again.query_params["f"] == "3"
    table = table_with(again, "run", "error")
    assert sorted(re.search(r"f = (\d)", run)[1] for run in table["run"]) == ["2", "3"]


def test_a_run_that_was_waiting_when_the_server_was_started_anew_is_in_line_again(browser, tmp_path, monkeypatch):
    browser("dora")
    earlier, queued = product(2, seed=13), product(3, seed=14)
    run_and_keep("small", None, earlier.settings.to_dict())
    with jobs_functions.busy("compress", tmp_path):
        visits.visitor_of(browser("dora")).wait_for("gone", to_query(queued))
        visitor._visitors.clear()  # as a restart does
        monkeypatch.setattr(visits, "STARTED", time.time())
        test = checked(open_app(HOME, earlier))
        assert "cancel_button" in buttons(test)
        assert visits.AGAIN in texts(test)
        (job,) = manager().jobs_of(browser("dora"))
        test.button(key="cancel_button").click().run()
        assert job.is_over
    visitor._visitors.clear()
    assert "cancel_button" not in buttons(checked(open_app(HOME, earlier))), "it was stopped, and is wanted no more"


@pytest.mark.slow
def test_another_visitor_with_the_same_link_finds_neither(browser, busy):
    browser("anna")
    earlier = product(2, seed=21)
    run_and_keep("small", None, earlier.settings.to_dict())
    test = checked(open_app(HOME, earlier))
    test.number_input(key="form_seed").set_value(22).run()
    press_run(test)
    browser("ben")
    his = checked(open_app(HOME, earlier))
    assert "cancel_button" not in buttons(his)
    assert len(table_with(his, "run", "error")) == 1
    assert len(manager().jobs_of(browser("anna"))) == 1
    assert manager().jobs_of(browser("ben")) == []


@pytest.mark.slow
def test_a_tab_that_is_open_keeps_what_it_waits_for(browser, busy, monkeypatch):
    browser("anna")
    earlier = product(2, seed=31)
    run_and_keep("small", None, earlier.settings.to_dict())
    test = checked(open_app(HOME, earlier))
    test.number_input(key="form_seed").set_value(32).run()
    press_run(test)
    monkeypatch.setattr(visits, "session_id", lambda: "another tab")
    monkeypatch.setattr(visits, "is_open", lambda session: True)
    second = checked(open_app(HOME, earlier))
    assert "cancel_button" not in buttons(second), "only a tab that was closed is taken over"


@pytest.mark.slow
def test_one_of_two_who_wait_for_the_same_run_only_leaves_and_is_told(browser, busy):
    request = product(2, seed=41)
    browser("anna")
    hers = checked(open_app(HOME, request))
    press_run(hers)
    browser("ben")
    his = checked(open_app(HOME, request))
    press_run(his)
    (job,) = manager().jobs_of(browser("anna"))
    his.button(key="cancel_button").click().run()
    assert not job.is_over
    assert "goes on for them" in texts(his)
    browser("anna")
    busy()
    finished(hers, request)


@pytest.mark.slow
def test_the_fourth_run_of_a_visitor_waits_for_the_others_to_be_done(browser, busy):
    token = browser("anna")
    test = checked(open_app(HOME, product(2, seed=51)))
    waiting = [
        submit_run(request, request.settings.to_dict(), None, token) for request in (product(2, seed) for seed in (52, 53))
    ]
    test.button(key="run_button").click().run()
    assert any("jobs of yours are waiting" in box.value for box in test.error)
    waiting[0].cancel(by=token)
    press_run(test)
    assert "cancel_button" in buttons(test)


@pytest.mark.slow
def test_back_shows_the_run_of_its_address_in_every_part(monkeypatch):
    monkeypatch.setattr(visits, "_IN_FLIGHT_SECONDS", 0.0)
    first, second = product(2, seed=61), product(4, seed=62)
    errors = {}
    for request in (first, second):
        run = run_and_keep("small", None, request.settings.to_dict())
        errors[request] = f"{run.quality['relative_error']:.3f}"
    test = checked(open_app(HOME, first))
    test.number_input(key="form_f_product").set_value(4).run()
    test.number_input(key="form_seed").set_value(62).run()
    press_run(test)
    assert (metrics(test)["Relative error"], test.query_params["f"]) == (errors[second], "4")
    test.query_params.update({"f": "2", "seed": "61"})  # what Back sends
    test.run()
    checked(test)
    assert (metrics(test)["Relative error"], test.query_params["f"]) == (errors[first], "2")
    assert test.number_input(key="form_f_product").value == 2
    assert test.number_input(key="form_seed").value == 61


@pytest.mark.slow
@pytest.mark.parametrize("waited", [False, True], ids=["soon", "while the page was drawn for long"])
def test_an_address_that_was_on_its_way_when_the_page_changed_is_no_step_back(monkeypatch, waited):
    if waited:  # Streamlit runs what waits in the thread of the run before
        here = threading.current_thread()
        monkeypatch.setattr(visits, "_IN_FLIGHT_SECONDS", 0.0)
        monkeypatch.setattr(visits, "current_thread", lambda: here)
    first, second = product(2, seed=71), product(4, seed=72)
    for request in (first, second):
        run_and_keep("small", None, request.settings.to_dict())
    test = checked(open_app(HOME, first))
    test.number_input(key="form_f_product").set_value(4).run()
    test.number_input(key="form_seed").set_value(72).run()
    press_run(test)
    test.query_params.update({"f": "2", "seed": "71"})
    test.run()
    assert test.query_params["f"] == "4"


@pytest.mark.slow
def test_what_is_shown_is_not_dropped_for_the_runs_of_others(monkeypatch):
    monkeypatch.setattr(RUNS, "most", 2)
    request = product(2, seed=81)
    run_and_keep("small", None, request.settings.to_dict())
    test = checked(open_app(HOME, request))
    shown = metrics(test)["Relative error"]
    for seed in range(82, 87):
        run_and_keep("small", None, product(2, seed).settings.to_dict())
    assert metrics(checked(test.run()))["Relative error"] == shown


def test_a_visitors_token_is_long_and_only_one_of_ours_is_taken(monkeypatch):
    assert len({new_token() for _ in range(50)}) == 50
    assert len(new_token()) == 32
    monkeypatch.setattr(visitor.runtime, "exists", lambda: True)
    monkeypatch.setattr(visitor, "get_script_run_ctx", lambda: object())
    for found, taken in (("0" * 32, True), ("0" * 31, False), ("../" + "0" * 29, False), ("G" * 32, False), (None, False)):
        monkeypatch.setattr(visitor, "st", SimpleNamespace(context=SimpleNamespace(cookies={visitor.COOKIE: found})))
        assert (visitor.token_in_browser() is not None) == taken


@pytest.mark.slow
def test_a_tab_in_the_background_still_watches_what_it_waits_for(browser, busy):
    token = browser("anna")
    test = checked(open_app(HOME, product(2, seed=91)))
    press_run(test)
    (job,) = manager().jobs_of(token)
    other = manager().submit("of a link", "jobs_functions:double", {"value": 1}, lane="compress", watcher=new_token())
    visit = test.session_state["subemb_visit"]
    visit.drawn[other.key] = 0.0
    for one in (job, other):
        one._last_watched -= 50
    visit.stay()
    for one in (job, other):
        one._last_watched -= 50
    manager().sweep()
    assert not job.is_over
    assert not other.is_over
    for one in (job, other):
        one._last_watched -= 50
    manager().sweep()
    assert job.is_abandoned, "nobody has the tab open any more"
    assert other.is_abandoned


def test_open_tabs_are_spoken_for_and_closed_ones_are_not(monkeypatch):
    class Tab:
        stayed = 0

        def stay(self):
            self.stayed += 1

    tabs = {"open": Tab(), "closed": Tab()}
    visitor.visitor_of(new_token()).tabs.update(tabs)
    monkeypatch.setattr(visitor, "is_open", lambda session: session == "open")
    visitor.stay_with_open_tabs()
    assert {session: tab.stayed for session, tab in tabs.items()} == {"open": 1, "closed": 0}
