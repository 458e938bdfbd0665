"""What is trained and what is not: tied weights change together, and the original keeps its own as they were."""

import json
import shutil

import masked_models
import numpy as np
import pytest
import torch
from checkpoints import SPECIAL, WORDS, make_albert, make_bert, make_deberta, make_mpnet, make_roberta, make_sentence_model
from entailment_models import make_classifier, training_pairs
from safetensors.torch import load_file, save_file

import subemb
from subemb import export
from subemb.adaptation import AdaptationSettings, text_of_pairs
from subemb.adaptation.students import OriginalStudent, Student
from subemb.codec.layers import SubspaceEmbedding, SubspaceLinear
from subemb.codec.modules import share_weights
from subemb.evaluate.data.pairs import PairSet
from subemb.models.network import exchange_weights, freeze

NAMES = [word for word in WORDS if word.isalpha()]
BIAS = "cls.predictions.bias"


@pytest.fixture(scope="module")
def trained(animals):
    return subemb.adapt(
        animals, subemb.compress(animals.table, "product", 2, 6), masked_models.sentences(), objective="masked", train="norms",
        steps=12, network_rate=1e-2, reassign=False,
    )  # fmt: skip


def logits(network, tokenizer) -> torch.Tensor:
    with torch.no_grad():
        return network(**tokenizer([text for text, _ in masked_models.questions()], return_tensors="pt", padding=True)).logits


def named(network) -> dict[str, torch.nn.Parameter]:
    """Every parameter under every name that it has."""
    return dict(network.named_parameters(remove_duplicate=False))


# Tied weights


@pytest.mark.parametrize("compressed", [False, True], ids=["dense head", "compressed head"])
def test_the_output_bias_is_exchanged_wherever_it_is_held(animals, compressed):
    side = subemb.attach(animals, subemb.compress(animals.table, "product", 2, 6)) if compressed else animals
    network = side.network("masked")
    assert isinstance(network.get_output_embeddings(), SubspaceLinear) == compressed
    before = named(network)
    bias = before[BIAS].detach().clone()
    change = torch.randn(len(bias), generator=torch.Generator().manual_seed(0))
    changed = exchange_weights(network, {BIAS: bias + change})
    own = named(changed)
    assert own[BIAS] is own["cls.predictions.decoder.bias"]
    moved = logits(changed, animals.tokenizer) - logits(network, animals.tokenizer)
    assert torch.allclose(moved, change.expand_as(moved), atol=1e-4)
    # Nothing else is touched, on either side.
    assert torch.equal(named(network)[BIAS], bias)
    assert all(own[name] is before[name] for name in own if before[name] is not before[BIAS])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "class_name"),
    [
        (make_roberta, "RobertaForMaskedLM"),
        (make_albert, "AlbertForMaskedLM"),
        (make_mpnet, "MPNetForMaskedLM"),
        (make_deberta, "DebertaV2ForMaskedLM"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_in_every_family_weights_that_were_one_stay_one(make, class_name, tmp_path):
    model = subemb.load(masked_models.with_masked_head(tmp_path / "m", make, class_name))
    network = subemb.attach(model, subemb.compress(model.table, "product", 2, 4)).network("masked")
    before, first = named(network), dict(network.named_parameters())
    changed = exchange_weights(network, {name: value + 1 for name, value in first.items()})
    own = named(changed)
    for name, value in own.items():
        (known,) = (other for other in first if first[other] is before[name])
        assert value is own[known]
        assert torch.equal(value, before[name] + 1)


def test_a_weight_is_found_by_any_of_its_names(animals):
    value = torch.zeros(animals.num_tokens)
    changed = named(exchange_weights(animals.network("masked"), {"cls.predictions.decoder.bias": value}))
    assert torch.equal(changed[BIAS], value)
    assert changed[BIAS] is changed["cls.predictions.decoder.bias"]


@pytest.mark.slow
def test_the_output_bias_is_trained_and_used(animals, trained):
    change = trained.weights[BIAS] - named(animals.network("masked"))[BIAS].detach()
    assert float(change.abs().max()) > 1e-3
    network = trained.network("masked")
    without = exchange_weights(network, {BIAS: trained.weights[BIAS] - change})
    moved = logits(network, animals.tokenizer) - logits(without, animals.tokenizer)
    assert torch.allclose(moved, change.expand_as(moved), atol=1e-4)


@pytest.mark.slow
def test_a_trained_output_bias_is_saved_and_exported(animals, trained, tmp_path):
    wanted = logits(trained.network("masked"), animals.tokenizer)
    trained.save_pretrained(tmp_path / "out")
    again = subemb.load(tmp_path / "out")
    assert torch.equal(again.weights[BIAS], trained.weights[BIAS])
    assert (logits(again.network("masked"), animals.tokenizer) - wanted).abs().max() < 1e-5
    export.dense(trained, tmp_path / "dense")
    assert (logits(subemb.load(tmp_path / "dense").network("masked"), animals.tokenizer) - wanted).abs().max() < 1e-4


@pytest.mark.slow
def test_a_bias_that_a_checkpoint_holds_twice_is_exported_twice(tmp_path):
    folder = tmp_path / "animals"
    shutil.copytree(masked_models.trained() / "animals", folder)
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {**tensors, "cls.predictions.decoder.bias": tensors[BIAS].clone()}, folder / "model.safetensors", {"format": "pt"}
    )
    original = subemb.load(folder)
    compressed = subemb.compress(original.table, "product", 2, 6)
    changed = original.adapted(compressed, {BIAS: tensors[BIAS] + 1.0})
    export.dense(changed, tmp_path / "dense")
    wanted = logits(changed.network("masked"), original.tokenizer)
    assert (logits(subemb.load(tmp_path / "dense").network("masked"), original.tokenizer) - wanted).abs().max() < 1e-4


# The original keeps its own


def made(kind: str, folder):
    """A model, and what there is to learn for it."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(NAMES, 5)) for _ in range(40)]
    if kind == "masked":
        # A model of its own: what others do to a shared one must not be seen here.
        return subemb.load(masked_models.trained() / "animals"), masked_models.sentences()
    if kind == "classifier":
        return subemb.load(make_classifier(folder / "classifier")), text_of_pairs(training_pairs())
    base = make_bert(folder / "small", [*SPECIAL, *WORDS])
    return subemb.load(make_sentence_model(base) if kind == "sentence" else base), texts


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("train", ["codebooks", "everything"])
@pytest.mark.parametrize("kind", ["plain", "sentence", "masked", "classifier"])
def test_the_original_is_not_frozen(kind, train, tmp_path):
    model, text = made(kind, tmp_path)
    networks = [model.network(head) for head in (None, kind if kind in ("masked", "classifier") else None)]
    # One weight was frozen by whoever owns the model, and stays so.
    next(parameter for name, parameter in named(networks[1]).items() if name.endswith("LayerNorm.weight")).requires_grad_(False)
    before = [
        {
            name: (id(value), value.requires_grad, value.data_ptr(), value.detach().clone())
            for name, value in named(network).items()
        }
        for network in networks
    ]
    subemb.adapt(model, subemb.compress(model.table, "product", 2, 6), text, steps=3, train=train, reassign=False)
    for network, known in zip(networks, before, strict=True):
        own = named(network)
        assert own.keys() == known.keys()
        for name, (number, is_trainable, place, value) in known.items():
            assert (id(own[name]), own[name].requires_grad, own[name].data_ptr()) == (number, is_trainable, place), name
            assert torch.equal(own[name], value), name
            assert own[name].grad is None, name


@pytest.mark.slow
def test_fine_tuning_both_leaves_the_original_alone(tmp_path):
    model, _ = made("sentence", tmp_path)
    rng = np.random.default_rng(0)
    first, second = ([" ".join(rng.choice(NAMES, 5)) + f" {side}{i}" for i in range(40)] for side in "ab")
    pairs = PairSet("made", "similarity", "made", tuple(first), tuple(second), rng.random(40))
    before = {name: (value.requires_grad, value.detach().clone()) for name, value in named(model.network()).items()}
    subemb.adapt(
        model, subemb.compress(model.table, "product", 2, 6), labelled=pairs, objective="similarity", steps=3,
        train="everything", reassign=False,
    )  # fmt: skip
    for name, value in named(model.network()).items():
        assert (value.requires_grad, value.grad) == (before[name][0], None), name
        assert torch.equal(value, before[name][1]), name


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("train", ["codebooks", "norms"])
@pytest.mark.parametrize("kind", ["sentence", "masked"])
def test_only_what_is_trained_has_memory_of_its_own(kind, train, tmp_path):
    model, _ = made(kind, tmp_path)
    head = "masked" if kind == "masked" else None
    compressed = subemb.compress(model.table, "product", 2, 6)
    student = Student(model, compressed, head, AdaptationSettings(train=train, steps=1))
    network, original = student.model.network(head), named(model.network(head))
    learned = {id(parameter) for parameter in (*student.codebooks, *student.weights.values())}
    assert len(learned) == len(compressed.codebooks) + len(student.weights)
    own = named(network)
    for name, value in own.items():
        assert value.requires_grad == (id(value) in learned), name
        if ".codebooks." in name:
            assert id(value) in learned, name
        else:
            assert value is not original[name], name
            assert (value.data_ptr() == original[name].data_ptr()) == (id(value) not in learned), name
    layers = [module for module in network.modules() if isinstance(module, SubspaceEmbedding)]
    assert all(layer.codebooks[0] is student.codebooks[0] for layer in layers)
    if head:
        assert own[BIAS] is own["cls.predictions.decoder.bias"]
        assert (BIAS in student.weights) == (train == "norms")


def test_frozen_weights_stay_tied_and_leave_others_as_they_are(animals):
    network = animals.network("masked")
    copied = share_weights(network)
    before = named(network)
    kept = before["cls.predictions.transform.dense.weight"]
    freeze(copied, but=[kept])
    own = named(copied)
    assert own["cls.predictions.decoder.weight"] is own["bert.embeddings.word_embeddings.weight"]
    assert own[BIAS] is own["cls.predictions.decoder.bias"]
    assert [name for name, value in own.items() if value is before[name]] == ["cls.predictions.transform.dense.weight"]
    assert [name for name, value in own.items() if value.requires_grad] == ["cls.predictions.transform.dense.weight"]
    assert all(value.data_ptr() == before[name].data_ptr() for name, value in own.items())
    assert all(value.requires_grad for value in named(network).values())


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("of_the_original", [False, True])
def test_a_layer_after_pooling_is_neither_trained_nor_given_gradients(of_the_original, tmp_path):
    from sentence_transformers.models import Dense

    folder = make_sentence_model(make_bert(tmp_path / "small", [*SPECIAL, *WORDS]))
    dense = Dense(16, 8)
    (folder / "2_Dense").mkdir()
    dense.save(str(folder / "2_Dense"))
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    model = subemb.load(folder)
    settings = AdaptationSettings(steps=3, train="everything")
    compressed = subemb.compress(model.table, "product", 2, 6)
    student = OriginalStudent(model, None, settings) if of_the_original else Student(model, compressed, None, settings)
    student.model.encode_ids_tensor(model.token_ids([" ".join(NAMES[:4])])).sum().backward()
    assert student.codebooks[0].grad is not None
    theirs, ours = (dict(side.sentence_model()[2].named_parameters()) for side in (model, student.model))
    assert theirs
    for name, value in theirs.items():
        assert (value.requires_grad, value.grad) == (True, None)
        assert not ours[name].requires_grad
        assert ours[name].data_ptr() == value.data_ptr()
