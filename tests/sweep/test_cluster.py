"""Sweeps on a real Dask scheduler with two workers on this machine; one of them dies in the middle."""

import dataclasses

import numpy as np
import pytest
from static_models import make_words

import subemb
from subemb.base.errors import Cancelled, InputError
from subemb.evaluate.data.pairs import PairSet
from subemb.jobs.cluster import connected
from subemb.sweep.grid import grid_of
from subemb.sweep.run import sweep
from subemb.sweep.table import read_rows

GRID = grid_of({"method": ["product", "low_rank"], "subspaces": [2, 3, 4, 6], "codebook_size": [8, 16, 32], "rank": [2, 4]})
TIMES = ("seconds", "compress_seconds", "cpu_seconds", "threads", "where")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    from clusters import Cluster

    started = Cluster(tmp_path_factory.mktemp("cluster"))
    for _ in range(2):
        started.add_worker()
    yield started
    started.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return subemb.load(make_words(tmp_path_factory.mktemp("models") / "small", 600, 24))


@pytest.fixture(scope="module")
def pairs():
    draw = np.random.default_rng(0).integers(600, size=(60, 2, 5))
    first, second = ([" ".join(f"word{number}" for number in words) for words in draw[:, side]] for side in (0, 1))
    return PairSet("words", "similarity", "made", first, second, np.linspace(0, 5, 60))


@pytest.fixture
def no_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))


def comparable(rows):
    return [dataclasses.replace(row, **dict.fromkeys(TIMES)) for row in rows]


@pytest.mark.slow
def test_a_worker_dies_in_the_middle_and_the_table_is_that_of_one_process(cluster, model, pairs, tmp_path, monkeypatch):
    with connected(cluster.address) as client:
        client.wait_for_workers(2, timeout=60)
    killed = []

    def kill_one(message):
        if "row" in message.values and not killed:
            killed.append(cluster.workers[0])
            cluster.workers[0].kill()

    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    found = sweep(model, GRID, pairs, folder=tmp_path / "there", dask=cluster.address, progress=kill_one)
    assert killed[0].wait(20) != 0
    assert found.how.startswith("2 Dask workers")
    assert found.failed == []
    assert found.computed == len(GRID)
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "another cache"))
    here = sweep(model, GRID, pairs, folder=tmp_path / "here", processes=1)
    assert comparable(found.rows) == comparable(here.rows)
    assert list(read_rows(tmp_path / "there").values()) == list(found.rows)


@pytest.mark.slow
def test_a_sweep_on_a_cluster_can_be_stopped_and_goes_on(cluster, model, pairs, no_rows, tmp_path):
    def stop(message):
        return "row" in message.values

    with pytest.raises(Cancelled):
        sweep(model, GRID, pairs, folder=tmp_path / "t", dask=cluster.address, progress=stop)
    kept = len(read_rows(tmp_path / "t"))
    assert 1 <= kept < len(GRID)
    again = sweep(model, GRID, pairs, folder=tmp_path / "t", dask=cluster.address)
    assert again.computed == len(GRID) - kept
    assert again.failed == []


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "tcp://127.0.0.1", "ftp://127.0.0.1:8786"])
def test_an_address_where_nobody_answers_is_said_in_seconds(address):
    with pytest.raises(InputError, match="no Dask scheduler answers at") as said:
        sweep("all-MiniLM-L6-v2", GRID, (), dask=address)
    assert "dask scheduler" in str(said.value)
