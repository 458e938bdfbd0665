"""How well scores agree with gold, and whether two sides differ by more than chance.

All in natural units (0..1, or -1..1 for correlations); pages show them x 100. A statistic that is undefined (fewer than two
pairs or a constant side for a correlation, no positive pair for F1 and average precision) is NaN, never a made-up 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from ..base.arguments import Limits, Seed, checked
from ..base.errors import InputError
from ..base.plain import from_plain, is_whole, to_plain
from ..base.progress import ProgressCallback, report

MOST_RESAMPLES = 100_000
#: Counts that the bootstrap handles at once; an array of them takes about 16 MB.
_CHUNK = 2_000_000


# One side


@checked
def spearman(gold, scores) -> float:
    """Spearman's rank correlation of (n,) gold and (n,) scores, with mid-ranks for ties; NaN if either is constant or n < 2."""
    gold, scores = _pair(gold, scores)
    if is_constant(gold) or is_constant(scores):
        return math.nan
    from scipy.stats import spearmanr

    return float(spearmanr(gold, scores).statistic)


@checked
def pearson(gold, scores) -> float:
    """Pearson's correlation of (n,) gold and (n,) scores; NaN if either is constant or n < 2."""
    gold, scores = _pair(gold, scores)
    if is_constant(gold) or is_constant(scores):
        return math.nan
    from scipy.stats import pearsonr

    return float(pearsonr(gold, scores).statistic)


@checked
def accuracy(gold, predicted) -> float:
    """Share of (n,) predictions that equal (n,) gold; NaN if there are none."""
    gold, predicted = _pair(gold, predicted)
    return float((gold == predicted).mean()) if len(gold) else math.nan


@checked
def f1(gold, predicted) -> float:
    """Harmonic mean of precision and recall of class 1, of (n,) gold and (n,) predictions in 0 and 1.

    0 if nothing is found; NaN if gold has no 1, since there is then nothing to find.
    """
    gold, predicted = _pair(gold, predicted)
    _binary(gold, "gold")
    _binary(predicted, "predicted")
    if not gold.any():
        return math.nan
    from sklearn.metrics import f1_score

    return float(f1_score(gold, predicted))


@checked
def average_precision(gold, scores) -> float:
    """Sum over thresholds k of ``(recall_k - recall_k-1) * precision_k``, from the highest score down; equal scores share a k.

    gold: (n,) in 0 and 1. NaN if gold has no 1.
    """
    gold, scores = _pair(gold, scores)
    _binary(gold, "gold")
    if not gold.any():
        return math.nan
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(gold, scores))


@checked
def best_threshold(gold, scores, measure: str = "accuracy") -> float:
    """The threshold t that makes ``scores >= t`` the best prediction of gold (0 or 1), by ``accuracy`` or ``f1``.

    It is chosen as by BinaryClassificationEvaluator of sentence-transformers: half way between two neighbouring scores, and the
    highest of several that are equally good; just above the highest score if predicting no 1 at all is best. NaN without pairs.
    """
    gold, scores = _pair(gold, scores)
    _binary(gold, "gold")
    if measure not in ("accuracy", "f1"):
        raise InputError(f"there is no threshold by {measure!r}; choose 'accuracy' or 'f1'")
    if not len(gold):
        return math.nan
    groups = Groups(scores, descending=True)
    ordered = scores[groups.order]
    taken = groups.ends + 1
    right = np.cumsum(gold[groups.order])[groups.ends]
    values = 2 * right - taken if measure == "accuracy" else 2 * right / (taken + max(gold.sum(), 1))
    best = int(values.argmax())
    if values[best] <= 0:
        return float(np.nextafter(ordered[0], np.inf))
    lowest = ordered[groups.ends[best]]
    if groups.ends[best] + 1 == len(ordered):
        return float(lowest)
    below = ordered[groups.ends[best] + 1]
    middle = below + (lowest - below) / 2
    return float(middle if middle > below else lowest)  # a middle rounded down to ``below`` would include the next group


def best_accuracy(gold, scores) -> float:
    """Accuracy at :func:`best_threshold`, chosen on the same pairs. NaN without pairs."""
    gold, scores = _pair(gold, scores)
    _binary(gold, "gold")
    return _whole("best_accuracy", gold, scores)


def best_f1(gold, scores) -> float:
    """F1 at ``best_threshold(..., "f1")``, chosen on the same pairs. NaN if gold has no 1."""
    gold, scores = _pair(gold, scores)
    _binary(gold, "gold")
    return _whole("best_f1", gold, scores)


@checked
def confusion(gold, predicted, classes: Annotated[int, Limits(1, 10_000)]) -> np.ndarray:
    """Counts of pairs, (classes, classes) int64: row gold, column predicted, both (n,) in 0..classes-1."""
    gold, predicted = _pair(gold, predicted)
    for name, values in (("gold", gold), ("predicted", predicted)):
        if np.any((values != np.floor(values)) | (values < 0) | (values >= classes)):
            raise InputError(f"{name} has a class that is not among 0 to {classes - 1}")
    if not len(gold):
        return np.zeros((classes, classes), np.int64)
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(gold, predicted, labels=range(classes))


def descending_ranks(values: np.ndarray) -> np.ndarray:
    """(n,) ranks from 1 for the highest; equal values share the mean of their ranks.

    >>> descending_ranks(np.array([0.1, 0.9, 0.1])).tolist()
    [2.5, 1.0, 2.5]
    """
    from scipy.stats import rankdata

    return rankdata(-np.asarray(values, np.float64))


# Two sides


@dataclass(frozen=True)
class Interval:
    """A difference (after - before) with its bootstrap interval."""

    difference: float
    low: float  # percentile: (1 - level) / 2 of the resamples lie below; NaN if there is nothing to measure
    high: float  # percentile: (1 - level) / 2 of the resamples lie above; NaN likewise
    level: float = 0.95  # share of the resamples from low to high
    resamples: int = 2000  # of the bootstrap
    seed: int = 0  # of the bootstrap
    undefined: int = 0  # resamples in which the statistic was undefined on either side; left out of low and high

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside the interval: the random choice of pairs alone then hardly explains the difference."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """JSON types; NaN becomes None."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Interval":
        """The reverse of :meth:`to_dict`."""
        return from_plain(cls, values)


def check_resamples(resamples: int) -> None:
    """Raises InputError for a number of resamples that is not whole, below 1 or above MOST_RESAMPLES."""
    if not is_whole(resamples, 1, MOST_RESAMPLES):
        raise InputError(f"{resamples!r} resamples; choose 1 to {MOST_RESAMPLES:,}, 2,000 are usual")


@checked
def paired_bootstrap(
    statistic: str,
    gold,
    before,
    after,
    resamples: int = 2000,
    seed: Seed = 0,
    progress: ProgressCallback | None = None,
) -> Interval:
    """The difference of a statistic between two sides, with its 95 % percentile interval (Efron & Tibshirani 1993, ch. 13).

    Each of the ``resamples`` resamples draws n of the n pairs with replacement, the same for both sides.
    gold, before, after: (n,).
    statistic: one of STATISTICS; ``best_accuracy`` and ``best_f1`` choose the threshold again in every resample.
    Raises InputError for an unknown statistic or numbers that cannot be used, Cancelled.
    """
    if statistic not in _RESAMPLED:
        raise InputError(f"there is no statistic {statistic!r}; choose one of {', '.join(STATISTICS)}")
    check_resamples(resamples)
    gold, before = _pair(gold, before)
    gold, after = _pair(gold, after)
    if statistic not in ("spearman", "pearson", "accuracy"):
        _binary(gold, "gold")
    compute = globals()[statistic]
    difference = compute(gold, after) - compute(gold, before)
    if len(gold) < 2:
        return Interval(difference, math.nan, math.nan, 0.95, resamples, seed, resamples)
    of_before, of_after = _RESAMPLED[statistic](gold, [before, after])
    generator, found = np.random.default_rng(seed), []
    for start in range(0, resamples, chunk := max(1, _CHUNK // len(gold))):
        report(progress, "resampling pairs", start / resamples)
        counts = _drawn(generator, min(chunk, resamples - start), len(gold))
        found.append(of_after(counts) - of_before(counts))
    report(progress, "resampling pairs", 1.0)
    differences = np.concatenate(found)
    defined = differences[~np.isnan(differences)]
    low, high = np.quantile(defined, [0.025, 0.975]) if len(defined) else (math.nan, math.nan)
    return Interval(difference, float(low), float(high), 0.95, resamples, seed, resamples - len(defined))


def _drawn(generator: np.random.Generator, resamples: int, pairs: int) -> np.ndarray:
    """How often each pair is drawn in each resample, (resamples, pairs) float64, rows summing to ``pairs``."""
    drawn = generator.integers(pairs, size=(resamples, pairs))
    drawn += np.arange(resamples)[:, None] * pairs
    return np.bincount(drawn.ravel(), minlength=resamples * pairs).reshape(resamples, pairs).astype(np.float64)


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test: of the pairs that only one side gets right, does each side get half?"""

    only_first_right: int
    only_second_right: int
    p_value: float  # two-sided binomial; 1.0 if there are no such pairs


@checked
def mcnemar(gold, before, after) -> McNemar:
    """McNemar's exact test of two (n,) predictions of (n,) gold (McNemar 1947, exact binomial form)."""
    gold, before = _pair(gold, before)
    gold, after = _pair(gold, after)
    first = int(((before == gold) & (after != gold)).sum())
    second = int(((before != gold) & (after == gold)).sum())
    if first + second == 0:
        return McNemar(0, 0, 1.0)
    from scipy.stats import binomtest

    return McNemar(first, second, float(binomtest(first, first + second, 0.5).pvalue))


def cohen_kappa(first, second, classes: int) -> float:
    """Agreement beyond chance of two (n,) judgements in 0..classes-1, -1..1 (Cohen 1960).

    NaN without pairs, or if both give all pairs the same one label.
    """
    first, second = _pair(first, second)
    if not len(first) or (is_constant(np.concatenate([first, second]))):
        return math.nan
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(first, second, labels=range(classes)))


# Statistics of many resamples at once, which makes the bootstrap fast; tests compare each with scipy's or scikit-learn's

#: (b, n) counts of b resamples -> (b,) values, NaN where the statistic of a resample is undefined.
Resampled = Callable[[np.ndarray], np.ndarray]


def accuracy_resampled(gold: np.ndarray, predicted: list[np.ndarray]) -> list[Resampled]:
    """Accuracy of each of several predictions of gold."""

    def of(side: np.ndarray) -> Resampled:
        right = (side == gold).astype(np.float64)
        return lambda counts: counts @ right / counts.shape[1]

    return [of(side) for side in predicted]


def average_precision_resampled(gold: np.ndarray, scores: list[np.ndarray]) -> list[Resampled]:
    """Average precision of each of several scores for gold 0 or 1."""

    def value(taken: np.ndarray, right: np.ndarray) -> np.ndarray:
        precision = right / np.maximum(taken, 1)
        return _ratio((np.diff(right, axis=1, prepend=0) * precision).sum(1), right[:, -1])

    return _by_thresholds(gold, scores, value)


def best_accuracy_resampled(gold: np.ndarray, scores: list[np.ndarray]) -> list[Resampled]:
    """Accuracy at the best threshold, which is chosen again in every resample."""

    def value(taken: np.ndarray, right: np.ndarray) -> np.ndarray:
        pairs = taken[:, -1]
        # Right at a threshold: positives at or above it, and negatives below it. Above all scores: all negatives.
        return (np.maximum((2 * right - taken).max(axis=1), 0) + pairs - right[:, -1]) / pairs

    return _by_thresholds(gold, scores, value)


def best_f1_resampled(gold: np.ndarray, scores: list[np.ndarray]) -> list[Resampled]:
    """F1 at the best threshold, which is chosen again in every resample."""

    def value(taken: np.ndarray, right: np.ndarray) -> np.ndarray:
        positives = right[:, -1:]
        values = (2 * right / np.maximum(taken + positives, 1)).max(axis=1)
        return np.where(positives[:, 0] > 0, values, np.nan)

    return _by_thresholds(gold, scores, value)


def f1_resampled(gold: np.ndarray, predicted: list[np.ndarray]) -> list[Resampled]:
    """F1 of each of several predictions of gold 0 or 1."""

    def of(side: np.ndarray) -> Resampled:
        columns = np.stack([(gold == 1) & (side == 1), gold == 1, side == 1], axis=1).astype(np.float64)

        def resampled(counts: np.ndarray) -> np.ndarray:
            right, positives, called = (counts @ columns).T
            return np.where(positives > 0, _ratio(2 * right, positives + called), np.nan)

        return resampled

    return [of(side) for side in predicted]


def pearson_resampled(gold: np.ndarray, scores: list[np.ndarray]) -> list[Resampled]:
    """Pearson's correlation of gold and each of several scores."""
    x = gold - gold.mean()  # centred, so that the differences of sums below keep their digits

    def of(side: np.ndarray) -> Resampled:
        y = side - side.mean()
        columns = np.stack([x, y, x * x, y * y, x * y], axis=1)

        def resampled(counts: np.ndarray) -> np.ndarray:
            mx, my, mxx, myy, mxy = (counts @ columns / len(x)).T
            spread = np.maximum(mxx - mx * mx, 0), np.maximum(myy - my * my, 0)
            # A constant has no spread; what rounding leaves of one does not count.
            flat = (spread[0] <= 1e-14 * mxx) | (spread[1] <= 1e-14 * myy)
            return _ratio(mxy - mx * my, np.where(flat, 0.0, np.sqrt(spread[0]) * np.sqrt(spread[1])))

        return resampled

    return [of(side) for side in scores]


def spearman_resampled(gold: np.ndarray, scores: list[np.ndarray]) -> list[Resampled]:
    """Spearman's rank correlation of gold and each of several scores; the ranks of gold are found once for each chunk."""
    gold_groups = Groups(gold)
    kept: dict[int, tuple] = {}

    def gold_part(counts: np.ndarray) -> tuple:
        if kept.get("counts") is not counts:
            deviation, squares = _rank_deviations(gold_groups, counts)
            kept.update(counts=counts, part=(counts * deviation, squares))
        return kept["part"]

    def of(side: np.ndarray) -> Resampled:
        groups = Groups(side)

        def resampled(counts: np.ndarray) -> np.ndarray:
            weighted, gold_squares = gold_part(counts)
            deviation, squares = _rank_deviations(groups, counts)
            return _ratio(np.einsum("ij,ij->i", weighted, deviation), np.sqrt(gold_squares) * np.sqrt(squares))

        return resampled

    return [of(side) for side in scores]


_RESAMPLED = {
    "spearman": spearman_resampled,
    "pearson": pearson_resampled,
    "accuracy": accuracy_resampled,
    "f1": f1_resampled,
    "average_precision": average_precision_resampled,
    "best_accuracy": best_accuracy_resampled,
    "best_f1": best_f1_resampled,
}
STATISTICS = tuple(_RESAMPLED)


def _whole(statistic: str, gold: np.ndarray, scores: np.ndarray) -> float:
    """A statistic of the pairs as they are: the resample that draws each of them once."""
    if not len(gold):
        return math.nan
    return float(_RESAMPLED[statistic](gold, [scores])[0](np.ones((1, len(gold))))[0])


class Groups:
    """Values sorted once, with equal values in one group.

    values: (n,) float64. order: (n,) indices that sort them. group: (n,) group number of each value. ends: (g,) last place of
    each group in sorted order.
    """

    def __init__(self, values: np.ndarray, descending: bool = False):
        values = -values if descending else values
        self.order = np.argsort(values, kind="stable")
        ordered = values[self.order]
        self.ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        self.group = np.empty(len(values), dtype=np.intp)
        self.group[self.order] = np.searchsorted(self.ends, np.arange(len(values)))

    def cumulated(self, counts: np.ndarray) -> np.ndarray:
        """(b, n) counts of the values as given -> (b, g) sums of counts from the first group up to the end of each."""
        return np.cumsum(counts[:, self.order], axis=1)[:, self.ends]


def _rank_deviations(groups: Groups, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mid-rank minus mean rank of every pair, (b, n) float64, and the sum of its squares over each resample, (b,)."""
    upto = groups.cumulated(counts)
    size = np.diff(upto, axis=1, prepend=0)
    # Ranks of a group go from upto - size + 1 to upto; the mean of all n ranks is (n + 1) / 2.
    deviation = upto - (size - 1) / 2 - (counts.shape[1] + 1) / 2
    return deviation[:, groups.group], np.einsum("ij,ij,ij->i", size, deviation, deviation)


def _by_thresholds(
    gold: np.ndarray, scores: list[np.ndarray], value: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> list[Resampled]:
    """Statistics of gold 0 or 1 that look at every threshold, from the highest score down.

    value: (b, g) numbers of pairs at or above each threshold, and (b, g) how many of them have gold 1 -> (b,).
    """

    def of(side: np.ndarray) -> Resampled:
        groups = Groups(side, descending=True)
        return lambda counts: value(groups.cumulated(counts), groups.cumulated(counts * gold))

    return [of(side) for side in scores]


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


# Checks


def _pair(gold, scores) -> tuple[np.ndarray, np.ndarray]:
    """Both as (n,) float64. Raises InputError for other shapes, different lengths, NaN and infinity."""
    arrays = []
    for name, values in (("gold", gold), ("scores", scores)):
        try:
            array = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{name} is {values!r:.80}; it must be one number for each pair") from None
        if array.ndim != 1:
            raise InputError(f"{name} has the shape {array.shape}; it must be one number for each pair")
        if not np.isfinite(array).all():
            raise InputError(
                f"{name} has {int((~np.isfinite(array)).sum())} values that are NaN or infinite; leave those pairs out"
            )
        arrays.append(array)
    if len(arrays[0]) != len(arrays[1]):
        raise InputError(f"{len(arrays[0])} gold values but {len(arrays[1])} scores; each pair needs one of each")
    return arrays[0], arrays[1]


def _binary(values: np.ndarray, name: str) -> None:
    others = values[(values != 0) & (values != 1)]
    if len(others):
        raise InputError(f"{name} has the value {others[0]:g}; F1, average precision and thresholds need 0 and 1")


def is_constant(values: np.ndarray) -> bool:
    """Whether (n,) values are all equal, as fewer than two always are."""
    return len(values) < 2 or bool((values == values[0]).all())
