"""A | B: two runs of a model beside each other in place of original and compressed, carried by the link."""

import numpy as np
import pytest
from apps import checked, html_of, metrics, open_app, own_folders, rerun_until, table_with, texts
from checkpoints import SPECIAL, WORDS, make_bert, make_sentence_model

import subemb
from subemb.analysis.layout import pca_layout
from subemb.analysis.maps import in_steps, placed_on
from subemb.codec.methods import with_budget
from subemb.codec.settings import CompressionSettings
from subemb.models.load import load_listed
from subemb.runs import RUNS, compressed_of, run_and_keep
from subemb.tasks.layouts import group
from subemb.tasks.sides import RUN_A, RUN_B, Subject, entries_of, open_sides
from subemb.ui.shell.request import Request, other_query

A = CompressionSettings("cluster", subspaces=2, codebook_size=8)
B = CompressionSettings("product", subspaces=4, codebook_size=16)
SIMILARITY, ENTAILMENT = "pages/4_Similarity.py", "pages/5_Entailment.py"
REQUEST = Request("small", None, A)
PAIR = {"first": " ".join(WORDS[:4]), "second": " ".join(WORDS[2:7])}


@pytest.fixture(scope="module", autouse=True)
def runs(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_sentence_model(make_bert(folder / "small", [*SPECIAL, *WORDS]))
        yield [run_and_keep("small", None, settings.to_dict()) for settings in (A, B)]


def cosine(run) -> float:
    model = subemb.attach(load_listed("small"), compressed_of(run.key))
    first, second = model.encode(list(PAIR.values()))
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_the_sides_of_two_runs_are_a_and_b(runs):
    subject = Subject("small", None, runs[0].model["identity"], runs[0].key, other_key=runs[1].key)
    sides = open_sides(subject)
    assert list(sides) == [RUN_A, RUN_B]
    for side, run in zip(sides.values(), runs, strict=True):
        assert np.array_equal(side.embedding.weight.detach().numpy(), compressed_of(run.key).reconstruct().numpy())
    assert [key for _, key in entries_of(subject)] == [run.key for run in runs]
    assert len({subject.content, Subject(*subject.content[:1] * 3, runs[0].key).content}) == 2


@pytest.mark.slow
def test_a_link_with_both_shows_them_in_a_fresh_session(browser, runs):
    browser("somebody new")
    test = open_app(SIMILARITY, REQUEST, b=other_query(B), **PAIR)
    rerun_until(test, lambda test: f"{cosine(runs[1]):.3f}" in html_of(test) + str(metrics(test)) + texts(test))
    shown = html_of(checked(test)) + str(metrics(test)) + texts(test)
    assert f"{cosine(runs[0]):.3f}" in shown
    assert "run A" in shown
    assert "run B" in shown
    assert test.query_params["b"] == other_query(B), "the link goes on to say it"
    assert runs[1].key in test.session_state["subemb_visit"].runs, "what a link gave is among the visitor's runs"


@pytest.mark.slow
def test_the_error_page_draws_both_on_the_same_scale(browser, runs):
    browser("carl")
    test = checked(open_app("pages/3_Reconstruction_error.py", REQUEST, b=other_query(B)))
    metric = next(metric for metric in test.metric if metric.label == "Relative error")
    errors = [subemb.analysis.reconstruction_error(load_listed("small").table, compressed_of(run.key)).relative for run in runs]
    assert (metric.value, metric.delta) == (f"{errors[0]:.3f}", f"run B {errors[1]:.3f}")
    table = table_with(test, "error from", "run B")
    assert table["tokens"].sum() == table["run B"].sum() == load_listed("small").num_tokens


@pytest.mark.slow
def test_another_run_of_the_visitor_is_chosen_and_given_up_again(browser, runs):
    browser("anna")
    open_app(SIMILARITY, Request("small", None, B))
    test = checked(open_app(SIMILARITY, REQUEST))
    picker = next(box for box in test.selectbox if box.label == "Compare with")
    assert picker.value == "the original"
    checked(picker.select_index(1).run())
    assert test.query_params["b"]
    assert "Differences are B against A" in texts(test)
    checked(next(box for box in test.selectbox if box.label == "Compare with").select_index(0).run())
    assert "b" not in test.query_params


@pytest.mark.slow
def test_a_run_that_a_budget_chose_stands_as_b_under_the_key_it_was_asked_for(browser):
    browser("dora")
    asked = CompressionSettings(with_budget(), budget="1500", iterations=2)
    run = run_and_keep("small", None, asked.to_dict())
    assert run.settings.tiers
    open_app(SIMILARITY, Request("small", None, asked))
    test = checked(open_app(SIMILARITY, REQUEST))
    picker = next(box for box in test.selectbox if box.label == "Compare with")
    checked(picker.select_index(1).run())
    assert test.query_params["b"] == other_query(run.asked)
    assert "Differences are B against A" in texts(test)
    assert "is not kept here" not in texts(test)


@pytest.mark.slow
def test_a_run_b_that_is_not_kept_is_computed_at_one_press(browser):
    browser("ben")
    settings = CompressionSettings("product", subspaces=8, codebook_size=4)
    test = checked(open_app(SIMILARITY, REQUEST, b=other_query(settings)))
    assert "Run B of this link is not kept here" in texts(test)
    test.button(key="compute_other").click().run()
    rerun_until(test, lambda test: "Differences are B against A" in texts(test))
    key = run_and_keep("small", None, settings.to_dict()).key
    assert RUNS.get(key) is not None


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("query", ["nonsense", "method=magic", "f=x", "a=1&" * 60])
def test_a_link_that_names_no_run_says_so_and_the_original_stands_in(query):
    test = open_app(SIMILARITY, REQUEST, b=query)
    assert not test.exception
    assert "The original is compared with instead" in test.error[0].value
    assert "b" not in test.query_params


ASSIGNMENTS, ERROR, MAP = "pages/2_Assignments.py", "pages/3_Reconstruction_error.py", "pages/1_Token_map.py"


def kept(run, token: int) -> int:
    """Of the 10 nearest tokens of one, those that stay, as the library counts them."""
    found = subemb.analysis.compare_neighbours(load_listed("small").table, compressed_of(run.key).reconstruct(), token, 10)
    return int(found.kept[0])


@pytest.mark.slow
def test_the_neighbours_and_blocks_of_a_token_in_both(browser, runs):
    browser("emma")
    test = checked(open_app(ASSIGNMENTS, REQUEST, b=other_query(B), token="#9"))
    said = texts(test)
    for name, run in zip(("Run A", "Run B"), runs, strict=True):
        assert f"{name}: " in said
        assert f"**{kept(run, 9)} of 10** neighbours are kept" in said
        assert f"{name}: the 10 nearest tokens" in html_of(test)
    table = table_with(test, "list", "kept")
    assert set(table["list"]) == {"Run A", "Run B"}
    test = checked(open_app(ASSIGNMENTS, REQUEST, b=other_query(B), view="Usage", codes_of="Run B"))
    assert len(table_with(test, "entropy, bits")) == B.subspaces
    test = checked(open_app(ASSIGNMENTS, REQUEST, b=other_query(B), view="Sentence", sentence=WORDS[0]))
    assert [name in html_of(test) for name in ("Run A: ", "Run B: ")] == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "columns"), [("Kinds and scripts", ("mean", "mean run B")), ("By id", ("median", "median run B"))]
)
def test_errors_by_group_and_along_the_vocabulary_of_both(browser, runs, part, columns):
    browser("finn")
    table = table_with(checked(open_app(ERROR, REQUEST, b=other_query(B), part=part)), *columns)
    errors = [
        subemb.analysis.reconstruction_error(load_listed("small").table, compressed_of(run.key)).per_token for run in runs
    ]
    if part == "By id":
        assert table[columns[0]].iloc[0] == pytest.approx(np.median(errors[0][: table["tokens"].iloc[0]]))
        assert table[columns[1]].iloc[0] == pytest.approx(np.median(errors[1][: table["tokens"].iloc[0]]))
        return
    for column, found in zip(columns, errors, strict=True):
        assert (table[column] * table["tokens"]).sum() == pytest.approx(found.sum(), rel=1e-4)


def test_the_words_that_differ_most_between_both(browser, runs):
    browser("gina")
    test = checked(open_app(ERROR, REQUEST, b=other_query(B), part="Best and worst", by="difference", kind="all kinds"))
    table = table_with(test, "error", "error run B")
    errors = [
        subemb.analysis.reconstruction_error(load_listed("small").table, compressed_of(run.key)).per_token for run in runs
    ]
    assert table["id"].iloc[0] == int((errors[0] - errors[1]).argmax())
    assert "run B keeps better" in html_of(test)


@pytest.mark.slow
def test_both_are_on_the_maps_in_the_same_coordinates(browser, runs, monkeypatch):
    browser("hans")
    monkeypatch.setattr("subemb.ui.pages.token_map.page.warm_umap.warm", lambda: None)
    for run in runs:
        group(Subject("small", None, run.model["identity"], run.key))
    test = checked(open_app(MAP, REQUEST, b=other_query(B), map="PCA", map_selected="9"))
    assert "Run A keeps " in texts(test)
    assert {"Error", "Cosine to its original"} <= set(metrics(test))
    error = next(metric for metric in test.metric if metric.label == "Error")
    assert error.delta.startswith("run B ")
    assert "tokens in their cluster" in texts(test)


def test_another_table_is_placed_on_the_map_of_a_run(runs):
    table = load_listed("small").table
    first, second = (compressed_of(run.key) for run in runs)
    base = in_steps(pca_layout(table, first))
    assert np.array_equal(placed_on(base, table, first, second).original, base.original)
    again = placed_on(base, table, first, first)
    away = np.abs(again.coordinates(again.reconstructed) - base.coordinates(base.reconstructed)).max(1)
    assert np.quantile(away, 0.9) < 0.02 * float((base.high - base.low).max()), "its own rows lie where they are"
