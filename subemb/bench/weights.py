"""What token weights are worth: the STS benchmark's score of a model on its compressed table, nothing trained."""

import statistics
from pathlib import Path
from typing import Any

from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of, report
from ..base.text import columns_text
from ..codec.weights import model_weights
from ..evaluate.data.pairs import PairSet
from ..evaluate.data.read import read_pairs
from ..evaluate.similarity.pairs import cosines
from ..evaluate.statistics import spearman
from ..models.load import load

#: method, f, Q (None: the smallest that keeps tuples distinct)
CASES = (("cluster", 3, None), ("product", 8, 61), ("product", 24, 61))


def score(model, pairs: PairSet, progress: ProgressCallback | None = None) -> float:
    """Spearman's rank correlation x 100 between cosines of sentence embeddings and the given scores."""
    return spearman(pairs.gold, cosines(model, pairs.first, pairs.second, progress)) * 100


def run_weights_benchmark(
    name: str, data: Path, text: Path | None = None, seeds: int = 3, progress: ProgressCallback | None = None
) -> dict[str, Any]:
    """Every case with every kind of weights, several seeds each. Returns JSON types: ``original`` and ``results``.

    data: sentence pairs with scores, in any form that :func:`~subemb.evaluate.data.read.read_pairs` knows.
    text: UTF-8 text whose tokens are counted for ``sqrt_counts``; without it that kind is left out.
    Raises InputError for files and numbers that cannot be used.
    """
    from ..codec import attach, compress

    if seeds < 1:
        raise InputError(f"{seeds} seeds measure nothing; give at least 1")
    pairs = read_pairs(data, task="similarity")  # before the model, which takes seconds
    model = load(name)
    kinds = ["none", "vocabulary"] + (["sqrt_counts"] if text else [])
    words = text.read_text(encoding="utf-8-sig") if text else None
    weights = {kind: model_weights(model, kind, text=words) for kind in kinds}
    runs = [(case, kind, seed) for case in CASES for kind in kinds for seed in range(seeds)]
    original = score(model, pairs, part_of(progress, 0.0, 1 / (len(runs) + 1)))
    found: dict[tuple, list[float]] = {}
    for number, (case, kind, seed) in enumerate(runs, 1):
        report(progress, f"{case[0]} f={case[1]}, {kind}, seed {seed}", number / (len(runs) + 1))
        compressed = compress(model.table, *case, weights=weights[kind] if kind != "none" else "none", seed=seed)
        found.setdefault((case, kind), []).append(score(attach(model, compressed), pairs))
    return {
        "model": name,
        "data": data.name,
        "pairs": len(pairs),
        "metric": "Spearman x 100",
        "original": original,
        "results": [
            {"method": case[0], "subspaces": case[1], "codebook_size": case[2], "weights": kind, "scores": scores}
            for (case, kind), scores in found.items()
        ],
    }


def weights_text(measured: dict[str, Any]) -> str:
    """The report as text: mean and sample standard deviation over the seeds."""
    rows = [["METHOD", "F", "Q", "WEIGHTS", "MEAN", "SD", "SEEDS"]]
    for result in measured["results"]:
        scores = result["scores"]
        spread = f"{statistics.stdev(scores):.2f}" if len(scores) > 1 else "-"
        size = "auto" if result["codebook_size"] is None else str(result["codebook_size"])
        rows.append(
            [
                result["method"],
                str(result["subspaces"]),
                size,
                result["weights"],
                f"{statistics.mean(scores):.2f}",
                spread,
                str(len(scores)),
            ]
        )
    about = f"{measured['metric']} on {measured['pairs']:,} pairs of {measured['data']}; {measured['model']}, nothing trained; "
    return "\n".join([columns_text(rows, right=(1, 2, 4, 5, 6)), "", about + f"original table: {measured['original']:.2f}"])
