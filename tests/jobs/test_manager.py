"""Jobs: real worker processes, real crashes."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import torch
from shared import until

from subemb.base.errors import Cancelled, InputError, ModelError
from subemb.base.memory import own_bytes
from subemb.base.progress import Progress
from subemb.codec.compressed import SubspaceCompressed
from subemb.codec.settings import CompressionSettings
from subemb.jobs import manager as jobs
from subemb.jobs.manager import JobFailed, JobManager

LIMIT = 60  # seconds; generous, for a busy machine
pytestmark = pytest.mark.usefixtures("worker_processes")
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


def named(function):
    return f"jobs_functions:{function}"


@pytest.fixture
def manager():
    one = JobManager(lanes=("a", "b"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def shared():
    """For tests that leave the worker as it was; saves starting a process for each."""
    one = JobManager(lanes=("a",), max_entries=100)
    yield one
    one.close()


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_a_job_runs_elsewhere_and_brings_back_result_and_progress(shared):
    job = shared.submit("double", named("double"), {"value": 21}, lane="a")
    assert job.outcome(LIMIT) == 42
    assert (job.state, job.position_in_queue, job.error) == ("done", None, None)
    assert job.progress == Progress("doubling", 0.5, {"iteration": 1, "error": 0.25})
    assert job.history == [job.progress]
    assert job.started <= time.time()
    assert job.seconds > 0
    assert shared.submit("pid", named("pid"), lane="a").outcome(LIMIT) != os.getpid()


def test_equal_keys_share_one_job_whoever_asks_first(shared, tmp_path):
    found = []
    arguments = {"path": str(tmp_path / "calls"), "seconds": 0.2}
    threads = [
        threading.Thread(target=lambda: found.append(shared.submit(("k", 1), named("count_call"), arguments, lane="a")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert found[0].outcome(LIMIT) == 1
    assert shared.submit(("k", 1), named("count_call"), arguments, lane="a") is found[0]
    assert (tmp_path / "calls").read_text() == "x"


@pytest.mark.slow
def test_jobs_of_a_lane_run_in_order_and_know_their_place(manager, tmp_path):
    go = tmp_path / "go"
    first = manager.submit(1, named("wait_for_file"), {"path": str(go)}, lane="a")
    second = manager.submit(2, named("double"), {"value": 1}, lane="a")
    third = manager.submit(3, named("double"), {"value": 2}, lane="a")
    other_lane = manager.submit(4, named("double"), {"value": 3}, lane="b")
    assert other_lane.outcome(LIMIT) == 6
    until(lambda: first.history)
    assert [job.position_in_queue for job in (first, second, third)] == [0, 1, 2]
    assert [job.state for job in (first, second, third)] == ["running", "queued", "queued"]
    assert second.cancel()
    assert (second.state, third.position_in_queue) == ("cancelled", 1)
    go.touch()
    assert third.outcome(LIMIT) == 4
    assert first.started < third.started
    assert second.started is None


@pytest.mark.slow
def test_a_full_queue_refuses_and_says_how_many_wait(tmp_path):
    manager = JobManager(lanes=("a",), max_queued=2)
    try:
        first = manager.submit(0, named("wait_for_file"), {"path": str(tmp_path / "go")}, lane="a")
        until(lambda: first.state == "running")
        waiting = [manager.submit(n, named("double"), {"value": n}, lane="a") for n in (1, 2)]
        with pytest.raises(InputError, match="busy: 2 jobs are waiting"):
            manager.submit(3, named("double"), {"value": 3}, lane="a")
        assert manager.submit(2, named("double"), {"value": 2}, lane="a") is waiting[1]  # asking again is always allowed
        (tmp_path / "go").touch()
        assert waiting[1].outcome(LIMIT) == 4
        assert manager.submit(3, named("double"), {"value": 3}, lane="a").outcome(LIMIT) == 6
    finally:
        manager.close()


def test_a_polite_function_is_cancelled_and_its_worker_lives_on(shared, tmp_path):
    worker = shared.submit("pid", named("pid"), lane="a").outcome(LIMIT)
    job = shared.submit("long", named("wait_for_file"), {"path": str(tmp_path / "never")}, lane="a")
    until(lambda: job.history)
    assert job.cancel()
    assert job.state == "cancelled"
    with pytest.raises(Cancelled):
        job.outcome(LIMIT)
    assert shared.submit("pid again", named("pid"), lane="a").outcome(LIMIT) == worker
    assert not job.cancel()
    again = shared.submit("long", named("wait_for_file"), {"path": str(tmp_path)}, lane="a")
    assert again is not job  # a cancelled job is tried again
    assert again.outcome(LIMIT) == 0


@pytest.mark.slow
def test_a_stuck_function_is_ended_with_its_process(manager, tmp_path):
    hangs = tmp_path / "hangs"
    job = manager.submit("stuck", named("stuck"), {"path": str(hangs)}, lane="a")
    until(hangs.exists)
    before = manager.worker_pid("a")
    assert job.cancel()
    assert manager.submit("next", named("pid"), lane="a").outcome(LIMIT) != before
    until(lambda: not is_running(before))
    assert job.state == "cancelled"
    assert job.error is None


@pytest.mark.slow
def test_a_training_may_finish_what_it_has_begun(tmp_path):
    """A step or a score can take longer than other functions have; then what was learned is saved."""
    manager = JobManager(lanes=("adapt",))
    try:
        begun, saved = tmp_path / "begun", tmp_path / "saved"
        job = manager.submit("slow", named("save_late"), {"begun": str(begun), "saved": str(saved)}, lane="adapt")
        until(begun.exists)
        worker = manager.worker_pid("adapt")
        assert job.cancel()
        assert job.left_worker.wait(LIMIT)
        assert saved.exists()
        assert manager.submit("next", named("pid"), lane="adapt").outcome(LIMIT) == worker
    finally:
        manager.close()


@pytest.mark.slow
@posix
@pytest.mark.parametrize(("function", "how"), [("exit_now", "exit code 3"), ("kill_self", "signal 9.*memory")])
def test_a_crash_is_an_error_of_that_job_alone(manager, function, how, caplog):
    crash = manager.submit("crash", named(function), lane="a")
    after = manager.submit("after", named("double"), {"value": 4}, lane="a")
    with pytest.raises(JobFailed, match=how):
        crash.outcome(LIMIT)
    assert after.outcome(LIMIT) == 8
    if function == "exit_now":
        assert "last words" in caplog.text  # what the process said goes to the log
    assert manager.submit("crash", named("double"), {"value": 1}, lane="a").outcome(LIMIT) == 2  # failed: tried again


@posix
def test_a_worker_killed_while_idle_or_working_is_replaced(manager, tmp_path):
    first = manager.submit("pid", named("pid"), lane="a").outcome(LIMIT)
    os.kill(first, signal.SIGKILL)
    job = manager.submit("busy", named("wait_for_file"), {"path": str(tmp_path / "go")}, lane="a")
    until(lambda: job.history)
    second = manager.worker_pid("a")
    assert second not in (None, first)
    os.kill(second, signal.SIGKILL)
    with pytest.raises(JobFailed, match="ended unexpectedly"):
        job.outcome(LIMIT)
    assert manager.submit("pid2", named("pid"), lane="a").outcome(LIMIT) not in (first, second)


def test_errors_of_the_user_pass_their_own_text(shared):
    job = shared.submit("input", named("fail_input"), lane="a")
    with pytest.raises(InputError, match=r"^rank 9 is more than 8; choose 1 to 8$"):
        job.outcome(LIMIT)
    assert (job.state, job.is_input_error) == ("failed", True)
    model = shared.submit("model", named("fail_model"), lane="a")
    with pytest.raises(ModelError, match="no such model") as caught:
        model.outcome(LIMIT)
    assert caught.value.reason == "unknown"


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("fail_defect", "KeyError: 'missing'"),
        ("fail_memory", "not enough memory"),
        ("system_exit", "careless library"),
        ("unpicklable", "failed unexpectedly"),
        ("no_such_function", "no_such_function"),
    ],
)
def test_other_errors_are_short_on_the_page_and_whole_in_the_log(shared, function, text, caplog):
    job = shared.submit(function, named(function), lane="a")
    with pytest.raises(JobFailed, match=text):
        job.outcome(LIMIT)
    assert "Traceback" not in job.error
    assert "Traceback" in caplog.text
    assert shared.submit(("after", function), named("double"), {"value": 1}, lane="a").outcome(LIMIT) == 2


def test_arguments_that_cannot_be_sent_fail_their_job_alone(shared):
    with pytest.raises(JobFailed, match="failed unexpectedly"):
        shared.submit("lambda", named("echo"), {"value": lambda: None}, lane="a").outcome(LIMIT)
    assert shared.submit("after lambda", named("double"), {"value": 1}, lane="a").outcome(LIMIT) == 2


def test_what_libraries_print_disturbs_nothing(shared, capfd):
    assert shared.submit("noisy", named("noisy"), lane="a").outcome(LIMIT) == ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_fifty_megabytes_come_whole_and_views_come_small(shared):
    tensor = shared.submit("big", named("big_tensor"), {"megabytes": 50}, lane="a").outcome(LIMIT)
    assert torch.equal(tensor.view(torch.int32), torch.arange(50 * 2**18, dtype=torch.int32))
    tensor += 1  # its own memory, not a read-only message
    job = shared.submit("view", named("view_of_big_tensor"), lane="a")
    assert job.outcome(LIMIT).tolist() == list(range(10))
    assert job.result_bytes < 2000


def test_compressed_tables_cross_both_ways(shared):
    books = [torch.rand(4, 2), torch.rand(4, 3)]
    value = SubspaceCompressed(
        CompressionSettings("product", 2, 4), 10, 5, torch.randint(4, (10, 2)).to(torch.uint8), books, info={"seconds": 1.5}
    )
    back = shared.submit("compressed", named("echo"), {"value": value}, lane="a").outcome(LIMIT)
    assert torch.equal(back.reconstruct(), value.reconstruct())
    assert (back.settings, back.info, back.codes.dtype) == (value.settings, value.info, torch.uint8)
    special = [torch.nn.Parameter(torch.rand(3)), torch.rand(2).bfloat16(), torch.rand(2, 3).T, torch.tensor(3)]
    back = shared.submit("odd", named("echo"), {"value": special}, lane="a").outcome(LIMIT)
    for sent, received in zip(special, back, strict=True):
        assert torch.equal(sent, received)
        assert sent.dtype == received.dtype
        assert sent.requires_grad == received.requires_grad


@pytest.mark.slow
def test_old_results_are_dropped_by_number_and_by_size():
    manager = JobManager(lanes=("a",), max_entries=2, max_bytes=3 * 2**20)
    try:
        for key in (1, 2):
            manager.submit(key, named("double"), {"value": key}, lane="a").outcome(LIMIT)
        manager.get(1)  # asked for, so 2 is now the older one
        manager.submit(3, named("double"), {"value": 3}, lane="a").outcome(LIMIT)
        assert [manager.get(key) is not None for key in (1, 2, 3)] == [True, False, True]
        manager.submit(4, named("big_tensor"), {"megabytes": 2}, lane="a").outcome(LIMIT)
        held = manager.submit(5, named("big_tensor"), {"megabytes": 2}, lane="a")
        held.outcome(LIMIT)
        until(lambda: [manager.get(key) is not None for key in (1, 3, 4, 5)] == [False, False, False, True])
        manager.submit(6, named("big_tensor"), {"megabytes": 4}, lane="a").outcome(LIMIT)
        assert manager.get(6) is not None  # the newest stays, however big
        assert manager.get(5) is held  # what somebody holds, because a page shows it, is found as long as they do
        assert held.result.numel() == 2**19
        del held
        until(lambda: manager.get(5) is None)
        manager.forget(6)
        assert manager.get(6) is None
    finally:
        manager.close()


def test_history_is_bounded_and_keeps_the_whole_curve(shared):
    job = shared.submit("many", named("many_messages"), {"count": 3000}, lane="a")
    job.outcome(LIMIT)
    steps = [message.values["iteration"] for message in job.history]
    assert len(steps) <= jobs.HISTORY_LIMIT
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0, 2999)
    quiet = shared.submit("quiet", named("many_empty_messages"), {"count": 3000}, lane="a")
    quiet.outcome(LIMIT)
    assert quiet.history == []


@pytest.mark.slow
def test_warming_waits_for_real_jobs_and_is_done_again_after_a_crash(manager, tmp_path):
    go, calls = tmp_path / "go", tmp_path / "calls"
    first = manager.submit(1, named("wait_for_file"), {"path": str(go)}, lane="a")
    until(lambda: first.state == "running")
    arguments = {"path": str(calls), "seconds": 0.0}
    warm = manager.warm("a", named("count_call"), arguments)
    assert manager.warm("a", named("count_call"), arguments) is warm
    second = manager.submit(2, named("count_call"), arguments, lane="a")
    go.touch()
    assert (second.outcome(LIMIT), warm.outcome(LIMIT)) == (1, 2)
    assert manager.submit(3, named("exit_now"), lane="a").wait(LIMIT)
    until(lambda: calls.read_text() == "xxx")


@pytest.fixture
def three(monkeypatch):
    """A manager whose idle workers may hold 200 MB together."""
    monkeypatch.setattr(jobs, "_REST_SECONDS", 0.0)
    one = JobManager(lanes=("a", "b", "c"), most_idle_bytes=200 * 10**6)
    yield one
    one.close()


knows_memory = pytest.mark.skipif(own_bytes() is None, reason="this system does not tell what a process holds")


@knows_memory
def test_of_idle_workers_that_hold_too_much_those_idle_longest_end(three):
    pids = {lane: three.submit(lane, named("hold"), {"megabytes": 75}, lane=lane).outcome(LIMIT) for lane in ("a", "b")}
    three.make_room()
    assert all(map(is_running, pids.values()))
    pids["c"] = three.submit("c", named("hold"), {"megabytes": 75}, lane="c").outcome(LIMIT)
    until(lambda: three.make_room() or three.worker_pid("a") is None)
    assert [is_running(pid) for pid in pids.values()] == [False, True, True]
    assert three.submit("more", named("pid"), lane="b").outcome(LIMIT) == pids["b"]
    assert three.submit("again", named("pid"), lane="a").outcome(LIMIT) not in pids.values()


@knows_memory
def test_the_only_worker_without_a_job_stays_until_another_lane_works(three, tmp_path):
    pid = three.submit("large", named("hold"), {"megabytes": 300}, lane="a").outcome(LIMIT)
    three.make_room()
    assert three.submit("again", named("pid"), lane="a").outcome(LIMIT) == pid
    other = three.submit("other", named("wait_for_file"), {"path": str(tmp_path / "go")}, lane="b")
    until(lambda: not is_running(pid))
    (tmp_path / "go").touch()
    assert other.wait(LIMIT)
    three.make_room()
    assert three.worker_pid("b") is not None


@knows_memory
def test_a_worker_gives_back_what_its_job_has_left(manager):
    pid = manager.submit("garbage", named("leave_garbage"), {"megabytes": 90}, lane="a").outcome(LIMIT)
    assert own_bytes(pid) > 90 * 10**6
    until(lambda: own_bytes(pid) < 60 * 10**6)


@knows_memory
def test_a_worker_that_had_to_leave_is_warmed_when_asked_again(three, tmp_path):
    arguments = {"path": str(tmp_path / "calls"), "seconds": 0.0}
    warm = three.warm("a", named("count_call"), arguments)
    assert warm.outcome(LIMIT) == 1
    assert three.submit("large", named("hold"), {"megabytes": 300}, lane="a").wait(LIMIT)
    assert three.submit("other", named("pid"), lane="b").wait(LIMIT)
    until(lambda: three.make_room() or three.worker_pid("a") is None)
    assert three.warm("a", named("count_call"), arguments).outcome(LIMIT) == 2


@pytest.mark.slow
def test_threads_of_the_worker_follow_the_machine_or_the_environment(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    manager = JobManager(lanes=("a",))
    try:
        found = manager.submit("threads", named("threads"), lane="a").outcome(LIMIT)
        assert found["NUMBA_NUM_THREADS"] == "1"
        assert 1 <= int(found["OMP_NUM_THREADS"]) <= os.cpu_count()
    finally:
        manager.close()


@pytest.mark.slow
def test_closing_ends_workers_and_open_jobs(tmp_path):
    manager = JobManager(lanes=("a",))
    running = manager.submit(1, named("wait_for_file"), {"path": str(tmp_path / "never")}, lane="a")
    waiting = manager.submit(2, named("double"), {"value": 1}, lane="a")
    until(lambda: running.history)
    worker = manager.worker_pid("a")
    manager.close()
    assert (running.state, waiting.state) == ("cancelled", "cancelled")
    until(lambda: not is_running(worker))
    with pytest.raises(RuntimeError, match="closed"):
        manager.submit(3, named("double"), {"value": 1}, lane="a")


def test_mistakes_of_the_programmer_are_told_at_once(shared):
    with pytest.raises(ValueError, match="no lane 'x'; lanes are a"):
        shared.submit(1, named("double"), lane="x")
    with pytest.raises(ValueError, match="progress"):
        shared.submit("p", named("double"), {"progress": None}, lane="a")


def test_one_manager_for_the_process():
    assert jobs.manager() is jobs.manager()


PARENT = """
    import os, sys, time
    sys.path.insert(0, {tests!r})
    from subemb.jobs.manager import JobManager
    if __name__ != "__main__":
        raise SystemExit("a worker must not import the parent's script")
    manager = JobManager(lanes=("a", "b"))
    manager.submit(1, "jobs_functions:stuck", {{"path": {hangs!r}}}, lane="a")
    idle = manager.submit(2, "jobs_functions:pid", lane="b").outcome(60)
    while not os.path.exists({hangs!r}):
        time.sleep(0.01)
    print(manager.worker_pid("a"), idle, flush=True)
    {end}
"""


@pytest.mark.slow
@posix
@pytest.mark.parametrize("end", ["sys.exit()", "os._exit(1)", "os.kill(os.getpid(), 9)", "raise KeyError"])
def test_no_worker_outlives_its_parent(tmp_path, end):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(PARENT).format(tests=str(Path(__file__).parents[1]), hangs=str(tmp_path / "hangs"), end=end)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=LIMIT, check=False)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2, done.stderr
    until(lambda: not any(is_running(pid) for pid in pids))


def test_a_jobs_fraction_is_fit_for_a_progress_bar(shared):
    job = shared.submit("bar", named("echo"), {"value": 1}, lane="a")
    assert job.wait(LIMIT)
    for known, drawn in ((None, 0.0), (-0.5, 0.0), (0.25, 0.25), (1.5, 1.0)):
        job.progress = Progress("stage", known)
        assert job.fraction == drawn
    job.progress = None
    assert job.fraction == 0.0
