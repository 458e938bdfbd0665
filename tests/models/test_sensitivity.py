"""Sensitivities: what is measured, what is kept, what comes with subemb."""

import pytest
import torch
from checkpoints import SPECIAL, WORDS, make_bert, make_sentence_model
from shared import shared_path

import subemb
from subemb import runs
from subemb.base.errors import InputError
from subemb.base.paths import app_folder
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.data.read import read_pairs
from subemb.evaluate.similarity.pairs import cosines
from subemb.evaluate.statistics import spearman
from subemb.models.drawn import sampled_rows
from subemb.models.sensitivity import (
    SENSITIVITIES,
    measured_sensitivity,
    rows_enough,
    ship,
    shipped_sensitivity,
    text_rows,
)


def test_sensitivity_is_what_finite_differences_give(tmp_path):
    """The expected change of the sentence vector for a small change of one embedding, measured on the network itself."""
    model = subemb.load(make_sentence_model(make_bert(tmp_path / "small", [*SPECIAL, *WORDS])))
    words = [word for word in WORDS if word.isalpha()]
    rows = model.token_ids([" ".join(words[:3]), words[5]])
    matrix = measured_sensitivity(model, rows * 400)
    assert matrix.shape == (model.dim, model.dim)
    assert torch.allclose(matrix, matrix.T, atol=1e-5)
    assert float(matrix.diagonal().mean()) == pytest.approx(1.0, abs=1e-5)
    assert float(torch.linalg.eigvalsh(matrix.double()).min()) > -1e-4
    exact = torch.zeros(model.dim, model.dim)
    weight = torch.nn.Embedding.from_pretrained(model.table.clone(), freeze=False)
    probe = model.with_embeddings(weight)
    seen: list[torch.Tensor] = []
    weight.register_forward_hook(lambda module, inputs, output: seen.append(output))
    for row in rows:
        seen.clear()
        vector = torch.nn.functional.normalize(probe.encode_ids_tensor([row]))[0]
        for number in range(len(vector)):
            (gradient,) = torch.autograd.grad(vector[number], seen, retain_graph=True)
            flat = gradient.flatten(0, -2)
            exact += flat.T @ flat
    exact /= exact.diagonal().mean()
    assert float((matrix - exact).norm() / exact.norm()) < 0.2  # 800 random directions


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    return subemb.load(make_sentence_model(make_bert(tmp_path / "small", [*SPECIAL, *WORDS])))


@pytest.mark.slow
def test_what_is_measured_on_drawn_rows_is_kept(model):
    first = model.sensitivity()
    assert first.shape == (model.dim, model.dim)
    assert torch.equal(first, first.T)
    key = SENSITIVITIES.key(model=model.identity, rows=rows_enough(model.dim), seed=0)
    assert torch.equal(SENSITIVITIES.get(key), first)
    assert torch.equal(model.sensitivity(), first)
    assert not torch.equal(model.sensitivity(seed=1), first)
    hasty = model.sensitivity(seed=2, seconds=0.0)
    assert hasty.diagonal().mean() == pytest.approx(1.0, abs=1e-5)
    assert not torch.equal(model.sensitivity(seed=2), hasty), "what was broken off is not kept"


@pytest.mark.slow
def test_seconds_told_for_a_run_count_what_it_has_to_find_out(model):
    shape = model.num_tokens, model.dim
    plain, asked = (CompressionSettings("product", sensitive=sensitive).resolve(*shape) for sensitive in (False, True))
    score = runs.estimate_run_seconds(plain, *shape, model) - runs.estimate_run_seconds(plain, *shape)
    assert score > 0.1
    before = runs.estimate_run_seconds(asked, *shape, model)
    assert before > runs.estimate_run_seconds(asked, *shape) + score + 0.1
    model.sensitivity()
    after = runs.estimate_run_seconds(asked, *shape, model)
    assert after == pytest.approx(runs.estimate_run_seconds(asked, *shape) + score)


def test_without_a_network_every_axis_counts_alike():
    table = subemb.PretrainedModel.from_table(torch.randn(9, 4))
    assert torch.equal(table.sensitivity(), torch.eye(4))


@pytest.mark.slow
def test_a_text_says_more(model):
    text = "\n".join(" ".join(WORDS[i : i + 3]) for i in range(12))
    rows = text_rows(model, text + "\n\n")
    assert sorted(rows) == sorted(model.token_ids(text.splitlines()))
    assert not torch.equal(model.sensitivity(rows), model.sensitivity())
    with pytest.raises(InputError, match="no rows"):
        model.sensitivity([])
    settings = CompressionSettings("product", subspaces=4, codebook_size=8, sensitive=True)
    of_text, _ = runs.run(model, settings, text)
    of_none, compressed = runs.run(model, settings)
    assert of_text.key != of_none.key
    assert of_text.settings.text_digest is not None
    assert of_none.quality["sensitive_error"] == compressed.info["sensitive_error"]
    assert subemb.compress(model, settings=settings).codes.equal(compressed.codes)


def test_a_search_for_a_sensitivity_can_be_stopped(model):
    with pytest.raises(subemb.Cancelled):
        runs.run(model, CompressionSettings("product", sensitive=True), None, lambda message: "axes matter" in message.stage)


def test_what_comes_with_subemb_is_what_its_card_says(model, tmp_path, monkeypatch):
    """Of a small model: the line on the card writes what the model then reads in place of measuring."""
    monkeypatch.setattr("subemb.base.paths.app_folder", lambda: tmp_path)
    assert shipped_sensitivity(model) is None
    measured = model.sensitivity()
    ship(model, tmp_path / "assets" / "sensitivity" / "small")
    assert torch.equal(model.sensitivity(), measured.half().float())
    other = subemb.load(make_sentence_model(make_bert(tmp_path / "other", [*SPECIAL, *WORDS], dim=8)))
    assert shipped_sensitivity(other) is None
    (tmp_path / "assets" / "sensitivity" / "small" / "sensitivity.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="holds no sensitivity"):
        model.sensitivity()


def test_the_bundled_models_sensitivity_comes_with_subemb():
    model = subemb.load("all-MiniLM-L6-v2")
    shipped = shipped_sensitivity(model)
    assert torch.equal(model.sensitivity(), shipped)
    assert shipped.shape == (384, 384)
    assert torch.equal(shipped, shipped.T)
    assert float(shipped.diagonal().mean()) == pytest.approx(1.0, abs=1e-3)
    folder = app_folder() / "assets" / "sensitivity" / "all-MiniLM-L6-v2"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 150_000


@pytest.mark.slow
def test_the_bundled_models_sensitivity_is_what_is_measured():
    """On a tenth of the rows, other ones: what chance leaves apart, the same axes and pairs of axes matter."""
    model = subemb.load("all-MiniLM-L6-v2")
    shipped = shipped_sensitivity(model)
    measured = measured_sensitivity(model, sampled_rows(model, 200, seed=5), seed=5)
    assert float(torch.corrcoef(torch.stack([measured.diagonal(), shipped.diagonal()]))[0, 1]) > 0.97
    assert float(torch.corrcoef(torch.stack([measured.flatten(), shipped.flatten()]))[0, 1]) > 0.8


@pytest.mark.slow
def test_the_bundled_model_keeps_more_with_sensitive_codes():
    """Similarity on SICK, on which nothing of this was chosen: more at the same bytes, without any training or text."""
    model = subemb.load("all-MiniLM-L6-v2")
    pairs = read_pairs(shared_path("data/sick/SICK_trial.txt"), task="similarity").select(range(0, 500, 2))
    scores = []
    for sensitive in (False, True):
        side = subemb.attach(model, subemb.compress(model, "product", 8, 61, sensitive=sensitive))
        scores.append(100 * spearman(pairs.gold, cosines(side, pairs.first, pairs.second)))
    assert scores[1] > scores[0] + 1
