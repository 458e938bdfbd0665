"""The versions of a model that are compared."""

import numpy as np
import pytest
from checkpoints import LINES, make_bert

from subemb import InputError, load
from subemb.adaptation import library
from subemb.codec.settings import CompressionSettings
from subemb.runs import run_and_keep
from subemb.tasks import sides
from subemb.tasks.sides import Subject, open_sides

SETTINGS = CompressionSettings("product", subspaces=2, codebook_size=4, weights="none", iterations=2)


@pytest.fixture
def subject(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    for memory in (sides.MODELS, sides.TABLES):
        memory.clear()
    make_bert(tmp_path / "models" / "small")
    run = run_and_keep("small", None, SETTINGS.to_dict())
    return Subject("small", None, run.model["identity"], run.key)


def test_original_first_then_compressed(subject):
    opened = open_sides(subject)
    assert list(opened) == ["original", "compressed"]
    np.testing.assert_array_equal(opened["original"].encode(LINES), load("small").encode(LINES))
    assert np.abs(opened["compressed"].encode(LINES) - opened["original"].encode(LINES)).max() > 1e-3
    assert list(open_sides(Subject(subject.name, None, subject.identity, None))) == ["original"]


@pytest.mark.slow
def test_models_stay_open_and_no_more_than_a_few(subject, tmp_path):
    first = open_sides(subject)
    assert open_sides(subject)["original"] is first["original"]
    assert open_sides(subject)["compressed"] is first["compressed"]
    for number in range(sides.MODELS.most):
        make_bert(tmp_path / "models" / f"other{number}", dim=8 + 4 * number)
        run = run_and_keep(f"other{number}", None, SETTINGS.to_dict())
        open_sides(Subject(f"other{number}", None, run.model["identity"], run.key))
    assert len(sides.MODELS.keys()) == sides.MODELS.most
    assert len(sides.TABLES.keys()) == sides.MODELS.most  # the compressed side of the dropped one went with it
    assert open_sides(subject)["original"] is not first["original"]


def test_files_that_changed_since_the_run(subject, tmp_path):
    make_bert(tmp_path / "models" / "small", dim=8)
    with pytest.raises(InputError, match="have changed since this run"):
        open_sides(subject)


def test_a_run_that_is_gone(subject):
    with pytest.raises(InputError, match="press Run"):
        open_sides(Subject(subject.name, None, subject.identity, "0" * 24))


@pytest.mark.slow
def test_an_adaptation_is_the_third_side(subject):
    from subemb.adaptation import AdaptationSettings, text_of
    from subemb.evaluate.similarity.sentences import pair_on_sides
    from subemb.tasks import adaptation

    text = text_of([f"{first} {second}" for first in LINES[:4] for second in LINES[:4]])
    key = adaptation.begin_adaptation(subject, AdaptationSettings(steps=5, train="norms"), text)
    adapted = Subject(subject.name, None, subject.identity, subject.run_key, key)
    assert adapted.content != subject.content
    with pytest.raises(InputError, match="is not over"):
        open_sides(adapted)
    adaptation.run_adaptation(key)
    opened = open_sides(adapted)
    assert list(opened) == ["original", "compressed", "adapted"]
    assert opened["compressed"] is open_sides(subject)["compressed"]
    assert opened["adapted"].identity == library.open_adapted(key).identity
    pair = pair_on_sides(opened, LINES[0], LINES[1])
    assert pair.sides == ["original", "compressed", "adapted"]
    assert list(pair.attributions) == ["compressed"]  # the network of the other is another one


@pytest.mark.slow
def test_an_adaptation_of_the_codebooks_alone_is_explained_by_tokens(subject):
    from subemb.adaptation import AdaptationSettings, text_of
    from subemb.evaluate.similarity.sentences import pair_on_sides
    from subemb.tasks import adaptation

    text = text_of([f"{first} {second}" for first in LINES[:4] for second in LINES[:4]])
    key = adaptation.begin_adaptation(subject, AdaptationSettings(steps=5), text)
    adaptation.run_adaptation(key)
    opened = open_sides(Subject(subject.name, None, subject.identity, subject.run_key, key))
    pair = pair_on_sides(opened, LINES[0], LINES[1])
    assert list(pair.attributions) == ["compressed", "adapted"]
