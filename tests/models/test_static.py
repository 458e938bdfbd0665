"""Static tables: model2vec's and sentence-transformers' models without a network, as models of full standing."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from static_models import ROWS, WORDS, D, V, make_model2vec, word_level
from tokenizers import Tokenizer, models, pre_tokenizers

import subemb
from subemb import export
from subemb.base.errors import InputError, ModelError
from subemb.codec.methods import METHODS
from subemb.evaluate import attribute
from subemb.models.catalogue import available_models
from subemb.models.opening import open_checkpoint
from subemb.models.static_network import sentence_modules

Dense, Normalize, StaticEmbedding = (getattr(sentence_modules(), name) for name in ("Dense", "Normalize", "StaticEmbedding"))

TEXTS = ["A man is playing a guitar", "Two dogs run in the snow", "a zebra", "zebra", ""]


def make_static(folder, *more, rows=ROWS, **options):
    table = StaticEmbedding(word_level(), embedding_weights=rows.clone())
    SentenceTransformer(modules=[table, *more], device="cpu", **options).save(str(folder))
    return folder


def mean_rows(rows, ids, normalize=False):
    mean = rows[ids].mean(0) if ids else torch.zeros(rows.shape[1])
    return (mean / mean.norm() if normalize and ids else mean).numpy()


#: The ids of TEXTS as model2vec reads them: without unknown words.
IDS = [[2, 3, 4, 5, 2, 6], [7, 8, 9, 10, 11, 12], [2], [], []]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
@pytest.mark.parametrize("normalize", [True, False])
def test_model2vec_is_the_mean_of_known_rows(tmp_path, dtype, normalize):
    model = subemb.load(make_model2vec(tmp_path / "m", {"embeddings": ROWS.to(dtype)}, normalize=normalize))
    assert model.token_ids(TEXTS) == IDS
    wanted = [mean_rows(ROWS.to(dtype).float(), ids, normalize) for ids in IDS]
    assert model.encode(TEXTS) == pytest.approx(np.stack(wanted), abs=1e-6)
    assert model.encode_ids(IDS) == pytest.approx(np.stack(wanted), abs=1e-6)
    assert "model2vec" in model.pooling
    assert ("length 1" in model.pooling) == normalize


def test_rows_shared_by_a_mapping_and_weights_are_unfolded(tmp_path):
    rows = torch.randint(-127, 128, (5, D), generator=torch.Generator().manual_seed(1)).to(torch.int8)
    mapping, weights = torch.arange(V) % 5, torch.rand(V, dtype=torch.float64)
    tensors = {"embeddings": rows, "mapping": mapping, "weights": weights}
    model = subemb.load(make_model2vec(tmp_path / "m", tensors, normalize=True))
    table = (rows.double()[mapping] * weights[:, None]).float()
    assert model.table.shape == (V, D)
    assert torch.allclose(model.table, table)
    assert model.encode(TEXTS[:1])[0] == pytest.approx(mean_rows(table, IDS[0], True), abs=1e-6)
    assert any("5 rows" in note and "mapping" in note for note in model.notes)
    assert model.parameters == V * D
    # The dense copy has a row for every token, and nothing that would be multiplied in a second time.
    small = subemb.attach(model, subemb.compress(model, subspaces=3, codebook_size=6))
    written = load_file(export.dense(small, tmp_path / "dense") / "model.safetensors")
    assert list(written) == ["embeddings"]
    assert torch.equal(written["embeddings"], small.table)
    assert subemb.load(tmp_path / "dense").encode(TEXTS) == pytest.approx(small.encode(TEXTS), abs=1e-6)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"embeddings": ROWS, "mapping": torch.full((V,), V)}, f"names row {V}"),
        ({"embeddings": ROWS, "weights": torch.ones(3)}, f"{V} tokens need one float each"),
        ({"embeddings": ROWS, "mapping": torch.ones(V)}, "one whole number a token"),
        ({"vectors": ROWS}, "it has vectors"),
        ({"embeddings": ROWS.clone().fill_(float("nan"))}, "nan"),
    ],
)
def test_a_table_whose_parts_do_not_fit_is_refused(tmp_path, tensors, message):
    with pytest.raises(ModelError, match=message):
        subemb.load(make_model2vec(tmp_path / "m", {name: part.clone() for name, part in tensors.items()})).table  # noqa: B018


def test_long_texts_are_cut_as_model2vec_cuts_them(tmp_path):
    model = subemb.load(make_model2vec(tmp_path / "m", max_length=3))
    median = int(np.median([len(word) for word in WORDS]))
    assert model.token_ids(["a man is playing"]) == [[2, 3, 4]]
    assert model.token_ids([" " * (3 * median) + "a man"]) == [[]]
    assert model.token_ids(["a man is playing"], whole=True) == [[2, 3, 4, 5]]
    assert len(subemb.load(make_model2vec(tmp_path / "d")).token_ids(["a " * 600])[0]) == 512
    assert len(subemb.load(make_model2vec(tmp_path / "n", max_length=None)).token_ids(["a " * 600])[0]) == 600


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    ("more", "options"),
    [
        ((), {}),
        ((Normalize(),), {}),
        ((Dense(D, 5, activation_function=torch.nn.Tanh()), Normalize()), {}),
        ((Normalize(),), {"truncate_dim": 4, "prompts": {"query": "the house "}, "default_prompt_name": "query"}),
    ],
    ids=["alone", "normalize", "dense", "prompt and truncate_dim"],
)
def test_a_static_embedding_reads_as_sentence_transformers_does(tmp_path, more, options):
    folder = make_static(tmp_path / "m", *more, **options)
    model = subemb.load(folder)
    assert model.encode(TEXTS) == pytest.approx(SentenceTransformer(str(folder), device="cpu").encode(TEXTS), abs=1e-6)
    small = subemb.attach(model, subemb.compress(model, subspaces=3, codebook_size=6))
    copy = SentenceTransformer(str(export.dense(small, tmp_path / "dense")), device="cpu")
    assert small.encode(TEXTS) == pytest.approx(copy.encode(TEXTS), abs=1e-6)


def test_a_table_in_a_folder_of_its_own(tmp_path):
    folder = make_static(tmp_path / "m")
    (folder / "0_StaticEmbedding").mkdir()
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).rename(folder / "0_StaticEmbedding" / name)
    (folder / "modules.json").write_text(
        json.dumps(
            [{"idx": 0, "name": "0", "path": "0_StaticEmbedding", "type": "sentence_transformers.models.StaticEmbedding"}]
        )
    )
    model = subemb.load(folder)
    assert model.encode(TEXTS) == pytest.approx(SentenceTransformer(str(folder), device="cpu").encode(TEXTS), abs=1e-6)


@pytest.mark.slow
def test_every_method_compresses_it_and_its_pair_view_agrees(tmp_path):
    model = subemb.load(make_model2vec(tmp_path / "m", normalize=True))
    for method in METHODS:
        small = subemb.attach(model, subemb.compress(model, method=method, subspaces=3, codebook_size=4, rank=4))
        assert small.encode(TEXTS[:1])[0] == pytest.approx(mean_rows(small.table, IDS[0], True), abs=1e-5), method
        found = attribute(model, small, *IDS[:2])
        vectors = small.encode(TEXTS[:2])
        assert found.after == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5), method


@pytest.mark.slow
def test_it_is_adapted_saved_and_opened_again(tmp_path):
    model = subemb.load(make_static(tmp_path / "m", Normalize()))
    compressed = subemb.compress(model, subspaces=3, codebook_size=4)
    adapted = subemb.adapt(model, compressed, [" ".join(WORDS[i : i + 4]) for i in range(2, 11)], steps=4, seed=0)
    before = subemb.attach(model, compressed).encode(TEXTS)
    assert not np.allclose(adapted.encode(TEXTS), before)
    adapted.save_pretrained(tmp_path / "out")
    assert subemb.load(tmp_path / "out").encode(TEXTS) == pytest.approx(adapted.encode(TEXTS), abs=1e-6)
    with pytest.raises(InputError, match=r"static table.*codebooks"):
        subemb.adapt(model, compressed, None, steps=1, train="last")
    with pytest.raises(InputError, match="no masked-word head"):
        subemb.adapt(model, compressed, None, steps=1, objective="masked")


def test_a_models_name_stands_for_the_model(tmp_path, monkeypatch):
    make_model2vec(tmp_path / "mine")
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path))
    model, named = subemb.load("mine"), subemb.compress("mine", subspaces=3, codebook_size=4)
    assert torch.equal(named.codes, subemb.compress(model, subspaces=3, codebook_size=4).codes)
    error = subemb.analysis.reconstruction_error(model.table, named).relative
    assert subemb.analysis.reconstruction_error("mine", named).relative == error
    assert subemb.analysis.reconstruction_error(tmp_path / "mine", named).relative == error
    assert torch.equal(subemb.attach("mine", named).table, named.reconstruct())
    assert subemb.adapt("mine", named, None, steps=1, sample=20, reassign=False).compressed is not named
    with pytest.raises(ModelError):
        subemb.compress("not there")
    with pytest.raises(InputError, match="not None"):
        subemb.attach("mine", None)


def test_it_says_which_libraries_read_its_dense_copy(tmp_path):
    assert subemb.load(make_model2vec(tmp_path / "a")).libraries == ("model2vec",)
    assert subemb.load(make_static(tmp_path / "b")).libraries == ("sentence-transformers",)


def test_it_says_that_it_has_no_heads(tmp_path):
    model = subemb.load(make_model2vec(tmp_path / "m"))
    assert not model.has_head("masked")
    assert not model.has_head("classifier")
    with pytest.raises(ModelError, match="no masked-word head: it is a static table"):
        model.network("masked")
    assert model.notes[0].startswith("A static table")


def test_the_picker_lists_it(tmp_path, monkeypatch):
    make_static(tmp_path / "mine")
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path))
    entry = next(entry for entry in available_models() if entry.name == "mine")
    assert (entry.error, entry.vocabulary, entry.dim, entry.parameters) == (None, V, D, V * D)


def test_the_weights_count_in_what_identifies_it(tmp_path):
    one = make_model2vec(tmp_path / "a", {"embeddings": ROWS.clone(), "weights": torch.ones(V)})
    other = make_model2vec(tmp_path / "b", {"embeddings": ROWS.clone(), "weights": torch.ones(V) * 2})
    assert open_checkpoint(one).fingerprint != open_checkpoint(other).fingerprint


@pytest.mark.parametrize(
    ("kind", "message"),
    [("Router", "reads queries and documents by different models"), ("WordEmbeddings", "from_table"), ("BoW", "from_table")],
)
def test_models_that_begin_with_something_else_are_refused_by_name(tmp_path, kind, message):
    folder = make_static(tmp_path / "m")
    (folder / "modules.json").write_text(json.dumps([{"path": "", "type": f"sentence_transformers.models.{kind}"}]))
    with pytest.raises(ModelError, match=message):
        subemb.load(folder)


def test_a_tokenizer_without_an_unknown_token_says_what_it_cannot_read(tmp_path):
    words = {word: i for i, word in enumerate(WORDS[2:])}
    tokenizer = Tokenizer(models.WordLevel(words))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    model = subemb.load(make_model2vec(tmp_path / "m", {"embeddings": ROWS[2:].clone()}, tokenizer))
    assert model.token_ids(["a man"]) == [[0, 1]]
    with pytest.raises(ModelError, match="cannot read this text"):
        model.encode(["zebra"])


@pytest.mark.parametrize("given", [str, lambda path: path.name], ids=["path", "name in this folder"])
def test_a_file_of_word_vectors_is_told_from_a_folder(tmp_path, monkeypatch, given):
    path = tmp_path / "glove.6B.50d.txt"
    path.write_text("the 0.1 0.2\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"glove.6B.50d.txt is a file.*from_table"):
        subemb.load(given(path))
