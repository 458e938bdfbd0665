"""Scores of sides: what cannot be measured is undefined and said, never a made-up 100."""

import math

import numpy as np
import pytest

from subemb.adaptation.material import check_scored
from subemb.base.errors import InputError
from subemb.evaluate.context.perplexity import bootstrap_of_means
from subemb.evaluate.data.pairs import LABELS, PairSet, WordSet
from subemb.evaluate.report import METRICS, score_sides
from subemb.evaluate.similarity.pairs import SimilarityReport
from subemb.evaluate.similarity.words import evaluate_words
from subemb.models.model import PretrainedModel


def report_on(task: str, gold, original, compressed) -> SimilarityReport:
    texts = [f"text {n}" for n in range(len(gold))]
    found = {"original": np.array(original, np.float32), "compressed": np.array(compressed, np.float32)}
    pairs = PairSet("made", task, "made", texts, texts[::-1], gold)
    scores = score_sides(pairs.gold, found, METRICS[task], resamples=50)
    return SimilarityReport(pairs=pairs, sides=tuple(found), scores=scores, pooling="mean", cosines=found)


@pytest.mark.parametrize(("task", "gold"), [("paraphrase", [1] * 4), ("paraphrase", [0] * 4), ("similarity", [3.0] * 4)])
def test_one_class_and_constant_scores_are_said_and_not_scored(task, gold):
    report = report_on(task, gold, [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1])
    for side in report.sides:
        assert all(math.isnan(report.scores[side].values[metric]) for metric in METRICS[task])
        assert report.scores[side].thresholds == {}
    assert all(math.isnan(interval.difference) for interval in report.scores["compressed"].differences.values())
    what = "label, " if task == "paraphrase" else "score, "
    assert f"All 4 pairs have the same {what}{gold[0]:g}" in report.remarks[0].text


@pytest.mark.parametrize(("task", "gold"), [("paraphrase", [1, 1, 1, 0]), ("similarity", [3.0, 1, 2, 5])])
def test_a_side_whose_cosines_are_all_equal_is_said_and_not_scored(task, gold):
    report = report_on(task, gold, [0.1, 0.2, 0.3, 0.4], [0.5] * 4)
    main = METRICS[task][0]
    assert not math.isnan(report.scores["original"].values[main])
    assert math.isnan(report.scores["compressed"].values[main])
    assert math.isnan(report.scores["compressed"].differences[main].difference)
    assert "cosines of compressed are the same for all pairs" in report.remarks[0].text


def test_what_can_be_measured_has_no_remarks():
    assert report_on("similarity", [3.0, 1, 2, 5], [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]).remarks == ()


def test_accuracy_on_one_label_is_undefined_but_sides_can_be_compared():
    gold = np.zeros(4, int)
    scores = score_sides(gold, {"original": gold, "compressed": np.array([0, 0, 1, 2])}, ("accuracy",), resamples=50)
    assert math.isnan(scores["original"].values["accuracy"])
    assert math.isnan(scores["compressed"].values["accuracy"])
    assert scores["compressed"].differences["accuracy"].difference == -0.5
    assert LABELS[0] == "entailment"


def test_an_adaptation_follows_no_score_on_one_label():
    pairs = PairSet("mine.csv", "paraphrase", "made", ("a", "b"), ("c", "d"), [1, 1])
    with pytest.raises(InputError, match=r"all 2 pairs of mine\.csv have the same label or score"):
        check_scored(pairs)
    check_scored(None)


@pytest.mark.parametrize("resamples", [0, -5, 2.5, "many", True, 10**9])
def test_resamples_are_a_positive_number_also_where_there_is_nothing_to_compare(resamples):
    gold, values = np.array([1.0, 2, 3]), np.array([1.0, 3, 2])
    with pytest.raises(InputError, match="resamples; choose 1 to 100,000"):
        score_sides(gold, {"original": values}, ("spearman",), resamples=resamples)
    with pytest.raises(InputError, match="resamples; choose"):
        bootstrap_of_means(np.ones(9, int), np.zeros(9), np.ones(9), resamples=resamples)
    with pytest.raises(InputError, match=r"resamples; choose|resamples must be a whole number"):  # before any work
        evaluate_words({"original": object.__new__(PretrainedModel)}, WordSet("w", ("a", "b"), ("c", "d"), [1, 2]), resamples)
