"""One whole run, its key, and what is kept of it."""

import json

import numpy as np
import pytest
import torch
from checkpoints import SPECIAL, make_bert, make_table
from scipy.spatial.distance import cdist

from subemb import runs
from subemb.base.errors import Cancelled, InputError
from subemb.base.paths import cache_folder
from subemb.codec.methods import METHODS
from subemb.codec.settings import CompressionSettings
from subemb.models.load import load, load_listed
from subemb.models.model import PretrainedModel

WORDS = [f"word{number}" for number in range(120)]


@pytest.fixture
def model(tmp_path, monkeypatch):
    make_bert(tmp_path / "models" / "small", [*SPECIAL, *WORDS], dim=12)
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    return load_listed("small")


def test_seconds_follow_the_table_where_tokens_that_are_alike_cost_them(tmp_path):
    table = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(0))
    alike = torch.cat([table[:15_000], table[:1] + 0.01 * table[15_000:]])
    broken = table.index_fill(0, torch.tensor([7]), float("nan"))
    models = [load(str(make_table(tmp_path / str(number), one))) for number, one in enumerate((table, alike, broken))]
    settings = CompressionSettings("cluster", subspaces=8, codebook_size=32).resolve(*table.shape)
    apart, often, unknown = (runs.estimate_run_seconds(settings, *table.shape, model) for model in models)
    assert apart < 0.8 * often
    assert often == unknown == runs.estimate_run_seconds(settings, *table.shape), "a broken table is for the run to refuse"


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_same_kind_of_run(model, method):
    summary, compressed = runs.run(model, CompressionSettings(method, subspaces=3, iterations=3))
    assert summary.settings.method == method
    assert summary.size == compressed.size(model.parameters)
    assert 0 <= summary.quality["relative_error"] < 1.2
    assert -1 <= summary.quality["mean_cosine"] <= 1
    assert 0 <= summary.quality["neighbours_kept"] <= 1
    assert (summary.quality["distinct_tuples"] is None) == (not METHODS[method].uses_codebooks and method != "tiered")
    assert runs.Run.from_dict(json.loads(json.dumps(summary.to_dict()))) == summary


@pytest.mark.slow
def test_the_numbers_are_those_of_an_independent_computation(model):
    """Error, cosine and neighbours with numpy and scipy alone."""
    summary, compressed = runs.run(model, CompressionSettings("product", subspaces=2, codebook_size=8, iterations=4))
    table, rebuilt = model.table.double().numpy(), compressed.reconstruct().double().numpy()
    error = ((table - rebuilt) ** 2).sum() / ((table - table.mean(0)) ** 2).sum()
    assert not table[0].any(), "a padding token is the zero vector: its cosine counts 0 unless it is rebuilt exactly"
    cosine = 1 - np.array([cdist(a[None], b[None], "cosine")[0, 0] for a, b in zip(table, rebuilt, strict=True)][1:])
    cosine = np.append(cosine, 0.0)
    assert summary.quality["relative_error"] == pytest.approx(error, rel=1e-5)
    assert summary.quality["mean_cosine"] == pytest.approx(cosine.mean(), rel=1e-5)
    assert summary.quality["neighbours_sample"] == len(table)
    assert summary.quality["distinct_tuples"] == len({tuple(row) for row in compressed.codes.tolist()})


def test_a_run_is_kept_and_found_again(model):
    settings = CompressionSettings("cluster", iterations=3)
    first = runs.run_and_keep("small", None, settings.to_dict())
    kept = runs.RUNS.get(first.key)
    assert kept == first
    assert runs.Run.from_dict(json.loads(json.dumps(first.to_dict()))) == kept
    _, fresh = runs.run(model, settings)
    assert torch.equal(runs.compressed_of(first.key).codes, fresh.codes)
    seen = []
    assert runs.run_and_keep("small", None, settings.to_dict(), progress=seen.append) == first
    assert not seen, "a kept run is not computed again"


def test_a_run_whose_codebooks_got_more_bits_says_so_and_is_found_again(monkeypatch, tmp_path):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    model = PretrainedModel.from_table(5 + 0.01 * torch.randn(400, 32, generator=torch.Generator().manual_seed(0)))
    settings = runs.resolved(CompressionSettings("product", subspaces=4, codebook_size=32, weights="none"), model, None)
    summary, _ = runs.run(model, settings)
    assert summary.settings.codebook_bits == 32
    assert summary.asked == settings
    assert summary.key == runs.run_key(model.identity, summary.asked)
    assert "codebooks have 32 bits a number, because in 8 bits the error would be" in summary.rounding_text
    assert runs.Run.from_dict(json.loads(json.dumps(summary.to_dict()))) == summary


@pytest.mark.slow
def test_a_budget_for_some_tokens_is_found_again_by_what_was_asked(model):
    settings = runs.resolved(CompressionSettings("tiered", budget="700", keep="40", iterations=2), model, None)
    summary, _ = runs.run(model, settings)
    assert summary.settings.tiers.endswith("*:nearest")
    assert summary.asked == settings


def test_a_damaged_kept_run_is_computed_again(model):
    settings = CompressionSettings("arbitrary")
    key = runs.run_and_keep("small", None, settings.to_dict()).key
    (cache_folder("runs") / key / "run.json").write_text("{ not json")
    assert runs.RUNS.get(key) is None
    again = runs.run_and_keep("small", None, settings.to_dict())
    assert again.key == key
    assert runs.RUNS.get(key) is not None


@pytest.mark.slow
def test_damaged_codes_are_dropped_with_their_run(model):
    key = runs.run_and_keep("small", None, CompressionSettings("product", subspaces=2, codebook_size=4).to_dict()).key
    tensors = next((cache_folder("runs") / key).glob("*.safetensors"))
    tensors.write_bytes(tensors.read_bytes()[:-7])
    with pytest.raises(InputError, match="press Run"):
        runs.compressed_of(key)
    assert runs.RUNS.get(key) is None


def test_the_key_tells_models_and_settings_apart():
    base = CompressionSettings()
    keys = {
        runs.run_key("a@1", base),
        runs.run_key("a@2", base),
        runs.run_key("a@1", CompressionSettings(seed=1)),
        runs.run_key("a@1", CompressionSettings(weights="counts", text_digest="x")),
        runs.run_key("a@1", CompressionSettings(weights="counts", text_digest="y")),
    }
    assert len(keys) == 5
    assert runs.run_key("a@1", base) == runs.run_key("a@1", CompressionSettings())


@pytest.mark.slow
def test_counted_tokens_are_rebuilt_better(model):
    """Weights by counts must lower the error of the tokens that the text consists of."""
    text = "word1 word2 word3 " * 500
    plain = CompressionSettings("product", subspaces=2, codebook_size=4, weights="none")
    counted = CompressionSettings("product", subspaces=2, codebook_size=4, weights="counts", text_digest="t")
    often = [model.tokenizer.convert_tokens_to_ids(f"word{number}") for number in (1, 2, 3)]

    def error(settings, **more) -> float:
        _, compressed = runs.run(model, settings, **more)
        return float((model.table - compressed.reconstruct())[often].square().sum())

    assert error(counted, text=text) < 0.5 * error(plain)


@pytest.mark.slow
def test_two_texts_are_two_runs(model):
    """Also where nobody gave their digest: a kept run must not be shown for another text."""
    settings = CompressionSettings("product", subspaces=2, codebook_size=4, weights="counts").to_dict()
    first, second = (runs.run_and_keep("small", None, settings, text=f"{word} " * 500) for word in ("word1", "word2"))
    assert first.key != second.key
    assert first.quality["weighted_error"] != second.quality["weighted_error"]
    assert runs.RUNS.get(first.key) == first


def test_counts_without_a_text_are_refused(model):
    with pytest.raises(InputError, match=r"'counts' need a text"):
        runs.run(model, CompressionSettings("product", subspaces=2, codebook_size=4, weights="counts"), text="  \n ")


def test_the_callback_can_stop_a_run(model):
    with pytest.raises(Cancelled):
        runs.run(model, CompressionSettings("cluster"), progress=lambda message: True)


def test_another_format_is_refused():
    with pytest.raises(InputError, match="another version"):
        runs.Run.from_dict({"format": 99})


def test_an_unusable_cache_folder_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="SUBEMB_CACHE"):
        cache_folder("runs")


@pytest.mark.slow
def test_a_run_that_was_asked_for_is_filmed_and_one_without_a_film_says_so(model):
    settings = CompressionSettings("cluster", iterations=3)
    key = runs.run_and_keep("small", None, settings.to_dict()).key
    pictures = runs.film_of_run(key)
    codes = runs.compressed_of(key).codes
    assert pictures[-1]["codes"] == codes[pictures[0]["tokens"], 0].tolist()
    film = runs.RUNS.path(key) / "film.json"
    for damage in ("[1", "{}", "null"):
        film.write_text(damage)
        assert runs.film_of_run(key) == []
    film.unlink()
    assert runs.film_of_run(key) == []
    assert runs.RUNS.get(key).key == key
