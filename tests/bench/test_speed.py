"""``subemb bench``: both sides of every row do the same thing. How long they take is no test's business."""

import json
import math

import pytest
import torch

from subemb.base.errors import InputError
from subemb.bench import speed
from subemb.bench.speed import BENCHMARKS, Benchmark, bench_text, busy_processes, compare, machine

ROWS = [
    Benchmark("a", "compress", "faiss", 2, 4),
    Benchmark("b", "compress", "faiss", 2, 5),
    Benchmark("c", "compress", "nanopq", 2, 4),
    Benchmark("d", "compress", "scikit-learn", 2, 4),
    Benchmark("e", "compress", "faiss", 3, 8, "cluster"),
    Benchmark("f", "lookup", "torch", 2, 4),
    Benchmark("g", "head", "torch", 2, 4, positions=1),
    Benchmark("h", "head", "torch", 3, 8, positions=20),
]


@pytest.mark.slow_after(3)
@pytest.mark.filterwarnings("ignore::UserWarning")  # scikit-learn's about few points in a batch
@pytest.mark.parametrize("case", ROWS, ids=lambda case: f"{case.kind}-{case.peer}-{case.codebook_size}")
def test_both_sides_of_a_row_do_the_same(case):
    table = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    turns = []
    found = compare(case, table, speed.import_peer(case.peer), 1, turns.append)
    assert turns == [0, 1, 2, 3]
    assert found["ratio"] == pytest.approx(found["seconds"] / found["peer_seconds"])
    assert len(found["all_seconds"]) == len(found["all_peer_seconds"]) == 1
    if case.kind != "compress":
        assert found["difference"] < 1e-5
    elif case.method == "product":
        assert found["error"] == pytest.approx(found["peer_error"], rel=0.15)  # other starts, 400 tokens
    else:
        assert found["error"] > found["peer_error"]  # the peer's tuples may collide


def test_the_report_has_a_line_for_every_row():
    table = torch.randn(300, 6)
    results = [{"name": case.title, **compare(case, table, None, 1, lambda _: None)} for case in ROWS[5:7]]
    measured = {"machine": machine(), "model": "m", "table": [300, 6], "iterations": 10, "busy": True, "results": results}
    text = bench_text(json.loads(json.dumps(measured)))
    assert all(f"\n{case.title} " in text for case in ROWS[5:7])
    assert "busy process" in text


def test_the_first_call_is_told_alone_and_later_ones_as_their_mean(monkeypatch):
    """Call number n takes n seconds: the first takes 1; after the peer's first, five of each side are one measurement."""
    clock = [0.0]

    def side():
        calls.append(1)
        clock[0] += len(calls)
        return torch.ones(2)

    calls: list[int] = []
    monkeypatch.setitem(speed.SIDES, "lookup", lambda case, table, peer: (side, side))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(speed.time, "process_time", lambda: clock[0])
    found = compare(ROWS[5], None, None, 1, lambda _: None)
    assert found["first_seconds"] == 1
    assert (found["seconds"], found["peer_seconds"]) == (5, 10)  # calls 3 to 7, and 8 to 12


def test_a_peer_that_is_not_installed_has_no_version(monkeypatch):
    def missing(name):
        if name == "faiss-cpu":
            raise speed.PackageNotFoundError(name)
        return "1.2"

    monkeypatch.setattr(speed, "version", missing)
    about = machine()
    assert about["numba"] == "1.2"
    assert "faiss-cpu" not in about
    measured = {"machine": about, "model": "m", "table": [300, 6], "iterations": 10, "busy": False, "results": []}
    assert "numba 1.2" in bench_text(measured)
    assert "faiss" not in bench_text(measured)


def test_every_row_says_what_it_is_and_fits_the_bundled_table():
    for case in BENCHMARKS.values():
        assert 384 % case.subspaces == 0
        assert math.prod([case.codebook_size] * case.subspaces) >= 30_522 or case.method != "cluster"
        assert bool(case.positions) == (case.kind == "head")


def test_busy_processes_end():
    with busy_processes(1):
        pass


@pytest.mark.parametrize(("options", "words"), [({"repeats": 0}, "0 repeats"), ({"threads": 0}, "0 threads")])
def test_what_measures_nothing_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        speed.run_benchmarks(["product"], "all-MiniLM-L6-v2", **options)
