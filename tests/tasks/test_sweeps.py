"""A sweep as a job of the app: in a real worker process, which has processes of its own for the rows."""

import numpy as np
import psutil
import pytest
from shared import until
from static_models import make_words

from subemb.evaluate.data.pairs import PairSet
from subemb.jobs.manager import manager
from subemb.sweep.grid import grid_of
from subemb.sweep.run import ROWS
from subemb.tasks.sweeps import run_sweep

GRID = [
    one.to_dict()
    for one in grid_of(
        {"method": ["product", "cluster"], "subspaces": [2, 3, 4, 6], "codebook_size": [16, 24], "seed": [0, 1, 2]}
    )
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    make_words(tmp_path / "models" / "small", 200, 12)
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))


def pairs():
    draw = np.random.default_rng(0).integers(200, size=(30, 2, 5))
    first, second = ([" ".join(f"word{number}" for number in words) for words in draw[:, side]] for side in (0, 1))
    return PairSet("words", "similarity", "made", first, second, np.linspace(0, 5, 30))


def test_equal_calls_are_one_job(place):
    call = run_sweep.call("small", None, GRID[:1], [pairs()])
    assert call.key == run_sweep.call("small", None, GRID[:1], [pairs()]).key
    assert call.key != run_sweep.call("small", None, GRID[:2], [pairs()]).key
    assert call.key != run_sweep.call("small", None, GRID[:1], []).key
    table = call.submit().outcome(60)
    assert [(row.state, row.problem) for row in table.rows] == [("done", "")]
    assert table.sets[0]["name"] == "words"


@pytest.mark.slow
def test_a_sweep_in_the_apps_worker_streams_rows_stops_and_goes_on(place, worker_processes):
    call = run_sweep.call("small", None, GRID, [pairs()])
    job = call.submit()
    until(lambda: any("row" in message.values for message in job.history) or job.is_over, 120)
    worker = psutil.Process(manager().worker_pid("sweep"))
    children = worker.children(recursive=True)
    assert job.cancel()
    assert job.left_worker.wait(60)
    known = len(list(ROWS))
    assert 1 <= known < len(GRID)
    assert worker.is_running()  # it stopped by itself, and need not be ended
    table = call.submit().outcome(180)
    assert len(table.done) == len(GRID)
    assert table.computed <= len(GRID) - known
    worker.kill()
    until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children), 30)
