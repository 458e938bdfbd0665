"""attach: whole transformers models with a compressed table against the same models with the reconstruction in its place."""

import copy

import pytest
import torch
from made_results import made_result
from torch import nn

from subemb.base.errors import InputError
from subemb.codec.methods import METHODS
from subemb.codec.modules import CompressedEmbedding, SubspaceEmbedding, SubspaceLinear, TieredEmbedding, attach

V = 60
BERT_LIKE = {
    "vocab_size": V, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 40, "pad_token_id": 1,
}  # fmt: skip
ADDED = {
    "BertForMaskedLM": {},
    "RobertaForMaskedLM": {},
    "XLMRobertaForMaskedLM": {},
    "AlbertForMaskedLM": {"embedding_size": 8},
    "ElectraForMaskedLM": {"embedding_size": 8},
    "MPNetForMaskedLM": {},
    "DebertaV2ForMaskedLM": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "DistilBertForMaskedLM": {"dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 2},
    "GPT2LMHeadModel": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40},
    "T5ForConditionalGeneration": {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2},
    "BartForConditionalGeneration": {
        "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "scale_embedding": True,
    },
}  # fmt: skip


def tiny_model(name: str, **changes) -> nn.Module:
    """A small model with random weights, biases included."""
    transformers = pytest.importorskip("transformers")
    kind = getattr(transformers, name)
    config = kind.config_class(**BERT_LIKE | ADDED[name] | changes)
    config.bos_token_id, config.eos_token_id, config.decoder_start_token_id = 2, 3, 2
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config).eval()
        for parameter in model.parameters():
            parameter.data = torch.randn_like(parameter) * 0.3
    return model


def result_for(model: nn.Module, method: str = "product", seed: int = 0):
    table = model.get_input_embeddings()
    return made_result(method, table.num_embeddings, table.embedding_dim, 3, seed=seed)


def outputs(model: nn.Module) -> torch.Tensor:
    """Logits, or hidden states of a model without head, for a fixed batch with padding."""
    ids = torch.tensor([[5, 9, 17, 30, 4, 9], [2, 40, 59, 1, 1, 1]])
    more = {"decoder_input_ids": torch.tensor([[2, 7, 11], [2, 59, 0]])} if model.config.is_encoder_decoder else {}
    return model(input_ids=ids, attention_mask=(ids != 1).long(), **more)[0]


def with_dense_table(model: nn.Module, table: torch.Tensor) -> nn.Module:
    model = copy.deepcopy(model)
    model.get_input_embeddings().weight.data = table.clone()
    model.tie_weights()
    return model


def assert_close(one: torch.Tensor, other: torch.Tensor) -> None:
    assert one.shape == other.shape
    assert (one - other).abs().max().item() <= 1e-5 * max(1.0, other.abs().max().item())


def storages(model: nn.Module) -> set[int]:
    return {parameter.data_ptr() for parameter in model.parameters()}


@pytest.mark.slow_after(3)
@pytest.mark.parametrize("name", ADDED)
def test_tied_models_give_the_outputs_of_the_reconstruction(name):
    model = tiny_model(name, tie_word_embeddings=True)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    expected_now = outputs(model)
    result = result_for(model)
    small = attach(model, result)
    assert type(small) is type(model)
    assert_close(outputs(small), outputs(with_dense_table(model, result.reconstruct())))
    assert small.attachment.head == "compressed"
    assert len(small.attachment.outputs) == 1
    assert isinstance(small.get_output_embeddings(), SubspaceLinear)
    assert small.get_output_embeddings().embedding.codebooks[0] is small.get_input_embeddings().codebooks[0]
    # the table is gone, everything else is shared, and the original is as it was
    table = model.get_input_embeddings().weight
    assert table.data_ptr() not in storages(small)
    books = {book.data_ptr() for book in small.get_input_embeddings().codebooks}
    assert storages(small) - books == storages(model) - {table.data_ptr()}
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert torch.equal(outputs(model), expected_now)


@pytest.mark.parametrize("name", ["BertForMaskedLM", "GPT2LMHeadModel", "DistilBertForMaskedLM", "ElectraForMaskedLM"])
def test_untied_heads_stay_dense(name):
    model = tiny_model(name, tie_word_embeddings=False)
    head = model.get_output_embeddings()
    assert head.weight.data_ptr() != model.get_input_embeddings().weight.data_ptr()
    result = result_for(model)
    small = attach(model, result)
    assert_close(outputs(small), outputs(with_dense_table(model, result.reconstruct())))
    assert (small.attachment.head, small.attachment.outputs) == ("dense", ())
    assert small.get_output_embeddings().weight is head.weight


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_attached(method):
    for name in ("BertForMaskedLM", "T5ForConditionalGeneration"):
        model = tiny_model(name, tie_word_embeddings=True)
        result = result_for(model, method)
        small = attach(model, result)
        assert_close(outputs(small), outputs(with_dense_table(model, result.reconstruct())))
        kinds = {"tiered": TieredEmbedding}
        kind = kinds.get(method, CompressedEmbedding if METHODS[method].is_baseline else SubspaceEmbedding)
        assert isinstance(small.get_input_embeddings(), kind)


def test_encoder_and_decoder_share_one_layer():
    small = attach(tiny_model("T5ForConditionalGeneration"), result_for(tiny_model("T5ForConditionalGeneration")))
    assert small.shared is small.encoder.embed_tokens is small.decoder.embed_tokens
    assert set(small.attachment.inputs) == {"shared", "encoder.embed_tokens", "decoder.embed_tokens"}


def test_a_head_that_reads_the_weight_itself():
    """DeBERTa's newer head multiplies with the input layer's ``weight``: the reconstruction, built for it."""
    model = tiny_model("DebertaV2ForMaskedLM", legacy=False)
    result = result_for(model)
    small = attach(model, result)
    assert_close(outputs(small), outputs(with_dense_table(model, result.reconstruct())))
    assert small.attachment.outputs == ()
    assert model.get_input_embeddings().weight.data_ptr() not in storages(small)


def test_a_scale_on_the_input_is_kept_and_not_put_on_the_head():
    """BART multiplies its input vectors by sqrt(D) in a subclass of nn.Embedding; the tied head takes the bare table."""
    model = tiny_model("BartForConditionalGeneration")
    small = attach(model, result_for(model))
    assert small.get_input_embeddings().scale == 4.0
    assert torch.allclose(small.get_output_embeddings().weight, result_for(model).reconstruct())


def test_input_or_output_alone():
    model = tiny_model("BertForMaskedLM")
    result = result_for(model)
    dense = with_dense_table(model, result.reconstruct())
    only_input, only_output = attach(model, result, output=False), attach(model, result, input=False)
    assert only_input.attachment.head == "dense"
    assert only_input.get_output_embeddings().weight is model.get_output_embeddings().weight
    assert only_output.attachment.inputs == ()
    assert only_output.get_input_embeddings().weight is model.get_input_embeddings().weight
    hidden = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(0))
    assert_close(only_output.get_output_embeddings()(hidden), dense.get_output_embeddings()(hidden))
    assert_close(only_input.bert(torch.tensor([[5, 6]]))[0], dense.bert(torch.tensor([[5, 6]]))[0])


def test_a_model_without_head():
    model = tiny_model("BertForMaskedLM").bert
    result = result_for(model)
    small = attach(model, result)
    assert_close(outputs(small), outputs(with_dense_table(model, result.reconstruct())))
    assert small.attachment.head == "none"


@pytest.mark.parametrize("name", ["BertForMaskedLM", "GPT2LMHeadModel", "T5ForConditionalGeneration"])
def test_codebook_gradient_is_the_dense_models_summed_by_code(name):
    model = tiny_model(name, tie_word_embeddings=True)
    result = result_for(model)
    small, dense = attach(model, result), with_dense_table(model, result.reconstruct())
    padding = dense.get_input_embeddings().padding_idx
    for network in (small, dense):
        outputs(network).square().mean().backward()
    gradient = dense.get_input_embeddings().weight.grad
    assert small.get_input_embeddings().padding_idx == padding
    start = 0
    for i, book in enumerate(small.get_input_embeddings().codebooks):
        part = gradient[:, start : start + book.shape[1]]
        start += book.shape[1]
        expected = torch.zeros_like(book).index_add_(0, result.codes[:, i].long(), part)
        assert_close(book.grad, expected)


def test_type_mode_and_frozen_weights_follow_the_model():
    model = tiny_model("BertForMaskedLM").to(torch.bfloat16).train()
    model.get_input_embeddings().weight.requires_grad_(False)
    layer = attach(model, result_for(model)).get_input_embeddings()
    assert layer.weight.dtype == torch.bfloat16
    assert layer.training
    assert not any(book.requires_grad for book in layer.codebooks)


def test_generation_runs_and_agrees():
    model = tiny_model("GPT2LMHeadModel", tie_word_embeddings=True)
    result = result_for(model)
    ids = torch.tensor([[5, 9, 17]])
    how = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 1, "attention_mask": torch.ones_like(ids)}
    expected = with_dense_table(model, result.reconstruct()).generate(ids, **how)
    assert torch.equal(attach(model, result).generate(ids, **how), expected)


def test_losses_of_transformers_take_the_logits():
    model = tiny_model("BertForMaskedLM")
    result = result_for(model)
    ids = torch.tensor([[5, 9, 17], [3, 4, 5]])
    small, dense = attach(model, result), with_dense_table(model, result.reconstruct())
    assert_close(small(input_ids=ids, labels=ids).loss, dense(input_ids=ids, labels=ids).loss)


def test_an_attached_model_can_be_given_another_result():
    model = tiny_model("T5ForConditionalGeneration")
    second = result_for(model, "residual", seed=1)
    again = attach(attach(model, result_for(model)), second)
    assert_close(outputs(again), outputs(attach(model, second)))
    assert again.attachment == attach(model, second).attachment


def test_a_result_of_another_table_is_refused():
    model = tiny_model("BertForMaskedLM")
    with pytest.raises(InputError, match=r"61 tokens x 16 dimensions, the model's 60 x 16"):
        attach(model, made_result("product", 61, 16))
    with pytest.raises(InputError, match=r"60 tokens x 8 dimensions, the model's 60 x 16"):
        attach(model, made_result("product", 60, 8))


def test_what_cannot_be_attached_to_is_refused():
    result = made_result("product")
    with pytest.raises(InputError, match="Linear has no get_input_embeddings"):
        attach(nn.Linear(3, 3), result)

    class Odd(nn.Module):
        def __init__(self, table):
            super().__init__()
            self.table = table

        def get_input_embeddings(self):
            return self.table

    class Normed(nn.Embedding):
        def forward(self, ids):
            return nn.functional.normalize(super().forward(ids), dim=-1)

    with pytest.raises(InputError, match="is a Linear, not an embedding layer"):
        attach(Odd(nn.Linear(3, 3)), result)
    with pytest.raises(InputError, match="Normed does more than look rows up"):
        attach(Odd(Normed(50, 12)), result)


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory):
    """A checkpoint folder of a tiny BERT with a tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    tiny_model("BertForMaskedLM").save_pretrained(folder)
    words = ["[UNK]", "[PAD]", *[f"word{i}" for i in range(V - 2)]]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(folder)
    return folder


@pytest.mark.parametrize("method", ["cluster", "int8"])
def test_a_pretrained_model_encodes_with_the_compressed_table(bert_folder, monkeypatch, method):
    import subemb

    monkeypatch.setenv("SUBEMB_MODELS", str(bert_folder.parent))
    model = subemb.load(bert_folder.name)
    result = made_result(method, model.num_tokens, model.dim)
    original = model.encode(["word3 word7", "word1"])
    small = subemb.attach(model, result)
    assert isinstance(small, subemb.PretrainedModel)
    assert torch.allclose(small.table, result.reconstruct(), atol=1e-6)
    ids = torch.tensor([[5, 9, 1], [3, 4, 5]])
    dense = with_dense_table(model.network(), result.reconstruct())
    assert_close(small.network()(ids)[0], dense(ids)[0])
    encoded = small.encode(["word3 word7", "word1"])
    assert abs(encoded - original).max() > 1e-3
    assert (model.encode(["word3 word7", "word1"]) == original).all()
    with pytest.raises(InputError, match="the model's 60 x 16"):
        subemb.attach(model, made_result(method, 50, 16))
