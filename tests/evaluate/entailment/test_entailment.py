"""Entailment: engines, the comparison of sides, and its numbers against cases worked by hand."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from checkpoints import TOKENS, WORDS, bert_sizes, make_bert, make_gpt2, make_roberta, make_sentence_model, save, word_piece

import subemb
from subemb.base.errors import Cancelled, InputError, ModelError
from subemb.evaluate.data.pairs import LABELS, TWO_WAY_LABELS, PairSet
from subemb.evaluate.entailment.engines import ClassifierEngine, engine_for, label_columns
from subemb.evaluate.entailment.head import EntailmentHead, HeadShape
from subemb.evaluate.entailment.pairs import EntailmentReport, evaluate_entailment, judged, make_report
from subemb.evaluate.statistics import cohen_kappa

PREMISES = ["the cat sits on the mat", "a dog runs under the old tree", "two birds", "Кот сидит на столе; 猫が座る。"]
HYPOTHESES = ["a cat sits", "no dog", "the big house is blue and the river is green, one two", "на стол"]


def make_classifier(folder, labels, **config):
    """A BERT classifier of pairs whose head is the same for the same label, in whatever column it stands."""
    from transformers import BertConfig, BertForSequenceClassification

    names = dict(enumerate(labels))
    shape = BertConfig(vocab_size=len(TOKENS), hidden_size=16, id2label=names, pad_token_id=0, **bert_sizes(16), **config)
    save(folder, BertForSequenceClassification, shape, word_piece(TOKENS))
    network = BertForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        for column, label in names.items():
            place = sorted(names.values()).index(label)
            generator = torch.Generator().manual_seed(place)
            network.classifier.weight[column] = torch.randn(16, generator=generator)
            network.classifier.bias[column] = 0.1 * place
    network.save_pretrained(folder)
    return subemb.load(str(folder))


def pair_set(gold, languages=(), labels=LABELS, sentences=None):
    count = len(gold)
    first, second = sentences or ([f"cat {WORDS[i % 20]}" for i in range(count)], [f"dog {WORDS[i % 7]}" for i in range(count)])
    return PairSet("made.tsv", "entailment", "made here", first, second, gold, labels, languages)


class Fixed:
    """An engine in name only, for reports on given probabilities."""

    name, description = "fixed", "given numbers"

    def __init__(self, labels=LABELS):
        self.labels = labels


def sure(predicted, columns=3):
    """Probabilities that make these the judgements."""
    return np.eye(columns)[np.asarray(predicted)] * 0.7 + 0.3 / columns


# Classifiers


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("order", list(itertools.permutations(LABELS)), ids="-".join)
def test_label_order_is_read_from_the_model(tmp_path, order):
    reference = make_classifier(tmp_path / "reference", LABELS)
    model = make_classifier(tmp_path / "model", [label.upper() for label in order])
    expected = engine_for(reference).probabilities(PREMISES, HYPOTHESES)
    found = engine_for(model).probabilities(PREMISES, HYPOTHESES)
    assert engine_for(model).labels == LABELS
    assert found.shape == (4, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    assert np.ptp(found, axis=1).min() > 0.01, "the columns differ, so that a wrong order would show"


def test_classifier_reads_pairs_as_transformers_does(tmp_path):
    model = make_classifier(tmp_path / "model", ["contradiction", "entailment", "neutral"])
    found = engine_for(model).probabilities(PREMISES, HYPOTHESES)
    for place, (premise, hypothesis) in enumerate(zip(PREMISES, HYPOTHESES, strict=True)):
        with torch.inference_mode():
            logits = model.network("classifier")(**model.tokenizer(premise, hypothesis, return_tensors="pt")).logits[0]
        np.testing.assert_allclose(found[place], logits.softmax(0)[[1, 2, 0]].numpy(), atol=1e-6)


@pytest.mark.slow
def test_two_way_heads_give_two_columns(tmp_path):
    one = engine_for(make_classifier(tmp_path / "one", ["not_entailment", "entailment"]))
    other = engine_for(make_classifier(tmp_path / "other", ["entailment", "not_entailment"]))
    assert one.labels == TWO_WAY_LABELS
    np.testing.assert_allclose(one.probabilities(PREMISES, HYPOTHESES), other.probabilities(PREMISES, HYPOTHESES), atol=1e-6)


@pytest.mark.parametrize(
    "labels",
    [
        {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"},
        {0: "entailment", 1: "neutral"},
        {0: "entailment", 1: "entailment", 2: "contradiction"},
        {0: "entailment", 1: "neutral", 2: "contradiction", 3: "other"},
        {0: "POSITIVE", 1: "NEGATIVE"},
        {0: "entailment", 1: "neutral", 3: "contradiction"},
        {},
    ],
    ids=str,
)
def test_names_that_do_not_say_it_are_refused(labels):
    with pytest.raises(ModelError, match="id2label") as caught:
        label_columns(labels)
    assert caught.value.reason == "unsupported"


def test_unnamed_labels_of_a_checkpoint_are_refused_with_what_is_missing(tmp_path):
    model = make_classifier(tmp_path / "model", ["LABEL_0", "LABEL_1", "LABEL_2"])
    with pytest.raises(ModelError, match=r"0: LABEL_0, 1: LABEL_1.*not guessed"):
        engine_for(model)


@pytest.mark.slow
def test_a_long_pair_is_cut_and_the_limit_is_stated(tmp_path):
    engine = engine_for(make_classifier(tmp_path / "model", LABELS))
    assert engine.limit == 64
    assert "64 tokens" in engine.description
    long = " ".join(["cat"] * 500)
    assert np.isfinite(engine.probabilities([long, long], [long, "dog"])).all()


def test_padding_changes_nothing(tmp_path):
    engine = engine_for(make_classifier(tmp_path / "model", LABELS))
    together = engine.probabilities(PREMISES, HYPOTHESES)
    alone = [engine.probabilities([one], [other])[0] for one, other in zip(PREMISES, HYPOTHESES, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("architecture", ["roberta", "gpt2"])
def test_other_architectures_classify_pairs_too(tmp_path, architecture):
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = {"roberta": make_roberta, "gpt2": make_gpt2}[architecture](tmp_path / "model")
    config = AutoConfig.from_pretrained(folder, id2label=dict(enumerate(LABELS)), num_labels=3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    engine = engine_for(subemb.load(str(folder)))
    found = engine.probabilities(PREMISES, HYPOTHESES)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    alone = [engine.probabilities([one], [other])[0] for one, other in zip(PREMISES, HYPOTHESES, strict=True)]
    np.testing.assert_allclose(found, alone, atol=1e-5)


def test_the_classifier_runs_on_the_compressed_table(tmp_path):
    model = make_classifier(tmp_path / "model", LABELS)
    exact = subemb.attach(model, subemb.compress(model.table, "int8"))
    harsh = subemb.attach(model, subemb.compress(model.table, "product", 2, 2, weights="none"))
    original = engine_for(model).probabilities(PREMISES, HYPOTHESES)
    np.testing.assert_allclose(engine_for(exact).probabilities(PREMISES, HYPOTHESES), original, atol=0.02)
    assert np.abs(engine_for(harsh).probabilities(PREMISES, HYPOTHESES) - original).max() > 0.02
    assert isinstance(engine_for(harsh), ClassifierEngine)


def test_pairs_must_match_and_be_text(tmp_path):
    engine = engine_for(make_classifier(tmp_path / "model", LABELS))
    assert engine.probabilities([], []).shape == (0, 3)
    with pytest.raises(InputError, match="2 premises and 1 hypotheses"):
        engine.probabilities(["a", "b"], ["c"])
    with pytest.raises(InputError, match="single string"):
        engine.probabilities("a", ["c"])


def test_without_classifier_and_head_the_remedy_is_named(tmp_path):
    model = subemb.load(str(make_sentence_model(make_bert(tmp_path / "model"))))
    with pytest.raises(ModelError, match="subemb train-head"):
        engine_for(model)
    with pytest.raises(InputError, match=r"'nothing'.*none"):
        engine_for(model, "nothing")
    with pytest.raises(ModelError, match="no classifier"):
        ClassifierEngine(model)


# Sides


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sides")
    model = make_classifier(folder / "model", LABELS)
    compressed = subemb.attach(model, subemb.compress(model.table, "product", 2, 3, weights="none"))
    return {"original": model, "compressed": compressed, "again": model}


def test_every_side_is_judged_and_compared_with_the_first(sides):
    pairs = pair_set([0, 1, 2] * 10, ["en"] * 15 + ["de"] * 15)
    stages = []
    report = evaluate_entailment(sides, pairs, resamples=200, progress=lambda message: stages.append(message) and None)
    assert report.sides == ("original", "compressed", "again")
    assert len(report) == 30
    for side, model in sides.items():
        expected = engine_for(model).probabilities(pairs.first, pairs.second)
        np.testing.assert_allclose(report.probabilities[side], expected, atol=1e-6)
        assert report.scores[side].accuracy == pytest.approx((expected.argmax(1) == pairs.gold).mean())
    assert report.scores["original"].difference is None
    again = report.scores["again"]
    assert (again.difference.difference, again.difference.low, again.difference.high) == (0, 0, 0)
    assert (again.agreement, again.mcnemar.p_value, report.flips("again")) == (1, 1, [])
    assert set(report.by_language) == {"en", "de"}
    assert report.language_counts == {"en": 15, "de": 15}
    parts = [report.by_language[code]["compressed"].accuracy for code in ("en", "de")]
    assert np.mean(parts) == pytest.approx(report.scores["compressed"].accuracy)
    assert stages[-1].fraction == 1.0
    fractions = [message.fraction for message in stages]
    assert fractions == sorted(fractions)
    assert {message.stage.split(":")[0] for message in stages} > set(sides)


def test_one_side_is_enough(sides):
    report = evaluate_entailment({"original": sides["original"]}, pair_set([0, 1, 2]))
    assert list(report.scores) == ["original"]
    assert report.by_language == {}


def test_work_can_be_stopped(sides):
    with pytest.raises(Cancelled):
        evaluate_entailment(sides, pair_set([0, 1, 2]), progress=lambda message: True)


def test_what_is_no_labelled_set_is_refused(sides):
    scores = PairSet("sts.csv", "similarity", "STS benchmark", ["a"], ["b"], [1.0])
    with pytest.raises(InputError, match=r"sts\.csv is a set for similarity"):
        evaluate_entailment(sides, scores)
    with pytest.raises(InputError, match="0 pairs"):
        evaluate_entailment(sides, pair_set([]))
    with pytest.raises(InputError, match="no side"):
        evaluate_entailment({}, pair_set([0]))


def test_ten_thousand_pairs_encode_each_sentence_once(tmp_path, monkeypatch):
    model = subemb.load(str(make_sentence_model(make_bert(tmp_path / "model"))))
    head = EntailmentHead(HeadShape(16), card={"model": {"name": "model", "source": "folder", "identity": model.identity}})
    asked = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda sentences, **rest: asked.extend(sentences) or encode(sentences, **rest))
    report = evaluate_entailment({"original": model}, pair_set([0, 1, 2, 0] * 2500), head, resamples=50)
    assert len(report) == 10_000
    assert len(asked) == len(set(asked)) == 27


# Reports


def test_numbers_worked_by_hand():
    gold = [0, 0, 1, 1, 2, 2]
    before, after = [0, 0, 1, 2, 2, 0], [0, 1, 1, 1, 0, 0]
    report = make_report(Fixed(), pair_set(gold), {"original": sure(before), "compressed": sure(after)})
    original, compressed = report.scores.values()
    assert original.accuracy == pytest.approx(4 / 6)
    assert original.confusion == ((2, 0, 0), (0, 1, 1), (1, 0, 1))
    assert compressed.confusion == ((1, 1, 0), (0, 2, 0), (2, 0, 0))
    assert compressed.difference.difference == pytest.approx(-1 / 6)
    # Pairs 1 and 4 are lost, pair 3 is won: of 3 coin tosses, at most 1 or at least 2 on one side always.
    assert (compressed.mcnemar.only_first_right, compressed.mcnemar.only_second_right) == (2, 1)
    assert compressed.mcnemar.p_value == pytest.approx(1.0)
    # Judged alike: pairs 0, 2, 5. By chance: 3/6 * 3/6 + 1/6 * 3/6 + 2/6 * 0/6 = 1/3.
    assert compressed.agreement == pytest.approx(1 / 2)
    assert compressed.kappa == pytest.approx((1 / 2 - 1 / 3) / (1 - 1 / 3))
    assert [(flip.place, flip.kind) for flip in report.flips("compressed")] == [(1, "lost"), (3, "won"), (4, "lost")]
    assert report.flips("compressed")[0].change == pytest.approx(0.7)


def test_flips_are_ordered_by_how_far_the_probabilities_moved():
    before = np.array([[0.4, 0.35, 0.25], [0.9, 0.05, 0.05], [0.8, 0.1, 0.1]])
    after = np.array([[0.35, 0.4, 0.25], [0.05, 0.05, 0.9], [0.7, 0.2, 0.1]])
    flips = make_report(Fixed(), pair_set([2, 1, 0]), {"a": before, "b": after}).flips("b")
    assert [(flip.place, flip.before, flip.after, flip.kind) for flip in flips] == [(1, 0, 2, "changed"), (0, 0, 1, "changed")]
    assert flips[0].change == pytest.approx(0.85)
    assert flips[0].probabilities_after == pytest.approx((0.05, 0.05, 0.9))


def test_mcnemar_by_hand():
    gold = np.zeros(10, int)
    before, after = np.array([0] * 10), np.array([1] * 6 + [0] * 4)
    score = make_report(Fixed(), pair_set(gold), {"a": sure(before), "b": sure(after)}).scores["b"]
    assert score.mcnemar.p_value == pytest.approx(2 * 0.5**6)
    assert score.difference.difference == pytest.approx(-0.6)
    assert score.difference.low < -0.6 < score.difference.high < 0


def test_kappa_agrees_with_scikit_learn_and_knows_its_limits():
    from sklearn.metrics import cohen_kappa_score

    generator = np.random.default_rng(0)
    for _ in range(20):
        one, other = generator.integers(0, 3, (2, 50))
        assert cohen_kappa(one, other, 3) == pytest.approx(cohen_kappa_score(one, other))
    assert cohen_kappa(np.array([0, 1]), np.array([1, 0]), 2) == -1
    assert np.isnan(cohen_kappa(np.array([1, 1]), np.array([1, 1]), 3))
    assert np.isnan(cohen_kappa(np.array([], int), np.array([], int), 3))


def test_confusion_agrees_with_scikit_learn():
    from sklearn.metrics import confusion_matrix

    gold, before, after = np.random.default_rng(1).integers(0, 3, (3, 60))
    report = make_report(Fixed(), pair_set(gold), {"a": sure(before), "b": sure(after)})
    assert np.array_equal(report.scores["b"].confusion, confusion_matrix(gold, after, labels=[0, 1, 2]))


def test_two_way_sets_count_entailment_against_the_rest():
    rows = np.array([[0.45, 0.3, 0.25], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1]])
    assert judged(rows, 3).tolist() == [0, 0, 1]
    report = make_report(Fixed(), pair_set([1, 0, 1], labels=TWO_WAY_LABELS), {"original": rows})
    assert report.labels == TWO_WAY_LABELS
    assert report.engine_labels == LABELS
    assert report.predicted["original"].tolist() == [1, 0, 1]
    assert report.scores["original"].accuracy == 1
    assert report.scores["original"].confusion == ((1, 0), (0, 2))


def test_a_two_way_engine_on_three_way_labels_is_scored_two_way():
    report = make_report(Fixed(TWO_WAY_LABELS), pair_set([0, 1, 2]), {"original": sure([0, 1, 0], 2)})
    assert report.labels == TWO_WAY_LABELS
    assert report.gold.tolist() == [0, 1, 1]
    assert report.scores["original"].accuracy == pytest.approx(2 / 3)


def test_a_remark_on_one_label_names_it_as_it_is_counted():
    two_way = make_report(Fixed(TWO_WAY_LABELS), pair_set([2, 1, 2]), {"original": sure([1, 1, 0], 2)})
    assert "All 3 pairs have the same label, not_entailment," in two_way.remarks[0].text
    three_way = make_report(Fixed(), pair_set([2, 2, 2]), {"original": sure([2, 2, 0])})
    assert "All 3 pairs have the same label, contradiction," in three_way.remarks[0].text


def test_reports_survive_json():
    gold = [0, 1, 2, 1]
    pairs = pair_set(gold, ["en", "en", "ur", "ur"])
    constant = {"original": sure([1, 1, 1, 1]), "ünïcode": sure([1, 1, 1, 1])}  # kappa is NaN here
    report = make_report(Fixed(), pairs, constant, resamples=20, seed=3)
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    back = EntailmentReport.from_dict(values)
    assert back.to_dict() == report.to_dict() == values
    assert np.isnan(back.scores["ünïcode"].kappa)
    assert back.by_language["ur"]["ünïcode"].accuracy == 0.5
    assert back.flips("ünïcode") == []
    assert back.sides == report.sides
    for damaged in (
        {},
        {**values, "pairs": {**values["pairs"], "gold": "x"}},
        {**values, "scores": None},
        {**values, "more": 1},
    ):
        with pytest.raises(InputError, match="compute it again"):
            EntailmentReport.from_dict(damaged)


def test_reports_cannot_be_changed_by_one_of_their_readers():
    report = make_report(Fixed(), pair_set([0, 1]), {"original": sure([0, 1])})
    with pytest.raises(ValueError, match="read-only"):
        report.probabilities["original"][0, 0] = 1
    with pytest.raises(AttributeError):
        report.engine = "other"
    assert replace(report, engine="other").engine == "other"
