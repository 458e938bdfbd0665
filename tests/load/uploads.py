"""Many visitors who each give a large file, and what the server's memory does: as a table. Run by hand, not by pytest::

    python tests/load/uploads.py                          # 40 visitors with 19 MB each, on every page that takes files
    python tests/load/uploads.py similarity --visitors 10

They come one after the other, give their file through the address that Streamlit's uploader uses, and stay; then all leave. Memory is
told before, while they are there (at its largest and at the end), and once Streamlit has let go of those who left. Every refusal is told
with the sentence that the visitor reads.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from load import ROOT, Server
from visitor import Visitor

GONE_SECONDS = 150  # two minutes for which Streamlit keeps the session of somebody who left, and the upkeep's look after that
MOST_MEMORY = 6_000  # MB: above it the trial is ended, so that the machine lives
WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "house",
    "river",
    "stands",
    "runs",
    "sees",
    "green",
    "old",
    "small",
    "under",
    "behind",
    "near",
    "with",
    "many",
    "few",
    "children",
    "letters",
]


def table_of(size: int) -> bytes:
    """Labelled pairs as CSV."""
    rows = (f"{sentence()},{sentence()},{random.randrange(6)}" for _ in range(size // 90))
    return cut(["sentence1,sentence2,score", *rows], size)


def text_of(size: int) -> bytes:
    """Sentences, one a line."""
    return cut([sentence() for _ in range(size // 40)], size)


def sentence() -> str:
    return " ".join(random.choices(WORDS, k=9)) + f" {random.randrange(10**9)}"


def cut(rows: list[str], size: int) -> bytes:
    """As many rows as fit."""
    return "\n".join(rows).encode()[:size].rpartition(b"\n")[0]


async def on_similarity(visitor: Visitor) -> None:
    await visitor.open("Similarity", similarity="Labelled set", similarity_set_source="Your files")


async def on_adapt(visitor: Visitor) -> None:
    await visitor.open("Adapt")
    await visitor.set("adapt_source_3", "Upload")


#: Where files are given: how to get there, the uploader, the name of the file, and its content.
PLACES = {
    "similarity": (on_similarity, "similarity_set_upload", "pairs.csv", table_of),
    "adapt": (on_adapt, "adapt_files", "text.txt", text_of),
}


async def trial(server: Server, place: str, visitors: int, size: int) -> str:
    """All visitors on one page; a row of the table."""
    go, key, name, make = PLACES[place]
    before, peak, refusals, seconds = server.memory[0], 0.0, Counter(), []
    same = make(size)
    async with AsyncExitStack() as here:
        for number in range(visitors):
            visitor = await here.enter_async_context(Visitor(server.address))
            await go(visitor)
            content = same.replace(b"river", b"r%04d" % number)  # of each visitor another
            begun = time.monotonic()
            refused = await visitor.give(key, name, content)
            seconds.append(time.monotonic() - begun)
            told = refused or "; ".join(dict.fromkeys(run.error for run in visitor.measured if run.error)).replace("\\", "")
            refusals[told] += 1
            now = server.memory[0]
            peak = max(peak, now)
            print(
                f"{place} {number + 1}: {now:.0f} MB, {seconds[-1]:.1f} s{', ' + told if told else ''}",
                file=sys.stderr,
                flush=True,
            )
            if now > MOST_MEMORY:
                refusals[f"ended: over {MOST_MEMORY:,} MB"] += 1
                break
        together = server.memory[0]
    await asyncio.sleep(GONE_SECONDS)
    told = "; ".join(f"{count} x {text}" for text, count in refusals.items() if text)
    return f"{place:12} {before:7.0f} {peak:7.0f} {together:7.0f} {server.memory[0]:7.0f} {max(seconds):8.1f}  {told}"


HEAD = "place         before    peak   there   after  seconds  refused"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("place", nargs="?", choices=PLACES, help="default: one after the other")
    parser.add_argument("--visitors", type=int, default=40)
    parser.add_argument("--megabytes", type=float, default=19, help="of each file")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout to measure")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="subemb-load-") as folder:
        server = Server(given.root, Path(folder))
        try:
            asyncio.run(first_visit(server))
            for place in [given.place] if given.place else PLACES:
                rows.append(asyncio.run(trial(server, place, given.visitors, int(given.megabytes * 1e6))))
                print(HEAD, rows[-1], sep="\n", flush=True)
        finally:
            server.stop()
        rows.append(f"tracebacks in the server's log: {(Path(folder) / 'server.log').read_text().count('Traceback')}")
    print("", HEAD, *rows, sep="\n")


async def first_visit(server: Server) -> None:
    """What the first visitor of a server waits for is there."""
    async with Visitor(server.address) as visitor:
        await visitor.open()
        while visitor.waits:
            await visitor.think(1.0)
        for go, *_ in PLACES.values():
            await go(visitor)


if __name__ == "__main__":
    main()
