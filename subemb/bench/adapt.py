"""What adaptation is worth: a labelled set's score before and after, setting by setting, with the CPU-seconds that it took."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..adaptation.settings import AdaptationSettings
from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of, report
from ..base.text import columns_text, percent_text
from ..codec.settings import CompressionSettings

if TYPE_CHECKING:
    from ..adaptation.texts import Text


@dataclass(frozen=True)
class Case:
    """One row: how the table is compressed, and what is trained."""

    compression: CompressionSettings
    train: str = "codebooks"  # as in AdaptationSettings
    reassign: bool = True  # whether codes may change


CASES = (
    Case(CompressionSettings("cluster", subspaces=24, codebook_size=61)),
    Case(CompressionSettings("cluster", subspaces=8, codebook_size=61)),
    Case(CompressionSettings("cluster", subspaces=3)),
)


def run_adapt_benchmark(
    name: str,
    data: Path,
    text: "Text | None",
    settings: AdaptationSettings,
    seeds: int = 3,
    cases: Sequence[Case] = CASES,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Adapt every case with several seeds. Returns JSON types: ``original`` and ``results``.

    data: labelled pairs; they choose nothing: the weights after the last step are scored once, and their sentences are taken out
    of the text. Seconds are those of training, the search for codes included. Raises InputError, ModelError, Cancelled.
    """
    from ..adaptation import adapt
    from ..adaptation.result import Adaptation
    from ..adaptation.scoring import score_of, scored_facts
    from ..adaptation.session import sizes
    from ..codec import attach, compress
    from ..codec.weights import model_weights
    from ..evaluate.data.read import read_pairs
    from ..models.load import load
    from .speed import machine

    if seeds < 1:
        raise InputError(f"{seeds} seeds measure nothing; give at least 1")
    pairs = read_pairs(data)
    text = None if text is None else text.without(pairs)
    model = load(name)
    report(progress, "scoring the original", 0.0)
    original = score_of(model, pairs)
    weights = model_weights(model, CASES[0].compression.weights)
    results = []
    for place, case in enumerate(cases):
        runs = []
        for seed in range(seeds):
            done = (place * seeds + seed) / (len(cases) * seeds)
            part = part_of(progress, done, done + 1 / (len(cases) * seeds))
            compressed = compress(model.table, settings=replace(case.compression, seed=seed), weights=weights)
            own = replace(settings, train=case.train, reassign=case.reassign, seed=seed)
            adapted = adapt(model, compressed, text, settings=own, progress=part)
            facts = Adaptation.from_dict(adapted.facts)
            runs.append(
                {
                    "before": score_of(attach(model, compressed), pairs),
                    "after": score_of(adapted, pairs),
                    "steps": facts.steps,
                    "seconds": facts.seconds,
                    "cpu_seconds": facts.cpu_seconds,
                    "size": sizes(adapted),
                }
            )
        results.append(
            {
                "method": case.compression.method,
                "subspaces": case.compression.subspaces,
                "codebook_size": compressed.settings.codebook_size,
                "train": case.train,
                "reassign": case.reassign,
                "runs": runs,
            }
        )
    return {
        "model": name,
        "scored": scored_facts(pairs),
        "text": None if text is None else {"name": text.name, "sentences": len(text)},
        "settings": settings.to_dict(),
        "seeds": seeds,
        "original": original,
        "results": results,
        "machine": machine(),
    }


def adapt_text(measured: dict[str, Any]) -> str:
    """The report as text: one row a setting; means over the seeds, with the sample standard deviation of the score after."""
    rows = [["METHOD", "F", "Q", "TRAINED", "CODES", "OF TABLE", "SECONDS", "CPU-S", "STEPS", "BEFORE", "AFTER"]]
    for result in measured["results"]:
        runs = result["runs"]

        def mean(name: str, runs=runs) -> float:
            return statistics.mean(run[name] for run in runs)

        after = f"{mean('after'):.1f}"
        if len(runs) > 1:
            after += f" +- {statistics.stdev(run['after'] for run in runs):.1f}"
        size = runs[0]["size"]
        rows.append(
            [
                result["method"],
                str(result["subspaces"]),
                str(result["codebook_size"]),
                result["train"],
                "change" if result["reassign"] else "stay",
                percent_text(size["total_bytes"] / size["original_bytes"]),
                f"{mean('seconds'):.0f}",
                f"{mean('cpu_seconds'):.0f}",
                f"{mean('steps'):.0f}",
                f"{mean('before'):.1f}",
                after,
            ]
        )
    scored, text = measured["scored"], measured["text"]
    source = (
        "no text: sequences drawn from the vocabulary" if text is None else f"{text['sentences']:,} sentences without labels"
    )
    about = measured["machine"]
    return "\n".join(
        [
            columns_text(rows, right=(1, 2, 5, 6, 7, 8, 9, 10)),
            "",
            f"{measured['model']}; {scored['metric']} x 100 on {scored['name']} ({scored['pairs']:,} pairs), original "
            f"{measured['original']:.1f}; {source}; {measured['seeds']} seed(s); the set chooses nothing",
            f"{about['cpus']} CPUs, {about['threads']} threads, {about['system']} {about['processor']}; Python {about['python']}, "
            f"subemb {about['subemb']}, torch {about['torch']}",
        ]
    )
