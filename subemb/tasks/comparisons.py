"""Every method at the bytes of one run: each becomes a run of its own, which pages can open."""

from dataclasses import dataclass, replace
from typing import Any

from ..analysis.equal_bytes import settings_at_bytes
from ..base.errors import InputError
from ..base.plain import declared
from ..base.progress import Progress, ProgressCallback, part_of, report
from ..base.store import Store
from ..codec.methods import METHODS
from ..codec.settings import CompressionSettings
from ..jobs.task import task
from ..models.load import load_listed
from ..models.model import PretrainedModel
from ..runs import RUNS, Run, estimate_run_seconds, resolved, run, run_and_keep, run_key


@dataclass(frozen=True)
class Compared:
    """One method in a comparison."""

    settings: CompressionSettings  # resolved
    total_bytes: int  # that it stores: predicted, then as the run has it
    matches: bool  # whether they are close to the bytes asked for
    note: str = ""  # how they compare with the bytes asked for, in words
    run: Run | None = None  # None if it was not run
    problem: str = ""  # why it failed, or ""


def plan(base: Run) -> list[Compared]:
    """Every method with the settings that come nearest to the bytes of a run; the run's own method first, as it is."""
    target, settings = base.size.total_bytes, base.asked
    found = settings_at_bytes(
        target,
        base.model["vocabulary"],
        base.model["dim"],
        seed=settings.seed,
        weights=settings.weights,
        text_digest=settings.text_digest,
        keep=settings,
    )
    efforts = {name for name, item in declared(CompressionSettings).items() if item.effort}
    entries = []
    for method in sorted(found, key=lambda name: name != settings.method):  # a stable sort: the others stay in order
        near = found[method]
        chosen = near.settings
        if method != settings.method:  # the same effort for all
            chosen = replace(chosen, **{name: getattr(settings, name) for name in efforts & set(METHODS[method].reads)})
        if METHODS[settings.method].can_be_sensitive and METHODS[method].can_be_sensitive:
            chosen = replace(chosen, sensitive=settings.sensitive)
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


def seconds_of(entries: list[Compared], model: PretrainedModel) -> list[float]:
    """Rough seconds that each method takes, score included; 0 for those that were run before."""
    vocabulary, dim = model.num_tokens, model.dim
    return [
        0.0
        if RUNS.get(run_key(model.identity, entry.settings))
        else estimate_run_seconds(entry.settings, vocabulary, dim, model)
        for entry in entries
    ]


COMPARISONS: Store[list[Compared]] = Store("comparisons", most=40, in_memory=8, kind=list[Compared])


def _key_of(name: str, revision: str | None, settings: dict[str, Any], text: str | None) -> str:
    return f"compare-{run_and_keep.key(name, revision, settings, text)}"


@task(lane="compress", key=_key_of, keep=COMPARISONS)
def compare_methods(
    name: str,
    revision: str | None,
    settings: dict[str, Any],
    text: str | None = None,
    progress: ProgressCallback | None = None,
) -> list[Compared]:
    """Run every method at the bytes of the run with these settings; every result is kept as a run.

    Methods that were run before are read from the cache. A method that cannot be run becomes an entry with its problem; the
    others go on.

    Raises InputError if the run itself cannot be made, Cancelled if the callback says so: what was finished stays kept.
    """
    model = load_listed(name, revision)
    wanted = resolved(CompressionSettings.from_dict(settings), model, text)
    base = _kept_or_new(model, wanted, text, part_of(progress, 0.0, 0.05))
    entries = plan(base)
    costs = [max(0.1, cost) for cost in seconds_of(entries, model)]
    done, total, finished = 0.0, sum(costs), []
    for entry, cost in zip(entries, costs, strict=True):
        part = part_of(progress, 0.05 + 0.95 * done / total, 0.05 + 0.95 * (done + cost) / total)
        finished.append(_finish(model, entry, text, _named(part, entry.settings)))
        done += cost
    report(progress, "done", 1.0)
    return finished


def _finish(model: PretrainedModel, entry: Compared, text: str | None, progress: ProgressCallback | None) -> Compared:
    try:
        done = _kept_or_new(model, entry.settings, text, progress)
    except InputError as error:
        return replace(entry, problem=str(error))
    return replace(entry, run=done, total_bytes=done.size.total_bytes)


def _kept_or_new(
    model: PretrainedModel, settings: CompressionSettings, text: str | None, progress: ProgressCallback | None
) -> Run:
    key = run_key(model.identity, settings)
    found = RUNS.get(key)
    if found is None:
        found, compressed = run(model, settings, text, progress)
        RUNS.put(key, (found, compressed))
    return found


def _named(progress: ProgressCallback | None, settings: CompressionSettings) -> ProgressCallback | None:
    """A callback whose stages begin with the method's title; values measured at each iteration are left out."""
    if progress is None:
        return None
    title = METHODS[settings.method].title
    return lambda message: progress(Progress(f"{title}: {message.stage}", message.fraction))
