"""Every method at the bytes of one run: one job that runs them all and keeps every result.

It stands beside :mod:`subemb.runs` and above :mod:`subemb.analysis`: each method becomes a run of its own, which pages can open.
"""

import json
import logging
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .base.errors import InputError
from .base.paths import cache_folder, keep_newest, publish
from .base.progress import Progress, ProgressCallback, part_of, report
from .codec.methods import METHODS
from .codec.settings import CompressionSettings
from .runs import Run, estimate_run_seconds, keep, kept_run, resolved, run, run_key

if TYPE_CHECKING:
    from .models.model import PretrainedModel

FORMAT = 1
KEPT_COMPARISONS = 40
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compared:
    """One method in a comparison.

    settings: resolved. total_bytes: what it stores (predicted, and after running the same). matches: whether that is close
    to the bytes asked for. note: what to know, such as why it cannot match. run: the finished run, or None if it was not
    run. problem: why it failed, or "".
    """

    settings: CompressionSettings
    total_bytes: int
    matches: bool
    note: str = ""
    run: Run | None = None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "settings": self.settings.to_dict(),
            "total_bytes": self.total_bytes,
            "matches": self.matches,
            "note": self.note,
            "run": None if self.run is None else self.run.to_dict(),
            "problem": self.problem,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Compared":
        """The inverse of :meth:`to_dict`."""
        settings = CompressionSettings.from_dict(values["settings"])
        run = None if values["run"] is None else Run.from_dict(values["run"])
        return cls(settings, values["total_bytes"], values["matches"], values["note"], run, values["problem"])


def comparison_key(run_key: str) -> str:
    """Key of the comparison with a run."""
    return f"compare-{run_key}"


def plan(base: Run) -> list[Compared]:
    """Every method with the settings that come nearest to the bytes of a run; the run's own method first, as it is."""
    from .analysis.equal_bytes import settings_at_bytes

    target, settings = base.size.total_bytes, base.settings
    found = settings_at_bytes(
        target,
        base.model["vocabulary"],
        base.model["dim"],
        seed=settings.seed,
        weights=settings.weights,
        text_digest=settings.text_digest,
        keep=settings,
    )
    entries = []
    for method in sorted(found, key=lambda name: name != settings.method):  # a stable sort: the others stay in order
        near = found[method]
        chosen = near.settings
        if method != settings.method and METHODS[method].is_iterative:  # the same effort for all
            chosen = replace(chosen, iterations=settings.iterations, tolerance=settings.tolerance)
        entries.append(Compared(chosen, near.size.total_bytes, near.is_near, gap_text(near.size.total_bytes, target)))
    return entries


def gap_text(size: int, target: int) -> str:
    """How many bytes a method stores, against the target.

    >>> gap_text(1000, 1000), gap_text(1004, 1000), gap_text(120, 1000), gap_text(14_000, 1000), gap_text(99_999, 100_000)
    ('the same bytes', '0.4 % more', '88.0 % fewer', '14.0 times as many', 'under 0.1 % fewer')
    """
    if size == target:
        return "the same bytes"
    if size >= 2 * target:
        return f"{size / target:.1f} times as many"
    share = abs(size - target) / target
    return f"{f'{100 * share:.1f}' if share >= 0.001 else 'under 0.1'} % {'more' if size > target else 'fewer'}"


def compare_and_keep(
    name: str,
    revision: str | None,
    settings: dict[str, Any],
    text: str | None = None,
    progress: ProgressCallback | None = None,
) -> list[dict[str, Any]]:
    """The job behind the button: run every method at the bytes of the run with these settings, keep every result.

    Methods that were run before are read from the cache. A method that cannot be run becomes an entry with its problem; the
    others go on. Returns a list of :meth:`Compared.to_dict`, which is kept beside the runs.

    Raises InputError if the run itself cannot be made, Cancelled if the callback says so: what was finished stays kept.
    """
    from .models.load import load_listed

    model = load_listed(name, revision)
    wanted = resolved(CompressionSettings.from_dict(settings), model, text)
    base = _kept_or_new(model, wanted, text, part_of(progress, 0.0, 0.05))
    entries = plan(base)
    costs = [max(0.1, cost) for cost in seconds_of(entries, model.num_tokens, model.dim, model.identity)]
    done, total, finished = 0.0, sum(costs), []
    for entry, cost in zip(entries, costs, strict=True):
        part = part_of(progress, 0.05 + 0.95 * done / total, 0.05 + 0.95 * (done + cost) / total)
        finished.append(_finish(model, entry, text, _named(part, entry.settings)))
        done += cost
    report(progress, "done", 1.0)
    result = [entry.to_dict() for entry in finished]
    _write(comparison_key(base.key), result)
    return result


def seconds_of(entries: list[Compared], vocabulary: int, dim: int, identity: str) -> list[float]:
    """Rough seconds that compressing and measuring takes for each method; 0 for those that were run before."""
    return [
        0.0 if kept_run(run_key(identity, entry.settings)) else estimate_run_seconds(entry.settings, vocabulary, dim)
        for entry in entries
    ]


def kept_comparison(run_key: str) -> list[Compared] | None:
    """A finished comparison with a run, or None if there is none that can be read."""
    path = cache_folder("comparisons") / comparison_key(run_key) / "comparison.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            return None
        entries = [Compared.from_dict(entry) for entry in values["entries"]]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("the kept comparison with %s cannot be read (%s); it can be made again", run_key, error)
        return None
    os.utime(path.parent)  # used now: the last to be dropped
    return entries


def _write(name: str, entries: list[dict[str, Any]]) -> None:
    folder = cache_folder("comparisons")

    def write(path) -> None:
        (path / "comparison.json").write_text(json.dumps({"format": FORMAT, "entries": entries}), encoding="utf-8")

    publish(folder, name, write)
    keep_newest(folder, KEPT_COMPARISONS)


def _finish(model: "PretrainedModel", entry: Compared, text: str | None, progress: ProgressCallback | None) -> Compared:
    try:
        done = _kept_or_new(model, entry.settings, text, progress)
    except InputError as error:
        return replace(entry, problem=str(error))
    return replace(entry, run=done, total_bytes=done.size.total_bytes)


def _kept_or_new(
    model: "PretrainedModel", settings: CompressionSettings, text: str | None, progress: ProgressCallback | None
) -> Run:
    kept = kept_run(run_key(model.identity, settings))
    if kept is not None:
        return kept
    summary, compressed = run(model, settings, text, progress)
    keep(summary, compressed)
    return summary


def _named(progress: ProgressCallback | None, settings: CompressionSettings) -> ProgressCallback | None:
    """A callback whose stages begin with the method's title; measured values of single iterations are left out."""
    if progress is None:
        return None
    title = METHODS[settings.method].title
    return lambda message: progress(Progress(f"{title}: {message.stage}", message.fraction))
