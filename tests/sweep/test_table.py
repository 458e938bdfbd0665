"""The table of a sweep: the front, the smallest setting within some points, files."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subemb.base.errors import InputError
from subemb.codec.settings import CompressionSettings
from subemb.sweep.table import CSV, FAILED, PARQUET, SetScore, SweepRow, SweepTable, pareto_front, read_rows, write_table

SET = {"name": "pairs"}


def row(key, size, score=None, error=0.5, half=1.0, seed=0, **more):
    scores = {} if score is None else {"pairs": SetScore(80 + score, score, score - half, score + half)}
    settings = CompressionSettings("product", subspaces=1 + int(size), codebook_size=8, seed=seed)
    return SweepRow(
        key, settings, "m", ("ab",), total_bytes=size, share=size / 1000, relative_error=error, neighbours_kept=0.5,
        mean_cosine=0.5, distinct_tuples=7, colliding_tokens=0, scores=scores, seconds=1.0, threads=1, **more,
    )  # fmt: skip


def table(*rows):
    return SweepTable({"name": "m"}, tuple(rows), (SET,) if any(one.scores for one in rows) else ())


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=25))
def test_the_front_is_what_nothing_beats(points):
    rows = [row(str(number), size, error=error / 10) for number, (size, error) in enumerate(points)]
    naive = [
        one
        for one in rows
        if not any(
            other.total_bytes <= one.total_bytes
            and other.error <= one.error
            and (other.total_bytes, other.error) != (one.total_bytes, one.error)
            for other in rows
        )
    ]
    assert {one.key for one in pareto_front(rows)} == {one.key for one in naive}


def test_scores_decide_where_there_are_some_and_failed_rows_do_not_count():
    small, large = row("a", 10, score=-5.0, error=0.1), row("b", 20, score=-1.0, error=0.9)
    failed = dataclasses.replace(row("c", 1, score=9.0), state=FAILED)
    assert [one.key for one in pareto_front([large, small, failed])] == ["a", "b"]
    assert [one.key for one in pareto_front([dataclasses.replace(one, scores={}) for one in (small, large)])] == ["a"]


def test_within_names_the_smallest_that_is_near_enough():
    found = table(row("a", 10, -5.0), row("b", 20, -1.8), row("c", 30, -0.5, half=0.4)).within(2)
    assert [one.key for one in found.rows] == ["b"]
    assert (found.difference, found.low, found.high) == pytest.approx((-1.8, -2.8, -0.8))
    assert not found.is_sure
    assert table(row("c", 30, -0.5, half=0.4)).within(2).is_sure
    assert table(row("a", 10, -5.0)).within(2).rows == ()


def test_within_takes_seeds_together():
    seeds = [row("a0", 10, -1.0, seed=0), row("a1", 10, -4.0, seed=1), row("b0", 20, -1.0), row("b1", 20, -2.0, seed=1)]
    found = table(*seeds).within(2)  # a is 2.5 below on average, although one seed of it is near
    assert {one.key for one in found.rows} == {"b0", "b1"}
    assert (found.difference, found.low, found.high) == pytest.approx((-1.5, -2.5, -0.5))


def test_within_needs_scores():
    with pytest.raises(InputError, match="no row has a score"):
        table(row("a", 10)).within(2)
    with pytest.raises(InputError, match="at least 0"):
        table(row("a", 10, 1.0)).within(float("nan"))


def test_an_undefined_score_is_within_nothing():
    assert table(row("a", 10, float("nan"))).within(50).rows == ()
    assert pareto_front([row("a", 10, float("nan"))]) == []


def test_rows_come_back_from_disk(tmp_path):
    failed = SweepRow("f", CompressionSettings("product", subspaces=9), "m", ("ab",), FAILED, "9 is too many")
    rows = [row("a", 10, -1.0), dataclasses.replace(row("b", 20, -2.0), distinct_tuples=None, cpu_seconds=0.25), failed]
    rows[1] = dataclasses.replace(rows[1], kept_by_frequency={"1 to 1,000": 0.5, "1,001 to 1,300": 0.25})
    write_table(tmp_path, table(*rows))
    assert list(read_rows(tmp_path).values()) == rows
    csv = pd.read_csv(tmp_path / CSV)
    assert list(csv["pareto"]) == [True, False, False]
    assert list(csv["total_bytes"][:2]) == [10, 20]
    assert np.isnan(csv["total_bytes"][2])


def test_a_table_of_nothing_is_written_and_read(tmp_path):
    write_table(tmp_path, table())
    assert read_rows(tmp_path) == {}


def test_files_that_are_no_such_table_are_refused(tmp_path):
    assert read_rows(tmp_path) == {}
    (tmp_path / PARQUET).write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="delete it, or give another folder"):
        read_rows(tmp_path)
    write_table(tmp_path, table(row("a", 10, 1.0)))
    with pytest.raises(InputError, match="another model, on other data"):
        read_rows(tmp_path, belongs=lambda one: False)
