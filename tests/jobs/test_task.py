"""Declared work: its key, its job in a real worker process, and what is kept of it."""

import jobs_functions
import pytest

from subemb.base.errors import Cancelled, InputError
from subemb.jobs.manager import close_manager, manager
from subemb.jobs.task import task

LIMIT = 60


pytestmark = pytest.mark.usefixtures("worker_processes")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_CACHE", str(tmp_path_factory.mktemp("cache")))
        close_manager()  # a worker has the environment that it was started with
        yield
        close_manager()


@pytest.fixture
def calls(monkeypatch) -> list:
    """Numbers that were squared in this process."""
    monkeypatch.setattr(jobs_functions, "SQUARED", [])
    return jobs_functions.SQUARED


def test_a_task_is_called_like_its_function():
    assert jobs_functions.declared_double(21) == 42
    assert jobs_functions.declared_double.__doc__.startswith("Twice")
    with pytest.raises(Cancelled):
        jobs_functions.declared_double(21, progress=lambda message: True)


def test_a_task_knows_its_name_and_lane():
    call = jobs_functions.declared_double.call(21)
    assert (call.function, call.lane, call.arguments) == ("jobs_functions:declared_double", "evaluate", {"value": 21})
    assert call.kept() is None, "nothing of it is kept"


def test_equal_calls_have_equal_keys_however_they_are_written():
    declared = jobs_functions.declared_double
    assert declared.key(1) == declared.key(value=1) == declared.call(1).key
    assert declared.key(1) != declared.key(2)
    assert declared.key(1) != jobs_functions.declared_square.key(1)


def test_defaults_and_progress_are_no_part_of_what_is_written():
    declared = jobs_functions.declared_square
    assert declared.key(3) == declared.key(3, 2) == declared.key(number=3, power=2)
    assert declared.key(3) != declared.key(3, 3)


def test_a_key_may_leave_out_what_does_not_decide():
    @task(lane="evaluate", key=lambda number, label: number)
    def labelled(number, label="", progress=None):
        return number

    assert labelled.key(1, "a") == labelled.key(1, "b") != labelled.key(2, "a")

    @task(lane="evaluate", key=lambda number: f"number-{number}")
    def named(number, progress=None):
        return number

    assert named.key(1) == "number-1"


def test_what_is_missing_is_said_before_a_job_begins():
    with pytest.raises(TypeError, match="value"):
        jobs_functions.declared_double.call()


def test_a_job_runs_in_a_worker_and_equal_calls_share_it():
    call = jobs_functions.declared_double.call(20)
    assert call.job is None
    job = call.submit("me")
    assert jobs_functions.declared_double.call(20).submit("you") is job
    assert job.outcome(LIMIT) == 40
    assert call.job is job is manager().get(call.key)
    call.forget()
    assert call.job is None


def test_a_kept_result_is_computed_once(calls):
    declared = jobs_functions.declared_square
    assert declared.kept(5) is None
    result = declared(5)
    assert result == {"square": 25}
    assert declared(5) is declared.kept(5) is declared.call(5).kept() is result
    assert calls == [5]


def test_a_kept_result_crosses_processes_by_its_key(calls):
    call = jobs_functions.declared_square.call(6)
    assert call.submit().outcome(LIMIT) == call.key, "the result itself is read from the store"
    assert call.kept() == {"square": 36}
    assert calls == []


@pytest.mark.slow
def test_a_result_that_was_dropped_is_computed_again():
    call = jobs_functions.declared_square.call(7)
    first = call.submit()
    first.wait(LIMIT)
    assert call.submit() is first
    call.store.drop(call.key)
    again = call.submit()
    assert again is not first
    again.wait(LIMIT)
    assert call.kept() == {"square": 49}


def test_a_damaged_result_is_computed_again(calls):
    declared = jobs_functions.declared_square
    declared(8)
    key = declared.key(8)
    (declared.store.path(key) / declared.store.file).write_text("{")
    assert declared.kept(8) is None
    assert declared(8) == {"square": 64}
    assert calls == [8, 8]


def test_nothing_is_kept_of_what_failed_or_was_cancelled(calls):
    declared = jobs_functions.declared_square
    with pytest.raises(InputError, match="too large"):
        declared(1000)
    with pytest.raises(Cancelled):
        declared(9, progress=lambda message: True)
    assert declared.kept(1000) is None
    assert declared.kept(9) is None
