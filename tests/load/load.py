"""A class at work: many visitors at once on one server, as a table. Run by hand, not by pytest::

    python tests/load/load.py                             # 10, 25 and 50 visitors after each other on one server: about 15 minutes
    python tests/load/load.py 10 --leaving 0              # a quick look: 60 seconds of 10 visitors
    python tests/load/load.py 25 --seconds 90 --profile F # where the server's time goes, by py-spy

Every visitor follows one of a few ways through the pages, over and over, with a pause after each step. All of them talk to one server
on this machine; its caches are new and warmed by one visitor first, as a teacher does who tries the app before the lesson. After each
number everybody leaves, and memory is told three minutes later. The table ends with what of the targets is met; nothing takes longer
than ``--minutes``.
"""

import argparse
import asyncio
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from visitor import PATIENCE_SECONDS, Measured, Visitor

ROOT = Path(__file__).resolve().parents[2]
THINKING = (2.0, 6.0)  # seconds between two steps
LEAVING_SECONDS = 180  # how long after the last visitor has left memory is measured
MOST_SECONDS = {25: 3.0, 50: 8.0}  # visitors -> target of the 95th percentile of script runs
HOME_SECONDS, HOME_VISITORS = 0.5, 25  # target of Home's median, and up to how many visitors
MOST_MEMORY = 0.1  # share that memory may be above what it was, once everybody has left
RUNS = (
    ("product", 8),
    ("product", 24),
    ("residual", 4),
)  # what visitors compress; the first of them computes, others find it kept

Pause = Callable[[], Awaitable[None]]


# Ways through the pages


async def reads_errors(visitor: Visitor, pause: Pause) -> None:
    """Home, then the views of the reconstruction error."""
    await visitor.open()
    await pause()
    await visitor.open("Reconstruction_error")
    await pause()
    for view in ("Kinds and scripts", "By id", "Best and worst"):
        await visitor.set("part", view)
        await pause()


async def looks_at_the_map(visitor: Visitor, pause: Pause) -> None:
    """Home, then the token map, another layout, and searches; a change of colour is the browser's own."""
    await visitor.open()
    await pause()
    await visitor.open("Token_map")
    await pause()
    for key, value in (
        ("map", "PCA"),
        ("map_find", "the"),
        ("map_find", random.choice(("king", "water", "##ing"))),
    ):
        await visitor.set(key, value)
        await pause()


async def compresses(visitor: Visitor, pause: Pause) -> None:
    """Home, other settings, Run, wait for the result, then its codes."""
    await visitor.open()
    await pause()
    method, subspaces = random.choice(RUNS)
    await visitor.open("", model="all-MiniLM-L6-v2", method=method, f=str(subspaces), q="256")
    await pause()
    if visitor.has("run_button"):
        await visitor.set("run_button")
    while visitor.waits:
        await visitor.think(1.0)
    await pause()
    await visitor.open("Assignments")
    await pause()
    await visitor.open()
    await pause()


async def compares_sentences(visitor: Visitor, pause: Pause) -> None:
    """Home, then pairs of sentences."""
    await visitor.open()
    await pause()
    await visitor.open("Similarity")
    while visitor.waits:
        await visitor.think(1.0)
    await pause()
    for view in ("Words", "Lists", "A pair"):
        await visitor.set("similarity", view)
        await pause()


WAYS = (reads_errors, looks_at_the_map, compresses, compares_sentences)


class TimeIsOver(Exception):
    """A visitor has stayed as long as was asked for."""


async def stays(address: str, way: Callable, seconds: float, start: float, seed: int) -> Visitor:
    """One visitor, who comes after ``start`` seconds and follows one way until ``seconds`` are over."""
    until = time.monotonic() + seconds
    await asyncio.sleep(start)
    chance = random.Random(seed)
    visitor = Visitor(address)

    async def pause() -> None:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeIsOver
        await visitor.think(min(left, chance.uniform(*THINKING)))

    try:
        async with visitor, asyncio.timeout(until + 2 * PATIENCE_SECONDS - time.monotonic()):
            while time.monotonic() < until:
                await way(visitor, pause)
    except TimeIsOver:
        pass
    except Exception as error:
        visitor.measured.append(Measured(way.__name__, 0.0, 0, False, f"{type(error).__name__}: {error}"[:300]))
    return visitor


async def warm(address: str, say: Callable[[str], None]) -> None:
    """One visitor goes every way once, without pauses."""

    async def no_pause() -> None:
        return None

    async def waited(visitor: Visitor) -> None:
        while visitor.waits:
            await visitor.think(1.0)

    async with Visitor(address) as visitor:
        await visitor.open()
        await waited(visitor)  # the example is computed once
    for way in WAYS:
        async with Visitor(address) as visitor:
            await way(visitor, no_pause)
            say(f"{way.__name__}: {sum(run.seconds for run in visitor.measured):.1f} s")
    async with Visitor(address) as visitor:  # every run that visitors will ask for
        for method, subspaces in RUNS:
            await visitor.open("", model="all-MiniLM-L6-v2", method=method, f=str(subspaces), q="256")
            if visitor.has("run_button"):
                await visitor.set("run_button")
            await waited(visitor)
            await visitor.open("Assignments")
            say(f"{method} f={subspaces}: {visitor.measured[-1]}")


# The server


class Server:
    """``subemb app`` with folders of its own."""

    def __init__(self, root: Path, folder: Path):
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            self.port = probe.getsockname()[1]
        self.address = f"localhost:{self.port}"
        places = {"SUBEMB_CACHE": folder / "cache", "HF_HOME": folder / "hub", "HF_HUB_OFFLINE": "1", "PYTHONPATH": root}
        self.log = (folder / "server.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "subemb", "app", "--no-browser", "--port", str(self.port)],
            cwd=folder,
            env={**os.environ, **{name: str(value) for name, value in places.items()}},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        for _ in range(720):
            try:
                with urllib.request.urlopen(f"http://{self.address}/_stcore/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.25)
        self.stop()
        raise SystemExit(f"the server did not start: {Path(self.log.name).read_text()[-2000:]}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the server's own process."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> tuple[float, float]:
        """MB of the server's process, and of it and its workers together (shared pages counted once)."""

        def share(pid: int) -> float:
            try:
                return int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1]) / 1000
            except (OSError, TypeError):
                return 0.0

        rows = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True).stdout.split("\n")
        parents = {int(row.split()[0]): int(row.split()[1]) for row in rows if row.split()}
        family = [self.process.pid]
        for pid in family:
            family += [child for child, parent in parents.items() if parent == pid]
        own = int(re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text(), re.M)[1]) / 1000
        return own, sum(map(share, family))


async def lesson(server: Server, visitors: int, seconds: float) -> tuple[list[Visitor], float, tuple[float, float]]:
    """All visitors at once; returns them, the CPU seconds of the server, and its largest memory (own, with workers).

    Who waits for a page that does not come is taken away: nobody stays longer than ``seconds`` and twice the patience of a visitor.
    """
    cpu, peak = server.cpu_seconds, [0.0, 0.0]

    async def watch_memory() -> None:
        while True:
            now = await asyncio.to_thread(lambda: server.memory)
            peak[:] = map(max, peak, now)
            await asyncio.sleep(2)

    watching = asyncio.create_task(watch_memory())
    tasks = [stays(server.address, WAYS[number % len(WAYS)], seconds, 0.1 * number, number) for number in range(visitors)]
    found = await asyncio.gather(*tasks)
    watching.cancel()
    return found, server.cpu_seconds - cpu, (peak[0], peak[1])


# The table


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def measure(
    root: Path, numbers: list[int], seconds: float, leaving: float, profile: Path | None, details: bool, minutes: float
) -> list[str]:
    """Rows of the table: one for each number of visitors, one after the other on one server, and what of the targets is met."""
    rows, verdicts, until = [], [], time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory(prefix="subemb-load-") as folder:
        server = Server(root, Path(folder))
        try:
            asyncio.run(warm(server.address, lambda text: print(text, file=sys.stderr, flush=True)))
            for visitors in numbers:
                if time.monotonic() + seconds + leaving > until:
                    verdicts.append(f"{visitors} visitors: not tried, {minutes:g} minutes are not enough")
                    continue
                before = server.memory
                spy = None if profile is None else begin_profile(server, seconds, f"{profile}-{visitors}")
                found, cpu, peak = asyncio.run(lesson(server, visitors, seconds))
                load = os.getloadavg()[0]
                if spy is not None:
                    spy.wait(60)
                time.sleep(leaving)
                if details:
                    print_details(visitors, found)
                after = server.memory
                rows.append(row(found, cpu, (before, peak, after), load))
                verdicts.append(f"{visitors} visitors: {', '.join(judged(visitors, found, before[0], after[0], leaving))}")
                print(HEAD, rows[-1], verdicts[-1], sep="\n", flush=True)
        finally:
            server.stop()
        problems = (Path(folder) / "server.log").read_text().count("Traceback")
    return [*rows, *verdicts, f"tracebacks in the server's log: {problems}"]


def judged(visitors: int, found: list[Visitor], before: float, after: float, leaving: float) -> list[str]:
    """Each target that this many visitors have, and whether it is met."""
    runs = [run for visitor in found for run in visitor.measured]
    asked = [run for run in runs if not run.polled and run.error is None]
    most = next((limit for many, limit in MOST_SECONDS.items() if visitors <= many), None)
    home = quantile([run.seconds for run in asked if run.what == "open Home"], 0.5)
    p95 = quantile([run.seconds for run in asked], 0.95)
    targets = [
        ("no error", not any(run.error for run in runs)),
        *([(f"p95 {p95:.2f} s of at most {most:g}", p95 <= most)] if most else []),
        *([(f"Home {home:.2f} s of at most {HOME_SECONDS:g}", home <= HOME_SECONDS)] if visitors <= HOME_VISITORS else []),
        *(
            [(f"memory {after / before - 1:+.0%} of at most +{MOST_MEMORY:.0%}", after <= (1 + MOST_MEMORY) * before)]
            if leaving
            else []
        ),
    ]
    return [f"{'met' if is_met else 'MISSED'}: {target}" for target, is_met in targets]


def begin_profile(server: Server, seconds: float, file: str) -> subprocess.Popen:
    """py-spy, which writes the stacks that hold Python's lock into a file."""
    return subprocess.Popen(
        [
            *["py-spy", "record", "--rate", "50", "--format", "raw", "--gil", "--nonblocking"],
            *["--pid", str(server.process.pid), "--duration", str(int(seconds)), "--output", file],
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def row(found: list[Visitor], cpu: float, memory: tuple[tuple[float, float], ...], load: float) -> str:
    """The numbers of one lesson. memory: before, peak and after, of the server alone and with its workers."""
    runs = [run for visitor in found for run in visitor.measured]
    asked = [run for run in runs if not run.polled and run.error is None]
    home = [run.seconds for run in asked if run.what == "open Home"]
    seconds = [run.seconds for run in asked]
    errors = sum(run.error is not None for run in runs)
    sent = sum(run.bytes for run in runs) / 1e6 / max(1, len(runs))
    return (
        f"{len(found):8} {len(asked):6} {sum(run.polled for run in runs):6} {quantile(home, 0.5):7.2f} {quantile(home, 0.95):7.2f} "
        f"{quantile(seconds, 0.5):7.2f} {quantile(seconds, 0.95):7.2f} {errors:6} {1000 * cpu / max(1, len(runs)):7.0f} {sent:7.2f}   "
        + "   ".join(" ".join(f"{moment[which]:6.0f}" for moment in memory) for which in (0, 1))
        + f" {load:6.1f}"
    )


HEAD = (
    "visitors   runs  polls  home50  home95     p50     p95 errors  cpu ms  MB/run   "
    "server MB: before, peak, after   with its workers        load"
)


def print_details(visitors: int, found: list[Visitor]) -> None:
    """Every step, the largest kinds of messages, and what went wrong."""
    print(f"{visitors} visitors")
    runs = [run for visitor in found for run in visitor.measured]
    asked = [run for run in runs if not run.polled and run.error is None]
    errors = Counter(run.error for run in runs if run.error)
    steps: dict[str, list[Measured]] = {}
    for run in asked:
        steps.setdefault(run.what, []).append(run)
    for what, some in sorted(steps.items()):
        seconds = [run.seconds for run in some]
        print(
            f"  {what:44} {len(some):5} p50 {quantile(seconds, 0.5):6.2f} p95 {quantile(seconds, 0.95):6.2f} "
            f"{sum(run.bytes for run in some) / len(some) / 1000:8.0f} kB"
        )
    sizes = Counter()
    counts = Counter()
    for visitor in found:
        for kind, values in visitor.sizes.items():
            sizes[kind] += sum(values)
            counts[kind] += len(values)
    for kind, total in sizes.most_common(12):
        print(f"  {kind:44} {counts[kind]:6} messages {total / 1e6:8.1f} MB")
    for error, count in errors.most_common(12):
        print(f"  {count} x {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("visitors", type=int, nargs="*", default=[10, 25, 50])
    parser.add_argument("--seconds", type=float, default=60, help="how long they stay")
    parser.add_argument("--leaving", type=float, default=LEAVING_SECONDS, help="seconds until memory is measured again")
    parser.add_argument("--minutes", type=float, default=25, help="in which everything has to be over")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout to measure")
    parser.add_argument("--profile", type=Path, help="file for py-spy's stacks")
    parser.add_argument("--details", action="store_true", help="also every step, sizes of messages, errors")
    given = parser.parse_args()
    rows = measure(given.root, given.visitors, given.seconds, given.leaving, given.profile, given.details, given.minutes)
    print("", HEAD, *rows, sep="\n")


if __name__ == "__main__":
    main()
