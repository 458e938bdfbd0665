"""Jobs on a page: progress, cancel, errors, results."""

import pytest
from shared import until
from streamlit.testing.v1 import AppTest

from subemb.jobs.manager import manager

LIMIT = 60


def page(function: str, arguments: dict, auto: bool, key: str) -> None:
    import streamlit as st

    from subemb.jobs.task import Call
    from subemb.ui.shell.jobs import begin, outcome
    from subemb.ui.shell.visit import Visit

    visit = st.session_state.setdefault("visit", Visit())
    call = Call(("test_work", key), function, arguments, "evaluate")
    if st.button("Start", key="start"):
        begin(visit, call)
    result = outcome(visit, call, "Doubling the number", auto=auto)
    if result is not None:
        st.metric("Result", result)


@pytest.fixture
def open_page(request):
    def opened(function: str, auto: bool = False, **arguments) -> AppTest:
        kwargs = {"function": f"jobs_functions:{function}", "arguments": arguments, "auto": auto, "key": request.node.name}
        test = AppTest.from_function(page, kwargs=kwargs, default_timeout=LIMIT).run()
        assert not test.exception
        return test

    yield opened
    job = manager().get(("test_work", request.node.name))
    if job is not None:
        job.cancel()


def button(test: AppTest, label: str):
    return next(one for one in test.button if one.label == label)


def test_nothing_starts_by_itself_unless_asked(open_page, request):
    test = open_page("double", value=21)
    assert not test.metric
    assert manager().get(("test_work", request.node.name)) is None
    test.button(key="start").click().run()
    manager().get(("test_work", request.node.name)).wait(LIMIT)
    assert test.run().metric[0].value == "42"


def test_quick_work_may_start_by_itself(open_page, request):
    test = open_page("double", auto=True, value=4)
    manager().get(("test_work", request.node.name)).wait(LIMIT)
    assert test.run().metric[0].value == "8"


def test_long_work_can_be_cancelled_and_started_again(open_page, request, tmp_path):
    test = open_page("wait_for_file", auto=True, path=str(tmp_path / "go"))
    job = manager().get(("test_work", request.node.name))
    until(lambda: job.progress is not None)
    test.run()
    assert not test.metric
    button(test, "Cancel").click().run()
    assert job.state == "cancelled"
    assert [box.value for box in test.info] == ["Stopped."]
    test.run()
    assert manager().get(job.key) is job, "what was stopped does not start by itself again"
    (tmp_path / "go").touch()
    button(test, "Start again").click().run()
    again = manager().get(job.key)
    assert again is not job
    again.wait(LIMIT)
    assert test.run().metric


def test_an_error_is_shown_with_a_way_on(open_page, request):
    test = open_page("fail_input", auto=True)
    manager().get(("test_work", request.node.name)).wait(LIMIT)
    test.run()
    assert [box.value.replace("\\", "") for box in test.error] == ["rank 9 is more than 8; choose 1 to 8"]
    first = manager().get(("test_work", request.node.name))
    button(test, "Try again").click().run()
    assert manager().get(("test_work", request.node.name)) is not first
