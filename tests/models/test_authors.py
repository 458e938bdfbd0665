"""What a folder's authors say of sentence vectors, and whose choice a pooling is."""

import json

import pytest
from checkpoints import LINES, make_bert, make_sentence_model

from subemb import load
from subemb.models.authors import gives_sentence_vectors, other_kind, pooling_in_words


def folder_of(folder, kinds, **options):
    """modules.json of these kinds, the first in the folder itself, and options of sentence-transformers."""
    folder.mkdir(exist_ok=True)
    steps = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(steps))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(options))
    return folder


@pytest.mark.parametrize(
    ("kinds", "options", "other"),
    [
        (["Transformer", "Pooling"], {}, None),
        (["Transformer", "Pooling"], {"model_type": "SentenceTransformer"}, None),
        (["Transformer"], {"model_type": "CrossEncoder"}, "CrossEncoder"),
        (["MLMTransformer", "SpladePooling"], {}, "SparseEncoder"),
        (["Transformer", "Pooling", "SparseAutoEncoder"], {"model_type": "SparseEncoder"}, "SparseEncoder"),
        (["Transformer", "Dense"], {"model_type": "MultiVectorEncoder"}, "MultiVectorEncoder"),
    ],
)
def test_what_a_folder_is_for(tmp_path, kinds, options, other):
    folder = folder_of(tmp_path / "m", kinds, **options)
    assert other_kind(folder) == other
    assert gives_sentence_vectors(folder) == (other is None)
    words = pooling_in_words(folder, "OURS")
    assert words.startswith("OURS, which its authors did not mean: it is a ") == (other is not None)
    assert ("save the model with sentence-transformers" in words) == (other is not None)


def test_what_they_ask_for_is_said(tmp_path):
    options = {"truncate_dim": 8, "prompts": {"q": "find: "}, "default_prompt_name": "q", "similarity_fn_name": "dot"}
    folder = folder_of(tmp_path / "m", ["Transformer", "WeightedLayerPooling", "Pooling"], **options)
    (folder / "2_Pooling").mkdir()
    (folder / "2_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": ["cls", "max"], "include_prompt": False}))
    assert pooling_in_words(folder, "OURS") == (
        "cls and max without the prompt, as its authors set it (sentence-transformers: Transformer, WeightedLayerPooling, Pooling), "
        "cut to the first 8 numbers, after the prompt 'find: ', but compared by the cosine, where they mean dot"
    )


def test_a_folder_without_modules_leaves_the_choice(tmp_path):
    assert pooling_in_words(make_bert(tmp_path / "m"), "OURS").startswith("OURS (subemb's choice, since its authors name none)")


@pytest.mark.parametrize("content", ["[", "5", '{"a": 1}', "[5]", "[" * 2000, '{"model_type": []}'])
def test_damaged_files_break_nothing(tmp_path, content):
    folder = make_bert(tmp_path / "m")
    for name in ("config_sentence_transformers.json", "sentence_bert_config.json", "modules.json"):
        (folder / name).write_text(content)
    assert isinstance(pooling_in_words(folder, "OURS"), str)


def test_a_classifier_of_pairs_is_read_as_its_network(tmp_path):
    """sentence-transformers would put a mean behind it as if its authors had."""
    plain = load(make_bert(tmp_path / "plain")).encode(LINES)
    folder = folder_of(make_bert(tmp_path / "m"), ["Transformer"], model_type="CrossEncoder")
    model = load(folder)
    assert not model.is_sentence_model
    assert model.encode(LINES).tolist() == plain.tolist()
    assert "which its authors did not mean" in model.pooling


def test_options_are_part_of_a_folders_revision(tmp_path):
    folder = make_sentence_model(make_bert(tmp_path / "m"))
    before = load(folder).revision
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"truncate_dim": 8}))
    assert load(folder).revision != before
