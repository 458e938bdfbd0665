"""The page Reconstruction error, without a browser."""

import numpy as np
import pytest
from apps import metrics, own_folders, table_with, texts
from checkpoints import SPECIAL, make_bert
from streamlit.testing.v1 import AppTest

from subemb import runs
from subemb.codec.settings import CompressionSettings
from subemb.runs import run_and_keep
from subemb.tasks.comparisons import compare_methods
from subemb.ui.shell.request import Request, to_query

PAGE = "pages/3_Reconstruction_error.py"
WORDS = ["king", "queen", "1999", "##ing", ".", "[unused1]", *(f"word{number}" for number in range(294))]
RUNS = {
    "cluster": CompressionSettings("cluster", weights="none", iterations=3),
    "weighted": CompressionSettings("product", subspaces=2, codebook_size=8, weights="zipf", iterations=3),
    "rotated": CompressionSettings("optimized_product", subspaces=3, codebook_size=8, weights="none", iterations=2),
    "residual": CompressionSettings("residual", subspaces=2, codebook_size=8, weights="none", iterations=2),
    "low_rank": CompressionSettings("low_rank", rank=4),
    "int8": CompressionSettings("int8"),
    "int4": CompressionSettings("int4"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, *WORDS], dim=12, rows=310)
        for settings in RUNS.values():
            run_and_keep("small", None, settings.to_dict())
        yield folder


@pytest.fixture
def open_page(models):
    def opened(run: str | CompressionSettings = "cluster", **query: str) -> AppTest:
        test = AppTest.from_file("../../app.py", default_timeout=60)
        test.switch_page(PAGE)
        settings = RUNS[run] if isinstance(run, str) else run
        test.query_params.update(to_query(Request("small", None, settings)) | query)
        test.run()
        assert not test.exception
        assert not test.error, [box.value for box in test.error]
        return test

    return opened


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("run", RUNS)
def test_overview_of_every_method(open_page, run):
    test = open_page(run)
    kept = runs.RUNS.get(run_and_keep("small", None, RUNS[run].to_dict()).key)
    shown = metrics(test)
    assert shown["Mean cosine"] == f"{kept.quality['mean_cosine']:.3f}"
    assert float(shown["Relative error"]) == pytest.approx(kept.quality["relative_error"], rel=0.06, abs=5e-4)
    assert ("Weighted error" in shown) == (kept.settings.weights != "none")
    for columns in (("error from",), ("cosine from",)):
        assert table_with(test, *columns)["tokens"].sum() == 310
    assert table_with(test, "original", "compressed")[["original", "compressed"]].sum().tolist() == [310, 310]
    if run in ("cluster", "weighted", "rotated"):
        assert len(table_with(test, "first axis")) == RUNS[run].subspaces
    else:
        assert "has no subspaces, so equal runs of axes are shown" in texts(test)


@pytest.mark.slow
def test_the_errors_of_equal_subspaces_average_to_the_whole(open_page):
    table = table_with(open_page("int4"), "first axis")
    assert table["last axis"].iloc[-1] == 11
    assert table["error"].mean() == pytest.approx(float(metrics(open_page("int4"))["Relative error"]), rel=0.3)


def test_error_by_kind_has_every_kind_there_is(open_page):
    table = table_with(open_page(part="Kinds and scripts"), "group")
    kinds = ["special", "whole word", "word piece", "number", "punctuation", "unused", "padding row"]
    assert table["group"].tolist() == kinds
    assert table.set_index("group")["tokens"][["number", "word piece", "unused", "padding row"]].tolist() == [1, 1, 1, 5]
    assert table["part of error, %"].sum() == pytest.approx(100)


def test_error_by_script(open_page):
    test = open_page(part="Kinds and scripts", group="script")
    assert table_with(test, "group")["group"].tolist()[0] == "Latin"


@pytest.mark.slow
def test_error_by_id_covers_the_vocabulary(open_page):
    test = open_page(part="By id")
    table = table_with(test, "from", "to")
    assert (table["from"].iloc[0], table["to"].iloc[-1]) == (0, 309)
    test.toggle(key="log").set_value(True).run()
    assert not test.exception
    assert table_with(test, "from", "to")["tokens"].iloc[-1] > 1


def test_best_and_worst_tokens(open_page):
    test = open_page(part="Best and worst")
    tables = [element.value for element in test.dataframe if "before" in element.value.columns]
    worst, best = tables
    assert worst["error"].is_monotonic_decreasing
    assert best["error"].is_monotonic_increasing
    assert best["error"].max() <= worst["error"].min()
    row = worst.iloc[0]
    assert len(row["before"]) == len(row["after"]) == 6
    assert sum(name.startswith("✓ ") for name in row["before"]) == row["kept"]
    test.selectbox(key="kind").set_value("number").run()
    assert [element.value["token"].tolist() for element in test.dataframe if "before" in element.value.columns] == [
        ["1999"]
    ] * 2


def test_best_and_worst_by_cosine(open_page):
    test = open_page(part="Best and worst", by="cosine")
    worst, best = (element.value for element in test.dataframe if "before" in element.value.columns)
    assert (np.diff(worst["cosine"]) >= 0).all()
    assert (np.diff(best["cosine"]) <= 0).all()


def test_the_comparison_is_offered_with_its_cost(open_page):
    test = open_page("weighted", part="Equal bytes")
    plan = table_with(test, "method", "bytes", "seconds", "note")
    assert plan["note"].iloc[0] == "the same bytes"
    assert plan["note"].str.startswith("not equal").any()  # int8 has one size only
    assert "in total, a rough estimate" in texts(test)
    assert test.button(key="compare_button").label == "Compare at equal bytes"


@pytest.mark.slow
def test_a_finished_comparison_is_shown_and_its_runs_open(open_page):
    settings = RUNS["cluster"]
    entries = compare_methods("small", None, settings.to_dict())
    test = open_page(part="Equal bytes")
    table = table_with(test, "label", "matches")
    assert table["error"].notna().all()
    assert len(table) == len(entries)
    assert table.loc[table["shown"], "label"].tolist() == ["Cluster (unique)"]
    assert not table.loc[table["label"] == "int8", "matches"].item()
    for measure in ("Mean cosine", "Neighbours kept", "Total size"):
        test.segmented_control(key="measure").set_value(measure).run()
        assert not test.exception
        assert not test.error


@pytest.mark.slow
def test_the_button_starts_a_job_that_can_be_cancelled(open_page):
    settings = CompressionSettings("product", subspaces=3, codebook_size=11, iterations=2)
    run_and_keep("small", None, settings.to_dict())
    test = open_page(settings, part="Equal bytes")
    test.button(key="compare_button").click().run()
    assert not test.exception
    job = compare_methods.call("small", None, settings.to_dict()).job
    assert job is not None
    cancel = [button for button in test.button if button.label == "Cancel"]
    if not job.is_over:  # a small model may be done by now
        cancel[0].click().run()
        job.wait(60)
    assert job.state in ("cancelled", "done")


@pytest.mark.slow
def test_count_weights_need_the_text_again(open_page, models):
    text = "king queen king"
    import hashlib

    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    settings = CompressionSettings("product", subspaces=2, codebook_size=4, weights="counts", text_digest=digest, iterations=2)
    run_and_keep("small", None, settings.to_dict(), text)
    test = open_page(settings, part="Equal bytes")
    assert "the text is not kept with it" in texts(test)
    assert test.button(key="compare_button").disabled
