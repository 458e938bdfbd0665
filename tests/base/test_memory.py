"""What a process holds, and gives back."""

import subprocess
import sys

import pytest

from subemb.base.memory import own_bytes, release_memory


@pytest.mark.skipif(own_bytes() is None, reason="this system does not tell what a process holds")
def test_memory_is_seen_and_given_back():
    before = own_bytes()
    held = [bytes(1000) * 2 for _ in range(50_000)]  # of sizes that the C library keeps for itself
    assert own_bytes() > before + 80 * 10**6
    held.clear()
    release_memory()
    assert own_bytes() < before + 40 * 10**6


def test_of_a_process_that_has_ended_nothing_is_known():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert own_bytes(ended.pid) is None
