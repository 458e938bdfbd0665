"""Sweeps of a small checkpoint, in this process: rows, resuming, cancelling, sharing; and in processes of their own."""

import dataclasses
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import psutil
import pytest
from checkpoints import SPECIAL, make_bert
from shared import ROOT, until
from static_models import make_words

import subemb
from subemb.analysis import neighbours_kept, reconstruction_error
from subemb.base.errors import Cancelled, InputError
from subemb.base.store import Memory
from subemb.codec import attach, compress
from subemb.codec.settings import CompressionSettings
from subemb.codec.weights import model_weights
from subemb.evaluate.data.pairs import PairSet
from subemb.evaluate.similarity.demonstration import own_languages
from subemb.evaluate.similarity.pairs import evaluate_pairs
from subemb.models.model import PretrainedModel
from subemb.runs import run_key
from subemb.sweep import measure
from subemb.sweep import run as sweeping
from subemb.sweep.grid import grid_of
from subemb.sweep.run import ROWS, sweep
from subemb.sweep.table import CSV, PARQUET, read_rows

GRID = grid_of({"method": ["product", "int8", "cluster"], "subspaces": [3, 4], "codebook_size": [16]})
TIMES = ("seconds", "compress_seconds", "cpu_seconds", "threads", "where")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "small"
    make_bert(folder, [*SPECIAL, *(f"word{number}" for number in range(300))], dim=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield subemb.load(folder)


@pytest.fixture(scope="module")
def pairs():
    draw = np.random.default_rng(0).integers(300, size=(40, 2, 5))
    first, second = ([" ".join(f"word{number}" for number in words) for words in draw[:, side]] for side in (0, 1))
    return PairSet("words", "similarity", "made", first, second, np.linspace(0, 5, 40))


@pytest.fixture(scope="module")
def table(model, pairs, tmp_path_factory):
    return sweep(model, GRID, pairs, folder=tmp_path_factory.mktemp("table"), processes=1)


@pytest.fixture
def no_rows(tmp_path, monkeypatch):
    """Nothing is known of earlier sweeps."""
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))


def comparable(rows):
    return [dataclasses.replace(row, **dict.fromkeys(TIMES)) for row in sorted(rows, key=lambda row: row.key)]


def test_every_row_says_what_the_library_says(model, pairs, table):
    weights = model_weights(model, "vocabulary")
    assert [row.settings.method for row in table.rows] == ["product", "product", "int8", "cluster", "cluster"]
    for row in table.rows:
        compressed = compress(model.table, settings=row.settings, weights=weights)
        error = reconstruction_error(model.table, compressed, weights)
        assert (row.relative_error, row.weighted_error) == pytest.approx((error.relative, error.weighted))
        assert row.mean_cosine == pytest.approx(error.mean_cosine)
        assert row.neighbours_kept == pytest.approx(neighbours_kept(model.table, compressed, sample=2000).mean)
        assert row.distinct_tuples == getattr(compressed, "distinct_tuples", None)
        assert (row.total_bytes, row.share) == (compressed.size().total_bytes, compressed.size().total_share)
        assert row.run_key == run_key(model.identity, row.settings)
        report = evaluate_pairs({"original": model, "compressed": attach(model, compressed)}, pairs)
        side, score = report.scores["compressed"], row.scores["words"]
        assert score.score == pytest.approx(100 * side.values["spearman"])
        interval = side.differences["spearman"]
        assert (score.difference, score.low, score.high) == pytest.approx(
            (100 * interval.difference, 100 * interval.low, 100 * interval.high)
        )
        assert table.sets[0]["original"] == pytest.approx(100 * report.scores["original"].values["spearman"])
    assert table.computed == 5


def test_the_table_lies_on_disk(table):
    assert list(read_rows(table.folder).values()) == list(table.rows)
    assert (table.folder / CSV).is_file()


def test_nothing_is_computed_twice(model, pairs, table, tmp_path, monkeypatch):
    monkeypatch.setattr(sweeping, "measure_row", None)
    again = sweep(model, GRID, pairs, folder=table.folder, processes=1)
    elsewhere = sweep(model, GRID[:2], pairs, folder=tmp_path, processes=1)
    assert (again.computed, again.rows) == (0, table.rows)
    assert (elsewhere.computed, elsewhere.rows) == (0, table.rows[:2])


@pytest.mark.slow
def test_rows_of_this_process_use_the_network_that_is_open(model, pairs, no_rows, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "_MODELS", Memory(1))
    monkeypatch.setattr(measure, "load", None)
    assert sweep(model, GRID[:2], pairs, folder=tmp_path / "t", processes=1).failed == []


@pytest.mark.slow
def test_other_data_or_settings_are_other_rows(model, pairs, table, tmp_path):
    fewer = sweep(model, GRID[:1], pairs.sample(20), folder=tmp_path / "a", processes=1)
    without = sweep(model, GRID[:1], (), folder=tmp_path / "b", processes=1)
    assert fewer.computed == without.computed == 1
    assert len({table.rows[0].key, fewer.rows[0].key, without.rows[0].key}) == 3
    assert without.rows[0].scores == {}
    with pytest.raises(InputError, match="on other data"):
        sweep(model, GRID[:1], pairs, folder=tmp_path / "b", processes=1)


def test_a_folder_alone_is_enough_to_go_on(model, pairs, table, no_rows, monkeypatch):
    monkeypatch.setattr(sweeping, "measure_row", None)
    assert list(ROWS) == []
    assert sweep(model, GRID, pairs, folder=table.folder, processes=1).computed == 0


@pytest.mark.slow
def test_cancelling_keeps_what_was_finished(model, pairs, table, no_rows, tmp_path):
    seen = []

    def two(message):
        seen.extend(message.values.get("row", {}).get("key", "").split())
        return len(seen) >= 2

    with pytest.raises(Cancelled):
        sweep(model, GRID, pairs, folder=tmp_path / "t", processes=1, progress=two)
    kept = read_rows(tmp_path / "t")
    assert 2 <= len(kept) < 5
    assert set(seen) <= set(kept)
    rest = sweep(model, GRID, pairs, folder=tmp_path / "t", processes=1)
    assert rest.computed == 5 - len(kept)
    assert comparable(rest.rows) == comparable(table.rows)


@pytest.mark.slow
def test_a_row_that_fails_is_kept_with_its_reason_and_can_be_tried_again(model, pairs, no_rows, tmp_path, monkeypatch):
    import subemb.codec

    right = subemb.codec.compress

    def wrong(table, *, settings, **more):
        if settings.method == "int8":
            raise RuntimeError("no luck today")
        return right(table, settings=settings, **more)

    monkeypatch.setattr(subemb.codec, "compress", wrong)
    first = sweep(model, [GRID[0], GRID[2]], pairs, folder=tmp_path, processes=1)
    assert [row.is_done for row in first.rows] == [True, False]
    assert "no luck today" in first.failed[0].problem
    monkeypatch.setattr(subemb.codec, "compress", right)
    assert sweep(model, [GRID[0], GRID[2]], pairs, folder=tmp_path, processes=1).failed == first.failed
    retried = sweep(model, [GRID[0], GRID[2]], pairs, folder=tmp_path, processes=1, retry=True)
    assert (retried.computed, retried.failed) == (1, [])


def test_a_setting_that_does_not_fit_is_a_row_that_says_why(model, pairs, tmp_path):
    found = sweep(model, [CompressionSettings("product", subspaces=99), GRID[0]], pairs, folder=tmp_path, processes=1)
    assert "99" in found.failed[0].problem
    assert len(found.done) == 1


def test_rows_stream_through_progress_in_plain_types(model, pairs, no_rows, tmp_path):
    seen = []
    sweep(model, GRID[:2], pairs, folder=tmp_path / "t", processes=1, progress=seen.append)
    rows = [message.values["row"] for message in seen if "row" in message.values]
    assert len(json.loads(json.dumps(rows))) == 2
    fractions = [message.fraction for message in seen if message.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_a_table_in_memory_has_errors_only(tmp_path):
    memory = PretrainedModel.from_table(np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32))
    found = sweep(
        memory, grid_of({"method": ["product"], "subspaces": [2, 4], "codebook_size": [8]}), folder=tmp_path, processes=1
    )
    assert [row.score for row in found.rows] == [None, None]
    assert "no network" in found.notes[0]
    assert [row.key for row in found.front] == [row.key for row in sorted(found.rows, key=lambda row: row.total_bytes)]


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    ("weights", "texts"),
    [("counts", ["word1 word2 word2", "word7 word7 word7 word8"]), ("list", ["word1 9\nword2 4", "word7 900\nword8 1"])],
)
def test_weights_that_count_another_text_are_other_rows(model, tmp_path, weights, texts):
    grid = [CompressionSettings("int8"), CompressionSettings("product", subspaces=3, codebook_size=16, weights=weights)]
    keys = [
        [row.key for row in sweep(model, grid, (), text=text, folder=tmp_path / str(n), processes=1).rows]
        for n, text in enumerate(texts)
    ]
    assert not set(keys[0]) & set(keys[1])  # the weighted error of int8 counts the text too


def test_a_grid_of_nothing_is_refused(model):
    with pytest.raises(InputError, match="no settings"):
        sweep(model, [], ())


def test_what_the_network_cannot_do_is_said_and_the_rest_goes_on(model, no_rows, tmp_path, monkeypatch):
    from subemb.base.errors import ModelError

    def unable(*_, **__):
        raise ModelError("this network reads no sentences", "unsupported")

    monkeypatch.setattr(PretrainedModel, "encode_ids", unable)
    monkeypatch.setattr(PretrainedModel, "sensitivity", unable)
    grid = [CompressionSettings("product", subspaces=3, codebook_size=16, sensitive=sensitive) for sensitive in (False, True)]
    found = sweep(model, grid, folder=tmp_path, processes=1)
    assert "reads no sentences" in found.notes[0]
    assert [row.is_done for row in found.rows] == [True, False]
    assert "reads no sentences" in found.failed[0].problem
    with pytest.raises(ModelError, match="reads no sentences"):
        sweep(model, grid, PairSet("p", "similarity", "made", ["a", "b"], ["c", "d"], [1.0, 2.0]), folder=tmp_path / "b")


def test_the_package_is_the_function_too():
    assert callable(subemb.sweep)
    with pytest.raises(InputError, match="processes"):
        subemb.sweep("all-MiniLM-L6-v2", GRID, (), processes=0)


@pytest.mark.slow
def test_the_bundled_models_own_language_is_english():
    from subemb.evaluate.data.read import demo_pairs

    assert own_languages(subemb.load("all-MiniLM-L6-v2"), demo_pairs("similarity")) == ("en",)


@pytest.fixture
def importable(monkeypatch):
    """New processes find this checkout."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A model that the processes of the rows open quickly."""
    return subemb.load(make_words(tmp_path_factory.mktemp("models") / "words", 300, 12))


@pytest.mark.slow
def test_processes_find_what_one_finds_even_if_one_of_them_dies(words, pairs, no_rows, importable, tmp_path, monkeypatch):
    killed = []

    def kill_one(message):
        if "row" in message.values and not killed:
            names = {child.pid: " ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)}
            killed.append(next(pid for pid, name in names.items() if "loky" in name and "resource_tracker" not in name))
            os.kill(killed[0], signal.SIGKILL)

    more = [*GRID, *grid_of({"method": ["product"], "subspaces": [2, 3, 4, 6], "codebook_size": [8, 12, 16], "seed": [0, 1]})]
    found = sweep(words, more, pairs, folder=tmp_path / "t", processes=2, progress=kill_one)
    assert killed
    assert found.how.startswith("2 processes")
    assert found.failed == []
    assert found.computed == len(found.done) == len(set(more))
    assert (tmp_path / "t" / PARQUET).is_file()
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "another cache"))
    alone = sweep(words, more, pairs, folder=tmp_path / "alone", processes=1)
    assert comparable(found.rows) == comparable(alone.rows)


@pytest.mark.slow
def test_ctrl_c_leaves_the_table_as_far_as_it_got(words, pairs, no_rows, importable, tmp_path):
    columns = {"sentence1": pairs.first, "sentence2": pairs.second, "score": pairs.gold}
    pd.DataFrame(columns).to_csv(tmp_path / "pairs.csv", index=False)
    line = [
        "sweep",
        str(words.folder),
        "-f",
        "2,3,4,6",
        "-q",
        "8,16,24,32",
        "--seeds",
        "8",
        "-o",
        str(tmp_path / "t"),
        "--data",
        str(tmp_path / "pairs.csv"),
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "subemb", *line],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: (tmp_path / "t" / PARQUET).exists() or process.poll() is not None, 120)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to the processes of the rows too
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1] == "stopped"
    assert 1 <= len(read_rows(tmp_path / "t")) < 400
