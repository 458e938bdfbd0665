"""What is made to be taken away: files in the cache, bounded, equal for equal inputs."""

import dataclasses
import io
import shutil
import zipfile

import pytest
import torch
from checkpoints import make_bert
from entailment_models import made_pairs, make_classifier

import subemb
from subemb.adaptation.settings import AdaptationSettings
from subemb.base.errors import Cancelled, InputError
from subemb.codec.settings import CompressionSettings
from subemb.evaluate import demo_pairs
from subemb.evaluate.entailment.engines import engine_options
from subemb.runs import compressed_of, run_and_keep
from subemb.tasks import exports
from subemb.tasks.adaptation import begin_adaptation, run_adaptation
from subemb.tasks.evaluations import SIMILARITY_SETS, evaluate_entailment_set, evaluate_similarity_set, evaluations_of
from subemb.tasks.exports import COMPACT, DENSE, EXPORTS, file_stem, make_export, pack
from subemb.tasks.sides import Subject, open_sides

SETTINGS = CompressionSettings("product", subspaces=2, codebook_size=4, iterations=2)


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    make_bert(tmp_path / "models" / "small", initializer_range=0.3)
    return tmp_path / "models"


def subject_of(name: str = "small", **changes) -> Subject:
    kept = run_and_keep(name, None, CompressionSettings(**{**SETTINGS.to_dict(), **changes}).to_dict())
    return Subject(name, None, kept.model["identity"], kept.key)


def unpacked(export, folder):
    """The folder of an archive, unpacked."""
    with zipfile.ZipFile(io.BytesIO(export.read())) as archive:
        archive.extractall(folder)
    return folder / export.folder


# Archives


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "one"
    (made / "deeper").mkdir(parents=True)
    (made / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    (made / "deeper" / "config.json").write_text("{}" * 500)
    return made


def test_an_archive_has_every_file_under_the_folders_name(folder, tmp_path):
    files = pack(folder, tmp_path / "a.zip")
    assert dict(files) == {"deeper/config.json": 1000, "model.safetensors": 10240}
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert set(archive.namelist()) == {"one/deeper/config.json", "one/model.safetensors"}
        assert archive.testzip() is None
        archive.extractall(tmp_path / "out")
    for name, _ in files:
        assert (tmp_path / "out" / "one" / name).read_bytes() == (folder / name).read_bytes()


def test_equal_folders_make_equal_archives(folder, tmp_path):
    pack(folder, tmp_path / "a.zip")
    shutil.copytree(folder, tmp_path / "again" / "one")
    pack(tmp_path / "again" / "one", tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_packing_can_be_cancelled(folder, tmp_path):
    with pytest.raises(Cancelled):
        pack(folder, tmp_path / "a.zip", lambda message: True)


# Keys and names


def test_keys_tell_apart_what_differs():
    one = Subject("small", None, "id", "run")
    keys = {
        make_export.key(one, COMPACT),
        make_export.key(one, DENSE),
        make_export.key(Subject("small", None, "id", "other"), COMPACT),
        make_export.key(Subject("also small", None, "id", "run"), COMPACT),
    }
    assert len(keys) == 4
    assert make_export.key(Subject("small", None, "id", "run"), COMPACT) in keys


def test_without_a_run_there_is_nothing_to_export():
    with pytest.raises(InputError, match="press Run first"):
        make_export.key(Subject("small", None, "id", None), COMPACT)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b/<b>c</b>", "", "...", "x" * 500, "ünï code"])
def test_file_names_are_plain(name):
    stem = file_stem(Subject(name, None, "id", "0123456789abcdef"))
    assert stem.endswith("-01234567")
    assert len(stem) <= 69
    assert stem.isascii()
    assert not set("/\\<>: ") & set(stem)
    assert not stem.startswith((".", "-"))


# The job


def test_the_compact_folder_loads_again_and_gives_the_same(models, tmp_path):
    subject = subject_of()
    assert make_export.kept(subject, COMPACT) is None
    made = make_export(subject, COMPACT)
    assert make_export.kept(subject, COMPACT) == made
    assert made.bytes == made.path.stat().st_size == len(made.read())
    again = subemb.load(unpacked(made, tmp_path / "out"))
    assert torch.equal(torch.as_tensor(again.table), compressed_of(subject.run_key).reconstruct())
    sentences = ["the cat sits", "a dog runs"]
    expected = open_sides(subject)["compressed"].encode(sentences)
    torch.testing.assert_close(torch.as_tensor(again.encode(sentences)), torch.as_tensor(expected), atol=1e-6, rtol=0)


@pytest.mark.slow
def test_the_dense_checkpoint_needs_nothing_of_subemb(models, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    subject = subject_of()
    make_export(subject, DENSE)
    folder = unpacked(make_export.kept(subject, DENSE), tmp_path / "out")
    model = AutoModel.from_pretrained(folder)
    table = model.get_input_embeddings().weight
    torch.testing.assert_close(table.detach(), compressed_of(subject.run_key).reconstruct(), atol=1e-6, rtol=0)
    assert AutoTokenizer.from_pretrained(folder)("the cat")["input_ids"]


@pytest.mark.slow
def test_the_onnx_table_looks_tokens_up(models):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    subject = subject_of()
    make_export(subject, exports.ONNX)
    made = make_export.kept(subject, exports.ONNX)
    session = onnxruntime.InferenceSession(made.read())
    ids = torch.tensor([[3, 1, 7]])
    (found,) = session.run(None, {session.get_inputs()[0].name: ids.numpy()})
    torch.testing.assert_close(torch.as_tensor(found), compressed_of(subject.run_key).lookup(ids), atol=1e-6, rtol=0)


@pytest.fixture
def adapted(models) -> Subject:
    subject = subject_of()
    settings = AdaptationSettings(steps=6, train="norms", batch_size=4, sample=40)
    key = begin_adaptation(subject, settings)
    run_adaptation(key)
    return dataclasses.replace(subject, adapted_key=key)


@pytest.mark.slow
def test_an_adapted_model_is_taken_away_with_what_was_trained(adapted, tmp_path):
    from transformers import AutoModel

    keys = set()
    for kind in (COMPACT, DENSE):
        make_export(adapted, kind)
        keys |= {make_export.key(adapted, kind), make_export.key(dataclasses.replace(adapted, adapted_key=None), kind)}
    assert len(keys) == 4
    made = make_export.kept(adapted, COMPACT)
    assert "changed_weights.safetensors" in dict(made.files)
    side = open_sides(adapted)["adapted"]
    sentences = ["the cat sits", "a dog runs"]
    expected = torch.as_tensor(side.encode(sentences))
    again = subemb.load(unpacked(made, tmp_path / "compact"))
    torch.testing.assert_close(torch.as_tensor(again.encode(sentences)), expected, atol=1e-6, rtol=0)
    dense = AutoModel.from_pretrained(unpacked(make_export.kept(adapted, DENSE), tmp_path / "dense"))
    torch.testing.assert_close(dense.get_input_embeddings().weight.detach(), side.table, atol=1e-6, rtol=0)
    plain = subemb.load(unpacked(make_export.kept(adapted, DENSE), tmp_path / "plain"))
    torch.testing.assert_close(torch.as_tensor(plain.encode(sentences)), expected, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_made_once_it_is_not_made_again(models):
    subject = subject_of()
    make_export(subject, COMPACT)
    before = make_export.kept(subject, COMPACT).path.stat().st_mtime_ns
    make_export(subject, COMPACT)
    assert make_export.kept(subject, COMPACT).path.stat().st_mtime_ns == before


@pytest.mark.slow
def test_what_is_cut_off_is_made_again(models):
    subject = subject_of()
    make_export(subject, COMPACT)
    made = make_export.kept(subject, COMPACT)
    made.path.write_bytes(made.read()[:-5])
    assert make_export.kept(subject, COMPACT) is None
    make_export(subject, COMPACT)
    assert make_export.kept(subject, COMPACT).read() == made.path.read_bytes()


@pytest.mark.slow
def test_a_file_that_is_gone_is_said_to_be(models):
    subject = subject_of()
    make_export(subject, COMPACT)
    made = make_export.kept(subject, COMPACT)
    shutil.rmtree(made.path.parent)
    with pytest.raises(InputError, match="not kept any more"):
        made.read()


@pytest.mark.slow
def test_only_so_many_are_kept(models, monkeypatch):
    monkeypatch.setattr(EXPORTS, "most", 2)
    subjects = [subject_of(seed=seed) for seed in range(3)]
    for subject in subjects:
        make_export(subject, COMPACT)
    assert [make_export.kept(subject, COMPACT) is not None for subject in subjects] == [False, True, True]


@pytest.mark.slow
def test_only_so_many_bytes_are_kept_but_always_the_newest(models, monkeypatch):
    monkeypatch.setattr(EXPORTS, "most_bytes", 1)
    subjects = [subject_of(seed=seed) for seed in range(2)]
    for subject in subjects:
        make_export(subject, COMPACT)
    assert [make_export.kept(subject, COMPACT) is not None for subject in subjects] == [False, True]


def test_an_unknown_export_is_refused():
    with pytest.raises(InputError, match="compact, dense, onnx"):
        make_export(Subject("small", None, "id", "run"), "gguf")


# Evaluations for the report


@pytest.mark.slow
def test_evaluations_of_a_run_are_found_and_others_are_not(models):
    make_classifier(models / "judge")
    subject, other = subject_of("judge"), subject_of("judge", seed=1)
    judges = [option.choice for option in engine_options(subemb.load("judge"))[0]]
    assert evaluations_of(subject, judges) == []
    pairs = demo_pairs("similarity").sample(20)
    evaluate_similarity_set(subject, pairs)
    evaluate_similarity_set(other, demo_pairs("similarity").sample(10))
    evaluate_entailment_set(subject, made_pairs(), judges[0])
    found = {scores.data: scores for scores in evaluations_of(subject, judges)}
    assert set(found) == {pairs.name, "made.tsv"}
    assert found[pairs.name].pairs == 20
    assert list(found["made.tsv"].values) == ["original", "compressed"]


@pytest.mark.slow
def test_damaged_evaluations_are_left_out(models):
    subject = subject_of()
    evaluate_similarity_set(subject, demo_pairs("similarity").sample(20))
    (path,) = SIMILARITY_SETS.folder.glob(f"*/{SIMILARITY_SETS.file}")
    path.write_text(path.read_text()[:-100])
    assert evaluations_of(subject, []) == []
