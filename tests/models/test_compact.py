"""The compact folder of an adapted model: it comes back equal, and nothing damaged or foreign is opened."""

import itertools
import json

import numpy as np
import pytest
import torch
from checkpoints import ARCHITECTURES, SPECIAL, WORDS, make_bert, make_sentence_model
from safetensors.torch import load_file, save_file

import subemb
from subemb.base.errors import InputError, ModelError
from subemb.models.compact import WEIGHTS_FILE
from subemb.models.load import load_compact

SENTENCES = ["the cat sits on the mat", "a dog runs", "two birds sing under the tree"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return subemb.load(make_bert(tmp_path_factory.mktemp("models") / "small", [*SPECIAL, *WORDS]))


@pytest.fixture
def adapted(model):
    texts = [f"{first} {second}" for first in WORDS[:5] for second in WORDS[5:10]]
    return subemb.adapt(model, subemb.compress(model.table, "product", 2, 8), texts, steps=5, train="norms")


@pytest.fixture
def folder(adapted, tmp_path):
    adapted.save_pretrained(tmp_path / "out", note="mine")
    return tmp_path / "out"


def test_it_comes_back_equal(adapted, folder):
    again = subemb.load(folder)
    assert np.abs(again.encode(SENTENCES) - adapted.encode(SENTENCES)).max() < 1e-6
    assert again.facts == adapted.facts
    assert again.identity == adapted.identity
    assert sorted(path.name for path in folder.iterdir()) == [WEIGHTS_FILE, "config.json", "subspace_embedding.safetensors"]
    assert json.loads((folder / "config.json").read_text())["note"] == "mine"
    embedding = subemb.SubspaceEmbedding.from_pretrained(folder)
    assert torch.equal(embedding.weight, again.table)


def test_a_compressed_table_that_was_not_trained_opens_too(model, tmp_path):
    from subemb.models.model import describe

    compressed = subemb.compress(model.table, "cluster", 2)
    compressed.save_pretrained(tmp_path, model=describe(model))
    expected = subemb.attach(model, compressed).encode(SENTENCES)
    assert np.abs(subemb.load(tmp_path).encode(SENTENCES) - expected).max() < 1e-6


@pytest.mark.slow
def test_without_changed_weights_there_is_no_file_of_them(model, adapted, folder):
    texts = [" ".join(pair) for pair in itertools.pairwise(WORDS)]
    only_table = subemb.adapt(model, adapted.compressed, texts, steps=2)
    only_table.save_pretrained(folder)
    assert not (folder / WEIGHTS_FILE).exists()
    assert subemb.load(folder).weights == {}


def test_a_table_of_nobody_needs_its_model(model, tmp_path):
    subemb.compress(model.table, "product", 2, 8).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="does not say of which model"):
        subemb.load(tmp_path)
    assert load_compact(tmp_path, model).original is model


@pytest.mark.slow
def test_another_original_is_refused(adapted, folder, model, tmp_path):
    other = subemb.load(make_bert(tmp_path / "small", [*SPECIAL, *WORDS], initializer_range=0.3))
    with pytest.raises(ModelError, match="what is there now is"):
        load_compact(folder, other)


@pytest.mark.slow
def test_an_original_that_is_gone_is_said(folder):
    config = json.loads((folder / "config.json").read_text())
    config["model"]["name"] = "/nowhere/small"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="needs the other weights of /nowhere/small"):
        subemb.load(folder)


def cut(folder):
    content = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(content[: len(content) // 2])


def gone(folder):
    (folder / WEIGHTS_FILE).unlink()


def not_finite(folder):
    rewrite(folder, lambda name, tensor: tensor * float("nan"))


def other_shape(folder):
    rewrite(folder, lambda name, tensor: tensor.repeat(2))


def other_name(folder):
    weights = load_file(folder / WEIGHTS_FILE)
    rewrite(folder, None, {f"{name}.x": tensor for name, tensor in weights.items()})


def other_content(folder):
    weights = {name: tensor + 1 for name, tensor in load_file(folder / WEIGHTS_FILE).items()}
    save_file(weights, folder / WEIGHTS_FILE)  # config.json is not told


def rewrite(folder, change, weights=None):
    """Other weights, with a config.json that agrees with them."""
    import hashlib

    weights = weights or {name: change(name, tensor) for name, tensor in load_file(folder / WEIGHTS_FILE).items()}
    save_file(weights, folder / WEIGHTS_FILE)
    config = json.loads((folder / "config.json").read_text())
    config["changed_weights"] = {
        "sha256": hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest(),
        "shapes": {name: list(tensor.shape) for name, tensor in weights.items()},
    }
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "cut off or damaged"),
        (gone, "cannot be read"),
        (not_finite, "must hold finite float32 numbers"),
        (other_shape, "has shape"),
        (other_name, "belongs to another model"),
        (other_content, "is not the file that config.json was written for"),
    ],
)
def test_what_is_damaged_is_refused(folder, damage, message):
    damage(folder)
    with pytest.raises(InputError, match=message):
        subemb.load(folder).encode(SENTENCES)


@pytest.mark.slow
def test_weights_of_another_shape_are_refused_when_it_is_opened(folder):
    name, tensor = min(load_file(folder / WEIGHTS_FILE).items(), key=lambda item: item[0])
    rewrite(folder, lambda name, tensor: tensor.repeat(2))
    with pytest.raises(InputError) as error:
        subemb.load(folder)
    for part in (name, str((2 * len(tensor),)), str((len(tensor),))):
        assert part in str(error.value)


@pytest.mark.slow
def test_weights_of_another_model_are_refused_when_it_is_opened(folder):
    name = min(load_file(folder / WEIGHTS_FILE))
    other_name(folder)
    with pytest.raises(InputError, match=rf"small has no weight {name}\.x, .*belongs to another model"):
        subemb.load(folder)


def with_everything(original, folder, head=None):
    """A saved result in which every weight of the original's network is a changed one."""
    from subemb.adaptation.settings import AdaptationSettings
    from subemb.adaptation.students import trained_names

    network = original.network(head)
    own = dict(network.named_parameters())
    weights = {name: own[name].detach() + 0.01 for name in trained_names(network, AdaptationSettings(train="everything"))}
    model = original.adapted(subemb.compress(original.table, "product", 2, 4), weights)
    model.save_pretrained(folder)
    return model


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("make", ARCHITECTURES, ids=lambda make: make.__name__)
def test_every_family_finds_its_weights_again(make, tmp_path):
    original = subemb.load(make(tmp_path / "m"))
    model = with_everything(original, tmp_path / "out")
    assert set(subemb.load(tmp_path / "out").weights) == set(model.weights)


@pytest.mark.slow
@pytest.mark.parametrize("head", [None, "masked", "classifier"])
def test_weights_of_heads_are_found_again(head, tmp_path):
    import entailment_models
    import masked_models

    if head == "classifier":
        entailment_models.make_classifier(tmp_path / "m")
    else:
        masked_models.train(tmp_path / "m", steps=1)
    original = subemb.load(tmp_path / "m")
    model = with_everything(original, tmp_path / "out", head)
    assert set(subemb.load(tmp_path / "out").weights) == set(model.weights)


def test_weights_are_found_in_a_sentence_model_and_under_old_names(tmp_path):
    folder = make_sentence_model(make_bert(tmp_path / "m", [*SPECIAL, *WORDS]))
    weights = load_file(folder / "model.safetensors")
    old = {f"bert.{n}".replace("LayerNorm.weight", "LayerNorm.gamma"): tensor for n, tensor in weights.items()}
    save_file(old, folder / "model.safetensors", {"format": "pt"})
    with_everything(subemb.load(folder), tmp_path / "out")
    again = subemb.load(tmp_path / "out")
    assert any("LayerNorm.weight" in name for name in again.weights)
    rewrite(tmp_path / "out", lambda name, tensor: tensor[:1])
    with pytest.raises(InputError, match="has shape"):
        subemb.load(tmp_path / "out")


def test_the_weights_are_checked_without_building_the_network(folder, monkeypatch):
    from subemb.models import network

    monkeypatch.setattr(network, "architecture_of", None)
    assert subemb.load(folder).weights


@pytest.mark.slow
def test_names_that_nobody_can_look_up_are_left_to_the_network(folder, monkeypatch):
    from subemb.models import network

    def cannot(*_):
        raise ModelError("the network of m cannot be built", "unsupported")  # as of strange architectures

    other_name(folder)
    monkeypatch.setattr(network, "architecture_of", cannot)
    assert subemb.load(folder).weights
