"""Jobs of the page Entailment."""

import numpy as np
import pytest
from apps import own_folders
from checkpoints import make_bert
from entailment_models import made_pairs, make_classifier, make_encoder, train_quick_head

from subemb import load
from subemb.base.errors import InputError, ModelError
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.data.pairs import LABELS, Note, PairSet, Skipped
from subemb.evaluate.entailment.engines import EngineChoice, engine_for, engine_options
from subemb.evaluate.entailment.pairs import EntailmentReport, Writing, evaluate_entailment, writing_of
from subemb.runs import run_and_keep
from subemb.tasks import evaluations as entailment
from subemb.tasks import sides
from subemb.tasks.evaluations import (
    LONGEST,
    evaluate_entailment_set,
    judge_pair,
)
from subemb.tasks.sides import Subject, open_sides

SETTINGS = CompressionSettings("product", subspaces=2, codebook_size=2, weights="none", iterations=2)
PREMISE, HYPOTHESIS = "the cat sits on the mat", "a dog runs"


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    """A classifier, an encoder with a head, and one with nothing."""
    with own_folders(tmp_path_factory) as models:
        make_classifier(models / "classifier")
        make_encoder(models / "encoder")
        make_bert(models / "plain", dim=8)
        train_quick_head(models / "encoder")
        found = {}
        for name in ("classifier", "encoder", "plain"):
            run = run_and_keep(name, None, SETTINGS.to_dict())
            found[name] = Subject(name, None, run.model["identity"], run.key)
        for kept in (sides.MODELS, sides.TABLES, entailment.HEADS):
            kept.clear()
        yield found


def first_choice(subject):
    return engine_options(open_sides(subject)["original"])[0][0].choice


@pytest.mark.slow
def test_a_classifier_comes_with_the_order_that_it_has(subjects):
    (option,), problem = engine_options(open_sides(subjects["classifier"])["original"])
    assert problem is None
    assert option.choice == EngineChoice()
    assert option.order == ("NEUTRAL", "Contradiction", "entailment")
    assert option.labels == LABELS


def test_a_head_comes_with_its_card(subjects):
    (option,), problem = engine_options(open_sides(subjects["encoder"])["original"])
    assert problem is None
    assert option.choice.head == "quick"
    assert len(option.choice.digest) == 16
    assert option.card["pairs"] == 120


def test_a_model_with_nothing_has_no_engine(subjects):
    assert engine_options(open_sides(subjects["plain"])["original"]) == ([], None)
    with pytest.raises(ModelError, match="train-head"):
        judge_pair(subjects["plain"], PREMISE, HYPOTHESIS)


def test_a_classifier_of_something_else_says_why_it_cannot_judge(tmp_path):
    options, problem = engine_options(load(str(make_classifier(tmp_path / "mood", ("POSITIVE", "NEGATIVE")))))
    assert options == []
    assert "0: POSITIVE" in problem


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("name", ["classifier", "encoder"])
def test_a_pair_is_judged_by_every_side(subjects, name):
    subject = subjects[name]
    found = judge_pair(subject, PREMISE, HYPOTHESIS, first_choice(subject))
    assert found.sides == ["original", "compressed"]
    for side, model in open_sides(subject).items():
        expected = engine_for(model).probabilities([PREMISE], [HYPOTHESIS])[0]
        np.testing.assert_allclose(found.probabilities[side], expected, atol=1e-6)
        assert found.winner(side) == LABELS[int(expected.argmax())]
    assert found.probabilities["original"] != found.probabilities["compressed"]
    assert not found.flipped("original")
    assert found.flipped("compressed") == (found.winner("original") != found.winner("compressed"))
    assert judge_pair(subject, PREMISE, HYPOTHESIS) == found  # without a choice: the first engine


def test_without_a_run_there_is_one_side(subjects):
    subject = Subject("classifier", None, subjects["classifier"].identity, None)
    assert judge_pair(subject, PREMISE, HYPOTHESIS).sides == ["original"]


@pytest.mark.parametrize("name", ["classifier", "encoder"])
def test_what_the_model_does_not_read_is_told(subjects, name):
    assert judge_pair(subjects[name], PREMISE, HYPOTHESIS).cut == ()
    (told,) = judge_pair(subjects[name], "cat " * 200, HYPOTHESIS).cut
    assert "tokens" in told
    assert "of" in told


@pytest.mark.parametrize(
    ("premise", "hypothesis", "message"),
    [
        ("", "a cat", "the premise is empty"),
        ("a cat", " \n", "the hypothesis is empty"),
        ("x" * (LONGEST + 1), "a cat", "1,001 characters"),
    ],
)
def test_sentences_that_cannot_be_judged(subjects, premise, hypothesis, message):
    with pytest.raises(InputError, match=message):
        judge_pair(subjects["classifier"], premise, hypothesis)


def test_a_head_that_was_trained_again_is_another_one(subjects):
    subject = subjects["encoder"]
    with pytest.raises(InputError, match="gone, damaged or trained again"):
        judge_pair(subject, PREMISE, HYPOTHESIS, EngineChoice("quick", "0" * 16))
    with pytest.raises(ModelError, match="no classifier"):
        judge_pair(subject, PREMISE, HYPOTHESIS, EngineChoice())


def test_only_a_few_heads_stay_loaded(subjects, monkeypatch):
    monkeypatch.setattr(entailment.HEADS, "most", 1)
    model, choice = open_sides(subjects["encoder"])["original"], first_choice(subjects["encoder"])
    entailment.HEADS.take(("another", EngineChoice("old")), lambda: None)
    head = entailment._head_of(model, choice)
    assert list(entailment.HEADS.values()) == [head]
    assert entailment._head_of(model, choice) is head


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("name", ["classifier", "encoder"])
def test_a_set_is_evaluated_kept_and_found_again(subjects, name):
    subject, pairs = subjects[name], made_pairs(("en", "ru"))
    choice = first_choice(subject)
    assert evaluate_entailment_set.kept(subject, pairs, choice, 50) is None
    result = evaluate_entailment_set(subject, pairs, choice, 50)
    kept = evaluate_entailment_set.kept(subject, pairs.digest, choice, 50)
    assert kept is result
    direct = evaluate_entailment(open_sides(subject), pairs, resamples=50)
    assert kept.to_dict() == direct.to_dict()
    assert kept.pairs == pairs
    assert kept.writing["en"].script == "Latin"
    assert evaluate_entailment_set(subject, pairs, choice, 50) is kept  # at once


def test_keys_tell_everything_apart(subjects):
    subject, choice = subjects["encoder"], EngineChoice("a", "b")
    keys = {
        evaluate_entailment_set.key(subject, "data", choice),
        evaluate_entailment_set.key(subjects["classifier"], "data", choice),
        evaluate_entailment_set.key(subject, "other", choice),
        evaluate_entailment_set.key(subject, "data", EngineChoice("a", "c")),
        evaluate_entailment_set.key(subject, "data", choice, 100),
        evaluate_entailment_set.key(subject, "data", choice, seed=1),
    }
    assert len(keys) == 6


def test_a_set_with_skipped_rows_and_strange_text_comes_back_whole(subjects):
    texts = ["<b>x</b>", "naïve\u202e ⟨x⟩ **", "猫\n\t"]
    skipped = (Skipped("blank label", 3, (2, 5, 9)),)
    pairs = PairSet(
        "a <b>.tsv",
        "entailment",
        "made",
        texts,
        texts[::-1],
        [0, 1, 2],
        LABELS,
        skipped=skipped,
        notes=(Note("labels", "a note"),),
    )
    subject = subjects["classifier"]
    kept = evaluate_entailment_set(subject, pairs, EngineChoice(), 10)
    assert (kept.pairs.first, kept.pairs.skipped, kept.pairs.notes) == (tuple(texts), skipped, (Note("labels", "a note"),))
    assert kept.writing == {}


def test_too_many_pairs(subjects, monkeypatch):
    monkeypatch.setattr(entailment, "MOST_PAIRS", 10)
    with pytest.raises(InputError, match=r"72 pairs; at most 10"):
        evaluate_entailment_set(subjects["classifier"], made_pairs(), EngineChoice())


def test_a_kept_result_that_is_damaged_is_none(subjects):
    subject, pairs = subjects["classifier"], made_pairs().sample(6)
    call = evaluate_entailment_set.call(subject, pairs, EngineChoice(), 10)
    evaluate_entailment_set(subject, pairs, EngineChoice(), 10)
    path = call.store.path(call.key) / call.store.file
    path.write_text(path.read_text()[:-20])
    assert call.kept() is None
    evaluate_entailment_set(subject, pairs, EngineChoice(), 10)
    assert isinstance(call.kept(), EntailmentReport)


def test_the_script_of_a_language_is_that_of_most_of_its_sentences(subjects):
    model = open_sides(subjects["classifier"])["original"]
    first, second = ["кот на столе", "кот", "the cat", "12"], ["cat", "стол", "a dog", "34"]
    pairs = PairSet("made", "entailment", "made", first, second, [0, 1, 2, 0], LABELS, ["ru", "ru", "en", "und"])
    found = writing_of(pairs, model)
    cyrillic = int((model.vocabulary.scripts == "Cyrillic").sum())
    assert found["ru"] == Writing("Cyrillic", cyrillic)
    assert found["en"].script == "Latin"
    assert found["und"].script == "Common"
    assert cyrillic == 2  # "на" and "стол"
