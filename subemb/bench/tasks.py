"""What a model can still do on its compressed table, nothing trained: similarity and entailment against total bytes."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of, report
from ..base.text import columns_text, percent_text, size_text
from ..codec.settings import CompressionSettings
from ..codec.weights import model_weights
from ..evaluate.data.pairs import PairSet
from ..evaluate.data.read import read_pairs
from ..evaluate.entailment.engines import engine_for
from ..evaluate.entailment.head_files import load_head
from ..evaluate.similarity.pairs import cosines
from ..evaluate.statistics import accuracy, spearman
from ..models.load import load
from ..models.model import PretrainedModel

CASES = (
    CompressionSettings("arbitrary", subspaces=3),
    CompressionSettings("cluster", subspaces=3),
    CompressionSettings("product", subspaces=8, codebook_size=61),
    CompressionSettings("product", subspaces=24, codebook_size=61),
    CompressionSettings("product", subspaces=96, codebook_size=61),
)


@dataclass(frozen=True)
class Tasks:
    """What the sides are scored on."""

    similarity: Sequence[PairSet] = ()  # labelled sets
    entailment: Sequence[PairSet] = ()  # labelled sets
    head: Any = None  # the entailment head; None to choose one

    def scores(self, side: PretrainedModel, progress: ProgressCallback | None = None) -> dict[str, float]:
        """By name of the set: Spearman's correlation, or accuracy, both x 100."""
        found = {}
        count = len(self.similarity) + len(self.entailment)
        for number, pairs in enumerate([*self.similarity, *self.entailment]):
            part = part_of(progress, number / count, (number + 1) / count)
            if pairs.task == "entailment":
                judged = engine_for(side, self.head).probabilities(pairs.first, pairs.second, part)
                found[pairs.name] = 100 * accuracy(pairs.gold, judged.argmax(1))
            else:
                found[pairs.name] = 100 * spearman(pairs.gold, cosines(side, pairs.first, pairs.second, part))
        return found


def run_task_benchmark(
    name: str,
    tasks: Tasks,
    seeds: int = 1,
    cases: Sequence[CompressionSettings] = CASES,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Every case on every set, several seeds each. Returns JSON types: ``original`` and ``results``.

    Raises InputError for files and numbers that cannot be used.
    """
    from ..codec import attach, compress

    if seeds < 1:
        raise InputError(f"{seeds} seeds measure nothing; give at least 1")
    if not tasks.similarity and not tasks.entailment:
        raise InputError("there is nothing to score; give --data with an STS file, or --nli with entailment files, or both")
    model = load(name)
    steps = 1 + seeds * len(cases)
    original = tasks.scores(model, part_of(progress, 0.0, 1 / steps))
    weights = model_weights(model, CASES[0].weights)
    results = []
    for place, case in enumerate(cases):
        runs = []
        for seed in range(seeds):
            done = (1 + place * seeds + seed) / steps
            report(progress, f"{case.method} f={case.subspaces}, seed {seed}", done)
            compressed = compress(model.table, settings=replace(case, seed=seed), weights=weights)
            runs.append(tasks.scores(attach(model, compressed), part_of(progress, done, done + 1 / steps)))
        size = compressed.size(model.parameters)
        results.append(
            {
                "method": case.method,
                "subspaces": case.subspaces,
                "codebook_size": compressed.settings.codebook_size,
                "total_bytes": size.total_bytes,
                "total_share": size.total_share,
                "scores": {dataset: [run[dataset] for run in runs] for dataset in original},
            }
        )
    sets = [
        {"name": pairs.name, "pairs": len(pairs), "metric": "accuracy" if pairs.task == "entailment" else "Spearman"}
        for pairs in [*tasks.similarity, *tasks.entailment]
    ]
    return {"model": name, "weights": CASES[0].weights, "seeds": seeds, "sets": sets, "original": original, "results": results}


def read_tasks(similarity: Sequence[Path] = (), entailment: Sequence[Path] = (), head: Path | None = None) -> Tasks:
    """The sets in files, and a head saved by ``subemb train-head``. Raises InputError for what cannot be read."""
    return Tasks(
        tuple(read_pairs(path, task="similarity") for path in similarity),
        tuple(read_pairs(path, task="entailment") for path in entailment),
        None if head is None else load_head(head),
    )


def tasks_text(measured: dict[str, Any]) -> str:
    """The report as text: one row a setting; mean over the seeds, and the sample standard deviation where there are several."""
    sets = measured["sets"]
    rows = [["METHOD", "F", "Q", "BYTES", "OF TABLE", *(one["name"] for one in sets)]]
    rows.append(["original", "", "", "", "100 %", *(f"{measured['original'][one['name']]:.1f}" for one in sets)])
    for result in measured["results"]:
        rows.append(
            [
                result["method"],
                str(result["subspaces"]),
                str(result["codebook_size"]),
                size_text(result["total_bytes"]),
                percent_text(result["total_share"]),
                *(spread_text(result["scores"][one["name"]]) for one in sets),
            ]
        )
    about = "; ".join(f"{one['name']}: {one['metric']} x 100 of {one['pairs']:,} pairs" for one in sets)
    seeds = f"{measured['seeds']} seed" + ("" if measured["seeds"] == 1 else "s, mean and standard deviation")
    head = f"{measured['model']}, nothing trained, token weights {measured['weights']}, {seeds}"
    return "\n".join([columns_text(rows, right=range(1, 5 + len(sets))), "", head, about])


def spread_text(scores: Sequence[float]) -> str:
    """Mean and sample standard deviation.

    >>> spread_text([70.0, 72.0]), spread_text([70.0])
    ('71.0 +- 1.4', '70.0')
    """
    mean = f"{statistics.mean(scores):.1f}"
    return mean if len(scores) == 1 else f"{mean} +- {statistics.stdev(scores):.1f}"
