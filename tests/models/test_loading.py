"""Every weight that can reach the output comes from the files, or the network is refused by naming one that does not."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from checkpoints import (
    SPECIAL,
    WORDS,
    make_bert,
    make_llama,
    make_sentence_model,
    make_t5,
    reconfigured,
    save,
    shard,
    unigram,
    word_piece,
)
from safetensors.torch import load_file, save_file

import subemb
from subemb import export
from subemb.base.errors import InputError, ModelError
from subemb.models.model import describe

TEXTS = ["the cat sits on the mat", "a dog runs"]
LEARNED = [f"the {first} {second}" for first in WORDS[2:6] for second in WORDS[5:8]]
FILE = "model.safetensors"


def renamed(folder, change):
    """The folder with other names or tensors in its weights file."""
    path = folder / FILE
    save_file({name: value.contiguous() for name, value in change(load_file(path)).items()}, path, {"format": "pt"})
    return folder


def before(prefix):
    return lambda weights: {prefix + name: value for name, value in weights.items()}


def without(part):
    return lambda weights: {name: value for name, value in weights.items() if part not in name}


def between(weights):
    return {name.replace("attention.", "_orig_mod.attention._fsdp_wrapped_module."): value for name, value in weights.items()}


def plain(folder):
    return subemb.load(folder).encode(TEXTS)


def refusal(folder) -> str:
    with pytest.raises(ModelError) as caught:
        plain(folder)
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    return plain(make_bert(tmp_path_factory.mktemp("plain") / "m", [*SPECIAL, *WORDS], masked_lm=True))


@pytest.fixture
def bert(tmp_path):
    return make_bert(tmp_path / "m", [*SPECIAL, *WORDS], masked_lm=True)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    "change",
    [
        *map(before, ("_orig_mod.", "module.", "base_model.model.", "module._orig_mod.", "module.base_model.model.", "model.", "net.encoder.")),
        between,
    ],
    ids=("compiled", "parallel", "peft", "parallel and compiled", "parallel and peft", "lightning", "own class", "inside"),
)  # fmt: skip
def test_wrappers_are_taken_off_the_names(bert, vectors, tmp_path, change):
    from transformers import AutoModelForMaskedLM

    model = subemb.load(renamed(bert, change))
    assert np.array_equal(model.encode(TEXTS), vectors)
    assert model.has_head("masked")
    assert any("taken off" in note for note in model.notes)
    assert list(model.notes) == describe(model)["notes"]
    small = subemb.attach(model, subemb.compress(model.table, "product", 2, 8))
    export.dense(small, tmp_path / "dense")
    _, found = AutoModelForMaskedLM.from_pretrained(tmp_path / "dense", output_loading_info=True)
    assert not found["missing_keys"]  # a plain library finds every weight of the dense copy
    assert np.abs(plain(tmp_path / "dense") - small.encode(TEXTS)).max() < 1e-6


def test_wrappers_are_taken_off_in_a_sentence_model(tmp_path, bert, vectors):
    folder = make_sentence_model(renamed(bert, before("module.")))
    assert np.allclose(plain(folder), vectors, atol=1e-6)


def test_two_networks_in_one_file_are_not_told_apart(bert):
    assert "holds more than one network" in refusal(
        renamed(bert, lambda weights: before("a.")(weights) | {f"b.{name}": value + 1 for name, value in weights.items()})
    )


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("as_sentence_model", [False, True])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without("embeddings.LayerNorm"), "embeddings.LayerNorm.bias is not among its weights (and 1 more"),
        (without("layer.0.attention.self.query.weight"), "encoder.layer.0.attention.self.query.weight is not among"),
        (without("position_embeddings"), "position_embeddings.weight is not among its weights"),
    ],
)
def test_what_the_files_lack_is_named(bert, change, named, as_sentence_model):
    renamed(bert, change)
    assert named in refusal(make_sentence_model(bert) if as_sentence_model else bert)


@pytest.mark.slow
def test_more_layers_in_the_config_than_in_the_file(bert):
    assert "encoder.layer.1." in refusal(reconfigured(bert, num_hidden_layers=2))


def test_fewer_layers_in_the_config_than_in_the_file_are_said(bert):
    config = json.loads((bert / "config.json").read_text())
    model = subemb.load(reconfigured(bert, num_hidden_layers=config["num_hidden_layers"] - 1))
    model.encode(TEXTS)
    assert "more layers than its config.json asks for" in model.notes[-1]


@pytest.mark.slow
def test_a_shard_that_the_index_forgets(tmp_path):
    folder = shard(make_bert(tmp_path / "m"))
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    last = max(index["weight_map"].values())
    index["weight_map"] = {name: file for name, file in index["weight_map"].items() if file != last}
    path.write_text(json.dumps(index))
    assert "is not among its weights" in refusal(folder)


@pytest.mark.slow
def test_another_shape_is_said_with_both_sizes(bert):
    assert "encoder.layer.0.intermediate.dense.bias is 32 in its files, but 48 by its config.json (and 2 more" in refusal(
        reconfigured(bert, intermediate_size=48)
    )


@pytest.mark.slow
def test_another_vocabulary_size_is_said(bert):
    rows = len([*SPECIAL, *WORDS])
    assert f"is {rows} x 16 in its files, but {rows + 9} x 16" in refusal(reconfigured(bert, vocab_size=rows + 9))


@pytest.mark.slow
def test_nan_in_a_weight_of_the_network_is_named(bert):
    def change(weights):
        weights["bert.encoder.layer.0.output.dense.weight"][1, 2] = float("nan")
        return weights

    assert "output.dense.weight holds NaN or infinity" in refusal(renamed(bert, change))


@pytest.mark.slow
def test_nan_where_nothing_reads_it_does_no_harm(bert, vectors):
    def change(weights):
        weights["cls.predictions.transform.dense.weight"][1, 2] = float("nan")
        return weights

    renamed(bert, change)
    assert np.array_equal(plain(bert), vectors)
    with pytest.raises(ModelError, match=r"transform\.dense\.weight holds NaN"):
        subemb.load(bert).network("masked")


@pytest.mark.slow
def test_a_pooler_that_nothing_reads_may_be_missing(tmp_path):
    folder = make_bert(tmp_path / "m", [*SPECIAL, *WORDS])
    vectors = plain(folder)
    model = subemb.load(renamed(folder, without("pooler")))
    assert np.array_equal(model.encode(TEXTS), vectors)
    assert "pooler.dense.bias and 1 more" in model.notes[-1]


def test_a_pooler_that_a_classifier_reads_may_not(tmp_path):
    import entailment_models

    folder = entailment_models.make_classifier(tmp_path / "m")
    assert subemb.load(folder).has_head("classifier")
    model = subemb.load(renamed(folder, without("pooler")))
    assert not model.has_head("classifier")
    with pytest.raises(ModelError, match="pooler"):
        model.network("classifier")


@pytest.mark.slow
def test_an_encoder_without_its_decoder_encodes(tmp_path):
    folder = make_t5(tmp_path / "m")
    vectors = plain(folder)
    assert np.array_equal(plain(renamed(folder, without("decoder"))), vectors)


def test_a_stack_with_a_table_of_its_own_is_refused(tmp_path):
    folder = make_t5(tmp_path / "m")
    other = renamed(folder, lambda weights: weights | {"encoder.embed_tokens.weight": weights["shared.weight"] + 1})
    with pytest.raises(ModelError, match="two input tables with different numbers"):
        subemb.load(other)


@pytest.mark.slow
def test_computed_positions_need_no_place_in_the_files(tmp_path):
    from transformers import MarianConfig, MarianMTModel

    tokenizer = unigram(["<pad>", "</s>", "<unk>"], sep="</s>")
    sizes = {f"{part}_{kind}": 2 for part in ("encoder", "decoder") for kind in ("layers", "attention_heads")}
    config = MarianConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_ffn_dim=16, decoder_ffn_dim=16, **sizes, pad_token_id=0, eos_token_id=1,
        max_position_embeddings=64, decoder_start_token_id=0,
    )  # fmt: skip
    save(tmp_path / "m", MarianMTModel, config, tokenizer)
    original = subemb.load(tmp_path / "m")
    assert np.array_equal(original.encode(TEXTS), plain(tmp_path / "m"))
    adapted = subemb.adapt(original, subemb.compress(original.table, "product", 2, 8), LEARNED, steps=1, train="everything")
    assert not any("embed_positions" in name for name in adapted.weights)
    export.dense(adapted, tmp_path / "dense")
    assert np.abs(plain(tmp_path / "dense") - adapted.encode(TEXTS)).max() < 1e-6


# Heads


@pytest.mark.parametrize("architecture", [None, "BertForPreTraining", "BertModel"])
def test_a_masked_head_is_found_by_its_weights(bert, architecture):
    model = subemb.load(reconfigured(bert, architectures=architecture and [architecture]))
    assert model.has_head("masked")
    assert "masked-word head, though its config.json does not say so" in model.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["cls.predictions.bias", "cls.predictions.transform.dense", "cls."])
def test_a_masked_head_that_lacks_a_weight_is_none(bert, part):
    model = subemb.load(renamed(bert, without(part)))
    assert not model.has_head("masked")
    with pytest.raises(ModelError, match="has no masked-word head: cls"):
        model.network("masked")
    assert model.encode(TEXTS).shape == (2, 16)


# Stored in other ways


def scaled(end, by_row=False):
    def change(weights):
        name = "bert.embeddings.word_embeddings."
        rows = weights[f"{name}weight"]
        scale = rows.abs().amax(1, keepdim=True).clamp(min=1e-6) / 448 if by_row else rows.abs().max().reshape(1) / 448
        return weights | {f"{name}weight": (rows / scale).to(torch.float8_e4m3fn), name + end: scale}

    return change


@pytest.mark.slow
@pytest.mark.parametrize(("end", "by_row"), [("weight_scale", False), ("scale_weight", True), ("weight_scale_inv", True)])
def test_a_scaled_table_is_read_times_its_scale(bert, tmp_path, end, by_row):
    table = subemb.load(bert).table.clone()
    parameters = subemb.load(bert).parameters
    model = subemb.load(renamed(bert, scaled(end, by_row)))
    assert (model.table - table).abs().max() < 0.07 * table.abs().max()
    assert torch.equal(model.network().get_input_embeddings().weight, model.table)
    assert model.parameters == parameters
    assert end in model.notes[0]
    small = subemb.attach(model, subemb.compress(model.table, "product", 2, 8))
    export.dense(small, tmp_path / "dense")
    assert not any(end in name for name in load_file(tmp_path / "dense" / FILE))
    assert np.abs(plain(tmp_path / "dense") - small.encode(TEXTS)).max() < 1e-6


@pytest.mark.parametrize(
    ("added", "dtype"),
    [({"weight_scale": torch.ones(1)}, torch.int8), ({"weight_scale": torch.ones(3, 2)}, torch.float8_e4m3fn),
     ({"weight_scale": torch.ones(1)}, torch.float16), ({"SCB": torch.ones(45)}, torch.int8)],
)  # fmt: skip
def test_a_scale_of_which_nothing_is_known_is_named(bert, added, dtype):
    name = "bert.embeddings.word_embeddings."

    def change(weights):
        return weights | {f"{name}weight": weights[f"{name}weight"].to(dtype)} | {name + end: one for end, one in added.items()}

    with pytest.raises(ModelError, match=f"{name}{next(iter(added))} beside it"):
        subemb.load(renamed(bert, change))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "added", "named"),
    [
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, {}, r"AWQ, 4 bits"),
        ({}, {"bert.encoder.layer.0.output.dense.qweight": torch.zeros(2, 2, dtype=torch.int32)}, "GPTQ and AWQ"),
        (
            {},
            {"bert.encoder.layer.0.output.dense.weight": torch.zeros(16, 32, dtype=torch.int8)},
            "I8 integers in bert.encoder",
        ),
    ],
)
def test_a_quantized_network_is_refused_and_its_table_read(bert, config, added, named):
    model = subemb.load(reconfigured(renamed(bert, lambda weights: weights | added), **config))
    assert model.table.shape[1] == 16
    with pytest.raises(ModelError, match=f"quantized .*{named}"):
        model.encode(TEXTS)


def test_the_table_of_a_quantized_model_can_be_compressed_and_opened_again(bert, tmp_path):
    model = subemb.load(reconfigured(bert, quantization_config={"quant_method": "awq"}))
    subemb.attach(model, subemb.compress(model.table, "product", 2, 8)).save_pretrained(tmp_path / "out")
    again = subemb.load(tmp_path / "out")
    assert again.table.shape == model.table.shape
    with pytest.raises(ModelError, match="quantized"):
        again.encode(TEXTS)


def test_an_adapter_that_is_not_merged_is_refused(bert):
    name = "bert.encoder.layer.0.output.dense"
    lora = {f"{name}.lora_A.weight": torch.zeros(2, 32), f"{name}.lora_B.weight": torch.zeros(16, 2)}
    model = subemb.load(renamed(bert, lambda weights: weights | lora))
    with pytest.raises(ModelError, match=r"adapter that is not merged \(.*lora_A"):
        model.encode(TEXTS)


def test_an_adapter_of_the_table_is_refused_at_once(bert):
    name = "bert.embeddings.word_embeddings.lora_embedding_A"
    with pytest.raises(ModelError, match="token table of m is changed by an adapter"):
        subemb.load(renamed(bert, lambda weights: weights | {name: torch.zeros(2, 45)}))


def test_an_adapter_names_its_base(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "some/base"}')
    with pytest.raises(ModelError, match="merge it into its base model some/base first"):
        subemb.load(tmp_path)


@pytest.mark.parametrize("file", [FILE, "model.safetensors.index.json"])
def test_a_git_lfs_pointer_is_called_one(bert, file):
    (bert / FILE).unlink()
    (bert / file).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n")
    with pytest.raises(ModelError, match=f"{file} of m is a Git LFS pointer.*git lfs pull"):
        subemb.load(bert)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "not_yet_invented"}, "architecture 'not_yet_invented' is not part of transformers"),
        ({"num_attention_heads": 3}, "the values in its config.json do not fit"),
        ({"num_hidden_layers": 3_000_000}, "num_hidden_layers: 3,000,000, but the weights files hold"),
        ({"hidden_size": 160_000}, "describes a network of"),
    ],
)
def test_what_transformers_cannot_build_is_said_in_our_words(bert, config, said):
    assert said in refusal(reconfigured(bert, **config))


# What is trained and taken away


@pytest.mark.slow
def test_weights_that_transformers_renames_are_exported(tmp_path):
    from transformers import NomicBertConfig, NomicBertForMaskedLM

    tokens = [*SPECIAL, *WORDS]
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = NomicBertConfig(vocab_size=len(tokens), pad_token_id=0, **sizes)
    save(tmp_path / "m", NomicBertForMaskedLM, config, word_piece(tokens))
    original = subemb.load(tmp_path / "m")
    adapted = subemb.adapt(
        original, subemb.compress(original.table, "product", 2, 8), LEARNED, steps=1, train="everything", network_rate=1e-2
    )
    export.dense(adapted, tmp_path / "dense")
    assert load_file(tmp_path / "dense" / FILE).keys() == load_file(tmp_path / "m" / FILE).keys()
    assert np.abs(plain(tmp_path / "dense") - adapted.encode(TEXTS)).max() < 1e-6


@pytest.mark.slow
def test_the_table_of_a_nested_model_is_exported_beside_renamed_weights(tmp_path):
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    tokens = [*SPECIAL, *WORDS]
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    text = {**sizes, "vocab_size": len(tokens), "num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 0}
    vision = {**sizes, "image_size": 16, "patch_size": 8}
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=len(tokens) - 1)
    save(tmp_path / "m", Gemma3ForConditionalGeneration, config, word_piece(tokens))
    original = subemb.load(tmp_path / "m")
    adapted = subemb.adapt(
        original, subemb.compress(original.table, "product", 2, 8), LEARNED, steps=1, train="everything", network_rate=1e-2
    )
    export.dense(adapted, tmp_path / "dense")
    assert torch.equal(subemb.load(tmp_path / "dense").table, adapted.table)
    assert np.abs(plain(tmp_path / "dense") - adapted.encode(TEXTS)).max() < 1e-5


def test_shards_state_the_size_that_they_have(tmp_path):
    folder = shard(make_bert(tmp_path / "m", [*SPECIAL, *WORDS]))
    for path in folder.glob("*.safetensors"):
        save_file({name: value.bfloat16() for name, value in load_file(path).items()}, path, {"format": "pt"})
    original = subemb.load(folder)
    export.dense(subemb.attach(original, subemb.compress(original.table, "product", 2, 8)), tmp_path / "dense")
    index = json.loads((tmp_path / "dense" / "model.safetensors.index.json").read_text())
    found = [value for path in (tmp_path / "dense").glob("*.safetensors") for value in load_file(path).values()]
    assert index["metadata"]["total_size"] == sum(value.numel() * 4 for value in found)
    assert len(index["weight_map"]) == len(found)


def test_a_network_without_gradients_is_refused_before_the_work(tmp_path):
    from transformers import ReformerConfig, ReformerModel

    tokens = [*SPECIAL, *WORDS]
    config = ReformerConfig(
        vocab_size=len(tokens), hidden_size=16, num_attention_heads=2, attention_head_size=8, feed_forward_size=16,
        attn_layers=["local"], axial_pos_embds=False, max_position_embeddings=64, local_attn_chunk_length=8, pad_token_id=0,
    )  # fmt: skip
    save(tmp_path / "m", ReformerModel, config, word_piece(tokens))
    original = subemb.load(tmp_path / "m")
    seen = []
    with pytest.raises(InputError, match="computes no gradient"):
        subemb.adapt(
            original,
            subemb.compress(original.table, "product", 2, 8),
            LEARNED,
            steps=1,
            progress=lambda stage, done: seen.append(stage),
        )
    assert seen == []


def test_what_a_network_has_no_place_for_is_said(bert):
    def with_gates(weights):
        return {**weights, "bert.encoder.layer.0.attention.gate.weight": torch.ones(4, 4), "ema.step": torch.ones(1)}

    model = subemb.load(renamed(bert, with_gates))
    model.encode(TEXTS)
    assert [note for note in model.notes if "no place for" in note] == [
        "Its files hold weights that a network of its config.json has no place for, which are not used: "
        "bert.encoder.layer.0.attention.gate.weight."
    ]


def test_adapters_of_another_library_are_refused(bert):
    part = "bert.encoder.layer.0.output.adapters.sts.adapter_up.weight"
    renamed(bert, lambda weights: {**weights, part: torch.ones(16, 4)})
    assert f"an adapter that is not merged ({part})" in refusal(bert)


@pytest.mark.parametrize("parts", [("table", "network"), ("network", "table")], ids=" then ".join)
@pytest.mark.parametrize(
    ("make", "head"),
    [
        (make_bert, None),
        (partial(make_bert, masked_lm=True), "masked"),
        (partial(make_llama, tied=True), "causal"),
        (make_t5, None),
    ],
    ids=["bert", "masked", "llama", "t5"],
)
def test_a_network_looks_its_tokens_up_in_the_table_itself(make, head, parts, tmp_path):
    model = subemb.load(make(tmp_path / "m"))
    for part in parts:  # whichever is read first
        model.network(head) if part == "network" else model.table
    network, before = model.network(head), model.table.clone()
    assert network.get_input_embeddings().weight.data_ptr() == model.table.data_ptr()
    if head is not None:
        assert network.get_output_embeddings().weight is network.get_input_embeddings().weight
    with torch.no_grad():
        model.trainable_copy(head).network(head).get_input_embeddings().weight.add_(1)
        model.on_device("cpu").network(head).get_input_embeddings().weight.add_(1)
    assert torch.equal(model.table, before)


def test_a_sentence_model_looks_its_tokens_up_in_the_table_itself(tmp_path):
    first, second = (subemb.load(make_sentence_model(make_bert(tmp_path / name))) for name in ("a", "b"))
    first.table  # noqa: B018 - read before the network, and that of the other after it
    vectors = [model.encode(TEXTS) for model in (first, second)]
    for model in (first, second):
        table = model.table
        assert model.sentence_model()[0].auto_model.get_input_embeddings().weight.data_ptr() == table.data_ptr()
        vectors.append(model.encode(TEXTS))
    assert all(np.array_equal(vectors[0], each) for each in vectors[1:])
