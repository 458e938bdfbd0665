"""Statistics against scipy and scikit-learn, and the paired bootstrap against cases worked by hand."""

import itertools
import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from subemb.base.errors import Cancelled, InputError
from subemb.evaluate import statistics as ours
from subemb.evaluate.statistics import STATISTICS, Interval, McNemar, paired_bootstrap

GRADED = ("spearman", "pearson")
LABELLED = ("accuracy", "f1")


def made_pairs(statistic: str, pairs: int, seed: int = 0, ties: bool = True):
    """Gold and two sides of scores or predictions that agree with it, the second one less; with many ties."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=pairs)
    sides = [truth + generator.normal(size=pairs) * noise for noise in (0.5, 1.5)]
    gold = np.round(truth * 2) / 2 if statistic in GRADED else (truth > 0.3).astype(float)
    if statistic in LABELLED:
        return gold, *((side > 0.3).astype(float) for side in sides)
    return gold, *(np.round(side, 1) if ties else side for side in sides)


def independent(statistic: str, gold: np.ndarray, scores: np.ndarray) -> float:
    """The same statistic by scipy, scikit-learn or sentence-transformers, on the pairs as they are."""
    from sentence_transformers.sentence_transformer.evaluation import BinaryClassificationEvaluator
    from sklearn import metrics

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if statistic == "spearman":
            return stats.spearmanr(gold, scores).statistic
        if statistic == "pearson":
            return stats.pearsonr(gold, scores).statistic
        if statistic == "accuracy":
            return metrics.accuracy_score(gold, scores)
        if statistic == "best_accuracy":
            return BinaryClassificationEvaluator.find_best_acc_and_threshold(scores, gold, True)[0]
        if not gold.any():
            return math.nan
        if statistic == "f1":
            return metrics.f1_score(gold, scores)
        if statistic == "best_f1":
            return BinaryClassificationEvaluator.find_best_f1_and_threshold(scores, gold, True)[0]
        return metrics.average_precision_score(gold, scores)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("ties", [True, False])
def test_statistics_agree_with_other_libraries(statistic, ties):
    gold, first, second = made_pairs(statistic, 300, seed=3, ties=ties)
    for side in (first, second):
        assert getattr(ours, statistic)(gold, side) == pytest.approx(independent(statistic, gold, side), abs=1e-12)


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_resample_has_the_value_of_the_pairs_that_it_drew(statistic):
    # Few pairs with few values: resamples have ties of every size, and some are constant or have one class only.
    gold, before, after = made_pairs(statistic, 12, seed=1)
    if statistic not in LABELLED:
        before, after = np.round(before), np.round(after * 2)
    counts = ours._drawn(np.random.default_rng(5), 60, 12)
    counts[0] = np.eye(12)[3] * 12  # one pair drawn twelve times
    counts[1] = np.where(gold == gold[0], 1, 0)
    counts[1, 0] += 12 - counts[1].sum()  # only pairs whose gold is the same
    sides = ours._RESAMPLED[statistic](gold, [before, after])
    undefined = 0
    for side, resampled in zip((before, after), sides, strict=True):
        values = resampled(counts)
        for row, value in zip(counts, values, strict=True):
            drawn = np.repeat(np.arange(12), row.astype(int))
            expected = independent(statistic, gold[drawn], side[drawn])
            assert value == pytest.approx(expected, abs=1e-12, nan_ok=True)
            undefined += math.isnan(value)
    if statistic in GRADED:
        assert undefined >= 4  # the two made by hand, on both sides


@pytest.mark.slow
@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_no_threshold_is_better_than_the_best(pairs):
    gold, scores = np.array([float(label) for label, _ in pairs]), np.array([float(score) for _, score in pairs])
    candidates = np.append(np.unique(scores), scores.max() + 1)
    best = ours.best_threshold(gold, scores)
    assert ours.accuracy(gold, (scores >= best).astype(float)) == ours.best_accuracy(gold, scores)
    assert ours.best_accuracy(gold, scores) == max(ours.accuracy(gold, (scores >= t).astype(float)) for t in candidates)
    if gold.any():
        best = ours.best_threshold(gold, scores, "f1")
        assert ours.f1(gold, (scores >= best).astype(float)) == pytest.approx(ours.best_f1(gold, scores))
        assert ours.best_f1(gold, scores) == max(ours.f1(gold, (scores >= t).astype(float)) for t in candidates)


@pytest.mark.parametrize("seed", range(8))
def test_thresholds_are_those_of_sentence_transformers(seed):
    from sentence_transformers.sentence_transformer.evaluation import BinaryClassificationEvaluator as Theirs

    gold, scores, _ = made_pairs("best_accuracy", 60, seed=seed, ties=seed % 2 == 0)
    assert ours.best_threshold(gold, scores) == pytest.approx(Theirs.find_best_acc_and_threshold(scores, gold, True)[1])
    assert ours.best_threshold(gold, scores, "f1") == pytest.approx(Theirs.find_best_f1_and_threshold(scores, gold, True)[3])


def test_a_threshold_lies_between_two_scores_even_if_they_are_neighbouring_floats():
    low, high = 1.0, float(np.nextafter(1.0, 2.0))
    threshold = ours.best_threshold([0, 1], [low, high])
    assert low < threshold <= high


def test_thresholds_of_one_class():
    assert ours.best_threshold([1, 1, 1], [0.3, 0.1, 0.2]) == 0.1  # everything is positive
    assert ours.best_threshold([0, 0], [0.3, 0.1]) > 0.3  # nothing is
    assert ours.best_accuracy([0, 0], [0.3, 0.1]) == 1.0
    assert math.isnan(ours.best_threshold([], []))


def test_undefined_is_nan_and_no_crash():
    for name in GRADED:
        compute = getattr(ours, name)
        assert math.isnan(compute([1, 2, 3], [5, 5, 5]))
        assert math.isnan(compute([1, 1, 1], [5, 6, 7]))
        assert math.isnan(compute([1], [2]))
        assert math.isnan(compute([], []))
    assert math.isnan(ours.f1([0, 0], [0, 1]))
    assert math.isnan(ours.average_precision([0, 0], [0.1, 0.9]))
    assert math.isnan(ours.accuracy([], []))
    assert ours.f1([1, 0], [0, 0]) == 0.0
    constant = paired_bootstrap("spearman", [1, 2, 3, 4], [1, 2, 3, 4], [2, 2, 2, 2], resamples=100)
    assert math.isnan(constant.difference)
    assert math.isnan(constant.low)
    assert constant.undefined == 100
    assert not constant.excludes_zero
    single = paired_bootstrap("accuracy", [1], [1], [0], resamples=10)
    assert single.difference == -1.0
    assert math.isnan(single.high)


def test_the_bootstrap_of_ten_predictions_by_hand():
    # The second side is wrong on three of ten, so a resample's difference is -B / 10 with B binomial(10, 0.3):
    # P(B = 0) = 2.8 % and P(B <= 1) = 14.9 %; P(B >= 7) = 1.1 % and P(B >= 6) = 4.7 %. So the interval is -0.6 to 0.
    gold = np.ones(10)
    after = np.array([0.0] * 3 + [1.0] * 7)
    found = paired_bootstrap("accuracy", gold, gold, after, resamples=50_000)
    assert found.difference == pytest.approx(-0.3)
    assert found.low == pytest.approx(-0.6)
    assert found.high == pytest.approx(0.0, abs=1e-12)
    assert not found.excludes_zero


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("statistic", ["spearman", "average_precision", "best_accuracy"])
def test_the_bootstrap_of_five_pairs_is_all_resamples(statistic):
    gold = np.array([1.0, 2, 3, 4, 5]) if statistic == "spearman" else np.array([0.0, 1, 0, 1, 1])
    before, after = np.array([1.0, 3, 2, 4, 5]), np.array([4.0, 1, 3, 3, 2])
    every = []  # of all 5 ** 5 equally likely resamples; those of the same pairs have the same value
    for drawn in map(list, itertools.combinations_with_replacement(range(5), 5)):
        orders = math.factorial(5) // math.prod(map(math.factorial, np.bincount(drawn)))
        value = independent(statistic, gold[drawn], after[drawn]) - independent(statistic, gold[drawn], before[drawn])
        every += [value] * orders
    every = np.array(every)
    assert len(every) == 5**5
    found = paired_bootstrap(statistic, gold, before, after, resamples=40_000)
    low, high = np.nanquantile(every, [0.025, 0.975])
    # Quantiles of a sample differ from those of the whole by at most where 2 and 3 % lie.
    near_low, near_high = np.nanquantile(every, [0.02, 0.03]), np.nanquantile(every, [0.97, 0.98])
    assert near_low[0] - 1e-9 <= found.low <= near_low[1] + 1e-9
    assert near_high[0] - 1e-9 <= found.high <= near_high[1] + 1e-9
    assert near_low[0] <= low <= high <= near_high[1]
    assert found.undefined / 40_000 == pytest.approx(np.isnan(every).mean(), abs=0.005)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_equal_sides_have_exactly_no_difference(statistic):
    gold, before, _ = made_pairs(statistic, 200)
    found = paired_bootstrap(statistic, gold, before, before.copy(), resamples=300)
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)


def test_ranks_alone_count_for_spearman():
    gold, before, _ = made_pairs("spearman", 200)
    found = paired_bootstrap("spearman", gold, before, np.exp(before), resamples=300)
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)


@pytest.mark.slow
def test_nineteen_of_twenty_intervals_hold_the_true_difference():
    # Scores are truth plus noise, all normal, so their correlations with the truth are known.
    generator, held, sets = np.random.default_rng(11), 0, 150
    true = 1 / np.sqrt(1 + 1.0**2) - 1 / np.sqrt(1 + 0.5**2)
    for number in range(sets):
        gold = generator.normal(size=120)
        before, after = gold + 0.5 * generator.normal(size=120), gold + generator.normal(size=120)
        found = paired_bootstrap("pearson", gold, before, after, resamples=400, seed=number)
        held += found.low <= true <= found.high
    assert 0.90 <= held / sets <= 0.985


def test_results_depend_on_the_seed_and_not_on_how_the_work_is_cut(monkeypatch):
    gold, before, after = made_pairs("spearman", 101)
    whole = paired_bootstrap("spearman", gold, before, after, resamples=99, seed=4)
    assert paired_bootstrap("spearman", gold, before, after, resamples=99, seed=5) != whole
    monkeypatch.setattr(ours, "_CHUNK", 700)
    assert paired_bootstrap("spearman", gold, before, after, resamples=99, seed=4) == whole


def test_the_bootstrap_tells_how_far_it_is_and_stops_when_asked(monkeypatch):
    gold, before, after = made_pairs("pearson", 50)
    monkeypatch.setattr(ours, "_CHUNK", 500)
    seen = []
    paired_bootstrap("pearson", gold, before, after, resamples=100, progress=seen.append)
    assert [message.fraction for message in seen] == pytest.approx(np.linspace(0, 1, 11))
    with pytest.raises(Cancelled):
        paired_bootstrap("pearson", gold, before, after, progress=lambda message: message.fraction > 0.3)


def test_mcnemar_by_hand():
    # Ten pairs that only one side has right, nine of them the first: 2 * (1 + 10) / 2 ** 10.
    gold = [1] * 12
    before, after = [1] * 9 + [0] + [1, 0], [0] * 9 + [1] + [1, 0]
    assert ours.mcnemar(gold, before, after) == McNemar(9, 1, pytest.approx(22 / 1024))
    assert ours.mcnemar(gold, before, before).p_value == 1.0


def test_confusion_counts_gold_by_row():
    gold, predicted = [0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 2, 2]
    assert ours.confusion(gold, predicted, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]
    from sklearn.metrics import confusion_matrix

    assert (ours.confusion(gold, predicted, 3) == confusion_matrix(gold, predicted)).all()
    with pytest.raises(InputError, match="0 to 1"):
        ours.confusion(gold, predicted, 2)


def test_an_interval_survives_json():
    for interval in (Interval(-0.1, -0.2, 0.05, seed=3), Interval(math.nan, math.nan, math.nan, undefined=2000)):
        again = Interval.from_dict(json.loads(json.dumps(interval.to_dict(), allow_nan=False)))
        assert again.to_dict() == interval.to_dict()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ours.spearman([1, 2, 3], [1, 2]), "3 gold values but 2 scores"),
        (lambda: ours.spearman([1, math.nan], [1, 2]), "1 values that are NaN"),
        (lambda: ours.pearson([[1, 2]], [1, 2]), r"shape \(1, 2\)"),
        (lambda: ours.average_precision([1, 2], [1, 2]), "value 2"),
        (lambda: ours.best_threshold([1, 0], [1, 2], "recall"), "'recall'"),
        (lambda: paired_bootstrap("kappa", [1], [1], [1]), "kappa"),
        (lambda: paired_bootstrap("spearman", [1], [1], [1], resamples=0), "0 resamples"),
        (lambda: paired_bootstrap("best_f1", [5, 1], [1, 2], [1, 2]), "value 5"),
    ],
)
def test_what_cannot_be_used_is_told(call, said):
    with pytest.raises(InputError, match=said):
        call()
