"""Statistics of many bootstrap resamples at once, from how often each resample drew every pair.

A resample of n pairs is a row of counts that sums to n. Scores are sorted once; the mid-ranks of a resample, its thresholds and
its sums then follow from cumulated counts, so that no resample is sorted anew. The values are those that the statistic has on
the drawn pairs themselves (ranks and counts are whole numbers, so sums of them are exact).
"""

from collections.abc import Callable

import numpy as np

#: (b, n) counts of b resamples -> (b,) values, NaN where the statistic of a resample is undefined.
Resampled = Callable[[np.ndarray], np.ndarray]


class Groups:
    """Values sorted once, with equal values in one group.

    values: (n,) float64. order: (n,) from sorted to given places. group: (n,) of every value. ends: (g,) last place of a group.
    """

    def __init__(self, values: np.ndarray, descending: bool = False):
        values = -values if descending else values
        self.order = np.argsort(values, kind="stable")
        ordered = values[self.order]
        self.ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        self.group = np.empty(len(values), dtype=np.intp)
        self.group[self.order] = np.searchsorted(self.ends, np.arange(len(values)))

    def cumulated(self, counts: np.ndarray) -> np.ndarray:
        """(b, n) counts in the given order -> (b, g): how much there is up to the end of every group."""
        return np.cumsum(counts[:, self.order], axis=1)[:, self.ends]


def spearman_resampled(gold: np.ndarray, scores: list[np.ndarray]) -> list[Resampled]:
    """Spearman's rank correlation of gold and each of several scores; the ranks of gold are found once for a chunk."""
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


def _rank_deviations(groups: Groups, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mid-rank minus mean rank of every pair, (b, n) float64, and the sum of its squares over each resample, (b,)."""
    upto = groups.cumulated(counts)
    size = np.diff(upto, axis=1, prepend=0)
    # Ranks of a group go from upto - size + 1 to upto; the mean of all n ranks is (n + 1) / 2.
    deviation = upto - (size - 1) / 2 - (counts.shape[1] + 1) / 2
    return deviation[:, groups.group], np.einsum("ij,ij,ij->i", size, deviation, deviation)


def pearson_resampled(gold: np.ndarray, scores: list[np.ndarray]) -> list[Resampled]:
    """Pearson's correlation of gold and each of several scores."""
    x = gold - gold.mean()  # small numbers, so that differences of sums keep their digits

    def of(side: np.ndarray) -> Resampled:
        y = side - side.mean()
        columns = np.stack([x, y, x * x, y * y, x * y], axis=1)

        def resampled(counts: np.ndarray) -> np.ndarray:
            mx, my, mxx, myy, mxy = (counts @ columns / len(x)).T
            spread = np.maximum(mxx - mx * mx, 0), np.maximum(myy - my * my, 0)
            # What is left of a constant by rounding is not a spread.
            flat = (spread[0] <= 1e-14 * mxx) | (spread[1] <= 1e-14 * myy)
            return _ratio(mxy - mx * my, np.where(flat, 0.0, np.sqrt(spread[0]) * np.sqrt(spread[1])))

        return resampled

    return [of(side) for side in scores]


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
        # Right at a threshold: positives above it, and the negatives that are not above it. At least all negatives.
        return (np.maximum((2 * right - taken).max(axis=1), 0) + pairs - right[:, -1]) / pairs

    return _by_thresholds(gold, scores, value)


def best_f1_resampled(gold: np.ndarray, scores: list[np.ndarray]) -> list[Resampled]:
    """F1 at the best threshold, which is chosen again in every resample."""

    def value(taken: np.ndarray, right: np.ndarray) -> np.ndarray:
        positives = right[:, -1:]
        values = (2 * right / np.maximum(taken + positives, 1)).max(axis=1)
        return np.where(positives[:, 0] > 0, values, np.nan)

    return _by_thresholds(gold, scores, value)


def _by_thresholds(
    gold: np.ndarray, scores: list[np.ndarray], value: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> list[Resampled]:
    """Statistics of gold 0 or 1 that look at every threshold, from the highest score down.

    value: (b, g) pairs from each threshold on, and how many of them have gold 1 -> (b,).
    """

    def of(side: np.ndarray) -> Resampled:
        groups = Groups(side, descending=True)
        return lambda counts: value(groups.cumulated(counts), groups.cumulated(counts * gold))

    return [of(side) for side in scores]


def accuracy_resampled(gold: np.ndarray, predicted: list[np.ndarray]) -> list[Resampled]:
    """Share of right predictions of each of several."""

    def of(side: np.ndarray) -> Resampled:
        right = (side == gold).astype(np.float64)
        return lambda counts: counts @ right / counts.shape[1]

    return [of(side) for side in predicted]


def f1_resampled(gold: np.ndarray, predicted: list[np.ndarray]) -> list[Resampled]:
    """F1 of each of several predictions of gold 0 or 1."""

    def of(side: np.ndarray) -> Resampled:
        columns = np.stack([(gold == 1) & (side == 1), gold == 1, side == 1], axis=1).astype(np.float64)

        def resampled(counts: np.ndarray) -> np.ndarray:
            right, positives, called = (counts @ columns).T
            return np.where(positives > 0, _ratio(2 * right, positives + called), np.nan)

        return resampled

    return [of(side) for side in predicted]


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
