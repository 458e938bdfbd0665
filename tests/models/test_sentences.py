"""Sentences as rows of token ids, and networks with their heads."""

import json

import numpy as np
import pytest
import torch
from checkpoints import (
    LINES,
    SPECIAL,
    TOKENS,
    make_bert,
    make_distilbert,
    make_electra,
    make_gpt2,
    make_mpnet,
    make_roberta,
    make_sentence_model,
    make_t5,
    make_xlmr,
    save,
)

from subemb import InputError, attach, load
from subemb.base.errors import ModelError
from subemb.codec import compress
from subemb.models.sentences import padded

FAMILIES = [make_bert, make_distilbert, make_mpnet, make_roberta, make_xlmr, make_gpt2, make_t5]


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("make", FAMILIES, ids=lambda make: make.__name__.removeprefix("make_"))
def test_ids_give_the_vectors_of_their_sentences(tmp_path, make):
    model = load(make(tmp_path / "m"))
    rows = model.token_ids(LINES)
    assert [len(row) for row in rows] == [len(model.tokenizer(line)["input_ids"]) for line in LINES]
    np.testing.assert_allclose(model.encode_ids(rows, batch_size=2), model.encode(LINES), atol=1e-6)
    with torch.no_grad():
        np.testing.assert_allclose(model.encode_ids_tensor(rows).numpy(), model.encode(LINES), atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_ids_of_a_sentence_model(tmp_path, pooling):
    model = load(make_sentence_model(make_bert(tmp_path / "m"), pooling=pooling, normalize=True))
    rows = model.token_ids([*LINES, "the cat " * 300])
    assert len(rows[-1]) == model.sentence_model().max_seq_length
    assert len(model.token_ids(["the cat " * 300], whole=True)[0]) == 600 + 2
    assert model.token_ids(LINES, whole=True) == rows[:-1]
    assert rows[0][0] == SPECIAL.index("[CLS]")
    np.testing.assert_allclose(model.encode_ids(rows), model.encode([*LINES, "the cat " * 300]), atol=1e-6)


def test_a_default_prompt_is_part_of_the_ids(tmp_path):
    model = load(make_sentence_model(make_bert(tmp_path / "m")))
    inner = model.sentence_model()
    inner.prompts, inner.default_prompt_name = {"query": "the dog "}, "query"
    cat, prompted = TOKENS.index("cat"), [TOKENS.index("the"), TOKENS.index("dog")]
    (row,) = model.token_ids(["cat"])
    assert row[1:-1] == [*prompted, cat]
    np.testing.assert_allclose(model.encode_ids([row]), model.encode(["cat"]), atol=1e-6)


def test_whole_sentences_are_read_with_the_prompt_and_without_a_network(tmp_path):
    folder = make_sentence_model(make_bert(tmp_path / "m"))
    options = {"prompts": {"query": "the dog "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(options), encoding="utf-8")
    model = load(folder)
    rows = model.token_ids(["cat"], whole=True)
    assert not model._networks
    assert rows == model.token_ids(["cat"])
    assert rows[0][1:-1] == [TOKENS.index(word) for word in ("the", "dog", "cat")]


@pytest.mark.parametrize("first", ["tokenizer", "sentence model"])
def test_both_tokenizers_share_one_vocabulary_and_keep_their_limits(first, tmp_path):
    model = load(make_sentence_model(make_bert(tmp_path / "m")))
    if first == "tokenizer":
        model.tokenizer  # noqa: B018 - reads it
    theirs, own = model.sentence_model().tokenizer, model.tokenizer
    assert own._tokenizer is theirs._tokenizer
    long = "the cat " * 300
    limit = theirs.model_max_length
    assert own.model_max_length != limit
    for _ in range(2):  # what one call asks for is not left to the next
        assert len(model.token_ids([long], whole=True)[0]) == 602
        assert len(model.token_ids([long, "cat"])[0]) == limit
        assert own(["cat", long], padding=False, truncation=False)["input_ids"][0] == model.token_ids(["cat"])[0]


def test_tokenizers_that_read_otherwise_share_nothing(tmp_path):
    folder = make_sentence_model(make_bert(tmp_path / "m"))
    files = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    files["normalizer"] = None
    (folder / "tokenizer.json").write_text(json.dumps(files), encoding="utf-8")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32, "do_lower_case": True}))
    model = load(folder)
    assert model.tokenizer._tokenizer is not model.sentence_model().tokenizer._tokenizer
    assert model.token_ids(["CAT"]) == model.token_ids(["cat"]) != model.token_ids(["CAT"], whole=True)


def test_ids_through_a_compressed_table(tmp_path):
    model = load(make_sentence_model(make_bert(tmp_path / "m")))
    small = attach(model, compress(model.table, "product", 2, 4, weights="none"))
    assert small.token_ids(LINES) == model.token_ids(LINES)
    np.testing.assert_allclose(small.encode_ids(small.token_ids(LINES)), small.encode(LINES), atol=1e-6)
    assert np.abs(small.encode(LINES) - model.encode(LINES)).max() > 1e-3


def test_gradients_reach_the_input_embedding(tmp_path):
    model = load(make_sentence_model(make_bert(tmp_path / "m")))
    embedding = torch.nn.Embedding.from_pretrained(model.table.clone(), freeze=False)
    changed = model.with_embeddings(embedding)
    (row,) = changed.token_ids(["the cat"])
    changed.encode_ids_tensor([row]).sum().backward()
    touched = embedding.weight.grad.abs().sum(1) > 0
    assert sorted(set(row)) == touched.nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("rows", "words"), [([["a"]], "lists of integers"), ([5], "lists of integers"), ([[1, -2]], "-2; ids start at 0")]
)
def test_rows_that_are_no_ids(tmp_path, rows, words):
    with pytest.raises(InputError, match=words):
        load(make_bert(tmp_path / "m")).encode_ids(rows)


def test_no_rows(tmp_path):
    model = load(make_bert(tmp_path / "m"))
    assert model.token_ids([]) == []
    assert model.encode_ids([]).shape == (0, 16)


def test_padding_left_and_right():
    ids, mask = padded([[7, 8, 9], [5]], padding=1)
    assert ids.tolist() == [[7, 8, 9], [5, 1, 1]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    ids, mask = padded([[7, 8, 9], [5]], padding=1, left=True)
    assert ids.tolist() == [[7, 8, 9], [1, 1, 5]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


# Heads


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_roberta, make_electra, make_mpnet])
def test_heads_are_read_and_never_made_up(tmp_path, make):
    from transformers import AutoModel, AutoModelForMaskedLM

    whole = make(tmp_path / "whole")
    bare = AutoModel.from_pretrained(whole)
    with_head = AutoModelForMaskedLM.from_pretrained(whole)  # electra and mpnet: its head is new
    with_head.save_pretrained(whole)
    model = load(whole)
    assert model.has_head("masked")
    assert not model.has_head("classifier")
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert model.network("masked")(ids).logits.equal(with_head.eval()(ids).logits)
    assert model.network("masked") is model.network("masked")
    with pytest.raises(ModelError, match="has no classifier of sentences"):
        model.network("classifier")

    bare.save_pretrained(tmp_path / "bare")
    for file in whole.glob("*token*"):
        (tmp_path / "bare" / file.name).write_bytes(file.read_bytes())
    model = load(tmp_path / "bare")
    assert not model.has_head("masked")
    with pytest.raises(ModelError, match="has no masked-word head") as caught:
        model.network("masked")
    assert caught.value.reason == "unsupported"


def test_a_classifier_is_read(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    folder = make_bert(tmp_path / "m")
    config = BertConfig.from_pretrained(folder, num_labels=3)
    BertForSequenceClassification(config).save_pretrained(folder)
    model = load(folder)
    assert model.has_head("classifier")
    assert model.network("classifier").num_labels == 3


def test_a_compressed_side_has_the_head_on_its_table(tmp_path):
    model = load(make_roberta(tmp_path / "m"))
    compressed = compress(model.table, "product", 2, 4, weights="none")
    small = attach(model, compressed)
    network = small.network("masked")
    assert network.attachment.head == "compressed"
    assert torch.allclose(network.get_input_embeddings().weight, compressed.reconstruct())
    assert model.network("masked").get_input_embeddings().weight.equal(model.table)
    with pytest.raises(InputError, match="attach a compressed table"):
        model.with_embeddings(torch.nn.Embedding.from_pretrained(model.table)).network("masked")


def test_the_encoder_of_t5_alone_is_read_as_transformers_reads_it(tmp_path):
    from transformers import AutoConfig, T5EncoderModel

    folder = make_t5(tmp_path / "t5")
    save(folder, T5EncoderModel, AutoConfig.from_pretrained(folder))
    model = load(folder)
    ids = model.tokenizer("the cat sits", return_tensors="pt")
    with torch.no_grad():
        states = T5EncoderModel.from_pretrained(folder).eval()(**ids).last_hidden_state
    assert np.allclose(model.encode(["the cat sits"])[0], states[0].mean(0), atol=1e-5)
