"""Labelled sets on every side of a model: cosines, scores, differences, languages, and what is kept of them."""

import json
import math

import numpy as np
import pytest
import torch
from checkpoints import LINES, WORDS, make_bert, make_sentence_model, make_xlmr
from scipy import stats

from subemb.base.errors import Cancelled, InputError
from subemb.codec import attach, compress
from subemb.evaluate.data.pairs import PairSet, Skipped
from subemb.evaluate.similarity.pairs import SimilarityReport, cosines, encoding_seconds, evaluate_pairs
from subemb.evaluate.statistics import accuracy, f1, paired_bootstrap
from subemb.models.load import load


def made_set(pairs: int = 60, task: str = "similarity", languages: tuple[str, ...] = (), seed: int = 0) -> PairSet:
    """Sentences of a few known words; gold is the share of words that both have, or whether that is much."""
    generator = np.random.default_rng(seed)
    words = [word for word in WORDS if word.isascii() and word.isalpha()]
    first, second, shared = [], [], []
    for _ in range(pairs):
        common = list(generator.choice(words, generator.integers(0, 5)))
        own = [list(generator.choice(words, 4 - len(common))) for _ in range(2)]
        first.append(" ".join(common + own[0]))
        second.append(" ".join(common + own[1]))
        shared.append(len(common))
    gold = shared if task == "similarity" else [int(count >= 2) for count in shared]
    codes = tuple(languages[place % len(languages)] for place in range(pairs)) if languages else ()
    return PairSet("made.csv", task, "made", tuple(first), tuple(second), np.array(gold), languages=codes)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(make_sentence_model(make_bert(tmp_path_factory.mktemp("models") / "bert", dim=32), normalize=True))


@pytest.fixture(scope="module")
def small(model):
    return attach(model, compress(model.table, method="product", subspaces=4, codebook_size=4, weights="none"))


@pytest.fixture(scope="module")
def report(model, small):
    return evaluate_pairs({"original": model, "compressed": small}, made_set(), resamples=200)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_cosines_are_those_of_sentence_transformers(tmp_path, pooling):
    from sentence_transformers import SentenceTransformer

    folder = make_sentence_model(make_bert(tmp_path / "bert"), pooling)
    first, second = LINES, LINES[::-1]
    theirs = SentenceTransformer(str(folder), device="cpu")
    expected = theirs.similarity_pairwise(theirs.encode(first), theirs.encode(second)).numpy()
    found = cosines(load(folder), first, second)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_every_distinct_sentence_is_encoded_once(model, monkeypatch):
    asked = []
    encode = type(model).encode
    monkeypatch.setattr(type(model), "encode", lambda self, texts, **more: asked.extend(texts) or encode(self, texts, **more))
    found = cosines(model, ["a cat", "a dog", "a cat", "a dog"], ["a dog", "a cat", "a cat", "a bird"])
    assert sorted(asked) == ["a bird", "a cat", "a dog"]
    assert found[0] == found[1]
    assert found[2] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("make", [make_bert, make_xlmr])
def test_sides_agree_on_a_table_that_is_not_compressed(tmp_path, make):
    model = load(make(tmp_path / "model"))
    same = model.with_embeddings(torch.nn.Embedding.from_pretrained(model.table.clone()))
    pairs = made_set()
    found = evaluate_pairs({"original": model, "compressed": same}, pairs, resamples=100)
    np.testing.assert_allclose(found.cosines["compressed"], found.cosines["original"], atol=1e-5)
    for metric in found.metrics:
        assert found.scores["compressed"].differences[metric].difference == pytest.approx(0, abs=1e-5)


def test_scores_are_those_of_the_cosines(report, model, small):
    pairs = made_set()
    for side, encoder in (("original", model), ("compressed", small)):
        expected = cosines(encoder, pairs.first, pairs.second)
        assert (report.cosines[side] == expected).all()
        assert report.scores[side].values["spearman"] == pytest.approx(stats.spearmanr(pairs.gold, expected).statistic)
        assert report.scores[side].values["pearson"] == pytest.approx(stats.pearsonr(pairs.gold, expected).statistic)
    assert report.scores["original"].differences == {}
    expected = paired_bootstrap("spearman", pairs.gold, report.cosines["original"], report.cosines["compressed"], resamples=200)
    assert report.scores["compressed"].differences["spearman"] == expected
    assert report.by_language == {}
    assert report.pooling == model.pooling


def test_paraphrases_are_judged_at_the_best_threshold_of_each_side(model, small):
    pairs = made_set(task="paraphrase")
    found = evaluate_pairs({"original": model, "compressed": small}, pairs, resamples=100)
    assert found.metrics == ("best_accuracy", "best_f1", "average_precision")
    for side in found.sides:
        scores, values = found.scores[side], found.cosines[side]
        judged = values >= scores.thresholds["best_accuracy"]
        assert scores.values["best_accuracy"] == accuracy(pairs.gold, judged)
        assert scores.values["best_f1"] == pytest.approx(f1(pairs.gold, values >= scores.thresholds["best_f1"]))
    assert set(found.scores["compressed"].differences) == set(found.metrics)
    with pytest.raises(InputError, match="set for entailment"):
        evaluate_pairs({"original": model}, PairSet("nli", "entailment", "", ("a", "b"), ("a", "b"), [0, 1], ("x", "y")))


def test_one_side_and_three_sides(model, small):
    pairs = made_set(30)
    alone = evaluate_pairs({"original": model}, pairs, resamples=50)
    assert alone.sides == ("original",)
    three = evaluate_pairs({"original": model, "compressed": small, "adapted": model}, pairs, resamples=50)
    assert three.scores["original"].values == alone.scores["original"].values
    unchanged = three.scores["adapted"].differences["spearman"]
    assert (unchanged.low, unchanged.difference, unchanged.high) == (0, 0, 0)


def test_languages_are_scored_apart(model, small):
    pairs = made_set(60, languages=("en", "de", "sw"))
    sides = {"original": model, "compressed": small}
    found = evaluate_pairs(sides, pairs, resamples=50)
    assert list(found.by_language) == ["en", "de", "sw"]
    german = pairs.by_language()["de"]
    alone = evaluate_pairs(sides, german, resamples=50)
    for side in sides:
        assert found.by_language["de"][side].values == pytest.approx(alone.scores[side].values, abs=1e-6)
    assert alone.by_language == {}, "one language needs no chart"


def test_moved_is_by_rank():
    pairs = made_set(4)
    before, after = np.array([0.1, 0.5, 0.6, 0.9], np.float32), np.array([0.4, 0.5, 0.95, 0.9], np.float32)
    found = SimilarityReport(pairs=pairs, pooling="", sides=("a", "b"), cosines={"a": before, "b": after}, scores={})
    assert found.ranks("a").tolist() == [4, 3, 2, 1]
    assert found.ranks("b").tolist() == [4, 3, 1, 2]
    assert found.moved("b").tolist() == [2, 3, 0, 1]  # ranks: 1, 1, 0, 0; then by the cosine itself: 0.35, 0, 0.3, 0
    assert found.moved("b", 1).tolist() == [2]
    cosines = {"a": np.array([0.5, 0.5, 0.1, 0.9], np.float32)}
    tied = SimilarityReport(pairs=pairs, pooling="", sides=("a",), cosines=cosines, scores={})
    assert tied.ranks("a").tolist() == [2.5, 2.5, 4, 1]


def test_a_report_survives_json(model, small, report):
    languages = evaluate_pairs({"original": model, "compressed": small}, made_set(20, languages=("en", "de")), resamples=20)
    flat = PairSet(
        "flat", "similarity", "", ("a cat", "a dog"), ("a", "a"), [3.0, 3.0], skipped=(Skipped("blank score", 2, (1, 7)),)
    )
    undefined = evaluate_pairs({"original": model, "compressed": small}, flat, resamples=20)
    assert math.isnan(undefined.scores["original"].values["spearman"])
    for given in (report, languages, undefined):
        again = SimilarityReport.from_dict(json.loads(json.dumps(given.to_dict(), allow_nan=False)))
        assert again.to_dict() == given.to_dict()
        assert again.pairs.digest == given.pairs.digest
        assert again.pairs.skipped == given.pairs.skipped
        for side in given.sides:
            assert (again.cosines[side] == given.cosines[side]).all(), "float32 for float32"
    with pytest.raises(InputError, match="no saved similarity report"):
        SimilarityReport.from_dict({"pairs": {}})


def test_progress_grows_and_names_the_side_and_cancel_is_heard(model, small):
    seen = []
    sides = {"original": model, "compressed": small}
    evaluate_pairs(sides, made_set(30, languages=("en", "de")), resamples=100, progress=seen.append)
    fractions = [message.fraction for message in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert {"original table: encoding sentences", "compressed table: encoding sentences", "resampling pairs"} <= {
        message.stage for message in seen
    }
    with pytest.raises(Cancelled):
        evaluate_pairs(sides, made_set(30), progress=lambda message: "compressed" in message.stage)
    with pytest.raises(Cancelled):
        evaluate_pairs(sides, made_set(30), progress=lambda message: "resampling" in message.stage)


def test_a_set_that_is_too_small_is_refused(model):
    with pytest.raises(InputError, match="1 usable pairs"):
        evaluate_pairs({"original": model}, made_set(1))
    with pytest.raises(InputError, match="no side"):
        evaluate_pairs({}, made_set(5))
    with pytest.raises(InputError, match="2 first sentences but 1"):
        cosines(model, ["a", "b"], ["a"])


def test_the_estimate_grows_with_what_is_to_be_encoded(model):
    one = encoding_seconds(model, ["a cat sits"] * 5)
    assert one == encoding_seconds(model, ["a cat sits"]), "the same sentence is encoded once"
    assert 0 < one < encoding_seconds(model, ["a cat sits " * 5]) < encoding_seconds(model, ["a cat sits " * 5], sides=2)
