"""The saved form: what goes in comes out bit for bit, and nothing inconsistent is read."""

import errno
import hashlib
import json
import os
import pickle
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_results import any_results, made_result
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from subemb.base.errors import InputError
from subemb.codec import compress, storage
from subemb.codec.loading import load
from subemb.codec.methods import METHODS
from subemb.codec.packing import CodesIn, coded, decoded, pack, packed_bytes
from subemb.codec.storage import (
    CONFIG_FILE,
    FORMAT,
    TENSORS_FILE,
    brief_history,
    entropy_coded_bytes,
    history_of,
    read_config,
    save,
)

STORED = (
    "codes",
    "rotation",
    "coefficients",
    "components",
    "mean",
    "values",
    "row_scale",
    "minimum",
    "step",
    "row_of",
    "lenders",
    "tier",
)


def assert_same(one, other) -> None:
    assert type(one) is type(other)
    assert one.settings == other.settings
    assert (one.num_embeddings, one.embedding_dim) == (other.num_embeddings, other.embedding_dim)
    assert (brief_history(one.history), one.info) == (brief_history(other.history), other.info)
    pairs = [(getattr(one, name, None), getattr(other, name, None)) for name in STORED]
    pairs += zip(getattr(one, "codebooks", []), getattr(other, "codebooks", []), strict=True)
    for left, right in pairs:
        assert (left is None) == (right is None)
        assert left is None or (left.dtype == right.dtype and torch.equal(left, right))


def change_config(folder, **values) -> None:
    path = folder / CONFIG_FILE
    config = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def change_tensors(folder, drop=(), **tensors) -> None:
    """Other tensors with a digest that fits, so that the tensors themselves have to be looked at."""
    path = folder / TENSORS_FILE
    kept = {name: tensor for name, tensor in load_file(path).items() if name not in drop}
    save_file(kept | {name.replace("__", "."): tensor for name, tensor in tensors.items()}, path)
    change_config(folder, tensors_sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def saved(tmp_path):
    """A saved ``product`` of 50 tokens, 12 dimensions, 3 subspaces, Q = 4."""
    return save(made_result("product"), tmp_path / "out", model={"name": "m", "revision": None})


# Round trips


@given(result=any_results())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_saved_is_read_again_bit_for_bit(result, tmp_path):
    assert_same(load(save(result, tmp_path)), result)


@pytest.mark.parametrize(("size", "bits"), [(1, 0), (2, 1), (33, 6), (256, 8), (257, 9), (40_000, 16)])
def test_codes_are_packed_in_bits_in_the_file(size, bits, tmp_path):
    result = made_result("product", vocabulary=40_000, dim=2, subspaces=2, codebook_size=size)
    result.codes[0, 0] = size - 1
    result.save_pretrained(tmp_path)
    with safe_open(tmp_path / TENSORS_FILE, "pt") as file:
        assert file.get_slice("codes").get_shape() == [packed_bytes(80_000, bits)] == [10_000 * bits]
        assert file.get_slice("codes").get_dtype() == "U8"
    assert_same(load(tmp_path), result)


@pytest.mark.parametrize(("bits", "type_"), [(8, "I8"), (16, "F16"), (32, "F32")])
def test_codebooks_are_kept_in_their_bits(bits, type_, tmp_path):
    result = made_result("product", codebook_bits=bits)
    save(result, tmp_path)
    with safe_open(tmp_path / TENSORS_FILE, "pt") as file:
        assert file.get_slice("codebooks").get_dtype() == type_
        assert file.get_slice("codebooks").get_shape() == [4 * 12]
        assert ("codebook_scales" in file.keys()) == (bits < 32)  # noqa: SIM118
    assert_same(load(tmp_path), result)


def test_arbitrary_codes_are_computed_not_stored(tmp_path):
    result = made_result("arbitrary")
    save(result, tmp_path)
    with safe_open(tmp_path / TENSORS_FILE, "pt") as file:
        assert sorted(file.keys()) == ["codebooks"]
    assert_same(load(tmp_path), result)


@pytest.mark.parametrize("subspaces", [3, 40])
@pytest.mark.parametrize("method", METHODS)
def test_a_folder_is_as_large_as_its_size_says(method, subspaces, tmp_path):
    """To 2 kB, with everything in it: names, settings, a long history."""
    size = None if method == "arbitrary" else 32
    result = made_result(method, vocabulary=3000, dim=80, subspaces=subspaces, codebook_size=size)
    steps = [{"iteration": i, "stage": "k-means", "error": 1 / i, "per_subspace": [1 / i] * subspaces} for i in range(1, 1001)]
    result.history = steps
    model = {"name": "a" * 60, "revision": "b" * 40, "identity": "c" * 64, "vocabulary": 3000, "dim": 80, "notes": []}
    save(result, tmp_path, model=model)
    on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert 0 <= on_disk - result.size().total_bytes <= 2000


def test_config_tells_what_it_is(saved):
    config = json.loads((saved / CONFIG_FILE).read_text())
    assert (config["subemb_format"], config["vocabulary"], config["dim"]) == (FORMAT, 50, 12)
    assert config["settings"]["method"] == "product"
    assert config["model"] == {"name": "m", "revision": None}
    # 4 x 12 floats, and 50 x 3 codes of 2 bits in 38 bytes
    assert config["size"] == {"codebook_parameters": 48, "other_parameters": 0, "code_bits": 300, "total_bytes": 48 * 4 + 38}
    assert read_config(saved) == config
    assert sorted(path.name for path in saved.iterdir()) == [CONFIG_FILE, TENSORS_FILE]


def test_a_history_in_brief_keeps_its_course():
    history = [{"iteration": i, "stage": "a" if i < 40 else "b", "error": 1 / i} for i in range(1, 101)]
    brief = history_of(brief_history(history))
    assert brief[-1] == {"iteration": 100, "stage": "b", "error": 0.01}
    assert len(brief) == 30
    assert all(row["stage"] == ("a" if row["iteration"] < 40 else "b") for row in brief)
    assert [row["iteration"] for row in brief] == sorted(row["iteration"] for row in brief)
    assert history_of(brief_history([])) == []
    assert brief_history(brief) == brief_history(history_of(brief_history(brief)))


# Folders of format 1


def write_format_1(result, folder) -> None:
    """As subemb wrote it before codes were packed: whole bytes, float32 codebooks one by one, widths, the whole history."""
    method, settings = result.settings.about, result.settings
    folder.mkdir()
    if method.uses_codebooks:
        tensors = {f"codebooks.{i}": book.contiguous() for i, book in enumerate(result.codebooks)}
        if method.stores_codes:
            tensors["codes"] = result.codes.to(torch.uint8 if settings.codebook_size <= 256 else torch.uint16)
        if method.is_rotated:
            tensors["rotation"] = result.rotation
    else:
        tensors = result.tensors()
    save_file(tensors, folder / TENSORS_FILE, {"format": "pt"})
    config = {
        "subemb_format": 1,
        "subemb_version": "0.1.0",
        "vocabulary": result.num_embeddings,
        "dim": result.embedding_dim,
        "widths": method.widths(settings, result.embedding_dim),
        "settings": {name: value for name, value in settings.to_dict().items() if name in SETTINGS_OF_FORMAT_1},
        "size": storage.size_facts(result.size()),
        "tensors_sha256": hashlib.sha256((folder / TENSORS_FILE).read_bytes()).hexdigest(),
        "info": result.info,
        "history": result.history,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2))


SETTINGS_OF_FORMAT_1 = (
    "method", "subspaces", "codebook_size", "unique", "weights", "iterations", "tolerance", "rank", "seed", "text_digest",
)  # fmt: skip


@pytest.mark.parametrize("size", [None, 300])
@pytest.mark.parametrize("method", [method for method in METHODS if method not in ("tiered", "trim")])  # there were none then
def test_folders_of_format_1_are_read(method, size, tmp_path):
    bits = {"codebook_bits": 32} if METHODS[method].uses_codebooks else {}
    result = made_result(method, vocabulary=400, dim=12, codebook_size=size, **bits)
    write_format_1(result, tmp_path / "old")
    again = load(tmp_path / "old")
    assert_same(again, result)
    assert again.history == result.history
    assert_same(load(save(again, tmp_path / "new")), result)


@pytest.mark.parametrize(
    ("message", "drop", "tensors"),
    [
        ("code 4 is outside codebooks of 4", (), {"codes": torch.full((50, 3), 4, dtype=torch.uint8)}),
        (r"codes is \(49, 3\) torch.uint8; it must be \(50, 3\)", (), {"codes": torch.zeros(49, 3, dtype=torch.uint8)}),
        ("codes is .* torch.int64", (), {"codes": torch.zeros(50, 3, dtype=torch.int64)}),
        (r"codebooks.1 is \(5, 4\)", (), {"codebooks__1": torch.zeros(5, 4)}),
        ("codebooks.2 holds NaN or infinity", (), {"codebooks__2": torch.full((4, 4), torch.inf)}),
        ("tensor codebooks.0 missing", ("codebooks.0",), {}),
        ("tensor rotation unknown", (), {"rotation": torch.eye(12)}),
    ],
)
def test_damaged_folders_of_format_1_are_refused(message, drop, tensors, tmp_path):
    write_format_1(made_result("product"), tmp_path / "old")
    change_tensors(tmp_path / "old", drop, **tensors)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "old")
    change_config(tmp_path / "old", widths=[4, 4, 3])
    with pytest.raises(InputError, match="widths are"):
        load(tmp_path / "old")


def test_numbers_that_json_lacks_become_null(tmp_path):
    result = made_result("product")
    result.info["error"] = float("nan")
    assert load(save(result, tmp_path)).info["error"] is None


# Writing


def test_an_older_result_is_replaced_and_other_files_stay(saved):
    (saved / "notes.txt").write_text("mine")
    newer = made_result("int8", seed=5)
    save(newer, saved)
    assert_same(load(saved), newer)
    assert sorted(path.name for path in saved.iterdir()) == [CONFIG_FILE, "notes.txt", TENSORS_FILE]


def test_a_model_folder_is_not_overwritten(tmp_path):
    (tmp_path / CONFIG_FILE).write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match="of something else; give an empty or a new folder"):
        save(made_result("product"), tmp_path)
    assert json.loads((tmp_path / CONFIG_FILE).read_text()) == {"model_type": "bert"}
    (tmp_path / CONFIG_FILE).unlink()
    (tmp_path / TENSORS_FILE).write_bytes(b"precious")
    with pytest.raises(InputError, match="give an empty or a new folder"):
        save(made_result("product"), tmp_path)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(InputError, match="is a file; give a folder"):
        save(made_result("product"), tmp_path / "out")


def test_a_full_disk_is_told_and_the_older_result_stays(saved, monkeypatch):
    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = load(saved)
    with monkeypatch.context() as patch:
        patch.setattr(storage.os, "fsync", no_space)
        with pytest.raises(InputError, match=r"bytes\) could not be written .*No space left on device.*free some space"):
            save(made_result("product", seed=9), saved)
    assert_same(load(saved), before)
    assert sorted(path.name for path in saved.iterdir()) == [CONFIG_FILE, TENSORS_FILE]  # nothing half-written is left


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_device_that_is_really_full(tmp_path, monkeypatch):
    """Every write goes to /dev/full, which has no space: the same error as on a full disk."""
    monkeypatch.setattr("subemb.base.paths.uuid.uuid4", lambda: type("Name", (), {"hex": "staged"}))
    for name in (TENSORS_FILE, CONFIG_FILE):
        (tmp_path / f".{name}.staged").symlink_to("/dev/full")
    with pytest.raises(InputError, match="No space left on device"):
        save(made_result("product"), tmp_path)


def test_a_crash_between_the_two_renames_is_noticed(saved, monkeypatch):
    """The codes of one run with the settings of another would be read as a wrong model."""
    rename = os.replace

    def dies(source, target):
        if target.name == CONFIG_FILE:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(storage.os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        save(made_result("product", seed=9), saved)
    with pytest.raises(InputError, match="is not the file that"):
        load(saved)


def test_facts_must_be_json_and_not_take_subembs_names(tmp_path):
    with pytest.raises(InputError, match="dim, settings are subemb's own"):
        save(made_result("product"), tmp_path, settings=1, dim=2)
    with pytest.raises(InputError, match="plain JSON"):
        save(made_result("product"), tmp_path, model=object())
    assert list(tmp_path.iterdir()) == []


def spoilt_results():
    good = made_result("product")
    books = list(good.codebooks)
    yield "code 4 is outside codebooks of 4", replace(good, codes=good.codes + (4 - good.codes.max()).to(torch.uint8))
    yield "code -1 is outside", replace(good, codes=good.codes.int() - 1)
    yield "50 tokens with 3 codes each", replace(good, codes=good.codes[:49])
    yield "there are 2 codebooks; product with these settings has 3", replace(good, codebooks=books[:2])
    yield r"codebook 1 is \(3, 4\)", replace(good, codebooks=[books[0], books[1][:3], books[2]])
    yield "codebook 0 holds NaN", replace(good, codebooks=[books[0] * torch.nan, *books[1:]])
    yield "codebook 0 is .*float64", replace(good, codebooks=[books[0].double(), *books[1:]])
    yield "rotation unknown", replace(good, rotation=torch.eye(12))
    yield "not the digits", replace(made_result("arbitrary"), codes=good.codes)


@pytest.mark.parametrize(("message", "result"), [*spoilt_results()], ids=lambda value: value if isinstance(value, str) else "")
def test_an_inconsistent_result_is_not_written(message, result, tmp_path):
    with pytest.raises(InputError, match=message):
        save(result, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Reading what is not right


@pytest.mark.parametrize(
    ("message", "drop", "tensors"),
    [
        ("code 3 is outside codebooks of 3", (), {"codes": torch.full((38,), 255, dtype=torch.uint8)}),
        (r"codes is \(37,\) torch.uint8; it must be \(38,\)", (), {"codes": torch.zeros(37, dtype=torch.uint8)}),
        ("codes is .* torch.int64", (), {"codes": torch.zeros(38, dtype=torch.int64)}),
        (r"codebooks is \(35,\)", (), {"codebooks": torch.zeros(35)}),
        ("codebooks is .*float16", (), {"codebooks": torch.zeros(36).half()}),
        ("codebooks holds NaN or infinity", (), {"codebooks": torch.full((36,), torch.inf)}),
        ("tensor codebooks missing", ("codebooks",), {}),
        ("tensor codebook_scales unknown", (), {"codebook_scales": torch.ones(3).bfloat16()}),
        ("tensor codes missing", ("codes",), {}),
        ("tensor rotation unknown", (), {"rotation": torch.eye(12)}),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, message, drop, tensors):
    saved = save(made_result("product", codebook_size=3, unique=False), tmp_path / "out")
    change_tensors(saved, drop, **tensors)
    with pytest.raises(InputError, match=message):
        load(saved)


@pytest.mark.parametrize(
    ("message", "values"),
    [
        ("has format 4; this subemb .* reads formats 1, 2, 3: update", {"subemb_format": 4}),
        ("entropy_coded is None; it must say how many bytes each of 1 parts takes", {"subemb_format": 3}),
        ("has format '1'", {"subemb_format": "1"}),
        ("has format True", {"subemb_format": True}),
        ("was not written by subemb", {"subemb_format": ...}),
        ("'vocabulary' is missing", {"vocabulary": ...}),
        ("vocabulary is 'many'", {"vocabulary": "many"}),
        ("vocabulary is True", {"vocabulary": True}),
        ("dim is 0", {"dim": 0}),
        ("3 subspaces do not fit a table of 2 dimensions", {"dim": 2}),
        (r"codes is \(38,\) .* must be \(39,\)", {"vocabulary": 51}),
        ("size is None in config.json; such a result has", {"size": ...}),
        ("size is {'total_bytes': 1} in config.json; such a result has .*'total_bytes': 230}", {"size": {"total_bytes": 1}}),
        ("settings are 'all'", {"settings": "all"}),
        ("unknown setting.* speed", {"settings": {"method": "product", "speed": 3}}),
        ("unknown method 'magic'", {"settings": {"method": "magic"}}),
        ("are not complete", {"settings": {"method": "product"}}),
        ("inconsistent", {"settings": {"method": "product", "tolerance": "small"}}),
        ("inconsistent", {"settings": {"method": ["product"]}}),
        ("info and history must be", {"info": []}),
        ("info and history must be", {"history": []}),
        ("history must be columns of equal length", {"history": {"error": [1.0], "iteration": []}}),
        ("is not the file that", {"tensors_sha256": "0" * 64}),
        ("is not the file that", {"tensors_sha256": ...}),
    ],
)
def test_a_config_that_does_not_fit_is_refused(saved, message, values):
    change_config(saved, **values)
    with pytest.raises(InputError, match=message):
        load(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"subemb_format"', "\x00", '{"subemb_format": 1, ', "[" * 100_000])
def test_broken_json_is_refused(saved, text):
    (saved / CONFIG_FILE).write_text(text)
    with pytest.raises(InputError, match=r"cannot be read as JSON|was not written by subemb"):
        load(saved)


def test_a_cut_off_or_changed_file_is_refused(saved):
    path = saved / TENSORS_FILE
    content = path.read_bytes()
    for wrong in (b"", content[:7], content[: len(content) // 2], content[:-1], b"\xff" * len(content)):
        path.write_bytes(wrong)
        with pytest.raises(InputError, match="cut off or damaged"):
            load(saved)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # one bit of one number
    with pytest.raises(InputError, match="is not the file that"):
        load(saved)


def test_a_vocabulary_too_large_to_compute_is_refused(tmp_path):
    """Arbitrary codes come from the settings alone, so the file's size does not bound them."""
    folder = save(made_result("arbitrary"), tmp_path)
    config = read_config(folder)
    change_config(folder, vocabulary=10**12, settings=config["settings"] | {"codebook_size": 10_000})
    with pytest.raises(InputError, match=r"1000000000000 tokens with 3 codes each are more"):
        load(folder)


def test_codes_of_no_bits_are_bounded_too(tmp_path):
    folder = save(made_result("product", codebook_size=1, unique=False), tmp_path)
    change_config(folder, vocabulary=10**12)
    with pytest.raises(InputError, match=r"1000000000000 tokens with 3 codes each are more"):
        load(folder)


def test_what_cannot_be_read_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("subemb.codec.methods.codebooks.MOST_CODES", 100)
    with pytest.raises(InputError, match="50 tokens with 3 codes each are more than the 100"):
        save(made_result("arbitrary"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    stored = made_result("random")  # these codes are in the file, whose size bounds them
    assert_same(load(save(stored, tmp_path / "out")), stored)


def test_places_that_hold_no_result(tmp_path, saved):
    with pytest.raises(InputError, match="is not a folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not a folder"):
        load(saved / CONFIG_FILE)
    with pytest.raises(InputError, match=r"holds no config.json"):
        load(tmp_path)
    (saved / TENSORS_FILE).unlink()
    with pytest.raises(InputError, match=r"subspace_embedding.safetensors cannot be read"):
        load(saved)


class Bomb:
    """Unpickling this would leave a trace."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "embedding.pkl", "codes.pt"])
def test_pickles_are_named_and_never_opened(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match=f"{name} is a pickle, which subemb never opens"):
        load(tmp_path / "out")
    folder = save(made_result("product"), tmp_path / "out")
    (folder / TENSORS_FILE).write_bytes((folder / name).read_bytes())
    with pytest.raises(InputError, match="cut off or damaged"):
        load(folder)
    assert not (tmp_path / "unpickled").exists()


# Entropy-coded codes


@given(st.integers(1, 16), st.integers(1, 40), st.integers(1, 4), st.integers(0, 5))
def test_codes_are_decoded_again(bits, rows, columns, seed):
    numbers = (np.random.default_rng(seed).random((rows, columns)) ** 3 * 2**bits).astype(np.int64)
    place = CodesIn("codes", 0, rows * columns, columns, bits)
    packed = pack(numbers, bits)
    assert decoded(coded(packed, place), place).tolist() == packed.tolist()


@given(st.binary(max_size=200), st.integers(1, 16), st.integers(1, 20), st.integers(1, 3))
def test_bytes_that_are_no_codes_are_refused_or_decoded(content, bits, rows, columns):
    place = CodesIn("codes", 0, rows * columns, columns, bits)
    with suppress(InputError):
        assert len(decoded(content, place)) == packed_bytes(rows * columns, bits)


SKEWED = (
    {"method": "product", "subspaces": 3, "codebook_size": 16},
    {"tiers": "40:exact,400:3x300,*:4x16"},
    {"tiers": "40:int8,300:3x8,*:nearest"},
    {"method": "trim", "keep": "300"},
)


@pytest.fixture(scope="module")
def skewed():
    """A table most of whose tokens are alike, so that some codes are frequent."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2000, 12, generator=generator) * (torch.rand(2000, 1, generator=generator) ** 6)


@pytest.mark.parametrize("asked", SKEWED, ids=str)
def test_entropy_coded_results_are_read_again_as_they_were(asked, skewed, tmp_path):
    result = compress(skewed, iterations=3, **asked)
    save(result, tmp_path / "packed")
    save(result, tmp_path / "coded", entropy=True)
    assert_same(load(tmp_path / "coded"), result)
    packed, short = ((tmp_path / name / TENSORS_FILE).stat().st_size for name in ("packed", "coded"))
    assert packed - short == pytest.approx(result.size().total_bytes - entropy_coded_bytes(result), abs=8)
    pays = asked.get("method") != "trim"  # whose tokens borrow all rows about equally often here
    assert (short < packed) == pays
    assert json.loads((tmp_path / "coded" / "config.json").read_text())["subemb_format"] == (3 if pays else 2)


@pytest.mark.parametrize("method", ["arbitrary", "int8"])
def test_a_folder_without_anything_to_code_is_what_it_always_was(method, tmp_path):
    result = made_result(method)
    save(result, tmp_path / "packed")
    save(result, tmp_path / "coded", entropy=True)
    for name in (TENSORS_FILE, "config.json"):
        assert (tmp_path / "packed" / name).read_bytes() == (tmp_path / "coded" / name).read_bytes()


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_entropy_coded_folders_are_refused(data, skewed_folder):
    """Bytes exchanged, with a checksum that says nothing of it, or lengths: one sentence, and never another error."""
    tensors, config = load_file(skewed_folder / TENSORS_FILE), json.loads((skewed_folder / "config.json").read_text())
    if data.draw(st.booleans()):
        codes = tensors["codes"].clone()
        for place in data.draw(st.lists(st.integers(0, len(codes) - 1), min_size=1, max_size=4)):
            codes[place] = data.draw(st.integers(0, 255))
        tensors["codes"] = codes[: data.draw(st.integers(1, len(codes)))].contiguous()
    else:
        config["entropy_coded"] = data.draw(
            st.one_of(st.none(), st.text(), st.lists(st.one_of(st.none(), st.integers(-5, 10**12), st.text()), max_size=2))
        )
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        save_file(tensors, place / TENSORS_FILE, {"format": "pt"})
        config["tensors_sha256"] = hashlib.sha256((place / TENSORS_FILE).read_bytes()).hexdigest()
        (place / "config.json").write_text(json.dumps(config))
        with suppress(InputError):
            load(place)


@pytest.fixture(scope="module")
def skewed_folder(skewed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("coded")
    return save(compress(skewed, iterations=3, **SKEWED[0]), folder, entropy=True)
