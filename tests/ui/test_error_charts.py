"""Aggregations behind the charts of the page Reconstruction error, by hand; and what the figures say."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from checkpoints import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from subemb.ui.pages.error import charts
from subemb.ui.pages.error.equal_bytes import results_table
from subemb.ui.pages.error.views import extremes, extremes_html
from subemb.ui.shell.style import BELOW_TITLE
from subemb.ui.widgets.charts import layout

values = arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 4, width=32))


def titles(figure: go.Figure) -> tuple[str, str, str]:
    return figure.layout.title.text, figure.layout.xaxis.title.text, figure.layout.yaxis.title.text


@settings(deadline=None, max_examples=40)
@given(values)
def test_histogram_counts_every_token_once(sample):
    table = charts.histogram(sample, "error")
    assert table["tokens"].sum() == len(sample)
    assert (table["error from"] < table["error to"]).all()
    limited = charts.histogram(sample, "error", limits=(0.5, 1.0))
    assert limited["tokens"].sum() == len(sample)  # those beyond are in the outermost bins


def test_upper_limit_cuts_only_long_tails():
    assert charts.upper_limit(np.linspace(0, 1, 1000)) == 1.0
    tail = np.concatenate([np.linspace(0, 1, 10_000), [50.0]])
    assert charts.upper_limit(tail) < 1.01
    assert charts.upper_limit(np.array([np.inf, 1.0])) == 1.0
    assert charts.upper_limit(np.array([np.inf])) == 1.0


def test_group_table_by_hand():
    errors, cosine = np.array([1.0, 3.0, 2.0, 10.0]), np.array([0.9, 0.7, 0.5, 0.1])
    labels = np.array(["a", "a", "b", "c"])
    table = charts.group_table(errors, cosine, labels, order=["c", "a", "b", "nobody"])
    assert table["group"].tolist() == ["c", "a", "b"]
    a = table.set_index("group").loc["a"]
    assert (a["tokens"], a["mean"], a["median"]) == (2, 2.0, 2.0)
    assert a["10 %"] == pytest.approx(1.2)
    assert a["90 %"] == pytest.approx(2.8)
    assert a["cosine"] == pytest.approx(0.8)
    assert a["part of error, %"] == pytest.approx(25)
    assert a["part of tokens, %"] == pytest.approx(50)
    assert charts.group_table(errors, cosine, labels)["group"].tolist()[0] == "a"  # the largest first


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(values)
def test_groups_together_are_the_whole(sample):
    labels = np.where(sample > 1, "high", "low")
    table = charts.group_table(sample, sample, labels)
    assert table["tokens"].sum() == len(sample)
    assert np.average(table["mean"], weights=table["tokens"]) == pytest.approx(sample.astype(float).mean(), abs=1e-6)


def test_order_table_by_hand():
    errors = np.array([0.0, 1.0, 2.0, 3.0])
    table = charts.order_table(errors, errors, bins=2)
    assert table[["from", "to", "tokens"]].to_numpy().tolist() == [[0, 1, 2], [2, 3, 2]]
    assert table["median"].tolist() == [0.5, 2.5]
    backwards = charts.order_table(errors, errors, order=np.array([3, 2, 1]), bins=3)
    assert backwards["mean"].tolist() == [3.0, 2.0, 1.0]


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3000), st.booleans())
def test_runs_cover_the_vocabulary_without_gaps(count, logarithmic):
    table = charts.order_table(np.ones(count), np.ones(count), logarithmic=logarithmic)
    assert table["from"].iloc[0] == 0
    assert table["to"].iloc[-1] == count - 1
    assert (table["from"].to_numpy()[1:] == table["to"].to_numpy()[:-1] + 1).all()
    assert len(table) <= charts.MOST_ID_BINS


def test_logarithmic_runs_are_short_for_the_first_tokens():
    table = charts.order_table(np.ones(30_000), np.ones(30_000), logarithmic=True)
    assert table["tokens"].iloc[0] == 1
    assert table["tokens"].iloc[-1] > 1000


def test_subspace_table_names_the_axes():
    table = charts.subspace_table(np.array([0.5, 0.25]), [3, 2])
    assert table[["first axis", "last axis"]].to_numpy().tolist() == [[0, 2], [3, 4]]


def test_norms_share_their_bins():
    table = charts.norms_table(np.array([1.0, 2.0]), {"compressed": np.array([0.0, 1.0, 1.0])}, bins=4)
    assert table["norm from"].iloc[0] == 0
    assert table["norm to"].iloc[-1] == 2
    assert (table["original"].sum(), table["compressed"].sum()) == (2, 3)


def comparison() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": ["Cluster", "Product", "int8"],
            "bytes": [100, 101, 900],
            "error": [0.9, 0.8, 0.0],
            "cosine": [0.3, 0.4, 1.0],
            "neighbours": [2.0, 4.0, 99.0],
            "matches": [True, True, False],
            "shown": [True, False, False],
        }
    )


@pytest.mark.parametrize("measure", charts.MEASURES)
def test_methods_that_cannot_match_are_marked(measure):
    figure = charts.comparison_chart(comparison(), measure)
    drawn = {bar.name: (list(bar.y), bar.marker.pattern.shape) for bar in figure.data}
    assert drawn["equal bytes"] == (["Product"], "")
    assert drawn["the run on this page"] == (["Cluster"], "")
    names, pattern = drawn["not equal bytes: see the table"]
    assert names == ["int8"]
    assert pattern == "/"  # not by colour alone
    assert measure in figure.layout.title.text


@pytest.mark.slow
def test_every_chart_names_its_axes():
    errors = np.linspace(0, 2, 50)
    labels = np.array(["a", "b"] * 25)
    groups, runs = charts.group_table(errors, errors, labels), charts.order_table(errors, errors)
    figures = [
        charts.distribution_chart(charts.histogram(errors, "error"), "Error", "error", {"mean": 1.0}),
        charts.norms_chart(charts.norms_table(errors, {"compressed": errors})),
        charts.order_chart(runs, "Error by id", "token id"),
        charts.subspace_chart(charts.subspace_table(np.array([0.1]), [4]), 0.1, "Error", "subspace"),
    ]
    for figure in figures:
        assert all(titles(figure))
    title, x, _ = titles(charts.group_chart(groups, "Error by kind", 1.0))
    assert title
    assert x


@pytest.mark.slow_after(3)
@pytest.mark.parametrize("text", HOSTILE)
def test_group_names_are_no_markup(text):
    table = charts.group_table(np.ones(2), np.ones(2), np.array([text, text]))
    figure = charts.group_chart(table, "Error", 1.0)
    for trace in figure.data:
        for name in trace.y:
            assert "<" not in name
            assert "%{" not in name


@settings(deadline=None, max_examples=40)
@given(values, st.integers(1, 80))
def test_extremes_are_the_ends_of_the_order(sample, count):
    best, worst = extremes(sample, count)
    assert len(best) == len(worst) == min(count, len(sample))
    assert sample[best[0]] == sample.min()
    assert sample[worst[0]] == sample.max()
    assert (np.diff(sample[best]) >= 0).all()
    assert (np.diff(sample[worst]) <= 0).all()


def test_extremes_among_some():
    best, worst = extremes(np.array([5.0, 1.0, 9.0]), 2, np.array([True, False, True]))
    assert best.tolist() == [0, 2]
    assert worst.tolist() == [2, 0]


@pytest.mark.slow_after(6)
@pytest.mark.parametrize("text", HOSTILE)
def test_extremes_are_no_markup(text):
    table = pd.DataFrame(
        [
            {"token": text, "id": 3, "kind": "special", "error": 1.0, "cosine": 0.5, "kept": 1, "identical": 2}
            | {"before": [text], "after": [text], "before_ids": [4], "after_ids": [5]}
        ]
    )
    html = extremes_html(table, "Worst tokens")
    assert html.count("<") == extremes_html(table.assign(token="x", before=[["x"]], after=[["x"]]), "Worst tokens").count("<")
    assert [f"token=%23{token}" in html for token in (3, 4, 5)] == [True] * 3, "each leads to its inspector"
    assert "2 tokens are identical to it now" in html


def test_results_table_keeps_methods_apart_that_have_the_same_title():
    from subemb.codec.settings import CompressionSettings
    from subemb.tasks.comparisons import Compared

    entries = [Compared(CompressionSettings("product", f, 32), 100, True, "the same bytes") for f in (2, 3)]
    table = results_table(entries, "nothing")
    assert table["label"].is_unique
    assert table["error"].isna().all()


@pytest.mark.parametrize("measure", charts.MEASURES)
def test_the_titles_of_the_comparison_are_one_line_on_a_phone(measure):
    table = pd.DataFrame({"label": ["PQ"], "error": [0.5], "cosine": [0.5], "neighbours": [5.0], "bytes": [9]})
    title = charts.comparison_chart(table.assign(matches=True, shown=False), measure).layout.title.text
    assert measure in title
    assert "<br>" not in title


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_charts_title_fits_on_a_phone_and_its_buttons_have_room_below_it(lines):
    figure = layout(go.Figure(), " ".join(["word"] * (9 * lines)), "x", "y", height=300)
    shown = figure.layout.title.text.split("<br>")
    assert len(shown) == lines
    assert max(map(len, shown)) <= 46  # about 7 pixels a letter, and 350 pixels of room
    assert figure.layout.height - figure.layout.margin.t == 300 - 56  # the plot itself is as high as ever
    begins = figure.layout.title.pad.t - 4.5 - 10.5 * (lines - 1)  # as measured in a browser, where a line is 20 pixels high
    assert begins >= 0
    assert begins + 20 * lines <= BELOW_TITLE[lines - 1]
    assert BELOW_TITLE[lines - 1] + 28 <= figure.layout.margin.t
