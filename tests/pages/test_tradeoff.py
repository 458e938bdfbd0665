"""The page Trade-off, without a browser: points, verdict, opening a point, the sweep."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from apps import checked, frame_with, open_app, own_folders, rerun_until, table_with, texts
from checkpoints import SPECIAL, make_bert

from subemb.base.text import escape_markdown
from subemb.codec.settings import CompressionSettings
from subemb.jobs.manager import manager
from subemb.models.load import load_listed
from subemb.presets import PRESETS
from subemb.runs import RUNS, run_and_keep, run_key
from subemb.sweep.known_tables import known_tables
from subemb.sweep.run import sweep
from subemb.sweep.table import pareto_front
from subemb.ui.pages.tradeoff import page as tradeoff
from subemb.ui.pages.tradeoff.charts import hover
from subemb.ui.pages.tradeoff.form import SCORED, SHORT, grid_of
from subemb.ui.pages.tradeoff.points import BYTES, CLAIMS, FLOATS, SCORE, Point, front_of, points_of
from subemb.ui.shell.models import key_of
from subemb.ui.shell.request import Request
from subemb.ui.shell.visit import Visit

PAGE = "pages/9_Trade-off.py"
GRID = [CompressionSettings("product", subspaces=f, codebook_size=16, iterations=2) for f in (2, 3, 4)]


@pytest.fixture(scope="module", autouse=True)
def swept(tmp_path_factory):
    """A small model of which three settings were measured, and one is kept as a run."""
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, *(f"word{number}" for number in range(200))], dim=12)
        run_and_keep("small", None, GRID[0].to_dict())
        yield sweep("small", GRID, processes=1)


def request(settings=GRID[0]) -> Request:
    return Request("small", None, settings)


def opened(**query):
    return checked(open_app(PAGE, request(), **query))


def open_part(test, key):
    test.session_state[key] = True
    return test.run()


def behind(test) -> str:
    """The identity of the table behind the chart, which selected rows hang on."""
    return frame_with(test, "settings", "score").proto.id


def test_what_was_swept_is_there_with_its_verdict(swept):
    test = opened(within="50")
    within = swept.within(50)
    assert "The smallest setting within 50 points of small" in texts(test)
    assert escape_markdown(within.rows[0].settings.in_words.removesuffix(", seed 0")) in texts(test)
    table = table_with(open_part(test, "tradeoff_table_open"), "settings", "score")
    assert list(table["bytes"]) == sorted(row.total_bytes for row in swept.rows)
    assert sorted(table["score"]) == sorted(row.score for row in swept.rows)
    assert list(table["yours"]) == ["✓", "", ""]
    front = {row.run_key for row in swept.front}
    assert [key in front for key in table["run"]] == [mark == "✓" for mark in table["front"]]


@pytest.mark.slow
def test_a_point_that_was_run_opens_and_another_offers_to_be_computed(swept):
    test = opened()
    buttons = {button.key for button in test.button}
    assert "compute_point" not in buttons
    test = checked(open_app(PAGE, request(GRID[2])))
    assert test.number_input(key="form_f_product").value == 4, "the form is filled in"
    test.button(key="compute_point").click().run()
    rerun_until(test, lambda test: "run_button" in {button.key for button in test.button})
    key = run_key(load_listed("small").identity, swept.rows[2].settings)
    assert RUNS.get(key) is not None
    RUNS.drop(key)


def test_a_click_puts_the_run_of_the_point_on_all_pages(swept):
    model, visit = load_listed("small"), Visit(shown_key="other")
    points = points_of([swept], [])
    tradeoff.open_point(visit, model, points, points[1].run_key)
    opened = (visit.shown, visit.shown_key)
    assert opened == (Request("small", None, points[1].settings), points[1].run_key)
    assert visit.reset_form
    tradeoff.open_point(visit, model, points, "no such run")
    assert (visit.shown, visit.shown_key) == opened


@pytest.mark.slow
def test_a_point_that_is_a_preset_opens_the_run_that_is_shipped_however_its_budget_is_written():
    model = load_listed("all-MiniLM-L6-v2", None)
    rows = tradeoff.tables_of(model)[0].rows
    preset = PRESETS["nearly-lossless"].settings
    (row,) = [row for row in rows if row.settings.budget == preset.budget]
    assert row.run_key == key_of(Request(settings=preset))[0]
    assert RUNS.get(row.run_key).size.total_bytes == row.total_bytes
    assert key_of(Request(settings=replace(preset, budget="656345")))[0] == row.run_key
    assert key_of(Request(settings=replace(preset, budget="656345", seed=1)))[0] != row.run_key
    assert "budget 656.344 kB" in replace(preset, budget="656344").in_words


def test_the_front_of_the_chart_is_that_of_the_table(swept):
    points = points_of([swept], [])
    assert [point.run_key for point in front_of(points, SCORE, BYTES)] == [row.run_key for row in pareto_front(swept.rows)]


def test_a_run_of_the_visitor_stands_once_and_floats_are_counted_as_papers_do(swept):
    run = RUNS.get(swept.rows[0].run_key)
    points = points_of([swept], [run])
    assert len(points) == len(swept.rows)
    assert [point.is_own for point in points] == [True, False, False]
    assert points[0].shares == {BYTES: run.size.total_share, FLOATS: run.size.parameter_share}
    alone = points_of([], [run])[0]
    assert alone.shares == points[0].shares
    assert alone.values["Error"] == run.quality["relative_error"]


def test_methods_without_codebooks_have_no_place_where_only_floats_count(swept):
    rounded = run_and_keep("small", None, CompressionSettings("int8").to_dict())
    points = points_of([swept], [rounded])
    assert set(points[-1].shares) == {BYTES}
    known = [replace(point, values={"Error": point.values["Error"]}) for point in points]
    assert rounded.key not in {point.run_key for point in front_of(known, "Error", FLOATS)}
    assert rounded.key in {point.run_key for point in front_of(known, "Error", BYTES)}


def test_what_stands_beside_a_point_fits_on_a_phone():
    preset = next(iter(PRESETS.values())).settings
    point = Point("key", preset, 10_000, {BYTES: 0.01}, {SCORE: 64.9}, (-15.6, -6.2), -10.5)
    lines = [re.sub("<[^>]*>", "", line) for line in hover(point, SCORE).split("<br>")]
    assert max(map(len, lines)) <= 60
    assert point.label in " ".join(lines)


def test_claims_are_drawn_where_they_would_hold():
    ours, other = CLAIMS
    assert ours.floats[1] == pytest.approx(1 - 0.998)
    assert (ours.lowest(75.0), other.lowest(80.0)) == (71.0, 76.0)


@pytest.mark.slow
def test_a_sweep_begins_on_a_button_with_its_cost_and_its_rows_appear(swept, monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 1)  # rows in this process, which has loaded torch
    test = open_part(opened(), "tradeoff_table_open")
    before = behind(test)
    assert behind(test.run()) == before
    test = open_part(test, "sweep_form_open")
    test.radio(key="sweep_grid").set_value(SHORT).run()
    assert "are to be measured: about" in texts(test)
    assert SCORED in test.radio(key="sweep_pairs").options
    test.button(key="sweep_button").click().run()
    assert "sweep_cancel" in {button.key for button in test.button}
    rerun_until(test, lambda test: not manager().jobs_of(test.session_state["subemb_visit"].token))
    test = checked(test.run())
    wanted = {run_key(load_listed("small").identity, one) for one in grid_of(load_listed("small"), SHORT)}
    scored, _ = known_tables(load_listed("small"))
    assert wanted <= {row.run_key for row in scored.rows}
    assert behind(open_part(test, "tradeoff_table_open")) != before, "rows came between: one that was selected is another now"
    assert "sweep_button" in {button.key for button in open_part(test, "sweep_form_open").button}
    assert test.button(key="sweep_button").disabled, "nothing is left to measure"


@pytest.mark.slow
def test_a_model_without_any_sweep_says_so_and_offers_one(swept, tmp_path_factory):
    make_bert(Path(load_listed("small").folder).parent / "new", [*SPECIAL, *(f"other{number}" for number in range(60))], dim=8)
    settings = CompressionSettings("product", subspaces=2, codebook_size=8, iterations=2)
    test = checked(open_app(PAGE, Request("new", None, settings)))
    assert "No setting of new has been measured yet" in texts(test)
    assert "sweep_button" in {button.key for button in test.button}


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("query", [{"within": "inf"}, {"within": "nan"}, {"within": "-1"}, {"quality": "x"}, {"size": "<b>"}])
def test_whatever_the_address_says_the_page_stands(query):
    test = open_app(PAGE, request(), **query)
    assert not test.exception
    assert "The smallest setting within" in texts(test) or "None of the" in texts(test)
