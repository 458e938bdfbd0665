"""Jobs of labelled sets and word lists: what they compute is kept, under a key that says what it is of."""

import dataclasses

import numpy as np
import pytest
from apps import own_folders
from checkpoints import SPECIAL, make_bert

from subemb.base.errors import Cancelled, InputError
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.data.pairs import PairSet, WordSet
from subemb.evaluate.similarity.pairs import evaluate_pairs
from subemb.runs import run_and_keep
from subemb.tasks import evaluations
from subemb.tasks.evaluations import SIMILARITY_SETS, WORD_LISTS, evaluate_similarity_set, evaluate_word_list
from subemb.tasks.sides import Subject, open_sides

SETTINGS = CompressionSettings("product", subspaces=4, codebook_size=8, iterations=3)
NAMES = [f"word{number}" for number in range(60)]


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, *NAMES], dim=16)
        run = run_and_keep("small", None, SETTINGS.to_dict())
        yield Subject("small", None, run.model["identity"], run.key)


def made_set(pairs: int = 24, name: str = "made.csv") -> PairSet:
    generator = np.random.default_rng(0)
    first, second = ([" ".join(generator.choice(NAMES, 5)) for _ in range(pairs)] for _ in range(2))
    return PairSet(name, "similarity", "made", first, second, generator.random(pairs) * 5)


WORDS = WordSet("words", NAMES[:20], NAMES[20:40], np.arange(20.0))


def test_a_set_is_evaluated_once_and_kept(subject, monkeypatch):
    pairs = made_set()
    assert evaluate_similarity_set.kept(subject, pairs) is None
    report = evaluate_similarity_set(subject, pairs)
    kept = evaluate_similarity_set.kept(subject, pairs.digest)
    assert kept is report
    assert evaluate_similarity_set.kept(dataclasses.replace(subject, run_key=None), pairs) is None
    expected = evaluate_pairs(open_sides(subject), pairs)
    assert kept.to_dict() == expected.to_dict()
    assert kept.sides == ("original", "compressed")
    monkeypatch.setattr(evaluations, "open_sides", None)  # nothing is opened for a result that is there
    assert evaluate_similarity_set(subject, made_set(name="another name")) is report


def test_words_are_evaluated_and_kept(subject):
    report = evaluate_word_list(subject, WORDS)
    key = evaluate_word_list.key(subject, WORDS.digest)
    assert WORD_LISTS.get(key) is report
    assert len(report) == 20
    assert SIMILARITY_SETS.get(key) is None, "a key of one kind is no key of the other"


def test_keys_tell_models_runs_data_and_settings_apart(subject):
    pairs = made_set()
    others = [
        evaluate_similarity_set.key(dataclasses.replace(subject, run_key=None), pairs.digest),
        evaluate_similarity_set.key(dataclasses.replace(subject, identity="other"), pairs.digest),
        evaluate_similarity_set.key(subject, pairs.select(range(5)).digest),
        evaluate_similarity_set.key(subject, pairs.digest, resamples=10),
        evaluate_similarity_set.key(subject, pairs.digest, seed=1),
    ]
    assert len({evaluate_similarity_set.key(subject, pairs.digest), *others}) == 6
    assert evaluate_similarity_set.key(
        dataclasses.replace(subject, name="/elsewhere/small"), pairs.digest
    ) == evaluate_similarity_set.key(subject, pairs.digest)


def test_a_damaged_result_is_no_result(subject):
    pairs = made_set(8)
    evaluate_similarity_set(subject, pairs, resamples=10)
    key = evaluate_similarity_set.key(subject, pairs, resamples=10)
    file = SIMILARITY_SETS.path(key) / SIMILARITY_SETS.file
    file.write_text(file.read_text()[:-50])  # cut off
    assert SIMILARITY_SETS.get(key) is None
    report = evaluate_similarity_set(subject, pairs, resamples=10)
    assert SIMILARITY_SETS.get(key) is report


def test_too_many_pairs_are_refused_and_a_cancelled_job_keeps_nothing(subject, monkeypatch):
    monkeypatch.setattr(evaluations, "MOST_PAIRS", 10)
    with pytest.raises(InputError, match=r"made\.csv has 24 pairs; at most 10"):
        evaluate_similarity_set(subject, made_set(), seed=1)  # none that a test above kept
    pairs = made_set(9)
    with pytest.raises(Cancelled):
        evaluate_similarity_set(subject, pairs, progress=lambda message: "resampling" in message.stage)
    assert evaluate_similarity_set.kept(subject, pairs) is None
