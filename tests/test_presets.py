"""Presets, and the finished runs of them that come along."""

import json

import pytest
import torch

import subemb
from subemb import presets, runs
from subemb.base.paths import app_folder
from subemb.base.store import Store
from subemb.cli import main
from subemb.codec import compress
from subemb.runs import RUNS, resolved, run_key, what_counts

SHIPPED = app_folder() / "assets" / "runs"


@pytest.fixture(scope="module")
def bundled():
    return subemb.load("all-MiniLM-L6-v2")


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    return tmp_path


def key_of(model, preset):
    return run_key(model.identity, resolved(preset.settings, model, None))


def test_all_of_the_bundled_model_are_there_from_the_beginning(bundled, fresh):
    keys = [key_of(bundled, preset) for preset in presets.PRESETS.values()]
    assert sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()) == sorted(keys)
    for key, preset in zip(keys, presets.PRESETS.values(), strict=True):
        assert RUNS.is_shipped(key)
        run = RUNS.get(key)
        assert run.settings.method == preset.settings.method
        assert run.size == runs.compressed_of(key).size(bundled.parameters)
        assert run.task.languages == ("en",)
        assert run.verdict.text
    assert not RUNS.is_shipped("0" * 24)
    assert list(RUNS) == []  # nothing was written


def test_they_grow_in_size_and_in_score(bundled):
    found = [RUNS.get(key_of(bundled, preset)) for preset in presets.PRESETS.values()]
    assert [run.size.total_share for run in found] == pytest.approx([0.00148, 0.005, 0.014], rel=0.02)
    scores = [run.task.compressed for run in found]
    assert scores == sorted(scores)


@pytest.fixture(scope="module")
def new_cache(tmp_path_factory):
    """A cache in which nothing is known, for all presets: the command that makes them, too, measures errors of the table once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.slow
@pytest.mark.parametrize("preset", presets.PRESETS.values(), ids=presets.PRESETS)
def test_they_are_what_is_computed(bundled, new_cache, preset):
    """The command that made them gives the same again: codes and codebooks, and by these the numbers."""
    kept = runs.compressed_of(key_of(bundled, preset))
    settings = resolved(preset.settings, bundled, None)
    weights, sensitivity = what_counts(bundled, settings, None)
    again = compress(bundled.table, settings=settings, weights=weights, sensitivity=sensitivity)
    error = float((again.reconstruct() - kept.reconstruct()).square().sum() / bundled.table.square().sum())
    assert error < 0.01  # other processors add in another order, and a token can fall to a codeword as near


def test_what_is_shipped_gives_way_to_what_is_kept_and_comes_back(fresh, monkeypatch):
    monkeypatch.setattr("subemb.base.paths.app_folder", lambda: fresh)
    store = Store("things", shipped="things")
    store.write_in(fresh / "assets" / "things" / "one", {"number": 1})
    assert store.get("one") == {"number": 1}
    store.touch("one")
    store.hold("one")
    store.put("one", {"number": 2})
    assert store.get("one") == {"number": 2}
    store.drop("one")
    assert store.get("one") == {"number": 1}
    store.drop("one")
    assert store.get("one") == {"number": 1}
    assert store.get("two") is None


@pytest.mark.slow
def test_the_command_lists_them_for_any_model_and_writes_them(fresh, capsys):
    from checkpoints import SPECIAL, make_bert

    folder = make_bert(fresh / "small", [*SPECIAL, *(f"word{number}" for number in range(3000))], dim=48) or fresh / "small"
    assert main(["presets", str(folder), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["preset"] for one in listed] == list(presets.PRESETS)
    table = 4 * subemb.load(folder).table.numel()
    assert all(one["total_bytes"] <= share * table for one, share in zip(listed[1:], (0.005, 0.014), strict=True))
    assert main(["presets", str(folder)]) == 0
    assert "nearly-lossless" in capsys.readouterr().out


def test_a_model_too_small_for_a_preset_says_so(fresh, capsys):
    torch.manual_seed(0)
    from checkpoints import SPECIAL, make_bert

    make_bert(fresh / "tiny", [*SPECIAL, "a", "b"], dim=4)
    assert main(["presets", str(fresh / "tiny")]) == 2
    assert "budget" in capsys.readouterr().err
