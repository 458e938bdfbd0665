"""Jobs belong to visitors: who watches them, how many each may have, and what happens to those that nobody wants any more."""

from collections.abc import Callable

import pytest
from shared import until

from subemb.base.errors import InputError
from subemb.jobs.manager import Job, JobManager

LIMIT = 60


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def managed(clock):
    """Make managers whose time is that of ``clock``."""
    made: list[JobManager] = []

    def make(*lanes: str, **limits) -> JobManager:
        made.append(JobManager(lanes=lanes or ("a", "b"), clock=clock, **limits))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def manager(managed) -> JobManager:
    return managed()


@pytest.fixture
def long_work(tmp_path) -> Callable[..., Job]:
    """Submit work that goes on until the test ends."""

    def submit(manager: JobManager, key, watcher: str | None, lane: str = "a") -> Job:
        return manager.submit(key, "jobs_functions:wait_for_file", {"path": str(tmp_path / "go")}, lane=lane, watcher=watcher)

    yield submit
    (tmp_path / "go").touch()


def test_one_of_several_watchers_only_leaves(manager, long_work, clock):
    job = long_work(manager, "watched", "anna")
    assert long_work(manager, "watched", "ben") is job
    assert job.watchers == job.askers == {"anna", "ben"}
    assert not job.cancel(by="anna")
    assert (job.is_over, job.watchers, job.askers) == (False, {"ben"}, {"ben"})
    job.watch("anna")
    clock.now += 61  # she closes her browser and is not seen any more
    job.watch("ben")
    assert job.cancel(by="ben")
    assert job.state == "cancelled"
    assert not job.is_abandoned


def test_what_nobody_watches_leaves_the_queue_or_stops(manager, long_work, clock):
    running, waiting, watched = (long_work(manager, name, name) for name in ("anna", "ben", "carla"))
    until(lambda: running.state == "running")
    clock.now += 59
    manager.sweep()
    assert not any(job.is_over for job in (running, waiting, watched))
    watched.watch("carla")
    clock.now += 2
    manager.sweep()
    assert [job.state for job in (running, waiting)] == ["cancelled", "cancelled"]
    assert running.is_abandoned
    assert waiting.is_abandoned
    until(lambda: watched.state == "running")
    again = long_work(manager, "anna", "anna")
    assert again is not running, "who comes back may begin it again"


def test_any_watcher_keeps_a_job_and_who_asked_first_is_not_the_only_one(manager, long_work, clock):
    job = long_work(manager, "shared", "anna")
    for _ in range(5):
        clock.now += 50
        job.watch("ben")  # he opened her link
        manager.sweep()
    assert not job.is_over
    assert job.watchers == {"ben"}


def test_what_a_program_asked_for_needs_no_watcher(manager, long_work, clock):
    job = long_work(manager, "program", None)
    long_work(manager, "program", "anna")
    clock.now += 1000
    manager.sweep()
    assert not job.is_over


def test_the_thread_that_looks_for_them_runs_by_itself(managed, long_work):
    manager = JobManager(lanes=("a",), watching_seconds=0.05)
    try:
        job = long_work(manager, "left", "anna")
        assert job.wait(LIMIT)
        assert job.is_abandoned
    finally:
        manager.close()


def test_one_runs_and_two_wait_for_each_visitor(manager, long_work):
    jobs = [long_work(manager, number, "anna") for number in range(3)]
    until(lambda: jobs[0].state == "running")
    with pytest.raises(InputError, match="2 jobs of yours are waiting"):
        long_work(manager, 3, "anna")
    assert manager.get(3) is None
    assert long_work(manager, 2, "anna") is jobs[2], "asking again is always allowed"
    assert not long_work(manager, "his", "ben").is_over, "others are not held up"
    assert not long_work(manager, "elsewhere", "anna", lane="b").is_over, "and each lane counts by itself"
    assert jobs[1].cancel(by="anna")
    assert long_work(manager, 3, "anna").position_in_queue == 3
    assert [job.key for job in manager.jobs_of("anna")] == [0, 2, "elsewhere", 3]
    assert [job.key for job in manager.jobs_of("ben")] == ["his"]


def test_room_is_asked_for_before_anything_is_written(manager, long_work):
    manager.check_room("a", "anna")
    jobs = [long_work(manager, number, "anna") for number in range(3)]
    until(lambda: jobs[0].state == "running")
    with pytest.raises(InputError, match="yours"):
        manager.check_room("a", "anna")
    manager.check_room("a", "ben")
    manager.check_room("b", "anna")


def test_what_a_visitor_has_turned_away_from_gives_way(manager, long_work, clock):
    jobs = [long_work(manager, number, "anna") for number in range(3)]
    until(lambda: jobs[0].state == "running")
    long_work(manager, 1, "ben")
    clock.now += 6
    jobs[0].watch("anna")
    newest = long_work(manager, "newest", "anna")
    assert [job.is_over for job in jobs] == [False, False, True], "what runs, and what another waits for too, stays"
    assert newest.state == "queued"


def test_one_slow_download_does_not_hold_the_lane(managed, long_work):
    manager = managed("download")
    slow = [long_work(manager, name, name, "download") for name in ("anna", "ben")]
    quick = manager.submit("quick", "jobs_functions:double", {"value": 2}, lane="download", watcher="carla")
    assert quick.outcome(LIMIT) == 4
    until(lambda: all(job.state == "running" for job in slow))
    second = long_work(manager, "hers too", "anna", "download")
    other = manager.submit("other", "jobs_functions:double", {"value": 3}, lane="download", watcher="carla")
    assert other.outcome(LIMIT) == 6
    assert second.state == "queued", "one visitor has one download at a time, though there is room"
    assert slow[0].cancel(by="anna")
    until(lambda: second.state == "running")


def test_a_download_has_a_time_limit_in_all(managed, long_work, clock):
    manager = managed("download", "a", limit_seconds={"download": 600.0})
    slow, other = long_work(manager, "slow", "anna", "download"), long_work(manager, "other", "anna")
    until(lambda: slow.state == other.state == "running")
    for job in (slow, other):
        job.watch("anna")
    clock.now += 601
    for job in (slow, other):
        job.watch("anna")
    manager.sweep()
    assert slow.state == "failed"
    assert "longer than 10 min 0 s" in slow.error
    assert not other.is_over
    assert manager.submit("next", "jobs_functions:double", {"value": 1}, lane="download", watcher="anna").outcome(LIMIT) == 2
