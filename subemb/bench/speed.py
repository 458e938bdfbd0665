"""Speed against a peer, measured in the same run: ratios travel from machine to machine better than seconds do.

Both sides get the same table, the same number of threads and of k-means iterations, and all points; the sides alternate, so
that whatever else the machine does slows both down, and medians are compared.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from .. import __version__
from ..base.errors import InputError
from ..base.progress import ProgressCallback, report
from ..base.text import columns_text

ITERATIONS = 10


@dataclass(frozen=True)
class Benchmark:
    """One comparison: ``compress(method, subspaces, codebook_size)`` against faiss PQ at the same f and Q = 2 ** bits."""

    title: str  # for the report
    method: str  # of subemb
    subspaces: int  # f of both
    bits: int  # log2 Q of both

    @property
    def codebook_size(self) -> int:
        """Q."""
        return 1 << self.bits


BENCHMARKS = {
    "product": Benchmark("product, f = 8, Q = 256, against faiss PQ", "product", 8, 8),
    "product-96": Benchmark("product, f = 96, Q = 64, against faiss PQ", "product", 96, 6),
    "cluster": Benchmark("cluster, f = 3, Q = 32, unique tuples, against faiss PQ, whose tuples collide", "cluster", 3, 5),
}


def run_benchmarks(
    names: Sequence[str], model: str, repeats: int = 3, progress: ProgressCallback | None = None
) -> dict[str, Any]:
    """Measure each benchmark on a model's table. Returns JSON types: ``machine``, ``table``, ``iterations``, ``results``.

    Raises InputError without faiss, for repeats below 1, or if a table's width is not a multiple of f (faiss needs that).
    """
    from ..models.load import load

    if repeats < 1:
        raise InputError(f"{repeats} repeats measure nothing; give at least 1")
    faiss = import_faiss()
    import torch

    table = load(model).table
    for name in names:
        case = BENCHMARKS[name]
        if table.shape[1] % case.subspaces or case.codebook_size > len(table):
            raise InputError(
                f"{name} cannot run on a table of {len(table)} x {table.shape[1]}: faiss needs a width that {case.subspaces} "
                f"divides and at least {case.codebook_size} tokens; give another --model or benchmark"
            )
    faiss.omp_set_num_threads(torch.get_num_threads())
    sides = len(names) * (repeats + 1) * 2
    results = []
    for position, name in enumerate(names):

        def turn(i: int, position: int = position, name: str = name) -> None:
            report(progress, f"{name}, round {i // 2 + 1} of {repeats + 1}", (position * (repeats + 1) * 2 + i) / sides)

        results.append({"name": name, **compare(BENCHMARKS[name], table, faiss, repeats, turn)})
    return {"machine": machine(), "model": model, "table": list(table.shape), "iterations": ITERATIONS, "results": results}


def import_faiss():
    """The peer. Raises InputError with the remedy if it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise InputError("the benchmarks compare with faiss, which is not installed; run: pip install faiss-cpu") from error
    return faiss


def compare(case: Benchmark, table, faiss, repeats: int, turn: Callable[[int], None]) -> dict[str, Any]:
    """Alternate both sides after one round that does not count.

    Returns median seconds on the clock and of all CPUs together, their ratios (below 1: subemb is faster), and errors.
    """
    sides = (lambda: run_subemb(case, table), lambda: run_faiss(case, table.numpy(), faiss))
    clock: tuple[list[float], list[float]] = ([], [])
    cpu: tuple[list[float], list[float]] = ([], [])
    rebuilt = [None, None]
    for i in range(2 * (repeats + 1)):
        turn(i)
        side = i % 2
        started, used = time.perf_counter(), time.process_time()
        rebuilt[side] = sides[side]()
        if i >= 2:  # the first round warms caches and thread pools
            clock[side].append(time.perf_counter() - started)
            cpu[side].append(time.process_time() - used)
    ours, peers = (statistics.median(times) for times in clock)
    our_cpu, peer_cpu = (statistics.median(times) for times in cpu)
    spread = (table - table.mean(0)).square().sum()
    errors = [float((table - make()).square().sum() / spread) for make in rebuilt]
    return {
        "title": case.title,
        "seconds": ours,
        "peer_seconds": peers,
        "ratio": ours / peers,
        "cpu_seconds": our_cpu,
        "peer_cpu_seconds": peer_cpu,
        "cpu_ratio": our_cpu / peer_cpu,
        "error": errors[0],
        "peer_error": errors[1],
        "all_seconds": clock[0],
        "all_peer_seconds": clock[1],
    }


def run_subemb(case: Benchmark, table) -> Callable[[], Any]:
    """Codebooks and codes of every token; returns how to rebuild the table from them."""
    from ..codec import compress

    compressed = compress(
        table, case.method, case.subspaces, case.codebook_size, iterations=ITERATIONS, tolerance=0.0, weights="none", seed=0
    )
    return compressed.reconstruct


def run_faiss(case: Benchmark, table, faiss) -> Callable[[], Any]:
    """The same by faiss: train on all points, then encode them."""
    import torch

    quantizer = faiss.ProductQuantizer(table.shape[1], case.subspaces, case.bits)
    quantizer.cp.niter = ITERATIONS
    quantizer.cp.max_points_per_centroid = len(table)
    quantizer.cp.seed = 1
    quantizer.train(table)
    codes = quantizer.compute_codes(table)
    return lambda: torch.from_numpy(quantizer.decode(codes))


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    import torch

    return {
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "subemb": __version__,
        **{name: version(name) for name in ("torch", "numpy", "faiss-cpu")},
    }


def bench_text(measured: dict[str, Any]) -> str:
    """The report as text."""
    about = measured["machine"]
    rows = [["BENCHMARK", "SUBEMB", "FAISS", "RATIO", "CPU RATIO", "ERROR", "FAISS"]]
    for result in measured["results"]:
        seconds = [
            f"{result['seconds']:.2f} s",
            f"{result['peer_seconds']:.2f} s",
            f"{result['ratio']:.2f}",
            f"{result['cpu_ratio']:.2f}",
        ]
        rows.append([result["title"], *seconds, f"{result['error']:.3f}", f"{result['peer_error']:.3f}"])
    return "\n".join(
        [
            columns_text(rows, right=(1, 2, 3, 4, 5, 6)),
            "",
            f"{measured['model']}, {measured['table'][0]:,} x {measured['table'][1]}, {measured['iterations']} iterations of "
            "k-means on all points; medians of alternating repeats; a ratio below 1 means that subemb is faster",
            f"{about['cpus']} CPUs, {about['threads']} threads, {about['system']} {about['processor']}; Python {about['python']}, "
            f"subemb {about['subemb']}, torch {about['torch']}, faiss {about['faiss-cpu']}",
        ]
    )
