"""Adapting where there is a CUDA device, and saying so where there is none."""

import masked_models
import numpy as np
import pytest
import torch
from checkpoints import SPECIAL, WORDS, make_bert, make_sentence_model
from entailment_models import make_classifier, training_pairs

import subemb
from subemb.adaptation import AdaptationSettings, text_of_pairs
from subemb.adaptation.settings import device_for
from subemb.base.errors import InputError
from subemb.cli import main

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
NAMES = [word for word in WORDS if word.isalpha()]


def made(kind: str, folder) -> subemb.PretrainedModel:
    if kind == "classifier":
        return subemb.load(make_classifier(folder / "classifier"))
    if kind == "masked":
        return subemb.load(masked_models.trained() / "animals")
    base = make_bert(folder / "small", [*SPECIAL, *WORDS])
    return subemb.load(make_sentence_model(base) if kind == "sentence" else base)


@without_cuda
def test_a_device_that_is_not_there_is_said(tmp_path, capsys):
    assert device_for("auto") == torch.device("cpu")
    with pytest.raises(InputError, match=r"device is 'cuda', but torch .* finds no CUDA device here; use cpu or auto"):
        device_for("cuda")
    base = make_bert(tmp_path / "small", [*SPECIAL, *WORDS])
    given = ["adapt", str(base), "--method", "cluster", "-f", "2", "-q", "8", "--no-text", "--device", "cuda"]
    assert main([*given, "-o", str(tmp_path / "out"), "--quiet"]) == 2
    assert "finds no CUDA device here" in capsys.readouterr().err


def test_a_device_that_nobody_knows_is_said():
    with pytest.raises(InputError, match="device is 'gpu'; it must be one of auto, cpu, cuda"):
        AdaptationSettings(device="gpu")


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("kind", ["plain", "sentence", "masked", "classifier"])
def test_a_moved_model_is_a_copy_that_gives_the_same(kind, tmp_path):
    model = made(kind, tmp_path)
    moved = model.on_device("cpu")
    texts = [" ".join(NAMES[i : i + 3]) for i in range(6)] if kind in ("plain", "sentence") else masked_models.sentences()
    assert np.allclose(moved.encode(texts), model.encode(texts), atol=1e-6)
    assert (moved.identity, moved.parameters, moved.pooling) == (model.identity, model.parameters, model.pooling)
    head = None if kind in ("plain", "sentence") else kind
    assert head is None or moved.has_head(head)
    own, given = moved.network(head), model.network(head)
    for (name, here), (other, there) in zip(own.named_parameters(), given.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(here, there)
        assert here.data_ptr() != there.data_ptr()
    if kind == "masked":  # the head still shares the table, and is compressed with it
        compressed = subemb.compress(model.table, "product", 2, 6)
        assert subemb.attach(moved, compressed).network("masked").attachment.head == "compressed"


@needs_cuda
@pytest.mark.parametrize("train", ["codebooks", "everything"])
@pytest.mark.parametrize("kind", ["plain", "sentence", "masked", "classifier"])
def test_distillation_on_cuda_learns_what_it_learns_on_the_cpu(kind, train, tmp_path):
    model = made(kind, tmp_path)
    compressed = subemb.compress(model.table, "product", 2, 6)
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(NAMES, 5)) for _ in range(80)]
    text = {"masked": masked_models.sentences(), "classifier": text_of_pairs(training_pairs())}.get(kind, texts)
    here, there = (
        subemb.adapt(model, compressed, text, steps=20, batch_size=8, train=train, device=device, folder=None)
        for device in ("cpu", "cuda")
    )
    assert (here.facts["device"], there.facts["device"]) == ("cpu", "cuda")
    losses = [[point["loss"] for point in side.facts["history"] if "loss" in point] for side in (here, there)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert there.table.device.type == "cpu"
    assert torch.allclose(here.table, there.table, atol=1e-2)
    assert all(value.device.type == "cpu" for value in there.weights.values())


@needs_cuda
def test_fine_tuning_on_cuda_trains_both(tmp_path):
    model = made("classifier", tmp_path)
    compressed = subemb.compress(model.table, "product", 2, 6)
    folder = tmp_path / "state"
    folder.mkdir()
    adapted = subemb.adapt(
        model, compressed, labelled=training_pairs(), objective="entailment", steps=20, device="cuda", folder=folder
    )
    again = subemb.adapt(
        model, compressed, labelled=training_pairs(), objective="entailment", steps=20, device="cpu", folder=folder
    )  # what CUDA left is read where there is none
    assert torch.allclose(adapted.table, again.table)
