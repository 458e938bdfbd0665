"""What comes with subemb of the claims is what the command finds."""

from pathlib import Path

import pytest
from shared import ROOT, shared_path

from subemb import load
from subemb.codec.estimates import predicted_size
from subemb.reproduce import judge
from subemb.reproduce.claims import BY_NUMBER
from subemb.reproduce.known_claims import known_tables, shipped_table
from subemb.reproduce.measure import Bench, row_key
from subemb.reproduce.rows import FILES, SCORES, UNTRAINED
from subemb.reproduce.sets import material_for

NAME = "all-MiniLM-L6-v2"
FOLDER = ROOT / "assets" / "reproduce" / NAME


@pytest.fixture(scope="module")
def table():
    return shipped_table(load(NAME))


def test_the_bundled_models_claims_are_there_at_once(table):
    assert all((FOLDER / name).is_file() for name in FILES)
    assert not table.failed
    assert not table.facts.is_demonstration
    assert known_tables(load(NAME))[0].facts == table.facts
    assert {one.claim.number for one in judge(table) if one.parts} >= {1, 2, 3, 4, 6, 7, 9, 10, 11, 12}


def test_rows_store_the_bytes_that_their_settings_say(table):
    shape = table.facts.model["vocabulary"], table.facts.model["dim"]
    for row in table.done:
        if row.settings.budget is None:  # whose tiers are chosen on a sample of the table
            assert row.total_bytes == predicted_size(row.settings, *shape).total_bytes, row.name


@pytest.mark.slow
def test_a_row_that_is_measured_again_is_the_same(table):
    """Arbitrary codes, nothing trained: the quickest row with scores."""
    row = next(
        row for row in table.done if row.settings.method == "arbitrary" and (row.training, row.kind) == (UNTRAINED, SCORES)
    )
    model, folder = load(NAME), Path(shared_path("data"))
    material = material_for(model, folder, table.facts.sizes)
    assert row_key(model.identity, row.cell, material, table.facts.sizes.tokens) == row.key
    found, _ = Bench(model, material, 10).measure(row.cell)
    assert found["total_bytes"] == row.total_bytes
    assert found["distinct_tuples"] == row.distinct_tuples
    for name, score in row.scores.items():
        assert found["scores"][name].score == pytest.approx(score.score, abs=0.3), name
    assert BY_NUMBER[2].judge(BY_NUMBER[2], table).verdict == "holds"
