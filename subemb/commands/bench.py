"""``subemb bench``: speed compared with peers on this machine, what token weights are worth, what a model can still do."""

import argparse

from ..adaptation.settings import TRAINED, AdaptationSettings
from ..adaptation.texts import read_texts
from ..base.errors import InputError
from ..bench.adapt import adapt_text, cases_of, read_sets, run_adapt_benchmark
from ..bench.speed import BENCHMARKS, bench_text, run_benchmarks
from ..bench.tasks import read_tasks, run_task_benchmark, tasks_text
from ..bench.weights import run_weights_benchmark, weights_text
from .terminal import path_argument, print_json
from .text import ProgressLine

WEIGHTS, TASKS, ADAPT = "weights", "tasks", "adapt"


def add(commands) -> None:
    command = commands.add_parser(
        "bench",
        help="measure speed against peers, what token weights are worth, or what models can still do",
        description="Measure speed as a ratio to a peer (faiss, nanopq, scikit-learn, dense layers), alternating both in one run. "
        + bench_names(BENCHMARKS)
        + " weights: STS benchmark scores on compressed tables, by kind of token weights."
        + " tasks: similarity and entailment on compressed tables, against their bytes."
        + " adapt: a labelled set's score before and after adaptation, with the CPU-seconds it took.",
    )
    command.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        choices=[*BENCHMARKS, WEIGHTS, TASKS, ADAPT],
        help="one of them (default: all of speed)",
    )
    command.add_argument("--repeats", type=int, default=3, help="of each side (default 3); medians are compared")
    command.add_argument(
        "--threads", type=int, metavar="N", help="of both sides of a speed benchmark (default: what torch uses)"
    )
    command.add_argument(
        "--busy", action="store_true", help="measure speed beside processes that compute all the time, one a thread"
    )
    command.add_argument("--model", default="all-MiniLM-L6-v2", help="whose table is compressed (default all-MiniLM-L6-v2)")
    command.add_argument(
        "--data",
        type=path_argument,
        nargs="+",
        default=[],
        metavar="FILE",
        help="of weights (one), tasks and adapt (several): labelled pairs, such as sts-dev.csv",
    )
    command.add_argument("--nli", type=path_argument, nargs="+", default=[], metavar="FILE", help="of tasks: entailment files")
    command.add_argument(
        "--head", type=path_argument, metavar="DIR", help="of tasks: an entailment head that `subemb train-head` saved"
    )
    command.add_argument("--text", type=path_argument, metavar="FILE", help="of weights: a UTF-8 text whose tokens are counted")
    command.add_argument("--seeds", type=int, default=3, help="of weights, tasks and adapt: seeds of each setting (default 3)")
    command.add_argument(
        "--train-text",
        type=path_argument,
        nargs="+",
        metavar="PATH",
        help="of adapt: sentences, tables or folders (default: none at all)",
    )
    command.add_argument(
        "--words", type=path_argument, nargs="+", default=[], metavar="FILE", help="of adapt: word lists such as SimLex-999"
    )
    command.add_argument("--limit", type=int, metavar="N", help="of adapt: at most so many pairs of each file")
    command.add_argument(
        "--train", choices=tuple(TRAINED), default="codebooks", help="of adapt: what is trained (default codebooks)"
    )
    command.add_argument("--seconds", type=float, default=300.0, help="of adapt: time budget of each run (default 300)")
    command.add_argument("--steps", type=int, help="of adapt: instead of --seconds")
    command.add_argument("--json", action="store_true", help="for programs")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.set_defaults(function=run)


def bench_names(benchmarks) -> str:
    return " ".join(f"{name}: {case.title}." for name, case in benchmarks.items())


def run(given: argparse.Namespace) -> int:
    """Run the benchmark that was named, or all of speed."""
    if given.name == WEIGHTS:
        return run_weights(given)
    if given.name == TASKS:
        return run_tasks(given)
    if given.name == ADAPT:
        return run_adapt(given)

    names = [given.name] if given.name else list(BENCHMARKS)
    with ProgressLine(enabled=not given.quiet) as progress:
        report = run_benchmarks(names, given.model, given.repeats, progress, threads=given.threads, busy=given.busy)
    print_json(report) if given.json else print(bench_text(report))
    return 0


def run_weights(given: argparse.Namespace) -> int:
    """Score compressed tables by kind of weights."""
    if len(given.data) != 1:
        raise InputError("bench weights needs one STS benchmark file; give --data sts-dev.csv")
    with ProgressLine(enabled=not given.quiet) as progress:
        report = run_weights_benchmark(given.model, given.data[0], given.text, given.seeds, progress)
    print_json(report) if given.json else print(weights_text(report))
    return 0


def run_adapt(given: argparse.Namespace) -> int:
    """Score compressed tables before and after adaptation."""
    sets = read_sets(given.data, given.words, given.limit)
    settings = AdaptationSettings(seconds=given.seconds, steps=given.steps)
    text = read_texts(given.train_text) if given.train_text else None
    with ProgressLine(enabled=not given.quiet) as progress:
        report = run_adapt_benchmark(given.model, sets, text, settings, given.seeds, cases_of(given.train), progress)
    print_json(report) if given.json else print(adapt_text(report))
    return 0


def run_tasks(given: argparse.Namespace) -> int:
    """Score compressed tables on similarity and entailment."""
    tasks = read_tasks(given.data, given.nli, given.head)
    with ProgressLine(enabled=not given.quiet) as progress:
        report = run_task_benchmark(given.model, tasks, given.seeds, progress=progress)
    print_json(report) if given.json else print(tasks_text(report))
    return 0
