"""``subemb bench``: speed against a peer on this machine."""

import argparse
import json

from ..bench import BENCHMARKS


def add(commands) -> None:
    command = commands.add_parser(
        "bench",
        help="measure speed against faiss",
        description="Measure speed as a ratio to faiss, alternating both in one run. " + bench_names(BENCHMARKS),
    )
    command.add_argument("name", nargs="?", metavar="NAME", choices=list(BENCHMARKS), help="one of them (default: all)")
    command.add_argument("--repeats", type=int, default=3, help="of each side (default 3); medians are compared")
    command.add_argument("--model", default="all-MiniLM-L6-v2", help="whose table is compressed (default all-MiniLM-L6-v2)")
    command.add_argument("--json", action="store_true", help="for programs")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.set_defaults(function=run)


def bench_names(benchmarks) -> str:
    return " ".join(f"{name}: {case.title}." for name, case in benchmarks.items())


def run(given: argparse.Namespace) -> int:
    """Compare with a peer on this machine."""
    from ..bench import bench_text, run_benchmarks
    from .text import ProgressLine

    names = [given.name] if given.name else list(BENCHMARKS)
    with ProgressLine(enabled=not given.quiet) as progress:
        report = run_benchmarks(names, given.model, given.repeats, progress)
    print(json.dumps(report, indent=2) if given.json else bench_text(report))
    return 0
