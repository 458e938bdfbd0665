"""What token weights are worth: the STS benchmark's score of a model on its compressed table, nothing trained."""

import csv
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .progress import ProgressCallback, part_of, report

#: method, f, Q (None: the smallest that keeps tuples distinct)
CASES = (("cluster", 3, None), ("product", 8, 61), ("product", 24, 61))
MOST_BYTES = 50_000_000


def read_sts(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Sentence pairs and scores of an STS benchmark file as distributed (``sts-dev.csv``).

    Tab-separated, no quoting, no header: the score is field 5, the sentences are fields 6 and 7.
    Raises InputError naming the line that does not fit.
    """
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} has more than {MOST_BYTES:,} bytes; an STS benchmark file is far smaller")
    first, second, scores = [], [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for number, row in enumerate(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
                try:
                    scores.append(float(row[4]))
                    first.append(row[5])
                    second.append(row[6])
                except (IndexError, ValueError):
                    raise InputError(
                        f"{path}, line {number}: not a line of the STS benchmark (tab-separated, score in field 5, sentences in 6 and 7)"
                    ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    if len(scores) < 2:
        raise InputError(f"{path} has {len(scores)} pairs; at least 2 are needed")
    return first, second, np.array(scores)


def score(model, pairs: tuple[list[str], list[str], np.ndarray], progress: ProgressCallback | None = None) -> float:
    """Spearman's rank correlation x 100 between cosines of sentence embeddings and the given scores."""
    from scipy.stats import spearmanr

    first, second, scores = pairs
    vectors = model.encode([*first, *second], progress=progress)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosines = (vectors[: len(first)] * vectors[len(first) :]).sum(1)
    return float(spearmanr(cosines, scores).statistic) * 100


def run_weights_benchmark(
    name: str, data: Path, text: Path | None = None, seeds: int = 3, progress: ProgressCallback | None = None
) -> dict[str, Any]:
    """Every case with every kind of weights, several seeds each. Returns JSON types: ``original`` and ``results``.

    text: UTF-8 text whose tokens are counted for ``sqrt_counts``; without it that kind is left out.
    Raises InputError for files and numbers that cannot be used.
    """
    from .codec import attach, compress
    from .codec.weights import model_weights
    from .pretrained import load

    if seeds < 1:
        raise InputError(f"{seeds} seeds measure nothing; give at least 1")
    model, pairs = load(name), read_sts(data)
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
        "pairs": len(pairs[2]),
        "metric": "Spearman x 100",
        "original": original,
        "results": [
            {"method": case[0], "subspaces": case[1], "codebook_size": case[2], "weights": kind, "scores": scores}
            for (case, kind), scores in found.items()
        ],
    }


def weights_text(measured: dict[str, Any]) -> str:
    """The report as text: mean and sample standard deviation over the seeds."""
    from .commands.text import columns_text

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
