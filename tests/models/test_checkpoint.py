"""Finding and reading the token table of a checkpoint folder, and refusing what cannot be used."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from checkpoints import TOKENS, make_albert, make_bert, make_gpt2, make_roberta, make_t5, make_table, reconfigured, shard
from safetensors.torch import load_file, save_file

from subemb.base.errors import Cancelled, ModelError
from subemb.models import opening
from subemb.models.network import table_name_by_network
from subemb.models.opening import open_checkpoint

TABLE = torch.arange(12, dtype=torch.float32).view(4, 3)


def rewritten(folder, change):
    """The weights file with ``change(tensors)`` done to it."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


def refusal(folder, reason):
    with pytest.raises(ModelError) as caught:
        open_checkpoint(folder).read_table()
    assert caught.value.reason == reason
    return str(caught.value)


# The table


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_every_float_type_is_read_as_float32(tmp_path, dtype):
    checkpoint = open_checkpoint(make_table(tmp_path / "m", TABLE.to(dtype)))
    table = checkpoint.read_table()
    assert table.dtype == torch.float32
    assert table.equal(TABLE.to(dtype).float())


def test_only_the_table_is_read_from_a_file_with_more(tmp_path):
    folder = make_table(tmp_path / "m", TABLE)
    rewritten(folder, lambda tensors: tensors.update({"a.weight": torch.ones(5), "z.weight": torch.ones(7, 2)}))
    checkpoint = open_checkpoint(folder)
    assert checkpoint.read_table().equal(TABLE)
    assert checkpoint.parameters == 12 + 5 + 14


def test_a_table_equals_what_transformers_loads(tmp_path):
    from transformers import AutoModel

    for make in (make_bert, make_roberta, make_albert, make_gpt2, make_t5):
        folder = make(tmp_path / make.__name__)
        expected = AutoModel.from_pretrained(folder).get_input_embeddings().weight
        assert open_checkpoint(folder).read_table().equal(expected.detach())


def test_shards_are_one_checkpoint(tmp_path):
    folder = make_bert(tmp_path / "m")
    whole = open_checkpoint(folder)
    table, parameters = whole.read_table(), whole.parameters
    sharded = open_checkpoint(shard(folder))
    assert len(sharded.weights_files) > 1
    assert sharded.read_table().equal(table)
    assert sharded.parameters == parameters


def test_names_with_and_without_a_head_in_front(tmp_path):
    assert open_checkpoint(make_gpt2(tmp_path / "head")).table.name == "transformer.wte.weight"
    assert open_checkpoint(make_gpt2(tmp_path / "bare", head=False)).table.name == "wte.weight"


def test_t5_without_its_shared_tensor_uses_the_encoders_copy(tmp_path):
    folder = make_t5(tmp_path / "m")

    def split(tensors):
        shared = tensors.pop("shared.weight")
        tensors["encoder.embed_tokens.weight"] = shared
        tensors["decoder.embed_tokens.weight"] = shared.clone()

    parameters = open_checkpoint(folder).parameters
    checkpoint = open_checkpoint(rewritten(folder, split))
    assert checkpoint.table.name == "encoder.embed_tokens.weight"
    assert checkpoint.parameters == parameters


def test_unusual_names_are_found_by_asking_the_architecture(tmp_path):
    from checkpoints import save
    from transformers import OpenAIGPTConfig, OpenAIGPTLMHeadModel

    save(tmp_path, OpenAIGPTLMHeadModel, OpenAIGPTConfig(vocab_size=50, n_embd=8, n_layer=1, n_head=2, n_positions=16))
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.table.name == "transformer.tokens_embed.weight"
    assert checkpoint.table.shape == (50, 8)


@pytest.mark.parametrize("make", [make_bert, make_roberta, make_albert, make_gpt2, make_t5])
def test_known_names_agree_with_the_architecture(tmp_path, make):
    checkpoint = open_checkpoint(make(tmp_path / "m"))
    assert table_name_by_network(checkpoint.weights_folder, checkpoint.tensors) == checkpoint.table.name


def test_a_wrong_vocabulary_size_in_the_config_does_not_matter(tmp_path):
    folder = reconfigured(make_bert(tmp_path / "m"), vocab_size=999)
    assert open_checkpoint(folder).table.shape == (len(TOKENS), 16)


def test_a_network_of_text_and_images_keeps_its_table_where_releases_did(tmp_path):
    from checkpoints import save
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    text, vision = (
        {"model_type": "llama", "vocab_size": 50, **sizes},
        {"model_type": "clip_vision_model", "image_size": 8, "patch_size": 4},
    )
    config = LlavaConfig(text_config=text, vision_config={**vision, **sizes}, image_token_index=5)
    folder = save(tmp_path / "m", LlavaForConditionalGeneration, config)
    checkpoint = open_checkpoint(reconfigured(folder, vocab_size=999))  # of another part, as some configs have it
    assert (checkpoint.table.name, checkpoint.table.shape) == ("language_model.model.embed_tokens.weight", (50, 8))
    assert table_name_by_network(checkpoint.weights_folder, checkpoint.tensors) == checkpoint.table.name


def test_reading_reports_and_can_be_stopped(tmp_path):
    checkpoint = open_checkpoint(make_table(tmp_path / "m", TABLE))
    seen = []
    checkpoint.read_table(seen.append)
    assert [message.fraction for message in seen] == [0.0, 1.0]
    with pytest.raises(Cancelled):
        checkpoint.read_table(lambda message: True)


# Opening once


@pytest.fixture
def readings(monkeypatch):
    """Names of the folders that were really read."""
    read = []
    really = opening.read_checkpoint
    monkeypatch.setattr(opening, "read_checkpoint", lambda folder: read.append(folder.name) or really(folder))
    return read


def test_a_folder_is_read_once_whichever_thread_asks(tmp_path, readings):
    folder = make_table(tmp_path / "m", TABLE)
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(open_checkpoint, [folder] * 24))
    assert readings == ["m"]
    assert len(set(map(id, opened))) == 1


@pytest.mark.parametrize("change", ["content", "time", "new", "gone", "in a folder of it"])
def test_a_folder_that_changed_is_read_anew(tmp_path, readings, change):
    folder = make_table(tmp_path / "m", TABLE)
    (folder / "notes.txt").write_text("mine")
    (folder / "1_Pooling").mkdir()
    open_checkpoint(folder)
    if change == "content":
        reconfigured(folder, other=1)
    elif change == "time":
        os.utime(folder / "model.safetensors", (1, 1))
    elif change == "gone":
        (folder / "notes.txt").unlink()
    else:
        (folder / ("vocab.txt" if change == "new" else "1_Pooling/config.json")).write_text("{}")
    assert open_checkpoint(folder).read_table().equal(TABLE)
    open_checkpoint(folder)
    assert readings == ["m", "m"]


def test_only_so_many_are_remembered(tmp_path, readings, monkeypatch):
    monkeypatch.setattr(opening.CHECKPOINTS, "most", 2)
    folders = [make_table(tmp_path / name, TABLE) for name in "abc"]
    for folder in (folders[0], *folders, folders[1], folders[0]):
        open_checkpoint(folder)
    assert readings == ["a", "b", "c", "a"]


def test_a_broken_folder_is_looked_at_again(tmp_path):
    folder = make_table(tmp_path / "m", TABLE)
    (folder / "config.json").rename(folder / "elsewhere")
    refusal(folder, "broken")
    (folder / "elsewhere").rename(folder / "config.json")
    assert open_checkpoint(folder).read_table().equal(TABLE)


# Counting


@pytest.mark.slow
def test_parameters_are_those_of_the_network(tmp_path):
    from transformers import AutoModelForMaskedLM, BertForMaskedLM, GPT2LMHeadModel, T5ForConditionalGeneration

    made = [
        (make_bert(tmp_path / "bert", masked_lm=True), BertForMaskedLM),
        (make_roberta(tmp_path / "roberta"), AutoModelForMaskedLM),
        (make_gpt2(tmp_path / "gpt2"), GPT2LMHeadModel),
        (make_t5(tmp_path / "t5"), T5ForConditionalGeneration),
        (make_t5(tmp_path / "untied", tied=False), T5ForConditionalGeneration),
    ]
    for folder, kind in made:
        assert open_checkpoint(folder).parameters == kind.from_pretrained(folder).num_parameters()


def test_buffers_and_stored_copies_of_the_table_are_not_counted(tmp_path):
    folder = make_gpt2(tmp_path / "m")
    before = open_checkpoint(folder).parameters

    def add(tensors):
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
        tensors["transformer.h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
        tensors["transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
        tensors["position_ids"] = torch.arange(64)

    assert open_checkpoint(rewritten(folder, add)).parameters == before
    untied = reconfigured(folder, tie_word_embeddings=False)
    assert open_checkpoint(untied).parameters == before + open_checkpoint(untied).table.numel


def test_tied_heads(tmp_path):
    assert open_checkpoint(make_gpt2(tmp_path / "a")).has_tied_head
    assert open_checkpoint(make_t5(tmp_path / "b")).has_tied_head
    untied = make_t5(tmp_path / "c", tied=False)
    assert not open_checkpoint(untied).has_tied_head
    assert not open_checkpoint(reconfigured(untied, tie_word_embeddings=True)).has_tied_head  # the numbers decide
    assert not open_checkpoint(make_bert(tmp_path / "d")).has_tied_head


# The fingerprint


def test_the_fingerprint_is_of_the_content_not_of_the_place(tmp_path):
    first, second = make_bert(tmp_path / "a"), make_bert(tmp_path / "b")
    assert open_checkpoint(first).fingerprint == open_checkpoint(second).fingerprint


@pytest.mark.parametrize("row", [0, 17, len(TOKENS) - 1])
def test_one_changed_number_of_the_table_changes_the_fingerprint(tmp_path, row):
    folder = make_bert(tmp_path / "m")
    before = open_checkpoint(folder).fingerprint

    def nudge(tensors):
        tensors["embeddings.word_embeddings.weight"][row, 3] += 1e-6

    assert open_checkpoint(rewritten(folder, nudge)).fingerprint != before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_config_and_tokenizer_change_the_fingerprint(tmp_path, name):
    folder = make_bert(tmp_path / "m")
    before = open_checkpoint(folder).fingerprint
    (folder / name).write_text((folder / name).read_text() + "\n")
    assert open_checkpoint(folder).fingerprint != before


# Refusals


@pytest.mark.slow_after(2)
@pytest.mark.parametrize(("value", "shown"), [(float("nan"), "nan"), (float("inf"), "inf"), (float("-inf"), "-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nan_and_infinity_are_refused_with_their_place(tmp_path, value, shown, dtype):
    table = torch.zeros(300_000, 16, dtype=dtype)  # several pieces of the check
    table[200_001, 5] = table[299_999, 0] = value
    message = refusal(make_table(tmp_path / "m", table), "bad_table")
    assert f"{shown} at token 200001, dimension 5" in message
    assert "2 of 300000 tokens" in message


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (torch.zeros(4, 0), "4 x 0; its vectors have no dimensions"),
        (torch.zeros(1, 3), "1 x 3; a table needs at least 2 tokens"),
        (torch.zeros(0, 3), "0 x 3; a table needs at least 2 tokens"),
        (torch.zeros(4, 3, dtype=torch.int8), "stored as I8; only floats are read"),
    ],
)
def test_tables_of_no_use_are_refused(tmp_path, table, words):
    assert words in refusal(make_table(tmp_path / "m", table), "bad_table")


def test_a_table_with_three_axes_is_refused(tmp_path):
    folder = make_bert(tmp_path / "m")

    def bend(tensors):
        tensors["embeddings.word_embeddings.weight"] = torch.zeros(len(TOKENS), 4, 4)

    assert f"{len(TOKENS)} x 4 x 4; a token table has two axes" in refusal(rewritten(folder, bend), "bad_table")


def test_a_missing_folder(tmp_path):
    assert "there is no folder" in refusal(tmp_path / "absent", "unknown")


def test_a_missing_config(tmp_path):
    folder = make_table(tmp_path / "m", TABLE)
    (folder / "config.json").unlink()
    assert "m has no config.json" in refusal(folder, "broken")


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\xff", "[" * 100_000])
def test_a_broken_config(tmp_path, text):
    folder = make_table(tmp_path / "m", TABLE)
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    assert "config.json of m" in refusal(folder, "broken")


@pytest.mark.parametrize("size", [0, 4, 8, 60, -1])
def test_a_weights_file_that_was_cut_off(tmp_path, size):
    folder = make_table(tmp_path / "m", TABLE)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert "model.safetensors of m is not a whole safetensors file" in refusal(folder, "broken")


def test_garbage_in_place_of_weights(tmp_path):
    folder = make_table(tmp_path / "m", TABLE)
    for content in (b"\x80\x04\x95pickle", b"\xff" * 64, b"<html>not found</html>" * 10):
        (folder / "model.safetensors").write_bytes(content)
        refusal(folder, "broken")


def test_a_file_cut_off_after_opening(tmp_path):
    checkpoint = open_checkpoint(make_table(tmp_path / "m", TABLE))
    checkpoint.table.file.write_bytes(checkpoint.table.file.read_bytes()[:-4])
    with pytest.raises(ModelError, match="ends inside embeddings"):
        checkpoint.read_table()


def test_pickled_weights_are_never_opened(tmp_path):
    folder = make_table(tmp_path / "m", TABLE)
    (folder / "model.safetensors").unlink()
    trap = tmp_path / "trap"
    # Unpickling this would create the file.
    (folder / "pytorch_model.bin").write_bytes(f"cbuiltins\nopen\n(V{trap}\nVw\ntR.".encode())
    message = refusal(folder, "no_safetensors")
    assert "pytorch_model.bin only" in message
    assert "save_pretrained" in message
    assert not trap.exists()


def test_safetensors_under_another_name(tmp_path):
    folder = make_table(tmp_path / "m", TABLE)
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    assert "weights.safetensors but no model.safetensors" in refusal(folder, "no_safetensors")


def test_a_missing_shard(tmp_path):
    folder = shard(make_bert(tmp_path / "m"))
    victim = open_checkpoint(folder).weights_files[1]
    victim.unlink()
    assert victim.name in refusal(folder, "broken")


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "pytorch_model.bin", "a/../../x.safetensors"])
def test_an_index_cannot_name_files_elsewhere(tmp_path, name):
    save_file({"embeddings.word_embeddings.weight": TABLE}, tmp_path / "outside.safetensors")
    folder = make_table(tmp_path / "m", TABLE)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"embeddings.word_embeddings.weight": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "not a safetensors file beside it" in refusal(folder, "broken")


@pytest.mark.parametrize("index", ["{", "{}", "[]", '{"weight_map": {}}', '{"weight_map": 3}'])
def test_a_broken_index(tmp_path, index):
    folder = make_table(tmp_path / "m", TABLE)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)
    assert "model.safetensors.index.json" in refusal(folder, "broken")


def test_code_of_its_own_is_never_run(tmp_path):
    folder = make_table(tmp_path / "m", TABLE, model_type="strange", auto_map={"AutoModel": "modeling.Strange"})
    trap = tmp_path / "trap"
    (folder / "modeling.py").write_text(f"open({str(trap)!r}, 'w')")
    assert "auto_map" in refusal(folder, "unsupported")
    assert not trap.exists()


def test_a_known_architecture_may_carry_code_that_is_not_needed(tmp_path):
    folder = reconfigured(make_bert(tmp_path / "m"), auto_map={"AutoModel": "modeling.Strange"})
    assert open_checkpoint(folder).read_table().shape == (len(TOKENS), 16)


def test_an_unknown_architecture_is_read_if_its_names_are_known(tmp_path):
    folder = make_table(tmp_path / "m", TABLE, model_type="not_yet_invented")
    assert open_checkpoint(folder).read_table().equal(TABLE)


def test_an_unknown_architecture_with_unknown_names_is_refused(tmp_path):
    folder = make_table(tmp_path / "m", TABLE, model_type="not_yet_invented", vocab_size=5)
    assert "the token table of m cannot be found" in refusal(folder, "unsupported")


def test_a_model_without_tokens_is_refused(tmp_path):
    from checkpoints import save
    from transformers import ViTConfig, ViTModel

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    save(tmp_path, ViTModel, ViTConfig(image_size=8, patch_size=4, **sizes))
    assert "has no token table: the architecture 'vit'" in refusal(tmp_path, "unsupported")


def test_an_adapter_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    save_file({"lora.weight": TABLE}, tmp_path / "adapter_model.safetensors")
    assert "merge it into its base model" in refusal(tmp_path, "unsupported")
