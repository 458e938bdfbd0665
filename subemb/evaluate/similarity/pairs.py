"""Sentence similarity on labelled pairs: cosines of every side, and how well they agree with what people said::

report = evaluate_pairs({"original": model, "compressed": small}, read_pairs(Path("sts-dev.csv")))
report.scores["compressed"].values["spearman"], report.scores["compressed"].differences["spearman"]
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...base.errors import InputError
from ...base.progress import Progress, ProgressCallback, part_of, report
from .. import statistics
from ..data.pairs import PairSet
from ..statistics import best_threshold, paired_bootstrap, read_only
from .report import METRICS, SideScores, SimilarityReport

if TYPE_CHECKING:
    from ...models.load import PretrainedModel

_THRESHOLDS = {"best_accuracy": "accuracy", "best_f1": "f1"}
_ENCODING = 0.9  # share of the time; the rest is the bootstrap
#: Seconds on two ordinary cores: for each sentence, and for 1e9 weights of the network times tokens. From runs of the bundled
#: model on captions and news; a faster or a busy machine makes it wrong by a factor of two or three.
_SECONDS_A_SENTENCE, _SECONDS_A_BILLION = 0.0005, 0.025
_BYTES_A_TOKEN, _FRAME_TOKENS = 4.0, 2  # of UTF-8: scripts with longer characters make more tokens of them


def cosines(
    model: "PretrainedModel", first: Sequence[str], second: Sequence[str], progress: ProgressCallback | None = None
) -> np.ndarray:
    """Cosine of the sentence vectors of n pairs, (n,) float32 in -1..1; 0 where a vector is zero.

    Every distinct sentence is encoded once. Raises InputError if the lists differ in length, and what ``encode`` raises.
    """
    if len(first) != len(second):
        raise InputError(f"{len(first)} first sentences but {len(second)} second ones; give one of each a pair")
    place = {sentence: number for number, sentence in enumerate(dict.fromkeys([*first, *second]))}
    vectors = model.encode(list(place), progress=progress)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    left, right = ([place[sentence] for sentence in sentences] for sentences in (first, second))
    found = np.empty(len(left), dtype=np.float32)
    for start in range(0, len(left), 4096):  # never all pairs' vectors at once
        part = slice(start, start + 4096)
        found[part] = np.einsum("ij,ij->i", vectors[left[part]], vectors[right[part]], dtype=np.float64)
    return np.clip(found, -1.0, 1.0)


def evaluate_pairs(
    sides: Mapping[str, "PretrainedModel"],
    pairs: PairSet,
    resamples: int = 2000,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> SimilarityReport:
    """How well the cosines of each side agree with gold, and the difference to the first side with its 95 % interval.

    sides: name -> model, one or more; the first is the reference. pairs of the task ``similarity`` are measured by Spearman
    and Pearson, of ``paraphrase`` by accuracy and F1, each at its best threshold of this side on these pairs, and average
    precision. Intervals are paired bootstraps with ``resamples`` resamples. With several languages also for each of them.
    Raises InputError for a set that cannot be used, and what ``encode`` raises.
    """
    _check(sides, pairs)
    share, found = _ENCODING / len(sides), {}
    for number, (name, model) in enumerate(sides.items()):
        part = _named(part_of(progress, number * share, (number + 1) * share), name)
        found[name] = read_only(cosines(model, pairs.first, pairs.second, part))
    languages = list(dict.fromkeys(pairs.languages))
    groups = {None: np.arange(len(pairs))}
    if len(languages) > 1:
        codes = np.array(pairs.languages)
        groups |= {language: np.flatnonzero(codes == language) for language in languages}
    done, total, scores = 0, sum(map(len, groups.values())), {}
    for language, places in groups.items():
        step = part_of(progress, *(_ENCODING + (1 - _ENCODING) * count / total for count in (done, done + len(places))))
        part = {name: values[places] for name, values in found.items()}
        scores[language] = score_sides(pairs.gold[places], part, METRICS[pairs.task], resamples, seed, step)
        done += len(places)
    report(progress, "done", 1.0)
    return SimilarityReport(
        pairs=pairs,
        pooling=next(iter(sides.values())).pooling,
        sides=tuple(sides),
        cosines=found,
        scores=scores.pop(None),
        by_language=scores,
        resamples=resamples,
        seed=seed,
    )


def score_sides(
    gold: np.ndarray,
    scores: Mapping[str, np.ndarray],
    metrics: Sequence[str],
    resamples: int = 2000,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> dict[str, SideScores]:
    """Metrics of each side's (n,) scores against (n,) gold, and differences to the first side. metrics: see STATISTICS."""
    reference, found = next(iter(scores)), {}
    steps = max(1, (len(scores) - 1) * len(metrics))
    for number, (name, values) in enumerate(scores.items()):
        differences = {}
        for step, metric in enumerate(metrics if number else ()):
            start = (number - 1) * len(metrics) + step
            part = part_of(progress, start / steps, (start + 1) / steps)
            differences[metric] = paired_bootstrap(metric, gold, scores[reference], values, resamples, seed, part)
        found[name] = SideScores(
            {metric: getattr(statistics, metric)(gold, values) for metric in metrics},
            {metric: best_threshold(gold, values, _THRESHOLDS[metric]) for metric in metrics if metric in _THRESHOLDS},
            differences,
        )
    return found


def encoding_seconds(model: "PretrainedModel", sentences: Sequence[str], sides: int = 1) -> float:
    """How long encoding the distinct ones of ``sentences`` will take for so many sides, roughly: seconds or minutes.

    Known without loading the network, from its number of weights and the length of the sentences in bytes.
    """
    distinct = set(sentences)
    tokens = sum(len(sentence.encode("utf-8", "replace")) / _BYTES_A_TOKEN + _FRAME_TOKENS for sentence in distinct)
    weights = max(0, (model.parameters or 0) - model.num_tokens * model.dim)
    return sides * (_SECONDS_A_SENTENCE * len(distinct) + _SECONDS_A_BILLION * tokens * weights / 1e9)


def _check(sides: Mapping, pairs: PairSet) -> None:
    if not sides:
        raise InputError("there is no side to evaluate; give at least one model")
    if pairs.task not in METRICS:
        raise InputError(f"{pairs.name} is a set for {pairs.task}; cosines need graded scores or 0 and 1")
    if len(pairs) < 2:
        raise InputError(f"{pairs.name} has {len(pairs)} usable pairs; at least 2 are needed")


def _named(progress: ProgressCallback | None, side: str) -> ProgressCallback | None:
    """Progress that says which side it is about."""
    if progress is None:
        return None
    return lambda message: progress(Progress(f"{side} table: {message.stage}", message.fraction, message.values))
