"""Jobs of labelled sets and word lists: what they compute is kept, under a key that says what it is of."""

import dataclasses

import numpy as np
import pytest
from apps import own_folders
from checkpoints import SPECIAL, make_bert

from subemb.base.errors import Cancelled, InputError
from subemb.base.paths import cache_folder
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.data.pairs import PairSet, WordSet
from subemb.evaluate.similarity.pairs import evaluate_pairs
from subemb.runs import run_and_keep
from subemb.tasks import similarity_sets
from subemb.tasks.sides import Subject, open_sides
from subemb.tasks.similarity_sets import evaluate_set, evaluate_words, kept_set, kept_words, set_key, words_key

SETTINGS = CompressionSettings("product", subspaces=4, codebook_size=8, iterations=3)
NAMES = [f"word{number}" for number in range(60)]


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, *NAMES], dim=16)
        run = run_and_keep("small", None, SETTINGS.to_dict())
        yield Subject("small", None, run["model"]["identity"], run["key"])


def made_set(pairs: int = 24, name: str = "made.csv") -> PairSet:
    generator = np.random.default_rng(0)
    first, second = ([" ".join(generator.choice(NAMES, 5)) for _ in range(pairs)] for _ in range(2))
    return PairSet(name, "similarity", "made", first, second, generator.random(pairs) * 5)


WORDS = WordSet("words", NAMES[:20], NAMES[20:40], np.arange(20.0))


def test_a_set_is_evaluated_once_and_kept(subject, monkeypatch):
    pairs = made_set()
    assert kept_set(set_key(subject, pairs.digest)) is None
    key = evaluate_set(subject, pairs)
    assert key == set_key(subject, pairs.digest)
    kept = kept_set(key)
    assert kept.is_of(subject)
    assert not kept.is_of(dataclasses.replace(subject, run_key=None))
    expected = evaluate_pairs(open_sides(subject), pairs)
    assert kept.report.to_dict() == expected.to_dict()
    assert kept.report.sides == ("original", "compressed")
    monkeypatch.setattr(similarity_sets, "open_sides", None)  # nothing is opened for a result that is there
    assert evaluate_set(subject, made_set(name="another name")) == key


def test_words_are_evaluated_and_kept(subject):
    key = evaluate_words(subject, WORDS)
    assert key == words_key(subject, WORDS.digest)
    assert kept_words(key).is_of(subject)
    assert len(kept_words(key).report) == 20
    assert kept_set(key) is None, "a key of one kind is no key of the other"


def test_keys_tell_models_runs_data_and_settings_apart(subject):
    pairs = made_set()
    others = [
        set_key(dataclasses.replace(subject, run_key=None), pairs.digest),
        set_key(dataclasses.replace(subject, identity="other"), pairs.digest),
        set_key(subject, pairs.select(range(5)).digest),
        set_key(subject, pairs.digest, resamples=10),
        set_key(subject, pairs.digest, seed=1),
    ]
    assert len({set_key(subject, pairs.digest), *others}) == 6
    assert set_key(dataclasses.replace(subject, name="/elsewhere/small"), pairs.digest) == set_key(subject, pairs.digest)


def test_a_damaged_result_is_no_result(subject):
    pairs = made_set(8)
    key = evaluate_set(subject, pairs, resamples=10)
    (file,) = cache_folder("evaluations").glob(f"*{key}/result.json")
    file.write_text(file.read_text()[:-50])  # cut off
    assert kept_set(key) is None
    assert evaluate_set(subject, pairs, resamples=10) == key
    assert kept_set(key) is not None


def test_too_many_pairs_are_refused_and_a_cancelled_job_keeps_nothing(subject, monkeypatch):
    monkeypatch.setattr(similarity_sets, "MOST_PAIRS", 10)
    with pytest.raises(InputError, match=r"made\.csv has 24 pairs; at most 10"):
        evaluate_set(subject, made_set())
    pairs = made_set(9)
    with pytest.raises(Cancelled):
        evaluate_set(subject, pairs, progress=lambda message: "resampling" in message.stage)
    assert kept_set(set_key(subject, pairs.digest)) is None
