"""What is taken away: the compact folder with its card, the dense checkpoint, the table as ONNX, and the command for all of them."""

import json

import numpy as np
import pytest
import torch
from checkpoints import (
    SPECIAL,
    WORDS,
    make_bert,
    make_distilbert,
    make_mpnet,
    make_sentence_model,
    make_t5,
    make_xlmr,
    shard,
)
from huggingface_hub import ModelCard

import subemb
from subemb import export
from subemb.base.errors import InputError
from subemb.cli import main
from subemb.codec.storage import entropy_coded_bytes
from subemb.evaluate.similarity.demonstration import TaskScore

SENTENCES = ["the cat sits on the mat", "a dog runs", "two birds sing under the tree"]
TEXTS = [f"{first} {second}" for first in WORDS[:5] for second in WORDS[5:10]]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return subemb.load(make_sentence_model(make_bert(tmp_path_factory.mktemp("models") / "small", [*SPECIAL, *WORDS])))


@pytest.fixture(scope="module")
def adapted(model):
    return subemb.adapt(model, subemb.compress(model.table, "cluster", 2), TEXTS, steps=8, train="everything")


def close(first, second) -> bool:
    return np.abs(first.encode(SENTENCES) - second.encode(SENTENCES)).max() < 1e-6


# The compact folder


def test_the_compact_folder_opens_again_and_its_card_is_read_by_the_hub(adapted, tmp_path):
    export.compact(adapted, tmp_path / "out")
    assert close(subemb.load(tmp_path / "out"), adapted)
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.library_name == "subemb"
    assert card.data.eval_results is None
    assert f"{adapted.compressed.size().total_bytes:,}" in card.text
    assert f"{4 * adapted.changed_parameters:,}" in card.text


def test_a_folder_with_entropy_coded_codes_says_how_large_it_is_and_opens_as_before(tmp_path, capsys):
    words = [f"word{number}" for number in range(900)]
    model = subemb.load(make_bert(tmp_path / "words", [*SPECIAL, *words], initializer_range=0.3))
    small = subemb.attach(model, subemb.compress(model.table, "product", 2, 5))  # five codewords take three bits when packed
    export.compact(small, tmp_path / "coded", entropy=True)
    coded = entropy_coded_bytes(small.compressed)
    assert coded < small.compressed.size().total_bytes
    assert f"codes in as few bits as their frequencies allow | {coded:,} |" in (tmp_path / "coded" / "README.md").read_text()
    assert torch.equal(subemb.load(tmp_path / "coded").compressed.codes, small.compressed.codes)
    assert main(["export", str(tmp_path / "coded"), "--entropy"]) == 2
    assert "say what to write" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "coded"), "--entropy", "--report", str(tmp_path / "report.html")]) == 2
    assert "add --compact OUT" in capsys.readouterr().err


def test_a_readme_of_something_else_is_not_replaced(adapted, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError, match=r"holds a README\.md of something else.*give an empty or a new folder"):
        export.compact(adapted, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_an_earlier_compact_folder_is_written_anew(model, adapted, tmp_path):
    export.compact(subemb.attach(model, subemb.compress(model.table, "product", 2, 8)), tmp_path / "out")
    before = (tmp_path / "out" / "README.md").read_text()
    export.compact(adapted, tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_text() != before
    assert close(subemb.load(tmp_path / "out"), adapted)


def test_the_card_of_a_compressed_table_has_its_own_score(model, tmp_path):
    small = subemb.attach(model, subemb.compress(model.table, "product", 2, 8))
    score = TaskScore("Demonstration set", ("en",), 193, "spearman", 0.754, 0.6543)
    export.compact(small, tmp_path / "out", task=score)
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.eval_results[0].metric_value == 65.43
    assert "| compressed | 65.43 |" in card.text


@pytest.mark.slow
def test_the_card_names_the_original_of_the_hub_and_the_measured_score():
    from subemb.adaptation.result import Adaptation

    bundled = subemb.load("all-MiniLM-L6-v2")
    compressed = subemb.compress(bundled.table, "arbitrary", 3)
    facts = Adaptation(
        "k",
        {"name": bundled.name},
        compressed.settings.to_dict(),
        subemb.AdaptationSettings(),
        {"name": "text", "sentences": 9, "digest": "x"},
        scored={"name": "dev", "task": "similarity", "pairs": 1500, "digest": "d", "metric": "Spearman"},
        scores={"original": 90.0, "compressed": 50.0, "adapted": 71.25},
    )
    text = export.model_card(bundled.adapted(compressed, {}, facts.to_dict()))
    card = ModelCard(text)
    assert card.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    (result,) = card.data.eval_results
    assert (result.metric_value, result.dataset_name, result.task_type) == (71.25, "dev", "sentence-similarity")
    assert "1,500 pairs" in card.text


# The dense checkpoint


def test_the_dense_checkpoint_needs_nothing_of_subemb(adapted, tmp_path):
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel

    export.dense(adapted, tmp_path / "dense")
    plain = SentenceTransformer(str(tmp_path / "dense"), device="cpu", local_files_only=True)
    assert np.abs(plain.encode(SENTENCES) - adapted.encode(SENTENCES)).max() < 1e-6
    network = AutoModel.from_pretrained(tmp_path / "dense", local_files_only=True)
    assert torch.equal(network.get_input_embeddings().weight, adapted.table)
    assert close(subemb.load(tmp_path / "dense"), adapted)
    (tmp_path / "mine").touch()
    usual = (tmp_path / "mine").stat().st_mode
    assert {path.stat().st_mode for path in (tmp_path / "dense").rglob("*") if path.is_file()} == {usual}
    assert (tmp_path / "dense").stat().st_mode & 0o777 == (usual | (usual & 0o444) >> 2) & 0o777  # folders can be entered


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("make", [make_distilbert, make_mpnet, make_xlmr, make_t5], ids=lambda make: make.__name__)
def test_every_family_is_written_under_its_own_names(make, tmp_path):
    original = subemb.load(make(tmp_path / "m"))
    small = subemb.attach(original, subemb.compress(original.table, "product", 2, 8))
    export.dense(small, tmp_path / "dense")
    assert close(subemb.load(tmp_path / "dense"), small)


@pytest.mark.slow
def test_shards_are_written_too(tmp_path):
    original = subemb.load(shard(make_bert(tmp_path / "m", [*SPECIAL, *WORDS])))
    small = subemb.attach(original, subemb.compress(original.table, "product", 2, 8))
    export.dense(small, tmp_path / "dense")
    assert len(list((tmp_path / "dense").glob("*.safetensors"))) > 1
    assert close(subemb.load(tmp_path / "dense"), small)


@pytest.mark.slow
def test_tied_heads_are_written_too(tmp_path):
    import masked_models

    original = subemb.load(masked_models.train(tmp_path / "m", steps=1))
    compressed = subemb.compress(original.table, "product", 2, 8)
    small = subemb.attach(original, compressed)
    export.dense(small, tmp_path / "dense")
    again = subemb.load(tmp_path / "dense")
    ids = original.tokenizer(["the cat says [MASK] ."], return_tensors="pt")
    with torch.no_grad():
        logits = [side.network("masked")(**ids).logits for side in (again, small)]
    assert (logits[0] - logits[1]).abs().max() < 1e-5


def test_half_precision_is_not_rounded(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = make_bert(tmp_path / "m")
    weights = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    original = subemb.load(folder)
    small = subemb.attach(original, subemb.compress(original.table, "product", 2, 8))
    export.dense(small, tmp_path / "dense")
    assert close(subemb.load(tmp_path / "dense"), small)


def test_a_folder_that_holds_something_is_left_alone(adapted, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something already"):
        export.dense(adapted, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_full_disk_leaves_nothing_half_written(adapted, tmp_path, monkeypatch):
    import errno
    import os

    import safetensors.torch

    def full(*arguments, **more):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(InputError, match="No space left"):
        export.dense(adapted, tmp_path / "dense")
    assert list(tmp_path.iterdir()) == []


# ONNX


@pytest.mark.parametrize("method", ["cluster", "product", "arbitrary", "residual", "optimized_product"])
def test_onnx_gives_what_torch_gives(model, method, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    compressed = subemb.compress(model.table, method, 3, 8)
    check = export.onnx_table(compressed, tmp_path / "table.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "table.onnx", providers=["CPUExecutionProvider"])
    ids = np.random.default_rng(0).integers(0, model.num_tokens, (4, 7))
    (found,) = session.run(None, {"ids": ids})
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, compressed.lookup(torch.from_numpy(ids)).numpy(), atol=1e-6)
    assert check.tokens == model.num_tokens
    assert check.bytes == (tmp_path / "table.onnx").stat().st_size


def test_many_codewords_and_uneven_widths(tmp_path):
    pytest.importorskip("onnxruntime")
    table = torch.randn(400, 10, generator=torch.Generator().manual_seed(0))
    compressed = subemb.compress(table, "product", 3, 300)
    assert export.onnx_table(compressed, tmp_path / "t.onnx").largest_difference == 0


def test_a_baseline_has_no_codebooks_to_gather_from(model, tmp_path):
    with pytest.raises(InputError, match="int8 has no codebooks"):
        export.onnx_table(subemb.compress(model.table, "int8"), tmp_path / "t.onnx")
    assert not list(tmp_path.iterdir())


# The command


@pytest.fixture(scope="module")
def saved(adapted, tmp_path_factory):
    return adapted.save_pretrained(tmp_path_factory.mktemp("saved") / "out")


@pytest.mark.slow
def test_the_command_writes_every_form(adapted, saved, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    line = ["export", str(saved), "--compact", str(tmp_path / "c"), "--dense", str(tmp_path / "d")]
    line += ["--onnx", str(tmp_path / "t.onnx"), "--report", str(tmp_path / "r.html")]
    assert main([*line, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert list(written) == ["compact", "dense", "onnx", "report"]
    assert close(subemb.load(tmp_path / "c"), adapted)
    assert close(subemb.load(tmp_path / "d"), adapted)
    assert written["onnx"]["bytes"] == (tmp_path / "t.onnx").stat().st_size
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "no benchmark" in page  # the score of the run itself
    assert "No labelled set was scored" not in page
    assert page.startswith("<!DOCTYPE html>") or page.startswith("<!doctype html>")
    assert main(["export", str(saved), "--onnx", str(tmp_path / "again.onnx")]) == 0
    assert "onnxruntime and torch agree" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say what to write"),
        (["--dense", "."], "holds something already"),
        (["--compact", "{saved}"], "is the folder itself"),
    ],
)
def test_what_cannot_be_written_is_said(saved, options, message, capsys):
    assert main(["export", str(saved), *(option.format(saved=saved) for option in options), "--quiet"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["README.md", "config.json"])
def test_where_no_compact_folder_may_be_is_said_before_the_work(saved, tmp_path, name, capsys, monkeypatch):
    from subemb.commands import export as command

    (tmp_path / name).write_text("{}")
    monkeypatch.setattr(command, "open_saved", None)
    assert main(["export", str(saved), "--compact", str(tmp_path), "--quiet"]) == 2
    assert f"holds a {name} of something else" in capsys.readouterr().err
    assert (tmp_path / name).read_text() == "{}"


def test_a_folder_that_is_no_result_is_refused(tmp_path, capsys):
    assert main(["export", str(tmp_path), "--onnx", str(tmp_path / "t.onnx"), "--quiet"]) == 2
    assert "config.json" in capsys.readouterr().err


@pytest.mark.slow
def test_what_was_fine_tuned_can_be_taken_away_and_says_so(model, tmp_path, capsys):
    first, second = TEXTS[:20], TEXTS[5:]
    pairs = subemb.evaluate.PairSet("graded.csv", "similarity", "made", first, second, [float(n % 6) for n in range(20)])
    compressed = subemb.compress(model.table, "cluster", 2)
    tuned = subemb.adapt(model, compressed, labelled=pairs, scored=pairs.select([0, 1, 2, 3]), objective="similarity", steps=3)
    card = ModelCard(export.model_card(tuned)).text
    assert "fine-tuning on similarity" in card
    assert f"{tuned.facts['text']['pairs']} labelled pairs" in card
    assert "| fine-tuned original |" in card
    assert "the distance of adapted to it, not to the original as it came" in card
    tuned.save_pretrained(tmp_path / "tuned")
    assert main(["export", str(tmp_path / "tuned"), "--report", str(tmp_path / "report.html"), "--quiet"]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "--objective similarity" in page
    assert "--labelled graded.csv" in page
    assert "Fine-tuned original" in page or "fine-tuned original" in page
