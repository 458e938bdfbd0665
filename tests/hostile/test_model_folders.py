"""Model folders of any content: each breaks nothing but its own entry in the list, and says what is wrong with it."""

import json
import os
import shutil
from pathlib import Path

import pytest
from checkpoints import make_bert, reconfigured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subemb.base.errors import InputError, ModelError
from subemb.commands.text import models_text
from subemb.models.catalogue import available_models, listed_folder
from subemb.models.load import load_listed
from subemb.models.probe import architecture_of

DEEP, LONG = "[" * 200_000, "x" * 5000


def config(**fields):
    """A folder whose config.json has other fields."""
    return lambda folder: reconfigured(folder, **fields)


def holds(name: str, content: str | bytes):
    """A folder one of whose files holds something else."""

    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def shards(content: str):
    """A folder whose weights are in shards, by an index that holds something else."""

    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(content)

    return change


def link(name: str, target: str):
    """A folder with a link; ``OUTSIDE`` is a folder that SUBEMB_MODELS does not have."""

    def change(folder: Path) -> None:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(target.replace("OUTSIDE", str(folder.parent.parent / "outside")))

    return change


def pipe(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()


MODULE = "sentence_transformers.models.Transformer"
JSON = ("", "[", "5", "null", DEEP, "{" * 200_000, b"\xff\xfe\0", b"\0" * 50, '{"a":' * 300 + "1" + "}" * 300)
#: Words of the entry's error, None where the folder can be used; and what is done to a sound folder.
FOLDERS: dict[str, tuple[str | None, object]] = {
    "sound": (None, lambda folder: None),
    **{
        f"architectures {value!r:.9}": ("says architectures", config(architectures=value))
        for value in (5, {}, [5], "x", True, [None])
    },
    **{f"type {value!r:.9}": ("says model_type", config(model_type=value)) for value in (5, [], {}, True, ["bert"])},
    **{f"vocabulary {value!r:.9}": ("says vocab_size", config(vocab_size=value)) for value in ("45", [45], 1.5, {}, True)},
    "three million layers": ("the weights files hold", config(num_hidden_layers=3_000_000)),
    "a number without end": ("the weights files hold", config(num_hidden_layers=10**30)),
    "layers inside": ("the weights files hold", config(text_config={"num_hidden_layers": 9999})),
    **{f"text {value!r:.9}": ("text_config", config(text_config=value)) for value in (5, "x", [1], {"vocab_size": "x"})},
    "tied": ("says tie_word_embeddings", config(tie_word_embeddings="x")),
    "padding": ("says pad_token_id", config(pad_token_id=[1])),
    "code": ("says auto_map", config(auto_map=5)),
    "code of its own": ("needs code of its own", config(auto_map={"AutoModel": "x.y"}, model_type="z")),
    **{f"config {number}": ("config.json", holds("config.json", content)) for number, content in enumerate(JSON)},
    **{f"modules {number}": ("modules.json", holds("modules.json", content)) for number, content in enumerate(JSON)},
    "modules, no list": ("no list of modules", holds("modules.json", '{"a": []}')),
    "module, a number": ("instead of an object", holds("modules.json", "[5]")),
    "module, path": ("says path", holds("modules.json", f'[{{"path": 5, "type": "{MODULE}"}}]')),
    "module, zero": ("no folder can have", holds("modules.json", f'[{{"path": "a\\u0000b", "type": "{MODULE}"}}]')),
    "module, out": ("leads out", holds("modules.json", f'[{{"path": "1/../../sound", "type": "{MODULE}"}}]')),
    "module, root": (
        "leads out",
        holds("modules.json", f'[{{"path": "", "type": "{MODULE}"}}, {{"path": "/etc", "type": "x"}}]'),
    ),
    "module, type": ("without type or path", holds("modules.json", '[{"path": ""}]')),
    "weights, empty": ("not a whole safetensors file", holds("model.safetensors", b"")),
    "weights, text": ("not a whole safetensors file", holds("model.safetensors", b"x" * 100)),
    "weights, large": ("not a whole safetensors file", holds("model.safetensors", (10**15).to_bytes(8, "little"))),
    "weights, deep": ("not a whole", holds("model.safetensors", (200_000).to_bytes(8, "little") + DEEP.encode())),
    "weights, list": ("not a whole safetensors file", holds("model.safetensors", (2).to_bytes(8, "little") + b"[]")),
    **{f"shards {number}": ("index.json", shards(str(content))) for number, content in enumerate(JSON[:6])},
    "shards, climbing": ("not a safetensors file beside it", shards('{"weight_map": {"a": "../x.safetensors"}}')),
    "shards, zero": ("one of its 1 weights files", shards('{"weight_map": {"a": "a\\u0000.safetensors"}}')),
    "shards, lists": ("is damaged", shards('{"weight_map": {"a": ["x"]}}')),
    "a link out": ("links to a place outside", link("config.json", "OUTSIDE/config.json")),
    "a link out, deep": ("links to a place outside", link("a/b/c", "OUTSIDE")),
    "a link out, twice": ("links to a place outside", link("x", "/etc/passwd")),
    "a link to itself": (None, link("x", "x")),
    "a link to nothing": (None, link("x", "nothing")),
    "a link in a circle": (None, link("x", ".")),
    "a link inside": (None, link("x", "../sound")),
    "endless": ("links to a place outside", link("config.json", "/dev/zero")),
    "a pipe": ("no ordinary file", pipe),
    "a folder": ("is a folder", no_config),
    "\x1b[31mred": ("config.json", holds("config.json", "{")),
    "\udcff": ("config.json", holds("config.json", "{")),
    "x" * 255: ("config.json", holds("config.json", "{")),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """SUBEMB_MODELS with all of these folders."""
    place = tmp_path_factory.mktemp("hostile")
    outside, models = place / "outside", place / "models"
    make_bert(outside)
    models.mkdir()
    for name, (_, change) in FOLDERS.items():
        shutil.copytree(outside, models / name)
        change(models / name)
    (models / "loop").symlink_to(".")
    (models / "self").symlink_to("self")
    (models / "linked out").symlink_to(outside)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_MODELS", str(models))
        yield models


@pytest.fixture(scope="module")
def entries(models):
    return {entry.name: entry for entry in available_models()}


@pytest.mark.parametrize("name", FOLDERS, ids=lambda name: name.encode("ascii", "backslashreplace").decode()[:30])
def test_a_folder_breaks_nothing_but_its_entry(name, entries, models):
    words, entry = FOLDERS[name][0], entries[name]
    if words is None:
        assert entry.error is None
        assert load_listed(name).num_tokens == entry.vocabulary
        return
    assert words in (entry.error or "nothing")
    assert str(models) not in entry.error
    assert len(entry.error) < 500
    with pytest.raises(InputError):
        load_listed(name)


def test_the_list_is_whole(entries):
    assert "all-MiniLM-L6-v2" in entries
    assert entries["linked out"].error.startswith("linked out links to a place outside")
    assert not [name for name in entries if name.startswith(("loop", "self/"))]
    assert "\x1b" not in models_text(entries.values())


@pytest.mark.parametrize(
    "name", ["a link out", "a link out, deep", "linked out", "../outside", "sound/..", "a\0b", "x" * 5000, "\ud800"]
)
def test_a_name_never_leaves_the_models(name, models):
    assert listed_folder(name) is None


def test_a_folder_that_may_not_be_looked_into_hides_no_other(tmp_path, monkeypatch):
    make_bert(tmp_path / "models" / "sound")
    shut = tmp_path / "models" / "shut"
    make_bert(shut / "inside")
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path / "models"))
    real = Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path: real(path) if path != shut else _denied(path))
    assert [entry.name for entry in available_models() if entry.source == "folder"] == ["sound"]


def _denied(path: Path):
    raise PermissionError(13, "Permission denied", str(path))


def test_a_damaged_cached_model_hides_no_other(tmp_path, monkeypatch):
    """A repository in the Hugging Face cache whose index is nested without end, beside a sound one."""
    from subemb.models import hub

    revision = "0" * 40
    for name in ("sound", "broken"):
        folder = tmp_path / f"models--org--{name}"
        make_bert(folder / "snapshots" / revision)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(revision)
        (folder / "blobs").mkdir()
    broken = tmp_path / "models--org--broken" / "snapshots" / revision
    shards(DEEP)(broken)
    assert [model.name for model in hub.cached_models(tmp_path)] == ["org/sound"]
    config(architectures=5)(tmp_path / "models--org--sound" / "snapshots" / revision)
    monkeypatch.setattr(hub, "_cache", lambda _: tmp_path)
    assert "says architectures" in {entry.name: entry.error for entry in available_models()}["org/sound"]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "architectures",
        "model_type",
        "vocab_size",
        "hidden_size",
        "text_config",
        "tie_word_embeddings",
        "auto_map",
        "num_hidden_layers",
    ]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(
    file=st.sampled_from(["config.json", "modules.json", "model.safetensors.index.json", "1_Pooling/config.json"]),
    value=ANY_JSON,
)
def test_json_of_any_kind_in_any_file(file, value, models):
    folder = models.parent / "any" / "folder"
    shutil.rmtree(folder.parent, ignore_errors=True)
    shutil.copytree(models / "sound", folder)
    if "index" in file:
        (folder / "model.safetensors").unlink()
    holds(file, json.dumps(value))(folder)
    _opens_or_says(folder)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(fields=st.dictionaries(FIELDS, ANY_JSON, min_size=1, max_size=2))
def test_fields_of_any_kind_in_a_config(fields, models, monkeypatch):
    folder = models.parent / "fields" / "folder"
    shutil.rmtree(folder.parent, ignore_errors=True)
    shutil.copytree(models / "sound", folder)
    config(**fields)(folder)
    # What has to be built is built elsewhere; whether that works is not asked here.
    monkeypatch.setattr("subemb.models.probe.ask", lambda *_: {"error": "not asked"})
    _opens_or_says(folder)


def _opens_or_says(folder: Path) -> None:
    from subemb import load

    said = ""
    try:
        model = load(folder)
        assert model.num_tokens > 1
        assert isinstance(model.pooling, str)
        assert model.parameters
        assert isinstance(model.has_tied_head, bool)
    except InputError as error:
        said = str(error)
    assert "\n" not in said


# Networks that have to be built to be looked at


def test_that_a_computer_was_busy_is_not_kept_of_a_model(tmp_path, monkeypatch, in_a_process):
    make_bert(tmp_path / "bert")
    with monkeypatch.context() as busy:
        busy.setattr("subemb.models.probe.ask", in_a_process)
        busy.setattr("subemb.models.probe._WALL_SECONDS", 0.01)
        with pytest.raises(ModelError, match=r"was not built within 0\.01 seconds; is this computer busy"):
            architecture_of(tmp_path / "bert")
    assert architecture_of(tmp_path / "bert").prefix == "bert"


def test_a_family_that_is_learned_later_is_asked_again(tmp_path, monkeypatch):
    make_bert(tmp_path / "bert")
    config(architectures=["BertForMaskedLM"])(tmp_path / "bert")
    assert "cls.predictions.bias" not in architecture_of(tmp_path / "bert").shapes
    for module in ("probe", "loading"):
        monkeypatch.setattr(f"subemb.models.{module}.SIBLINGS", ("BertForMaskedLM",))
    assert "cls.predictions.bias" in architecture_of(tmp_path / "bert").shapes


@pytest.mark.slow
def test_an_architecture_is_looked_at_in_a_process_that_ends(tmp_path, monkeypatch, in_a_process):
    """The process itself, not the stand-in that other tests use."""
    make_bert(tmp_path / "bert")
    monkeypatch.setattr("subemb.models.probe.CPU_SECONDS", 3)
    assert in_a_process(str(tmp_path / "bert"), ["AutoModel"])["prefix"] == "bert"  # imports, which take longer, do not count
    monkeypatch.setattr("subemb.models.probe.CPU_SECONDS", 1)
    config(num_hidden_layers=1_000)(tmp_path / "bert")
    heads = [f"AutoModel{head}" for head in ("", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification")]
    assert "takes more than 1 seconds" in in_a_process(str(tmp_path / "bert"), heads)["error"]
