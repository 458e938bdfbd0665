"""What a process holds, and gives back."""

import subprocess
import sys

import pytest

from subemb.base.memory import own_bytes

#: In a process of its own: in one that has done much, new objects lie where others were.
_HELD = """
from subemb.base.memory import own_bytes, release_memory
before = own_bytes()
held = [bytes(1000) * 2 for _ in range(50_000)]  # of sizes that the C library keeps for itself
full = own_bytes()
held.clear()
release_memory()
print(full - before, own_bytes() - before)
"""


@pytest.mark.skipif(own_bytes() is None, reason="this system does not tell what a process holds")
def test_memory_is_seen_and_given_back():
    done = subprocess.run([sys.executable, "-c", _HELD], capture_output=True, text=True)
    held, kept = map(int, done.stdout.split())
    assert held > 100 * 10**6
    assert kept < 40 * 10**6


def test_of_a_process_that_has_ended_nothing_is_known():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert own_bytes(ended.pid) is None
