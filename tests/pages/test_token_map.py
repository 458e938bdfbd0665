"""The page Token map, without a browser."""

import json

import numpy as np
import pytest
from apps import open_app, own_folders
from checkpoints import HOSTILE, SPECIAL, make_bert
from streamlit.runtime import fragment
from streamlit.testing.v1 import AppTest

from subemb import runs
from subemb.analysis.layout import UmapSettings, keep_layout, layout_key
from subemb.codec.settings import CompressionSettings
from subemb.jobs.manager import manager
from subemb.models.load import load_listed
from subemb.runs import compressed_of, run_and_keep
from subemb.tasks.layouts import arrange
from subemb.tasks.sides import Subject
from subemb.ui.pages.token_map.page import SELECTED
from subemb.ui.pages.token_map.selection import ORIGINAL, Selection
from subemb.ui.shell.request import Request, to_query

PAGE = "pages/1_Token_map.py"
TOKENS = [*SPECIAL, "king", "kings", "##ing", "1990", *HOSTILE, *(f"word{number}" for number in range(1200))]
RUNS = {
    "cluster": CompressionSettings("cluster", iterations=3),
    "wide": CompressionSettings("product", subspaces=12, codebook_size=4, iterations=2),
    "rotated": CompressionSettings("optimized_product", subspaces=2, codebook_size=300, iterations=2),
    "residual": CompressionSettings("residual", subspaces=2, codebook_size=8, iterations=2),
    "low_rank": CompressionSettings("low_rank", rank=2),
    "int8": CompressionSettings("int8"),
    "int4": CompressionSettings("int4"),
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Run keys by name, of a small model with tokens of every kind."""
    with own_folders(tmp_path_factory) as folder, pytest.MonkeyPatch.context() as patch:
        make_bert(folder / "small", TOKENS, dim=12)
        # Nothing here is to wait for numba's compiler in another process.
        patch.setattr(manager(), "warm", lambda *_: type("Warm", (), {"is_over": False})())
        yield {name: run_and_keep("small", None, settings.to_dict()).key for name, settings in RUNS.items()}


@pytest.fixture
def open_page(keys):
    def opened(run: str = "cluster", selection: Selection | None = None, **query: str) -> AppTest:
        test = AppTest.from_file("../../app.py", default_timeout=60)
        test.switch_page(PAGE)
        test.query_params.update(to_query(Request("small", None, RUNS[run])) | query)
        if selection is not None:
            test.session_state["map_model"] = runs.RUNS.get(keys[run]).model["identity"]
            test.session_state[SELECTED] = selection
        return healthy(test.run())

    return opened


def subject(key: str, identity: str | None = None) -> Subject:
    return Subject("small", None, identity or runs.RUNS.get(key).model["identity"], key)


def healthy(test: AppTest) -> AppTest:
    assert not test.exception
    assert not test.error, [box.value for box in test.error]
    return test


def figures(test: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]


def drawn(figure: dict) -> list[int]:
    return sorted(token for trace in figure["data"] for token in trace.get("customdata", ()))


def texts(test: AppTest) -> str:
    return " ".join(str(element.value) for element in [*test.markdown, *test.caption, *test.warning])


def key_text(test: AppTest) -> str:
    return " ".join(element.proto.body for element in test.get("html"))


def test_all_tokens_are_on_both_maps_at_once(open_page):
    test = open_page()
    left, right = figures(test)
    assert drawn(left) == drawn(right) == list(range(len(TOKENS)))
    assert left["layout"]["xaxis"]["autorangeoptions"] == right["layout"]["xaxis"]["autorangeoptions"]
    assert "of variance" in left["layout"]["xaxis"]["title"]["text"]
    assert f"All {len(TOKENS):,} tokens are drawn" in texts(test)


def test_every_chart_has_a_text_alternative(open_page):
    alternatives = [chart.proto.alt for chart in open_page().get("plotly_chart")]
    assert [alt.split(":")[0] for alt in alternatives] == ["Original map", "Reconstructed map"]


def test_neighbours_kept_in_the_full_space_stand_beside_the_maps(open_page, keys):
    shown = {metric.label: metric.value for metric in open_page().metric}
    kept = runs.RUNS.get(keys["cluster"]).quality["neighbours_kept"]
    assert float(shown["Neighbours kept, all 12 axes"].removesuffix(" %")) == pytest.approx(kept * 100, rel=0.01)
    assert {"Kept on these maps", "Median move", "Variance shown"} <= set(shown)


@pytest.mark.parametrize("run", list(RUNS))
def test_every_method_can_be_coloured_by_all_that_it_has(open_page, run):
    test = open_page(run)
    colours = ["Token kind", "Code of a subspace", "Error", "Norm", "Token id"]
    if run in ("low_rank", "int8", "int4"):
        colours.remove("Code of a subspace")
    assert test.selectbox(key="map_colour").options == colours
    for colour in colours[1:]:
        healthy(test.selectbox(key="map_colour").set_value(colour).run())
        assert len(figures(test)) == 2
        assert "<strong>Colour</strong>" in key_text(test)


def test_the_table_of_a_method_without_codes_has_no_codes(open_page):
    rows = open_page("int8", Selection((5, 6), ORIGINAL, "lasso")).dataframe[0].value
    assert not [name for name in rows.columns if "code" in name]
    assert rows["token"].tolist() == ["king", "kings"]


def test_a_selection_is_listed_with_codes_and_errors_and_can_be_cleared(open_page, keys):
    test = open_page(selection=Selection((5, 8), ORIGINAL, "lasso"))
    rows = test.dataframe[0].value
    assert rows["id"].tolist() == [5, 8]
    assert rows["token"].tolist() == ["king", "1990"]
    assert rows["kind"].tolist() == ["whole word", "number"]
    assert rows[["code 0", "code 1", "code 2"]].to_numpy().tolist() == compressed_of(keys["cluster"]).codes[[5, 8]].tolist()
    assert "2 tokens selected with a lasso on the original map" in texts(test)
    healthy(test.button(key="map_clear").click().run())
    assert "Nothing is selected" in texts(test)


def test_tokens_can_be_selected_without_a_pointer(open_page):
    test = open_page()
    healthy(test.text_input(key="map_find").set_value("king").run())
    assert "2 tokens found for king" in texts(test)
    healthy(test.button(key="map_select_found").click().run())
    assert test.dataframe[0].value["token"].tolist() == ["king", "kings"]
    healthy(test.button(key="map_clear").click().run())
    healthy(test.button(key="map_select_worst").click().run())
    rows = test.dataframe[0].value
    assert len(rows) == 20
    assert "20 tokens selected by error" in texts(test)


def test_a_part_is_drawn_with_a_note_and_always_with_what_was_searched_for(open_page):
    test = open_page(map_tokens="1,000")
    left, right = figures(test)
    assert len(drawn(left)) == 1000
    assert drawn(left) == drawn(right)
    assert f"**1,000 of {len(TOKENS):,} tokens** are drawn, seed 0" in texts(test)
    missing = next(i for i in range(60, len(TOKENS)) if i not in drawn(left))
    healthy(test.text_input(key="map_find").set_value(f"#{missing}").run())
    assert drawn(figures(test)[0]) == sorted([*drawn(left), missing])
    assert f"**1,001 of {len(TOKENS):,} tokens** are drawn, seed 0, 1 of them because you searched for them" in texts(test)
    healthy(test.selectbox(key="map_tokens").set_value(len(TOKENS)).run())
    assert len(drawn(figures(test)[0])) == len(TOKENS)


def test_another_seed_draws_others(open_page):
    one, other = (drawn(figures(open_page(map_tokens="1,000", map_seed=seed))[0]) for seed in ("0", "1"))
    assert len(one) == len(other) == 1000
    assert one != other


def test_what_a_search_adds_moves_no_fragment(open_page, monkeypatch):
    """Streamlit knows a fragment by its place, and drops what the browser sends to a place that moved: a lasso would be lost."""
    places, make = [], fragment._make_fragment_identity

    def noted(function, *, delta_path, additional_hash_info):
        places.append((function.__name__, delta_path))
        return make(function, delta_path=delta_path, additional_hash_info=additional_hash_info)

    monkeypatch.setattr(fragment, "_make_fragment_identity", noted)
    open_page()
    plain, places[:] = list(places), []
    assert {"_explore", "selection_view", "settings_form"} <= {name for name, _ in plain}
    for query in ({"map_find": "king"}, {"map_find": "zebra"}, {"map_tokens": "1,000", "map_colour": "Code of a subspace"}):
        open_page(**query)
        assert places == plain, query
        places[:] = []


def test_a_search_without_result_says_what_to_try(open_page):
    assert "No token contains zzzz. Try a shorter part" in texts(open_page(map_find="zzzz"))


def test_the_settings_of_the_page_are_in_its_url(open_page):
    test = open_page(map_colour="Code of a subspace", map_subspace="2", map_code="1", map_find="king", map_tokens="1,000")
    assert test.selectbox(key="map_colour").value == "Code of a subspace"
    assert test.number_input(key="map_subspace").value == 2
    assert "code 1 of subspace 2" in key_text(test)
    assert test.text_input(key="map_find").value == "king"
    assert len(drawn(figures(test)[0])) < len(TOKENS)
    assert test.query_params["method"] == "cluster"


@pytest.mark.parametrize(
    "query", [{"map": "x"}, {"map_colour": "<b>"}, {"map_tokens": "-1"}, {"map_subspace": "99"}, {"map_code": "x"}]
)
def test_a_wrong_link_still_opens(open_page, query):
    assert len(figures(open_page(**{"map_colour": "Code of a subspace", **query}))) == 2


def test_a_code_that_does_not_exist_is_an_error_with_the_codes_there_are(keys):
    test = AppTest.from_file("../../app.py", default_timeout=60)
    test.switch_page(PAGE)
    query = to_query(Request("small", None, RUNS["wide"]))
    test.query_params.update(query | {"map_colour": "Code of a subspace", "map_subspace": "1", "map_code": "9"})
    test.run()
    assert "choose one from 0 to 3" in " ".join(box.value for box in test.error)


def test_hostile_tokens_reach_charts_and_page_only_escaped(open_page):
    test = open_page(map_find="x")
    for figure in figures(test):
        names = [name for trace in figure["data"] for name in trace.get("text", ())]
        names += [note["text"] for note in figure["layout"].get("annotations", ())]
        assert not [name for name in names if "<" in name or "$" in name]
    test = open_page(map_find="<script>")
    assert "<script>" not in texts(test).replace("\\<script\\>", "")


def test_a_selection_survives_another_method_but_not_another_vocabulary(open_page):
    selection = Selection((5, len(TOKENS) - 1), ORIGINAL, "box")
    test = open_page(selection=selection)
    assert test.session_state[SELECTED] == selection
    test.session_state["map_model"] = "another model"
    assert not healthy(test.run()).session_state[SELECTED]


# UMAP


def test_umap_waits_for_its_button_and_says_what_it_costs(open_page):
    test = open_page(map="UMAP")
    assert not figures(test)
    assert f"UMAP of all {len(TOKENS):,} tokens has not been computed yet" in texts(test)
    assert "a rough estimate" in texts(test)
    assert test.button(key="map_umap_start").label == "Compute UMAP"
    assert test.query_params["map"] == "UMAP"


def test_a_umap_that_is_on_disk_is_shown_at_once(open_page, keys):
    ids = np.arange(len(TOKENS))
    compressed, table = compressed_of(keys["wide"]), load_listed("small").table
    points = np.random.default_rng(0).normal(size=(2, len(ids), 2)).astype(np.float32)
    name = layout_key(table, compressed.reconstruct(), ids, UmapSettings())
    keep_layout(name, {"original": points[0], "reconstructed": points[1], "kept": np.float64(0.123)})
    test = open_page("wide", map="UMAP")
    assert drawn(figures(test)[0]) == ids.tolist()
    assert "UMAP axis 1" in figures(test)[0]["layout"]["xaxis"]["title"]["text"]
    shown = {metric.label: metric.value for metric in test.metric}
    assert shown["Neighbours kept, all 12 axes"] == "12.3 %"
    assert "Variance shown" not in shown


def test_a_failed_umap_says_so_and_can_be_tried_again(keys):
    key = arrange.key(subject(keys["cluster"]), np.arange(len(TOKENS)), UmapSettings())
    job = manager().submit(key, "jobs_functions:fail_input", lane=arrange.lane)
    assert job.wait(60)
    test = open_app(PAGE, Request("small", None, RUNS["cluster"]), **({"map": "UMAP"}))
    manager().forget(key)
    assert "UMAP failed" in " ".join(box.value for box in test.error)
    assert test.button(key="map_umap_start").label == "Try again"


def test_the_job_of_equal_requests_is_the_same(keys):
    ids, of = np.arange(10), subject(keys["cluster"])
    same = arrange.key(of, ids, UmapSettings()), arrange.key(of, ids.copy(), UmapSettings())
    assert same[0] == same[1]
    assert arrange.key(of, ids[1:], UmapSettings()) != same[0]
    assert arrange.key(of, ids, UmapSettings(n_neighbors=5)) != same[0]


def test_the_job_refuses_a_model_that_has_changed(keys):
    with pytest.raises(ValueError, match="the files of small have changed since this run; press Run again"):
        arrange(subject(keys["cluster"], "small@other"), np.arange(10), UmapSettings())
