"""Seconds that are told beforehand: for this computer, as busy as it is."""

import os
import subprocess
import sys

import pytest

from subemb.base import pace
from subemb.base.pace import Pace


def test_a_free_reference_machine_takes_what_is_estimated():
    assert Pace(1.0, 1.0).slowness == 1.0
    assert Pace(2.0, 1.0).slowness == 2.0


def test_waiting_for_a_core_counts_more_than_once():
    assert Pace(1.0, 2.0).slowness > 2.0
    assert Pace(1.0, 1e6).slowness <= 100, "a second of bad luck is not told as an hour"


def test_what_is_measured_is_no_guess():
    found = pace.measured(0.01)
    assert 0.05 < found.speed < 20
    assert found.waiting >= 1


@pytest.mark.slow
def test_a_busy_computer_is_noticed():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    before = pace.measured()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4 * cores)]
    try:
        is_noticed = any((during := pace.measured(0.2).waiting) > 1.5 and during >= before.waiting / 2 for _ in range(3))
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert is_noticed


def test_a_measurement_holds_for_a_while():
    assert pace.pace() is pace.pace()
    assert pace.rough(100.0).endswith("(this computer is busy now)") == (pace.pace().waiting >= 1.5)


@pytest.mark.parametrize(
    ("given", "wanted"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")], ids=["by default", "as somebody has set it"]
)
def test_threads_of_workers_and_of_the_command_sleep_while_they_wait(monkeypatch, given, wanted):
    from subemb.cli import main
    from subemb.jobs.worker import _environment

    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    if given is None:
        del os.environ["OMP_WAIT_POLICY"]
    assert _environment()["OMP_WAIT_POLICY"] == wanted
    with pytest.raises(SystemExit):
        main(["--version"])
    assert os.environ["OMP_WAIT_POLICY"] == wanted
