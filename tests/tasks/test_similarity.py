"""The jobs of the page Similarity, called as a worker calls them."""

import pickle

import numpy as np
import pytest
import torch
from apps import own_folders
from checkpoints import SPECIAL, make_bert, make_table, make_xlmr

from subemb.base.errors import Cancelled, InputError, ModelError
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.similarity import moved
from subemb.evaluate.similarity.effects import AttributionSettings, cosines
from subemb.evaluate.similarity.sentences import pair_on_sides
from subemb.models.load import load_listed
from subemb.runs import run_and_keep
from subemb.tasks.evaluations import compare_lists, compare_pair, move_sentence
from subemb.tasks.sides import Subject, open_sides

SETTINGS = CompressionSettings("product", subspaces=2, codebook_size=4, iterations=2)
FIRST, SECOND = "the cat sits on the mat", "a small dog runs"


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", initializer_range=0.3)
        make_xlmr(folder / "unigram")
        make_table(folder / "bare", load_listed("all-MiniLM-L6-v2").table[:40, :8].clone())
        found = {}
        for name in ("small", "unigram", "bare"):
            run = run_and_keep(name, None, SETTINGS.to_dict())
            found[name] = Subject(name, None, run.model["identity"], run.key)
        yield found


def test_a_pair_on_both_sides(subjects):
    found = compare_pair(subjects["small"], FIRST, SECOND)
    assert found.sides == ["original", "compressed"]
    for side, model in open_sides(subjects["small"]).items():
        vectors = model.encode([FIRST, SECOND])
        assert found.cosines[side] == pytest.approx(float(cosines(vectors[0], vectors[1])), abs=1e-5)
    effects = found.attributions["compressed"]
    assert effects.after == pytest.approx(found.cosines["compressed"], abs=1e-5)
    assert effects.change == pytest.approx(found.change("compressed"), abs=1e-5)
    assert found.sentences[0].tokens == ("[CLS]", *FIRST.split(), "[SEP]")
    assert found.sentences[0].kinds[0] == "special"
    assert len(effects.first.tokens) == 8
    assert "mean" in found.pooling
    assert pickle.loads(pickle.dumps(found)).cosines == found.cosines  # it crosses processes


def test_a_sentence_moves_as_far_as_its_vectors_are_apart(subjects):
    found = move_sentence(subjects["small"], FIRST)
    before, after = (model.encode([FIRST])[0].astype(float) for model in open_sides(subjects["small"]).values())
    assert found.cosines["original"] == pytest.approx(1)
    assert found.cosines["compressed"] == pytest.approx(float(cosines(before, after)), abs=1e-5)
    assert len(found.tokens) == len(found.sentence.ids) == 8
    assert pickle.loads(pickle.dumps(found)).pooling == found.pooling


def test_the_same_token_alone_moves_a_sentence_as_replacing_its_row_does(subjects):
    model, compressed = open_sides(subjects["small"]).values()
    found = move_sentence(subjects["small"], FIRST)
    token = found.sentence.ids[2]
    table = torch.nn.Embedding.from_pretrained(model.table.clone())
    table.weight[token] = compressed.network().get_input_embeddings()(torch.tensor([token]))[0]
    before, after = (one.encode_ids([found.sentence.ids])[0].astype(float) for one in (model, model.with_embeddings(table)))
    assert found.sentence.ids.count(token) == 1
    assert found.tokens[2] == pytest.approx(float(cosines(before, after)), abs=1e-5)


def test_tokens_of_a_long_sentence_are_not_replaced_one_by_one(subjects, monkeypatch):
    monkeypatch.setattr(moved, "MOST_TOKENS", 5)
    assert move_sentence(subjects["small"], FIRST).tokens is None
    with pytest.raises(InputError, match="is empty"):
        move_sentence(subjects["small"], "  ")


def test_a_pair_of_the_original_alone(subjects):
    subject = subjects["small"]
    found = compare_pair(Subject(subject.name, None, subject.identity, None), FIRST, SECOND)
    assert found.sides == ["original"]
    assert found.attributions == {}


def test_what_a_model_does_not_read_is_told(subjects):
    found = compare_pair(subjects["small"], "the cat " * 100, FIRST, AttributionSettings(exact_tokens=8))
    long, short = found.sentences
    assert long.is_cut
    assert (len(long.ids), long.full_length) == (64, 202)
    assert not short.is_cut
    assert short.full_length == len(short.ids) == 8
    assert not found.attributions["compressed"].tokens_exact


def test_three_sides(subjects):
    sides = open_sides(subjects["small"])
    found = pair_on_sides({**sides, "again": sides["compressed"]}, FIRST, SECOND)
    assert list(found.attributions) == ["compressed", "again"]
    assert np.array_equal(found.attributions["again"].first.tokens, found.attributions["compressed"].first.tokens)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("  ", "the first sentence is empty"),
        ("x" * 10_000_000, "the first sentence has 10,000,000 characters; at most 2,000 are compared"),
        (3, "the first sentence is 3, a int"),
    ],
)
def test_sentences_that_cannot_be_used(subjects, first, message):
    with pytest.raises(InputError, match=message):
        compare_pair(subjects["small"], first, SECOND)


def test_a_table_without_tokenizer(subjects):
    with pytest.raises(ModelError) as caught:
        compare_pair(subjects["bare"], FIRST, SECOND)
    assert caught.value.reason in ("no_tokenizer", "unsupported")


def test_lists(subjects):
    found = compare_lists(subjects["unigram"], [FIRST, SECOND])
    assert found.second is None
    assert found.matrices["compressed"].shape == (2, 2)
    found = compare_lists(subjects["small"], [FIRST, SECOND], [SPECIAL[1]])
    assert found.matrices["compressed"].shape == (2, 1)


def test_both_can_be_stopped(subjects):
    for job, given in ((compare_pair, (FIRST, SECOND)), (compare_lists, ([FIRST, SECOND],))):
        with pytest.raises(Cancelled):
            job(subjects["small"], *given, progress=lambda message: message.fraction is not None and message.fraction > 0.3)
