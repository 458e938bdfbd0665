"""The score of a run on the demonstration pairs."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from checkpoints import SPECIAL, make_bert
from scipy.stats import spearmanr
from shared import until
from static_models import make_words

import subemb
from subemb.codec import CompressionSettings, attach, compress
from subemb.evaluate.data.languages import in_languages
from subemb.evaluate.data.read import demo_pairs
from subemb.evaluate.similarity import demonstration
from subemb.evaluate.similarity.demonstration import TaskScore, demonstration_score, own_languages
from subemb.models.model import PretrainedModel
from subemb.runs import run


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small BERT that knows the words of the demonstration pairs in English."""
    pairs = in_languages(demo_pairs("similarity"), ("en",))
    words = {word for text in (*pairs.first, *pairs.second) for word in re.findall(r"\w+|[^\w\s]", text.lower())}
    folder = tmp_path_factory.mktemp("models") / "small"
    make_bert(folder, [*SPECIAL, *sorted(words)], dim=12)
    return subemb.load(folder)


def test_the_score_is_that_of_scipy_on_the_vectors_that_encode_gives(model):
    small = attach(model, compress(model.table, "product", 4, 8))
    pairs = in_languages(demo_pairs("similarity"), ("en",))
    found = demonstration_score(model, small)
    assert (found.pairs, found.languages, found.metric) == (len(pairs), ("en",), "spearman")
    for side, score in ((model, found.original), (small, found.compressed)):
        first, second = (side.encode(list(texts)).astype(np.float64) for texts in (pairs.first, pairs.second))
        cosines = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
        assert score == pytest.approx(spearmanr(cosines, pairs.gold).statistic, abs=1e-3)
    assert found.low <= found.compressed - found.original <= found.high


def test_where_no_language_is_written_in_whole_pieces_it_is_english(tmp_path):
    model = subemb.load(make_words(tmp_path / "words", 20, 6))
    assert own_languages(model, demo_pairs("similarity")) == ("en",)


def test_cosines_that_are_all_equal_have_no_score(tmp_path):
    """Nothing of the demonstration pairs is in that vocabulary."""
    model = subemb.load(make_words(tmp_path / "words", 20, 6))
    found = demonstration_score(model, attach(model, compress(model.table, "int8")))
    assert (found.original, found.compressed, found.low, found.high, found.kept) == (None,) * 5


@pytest.mark.parametrize(
    ("original", "compressed", "kept"),
    [(0.8, 0.6, 0.75), (0.8, 0.88, 1.1), (0.09, 0.09, None), (-0.5, -0.5, None), (None, 0.5, None), (0.5, None, None)],
)
def test_what_is_kept(original, compressed, kept):
    found = TaskScore("set", ("en",), 10, "spearman", original, compressed).kept
    assert found == (kept if kept is None else pytest.approx(kept))


@pytest.mark.slow
def test_a_run_has_the_score(model):
    summary, compressed = run(model, CompressionSettings("product", subspaces=4, codebook_size=8))
    assert summary.task == demonstration_score(model, attach(model, compressed))
    assert summary.no_task == ""


def test_a_run_of_a_table_without_a_network_says_why_it_has_none():
    table = PretrainedModel.from_table(np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32))
    summary, _ = run(table, CompressionSettings("product", subspaces=2, codebook_size=4))
    assert summary.task is None
    assert "no network" in summary.no_task
    assert "differences between its vectors" in summary.verdict.text


def test_a_page_is_told_a_typical_time_at_once_and_later_what_was_found_out(monkeypatch):
    monkeypatch.setattr(demonstration, "_FIRST_PAGE_SECONDS", 0.0)
    model = SimpleNamespace(identity="a table that nobody has asked for", has_network=False)
    assert demonstration.demonstration_seconds(model, can_wait=False) > 0
    until(lambda: demonstration.demonstration_seconds(model, can_wait=False) == 0)
