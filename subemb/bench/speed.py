"""Speed against a peer, measured in the same run: ratios travel from machine to machine better than seconds do.

Both sides get the same table, the same number of threads and of k-means iterations, and may look at all tokens; the sides alternate,
so that whatever else the machine does slows both down, and medians are compared. Beside a busy process it is asked who suffers more.
"""

import contextlib
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from .. import __version__
from ..base.errors import InputError
from ..base.progress import ProgressCallback, report
from ..base.text import columns_text
from ..models.load import load

ITERATIONS = 10
LOOKUP_IDS = 8192
MOST_THREADS = 1024
LIBRARIES = ("torch", "numpy", "numba", "faiss-cpu", "nanopq", "scikit-learn")  # whose versions are told


@dataclass(frozen=True)
class Benchmark:
    """One comparison of subemb with a peer at the same f and Q."""

    title: str  # for the report
    kind: str  # what is timed: ``compress`` a table, ``lookup`` rows, or the logits of a tied ``head``
    peer: str  # ``faiss``, ``nanopq``, ``scikit-learn``, or ``torch`` (the dense layer)
    subspaces: int  # f of both
    codebook_size: int  # Q of both
    method: str = "product"  # of subemb, where a table is compressed
    positions: int = 0  # of the hidden state, for a head


def _compress(peer: str, subspaces: int, size: int, method: str = "product", also: str = "") -> Benchmark:
    return Benchmark(f"{method}, f = {subspaces}, Q = {size}{also}, against {peer}", "compress", peer, subspaces, size, method)


def _lookup(subspaces: int, size: int) -> Benchmark:
    title = f"rows of {LOOKUP_IDS:,} ids, f = {subspaces}, Q = {size}, against nn.Embedding"
    return Benchmark(title, "lookup", "torch", subspaces, size)


def _head(subspaces: int, size: int, positions: int) -> Benchmark:
    title = f"logits of {positions} position(s), f = {subspaces}, Q = {size}, against the dense product"
    return Benchmark(title, "head", "torch", subspaces, size, positions=positions)


BENCHMARKS = {
    "product-3": _compress("faiss", 3, 32),
    "product": _compress("faiss", 8, 256),
    "product-24": _compress("faiss", 24, 61),
    "product-96": _compress("faiss", 96, 64),
    "product-nanopq": _compress("nanopq", 8, 256),
    "product-sklearn": _compress("scikit-learn", 8, 256),
    "cluster": _compress("faiss", 3, 32, "cluster", ", unique tuples"),
    "lookup-3": _lookup(3, 32),
    "lookup-8": _lookup(8, 256),
    "lookup-96": _lookup(96, 64),
    "head-3": _head(3, 32, 1),
    "head-8": _head(8, 256, 1),
    "head-96": _head(96, 64, 1),
    "head-3-64": _head(3, 32, 64),
    "head-8-64": _head(8, 256, 64),
    "head-96-64": _head(96, 64, 64),
}


def run_benchmarks(
    names: Sequence[str],
    model: str,
    repeats: int = 3,
    progress: ProgressCallback | None = None,
    *,
    threads: int | None = None,
    busy: bool = False,
) -> dict[str, Any]:
    """Measure each benchmark on a model's table. Returns JSON types: ``machine``, ``table``, ``iterations``, ``busy``, ``results``.

    threads: of both sides; None is what torch uses. busy: beside one process a thread that computes without end.

    Raises InputError without the peer, for repeats or threads that cannot be, or if a table's width is not a multiple of f (faiss needs that).
    """
    if repeats < 1:
        raise InputError(f"{repeats} repeats measure nothing; give at least 1")
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise InputError(f"{threads} threads are not possible; give 1 to {MOST_THREADS:,}")
    peers = {name: import_peer(BENCHMARKS[name].peer) for name in names}
    import torch

    table = load(model).table.float()
    for name in names:
        case = BENCHMARKS[name]
        if table.shape[1] % case.subspaces or case.codebook_size > len(table):
            raise InputError(
                f"{name} cannot run on a table of {len(table)} x {table.shape[1]}: faiss needs a width that {case.subspaces} "
                f"divides and at least {case.codebook_size} tokens; give another --model or benchmark"
            )
    before = torch.get_num_threads()
    sides = len(names) * (repeats + 1) * 2
    results = []
    try:
        torch.set_num_threads(threads or before)
        about = machine()
        with busy_processes(torch.get_num_threads() if busy else 0):
            for position, name in enumerate(names):

                def turn(i: int, position: int = position, name: str = name) -> None:
                    done = (position * (repeats + 1) * 2 + i) / sides
                    report(progress, f"{name}, round {i // 2 + 1} of {repeats + 1}", done)

                results.append({"name": name, **compare(BENCHMARKS[name], table, peers[name], repeats, turn)})
    finally:
        torch.set_num_threads(before)
    return {
        "machine": about,
        "model": model,
        "table": list(table.shape),
        "iterations": ITERATIONS,
        "busy": busy,
        "results": results,
    }


def import_peer(peer: str) -> Any:
    """The library to compare with. Raises InputError with the remedy if it is not installed."""
    try:
        if peer == "faiss":
            import faiss as found
        elif peer == "nanopq":
            import nanopq as found
        elif peer == "scikit-learn":
            import sklearn as found
        else:
            import torch as found
    except ImportError as error:
        package = {"faiss": "faiss-cpu"}.get(peer, peer)
        raise InputError(f"this benchmark compares with {peer}, which is not installed; run: pip install {package}") from error
    return found


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that compute all the time, for as long as this lasts."""
    # They end by themselves when this process does: what is then written nobody reads.
    loop = "import os, time\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(10**6))"
    processes = [subprocess.Popen([sys.executable, "-S", "-c", loop]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def compare(case: Benchmark, table, peer, repeats: int, turn: Callable[[int], None]) -> dict[str, Any]:
    """Alternate both sides after one round that does not count, whose first half is told apart: it may have to compile.

    Returns median seconds on the clock and of all CPUs together, their ratios (below 1: subemb is faster), and for tables errors, for
    layers the largest difference between both sides' numbers, in units of their root mean square.
    """
    sides = SIDES[case.kind](case, table, peer)
    clock: tuple[list[float], list[float]] = ([], [])
    cpu: tuple[list[float], list[float]] = ([], [])
    first, found = 0.0, [None, None]
    several = 1 if case.kind == "compress" else 5  # what takes milliseconds is measured several times a round
    for i in range(2 * (repeats + 1)):
        turn(i)
        side = i % 2
        times = several if i >= 2 else 1  # the first call compiles: it is told alone
        started, used = time.perf_counter(), time.process_time()
        for _ in range(times):
            found[side] = sides[side]()
        seconds, spent = (time.perf_counter() - started) / times, (time.process_time() - used) / times
        if i == 0:
            first = seconds
        if i >= 2:  # the first round warms caches and thread pools
            clock[side].append(seconds)
            cpu[side].append(spent)
    ours, peers = (statistics.median(times) for times in clock)
    our_cpu, peer_cpu = (statistics.median(times) for times in cpu)
    measured = {
        "title": case.title,
        "kind": case.kind,
        "peer": case.peer,
        "seconds": ours,
        "peer_seconds": peers,
        "ratio": ours / peers,
        "first_seconds": first,
        "cpu_seconds": our_cpu,
        "peer_cpu_seconds": peer_cpu,
        "cpu_ratio": our_cpu / peer_cpu,
        "all_seconds": clock[0],
        "all_peer_seconds": clock[1],
    }
    if case.kind == "compress":
        spread = (table - table.mean(0)).square().sum()
        errors = [float((table - rebuild()).square().sum() / spread) for rebuild in found]
        return {**measured, "error": errors[0], "peer_error": errors[1]}
    mine, theirs = found
    return {**measured, "difference": float((mine - theirs).abs().max() / theirs.square().mean().sqrt())}


def compress_sides(case: Benchmark, table, peer) -> tuple[Callable, Callable]:
    """Both give back how to rebuild the table from what they found."""
    theirs = {"faiss": run_faiss, "nanopq": run_nanopq, "scikit-learn": run_sklearn}[case.peer]
    return lambda: run_subemb(case, table), lambda: theirs(case, table.numpy(), peer)


def layer_sides(case: Benchmark, table, peer) -> tuple[Callable, Callable]:
    """The compact layer on drawn codes and codebooks, and the dense one on the table that they stand for.

    How long a layer takes does not depend on what the codes are, so none are searched.
    """
    import torch

    from ..codec.layers import SubspaceEmbedding, SubspaceLinear

    draw = torch.Generator().manual_seed(0)
    vocabulary, dim = table.shape
    codes = torch.randint(case.codebook_size, (vocabulary, case.subspaces), generator=draw)
    width = dim // case.subspaces
    books = [torch.randn(case.codebook_size, width, generator=draw) for _ in range(case.subspaces)]
    layer = SubspaceEmbedding(codes, books).requires_grad_(False)
    dense = layer.weight
    if case.kind == "lookup":
        ids = torch.randint(vocabulary, (LOOKUP_IDS // 512, 512), generator=draw)
        plain = torch.nn.Embedding.from_pretrained(dense)
        return lambda: layer(ids), lambda: plain(ids)
    head, hidden = SubspaceLinear(layer), torch.randn(case.positions, dim, generator=draw)
    return lambda: head(hidden), lambda: torch.nn.functional.linear(hidden, dense)


SIDES = {"compress": compress_sides, "lookup": layer_sides, "head": layer_sides}


def run_subemb(case: Benchmark, table) -> Callable[[], Any]:
    """Codebooks and codes of every token; returns how to rebuild the table from them."""
    from ..codec import compress

    compressed = compress(
        table, case.method, case.subspaces, case.codebook_size, iterations=ITERATIONS, tolerance=0.0, weights="none", seed=0
    )
    return compressed.reconstruct


def run_faiss(case: Benchmark, table, faiss) -> Callable[[], Any]:
    """The same by faiss: train on all points, then encode them. A Q that is no power of 2 is clustered subspace by subspace."""
    import torch

    faiss.omp_set_num_threads(torch.get_num_threads())
    bits = case.codebook_size.bit_length() - 1
    if case.codebook_size == 1 << bits:
        quantizer = faiss.ProductQuantizer(table.shape[1], case.subspaces, bits)
        quantizer.cp.niter = ITERATIONS
        quantizer.cp.max_points_per_centroid = len(table)
        quantizer.cp.seed = 1
        quantizer.train(table)
        codes = quantizer.compute_codes(table)
        return lambda: torch.from_numpy(quantizer.decode(codes))
    found = []
    for part in np.split(table, case.subspaces, axis=1):
        part = np.ascontiguousarray(part)
        kmeans = faiss.Kmeans(
            part.shape[1], case.codebook_size, niter=ITERATIONS, max_points_per_centroid=len(part), seed=1, verbose=False
        )
        kmeans.train(part)
        found.append((kmeans.centroids, kmeans.index.search(part, 1)[1][:, 0]))
    return lambda: torch.from_numpy(np.concatenate([book[codes] for book, codes in found], axis=1))


def run_nanopq(case: Benchmark, table, nanopq) -> Callable[[], Any]:
    """The same by nanopq."""
    import torch

    quantizer = nanopq.PQ(case.subspaces, case.codebook_size, verbose=False)
    quantizer.fit(table, iter=ITERATIONS, seed=1)
    codes = quantizer.encode(table)
    return lambda: torch.from_numpy(quantizer.decode(codes))


def run_sklearn(case: Benchmark, table, sklearn) -> Callable[[], Any]:
    """The same by scikit-learn's MiniBatchKMeans, the quicker of its two."""
    import torch
    from sklearn.cluster import MiniBatchKMeans

    found = []
    for part in np.split(table, case.subspaces, axis=1):
        kmeans = MiniBatchKMeans(case.codebook_size, max_iter=ITERATIONS, n_init=1, init="random", random_state=1)
        codes = kmeans.fit_predict(np.ascontiguousarray(part))
        found.append((kmeans.cluster_centers_, codes))
    return lambda: torch.from_numpy(np.concatenate([book[codes] for book, codes in found], axis=1))


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
        **{name: found for name in LIBRARIES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    """None for a peer that is not installed: other benchmarks run without it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def bench_text(measured: dict[str, Any]) -> str:
    """The report as text."""
    about = measured["machine"]
    rows = [["BENCHMARK", "SUBEMB", "PEER", "RATIO", "CPU RATIO", "FIRST", "ERROR", "PEER"]]
    for result in measured["results"]:
        seconds = [_seconds(result["seconds"]), _seconds(result["peer_seconds"]), f"{result['ratio']:.2f}"]
        seconds += [f"{result['cpu_ratio']:.2f}", _seconds(result["first_seconds"])]
        errors = [f"{result['error']:.4f}", f"{result['peer_error']:.4f}"] if result["kind"] == "compress" else ["", ""]
        rows.append([result["title"], *seconds, *errors])
    libraries = ", ".join(f"{name.removesuffix('-cpu')} {about[name]}" for name in LIBRARIES if name in about)
    beside = f"beside {about['threads']} busy process(es), " if measured["busy"] else ""
    return "\n".join(
        [
            columns_text(rows, right=tuple(range(1, 8))),
            "",
            f"{measured['model']}, {measured['table'][0]:,} x {measured['table'][1]}, {measured['iterations']} iterations of "
            f"k-means, {beside}medians of alternating repeats; a ratio below 1 means that subemb is faster; FIRST is "
            "subemb's first call, which may compile",
            f"{about['cpus']} CPUs, {about['threads']} threads, {about['system']} {about['processor']}; Python {about['python']}, "
            f"subemb {about['subemb']}, {libraries}",
        ]
    )


def _seconds(value: float) -> str:
    return f"{value * 1e3:.2f} ms" if value < 0.1 else f"{value:.2f} s"
