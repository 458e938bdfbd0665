"""Parts of a loop's work in threads: each is done once, whoever does it; errors come out; nothing waits for ever."""

import os
import subprocess
import sys
import threading
from collections import Counter

import pytest
import torch

from subemb.codec.threads import FEWEST_NUMBERS, in_threads


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_each_part_is_done_once_and_by_two_at_a_time():
    done, both = Counter(), threading.Barrier(2, timeout=60)

    def work(part: int) -> None:
        if part < 2:
            both.wait()  # one alone would wait here until the barrier breaks
        done[part] += 1

    in_threads(work, [(part,) for part in range(20)])
    assert done == dict.fromkeys(range(20), 1)


def test_little_work_is_done_by_the_caller():
    by = set()
    in_threads(lambda _: by.add(threading.current_thread()), [(part,) for part in range(20)], FEWEST_NUMBERS - 1)
    assert by == {threading.current_thread()}


@pytest.mark.parametrize("wrong", range(4))
def test_an_error_comes_out(wrong):
    def work(part: int) -> None:
        if part == wrong:
            raise ValueError(f"part {part}")

    with pytest.raises(ValueError, match=f"part {wrong}"):
        in_threads(work, [(part,) for part in range(4)])


def test_work_that_shares_its_own_work_does_not_wait_for_ever():
    done = Counter()

    def outer(part: int) -> None:
        in_threads(lambda inner: done.update([(part, inner)]), [(inner,) for inner in range(5)])

    in_threads(outer, [(part,) for part in range(50)])
    assert done == {(part, inner): 1 for part in range(50) for inner in range(5)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_threads_of_its_own():
    script = (
        "import os, torch; torch.set_num_threads(2)\n"
        "from subemb.codec.threads import in_threads\n"
        "done = []\n"
        "in_threads(done.append, [(part,) for part in range(50)])\n"
        "child = os.fork()\n"
        "in_threads(done.append, [(part,) for part in range(50)])\n"
        "assert len(done) == 100\n"
        "if child == 0: os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "7\n", done.stderr
