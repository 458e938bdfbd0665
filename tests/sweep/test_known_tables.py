"""Tables of sweeps that are there already: what comes with subemb, and what the cache has."""

import dataclasses

import pytest
from checkpoints import SPECIAL, make_bert

from subemb.codec.settings import CompressionSettings
from subemb.evaluate.data.languages import in_languages
from subemb.evaluate.data.read import demo_pairs
from subemb.models.load import load_listed
from subemb.runs import resolved, run_key
from subemb.sweep import known_tables
from subemb.sweep import run as sweeps
from subemb.sweep.grid import default_grid
from subemb.sweep.measure import row_key
from subemb.sweep.run import ROWS, sweep
from subemb.sweep.table import read_table, write_table

GRID = [CompressionSettings("product", subspaces=f, codebook_size=16, iterations=2) for f in (2, 3)]


@pytest.fixture
def small(tmp_path, monkeypatch):
    make_bert(tmp_path / "models" / "small", [*SPECIAL, *(f"word{number}" for number in range(100))], dim=12)
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    return load_listed("small")


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    return load_listed("all-MiniLM-L6-v2")


def test_a_table_is_read_again_as_it_was_written(small, tmp_path):
    table = sweep("small", GRID, processes=1)
    write_table(tmp_path / "there", table)
    again = read_table(tmp_path / "there")
    assert (again.rows, again.sets, again.notes, again.weights) == (table.rows, table.sets, table.notes, table.weights)
    assert again.within(50) == table.within(50)
    assert read_table(tmp_path / "nothing") is None


@pytest.mark.slow
def test_what_is_known_of_a_model_tells_nothing_of_anybodys_pairs_and_texts(small):
    assert known_tables.known_tables(small) == (None, None)
    scored = sweep("small", GRID[:1], processes=1)
    sweep("small", GRID[1:], (), processes=1)
    own = in_languages(demo_pairs("similarity"), ["de"])
    sweep("small", GRID, own, processes=1)
    counted = dataclasses.replace(GRID[0], weights="counts")
    sweep("small", [*GRID[:1], counted], text="word1 word2 word2", processes=1)
    first, second = known_tables.known_tables(small)
    assert [row.key for row in first.rows] == [row.key for row in scored.rows]
    assert [row.settings.subspaces for row in second.rows] == [3]


@pytest.mark.slow
def test_rows_that_come_with_subemb_are_not_computed_again(small, tmp_path, monkeypatch):
    table = sweep("small", GRID[:1], processes=1, folder=tmp_path / "shipped")
    ROWS.drop(table.rows[0].key)
    monkeypatch.setattr(known_tables, "_shipped", lambda model: iter([read_table(tmp_path / "shipped")]))
    again = sweep("small", GRID, processes=1, folder=tmp_path / "new")
    assert again.computed == 1
    assert again.rows[0] == table.rows[0]


@pytest.mark.slow
def test_the_shipped_table_is_the_default_sweep_of_the_bundled_model(bundled):
    table, _ = known_tables.known_tables(bundled)
    grid = default_grid(bundled.num_tokens, bundled.dim, has_network=True)
    assert {row.settings for row in table.rows} == {resolved(one, bundled, None) for one in grid}
    assert not table.failed
    (facts,) = table.sets
    pairs = in_languages(demo_pairs("similarity"), facts["languages"])
    assert (facts["digest"], facts["pairs"]) == (pairs.digest, len(pairs))
    for row in table.rows:
        assert row.key == row_key(bundled.identity, row.settings, [pairs.digest], table.weights)
        assert len(row.kept_by_frequency) == 4


def test_runs_of_shipped_rows_have_the_keys_of_today(bundled):
    """A new setting is declared ``later``; else nothing that is shipped, or kept by anybody, is found again."""
    shipped, _ = known_tables.known_tables(bundled)
    assert len(shipped.rows) == 40
    for row in shipped.rows:
        assert row.run_key == run_key(bundled.identity, row.settings.resolve(bundled.num_tokens, bundled.dim)), row.settings


@pytest.mark.slow
def test_a_row_of_the_shipped_table_comes_out_again(bundled, tmp_path, monkeypatch):
    shipped, _ = known_tables.known_tables(bundled)
    row = next(row for row in shipped.rows if row.settings.method == "product" and not row.settings.sensitive)
    monkeypatch.setattr(sweeps, "shipped_rows", lambda model: {})
    (again,) = sweep(bundled.name, [row.settings], processes=1, folder=tmp_path / "again").rows
    assert (again.key, again.run_key, again.total_bytes) == (row.key, row.run_key, row.total_bytes)
    for name in ("relative_error", "weighted_error", "mean_cosine", "neighbours_kept"):
        assert getattr(again, name) == pytest.approx(getattr(row, name), abs=0.01), name
    assert again.score == pytest.approx(row.score, abs=1.0)
    assert again.kept_by_frequency == pytest.approx(row.kept_by_frequency, abs=0.01)
