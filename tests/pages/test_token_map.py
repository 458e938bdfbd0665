"""The page Token map, without a browser."""

import json
from contextlib import suppress

import numpy as np
import pytest
from apps import open_app, own_folders
from checkpoints import HOSTILE, SPECIAL, make_bert
from streamlit.runtime import fragment
from streamlit.testing.v1 import AppTest

from subemb import runs
from subemb.analysis.clusters import CLUSTERINGS, cluster_tokens
from subemb.analysis.layout import Layout, UmapSettings
from subemb.analysis.maps import MAPS, in_steps
from subemb.codec.settings import CompressionSettings
from subemb.jobs.manager import manager
from subemb.models.load import load_listed
from subemb.runs import compressed_of, run_and_keep
from subemb.tasks.layouts import arrange, group
from subemb.tasks.sides import Subject
from subemb.ui.pages.token_map.packing import unpack
from subemb.ui.pages.token_map.page import LOOK, SELECTED
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
        # Nor for UMAP, which begins by itself.
        begun = type("Begun", (), {"state": "queued", "is_over": False, "wait": lambda *_: False})
        patch.setattr("subemb.ui.shell.jobs.begin", lambda visit, call: begun())
        patch.setattr("subemb.ui.shell.jobs.watch", lambda *_: None)
        yield {name: run_and_keep("small", None, settings.to_dict()).key for name, settings in RUNS.items()}


@pytest.fixture
def open_page(keys):
    def opened(run: str = "cluster", selection: Selection | None = None, **query: str) -> AppTest:
        test = AppTest.from_file("../../app.py", default_timeout=60)
        test.switch_page(PAGE)
        test.query_params.update(to_query(Request("small", None, RUNS[run])) | query)
        healthy(test.run())
        if selection is not None:
            test.session_state[SELECTED] = selection
            healthy(test.run())
        return test

    return opened


@pytest.fixture
def clustered(keys):
    """Clusters of the run "cluster" are kept while a test runs."""
    key = keys["cluster"]
    call = group.call(subject(key))
    CLUSTERINGS.put(call.key, cluster_tokens(load_listed("small").table, compressed_of(key), 4))
    yield CLUSTERINGS.get(call.key)
    CLUSTERINGS.drop(call.key)


def subject(key: str, identity: str | None = None) -> Subject:
    return Subject("small", None, identity or runs.RUNS.get(key).model["identity"], key)


def healthy(test: AppTest) -> AppTest:
    assert not test.exception
    assert not test.error, [box.value for box in test.error]
    return test


def told(test: AppTest) -> dict:
    """What the browser is told now."""
    (found,) = [json.loads(part.proto.json) for part in test.get("bidi_component") if part.proto.json.startswith('{"run"')]
    return found


def sent(test: AppTest) -> dict:
    """Name -> (header, arrays) of everything packed that the page has sent."""
    found = [unpack(part.proto.bytes) for part in test.get("bidi_component") if part.proto.bytes]
    return {header["name"]: (header, arrays) for header, arrays in found}


def column(test: AppTest, colour: str) -> tuple[dict, dict]:
    return sent(test)[f"{told(test)['run']}/{colour}"]


def texts(test: AppTest) -> str:
    return " ".join(str(element.value) for element in [*test.markdown, *test.caption, *test.warning])


def test_all_tokens_are_on_both_maps_with_their_texts_and_kinds(open_page):
    test = open_page()
    (points,) = [arrays for _, arrays in sent(test).values() if "from" in arrays]
    assert len(points["from"]) == len(points["to"]) == 2 * len(TOKENS)
    header, arrays = column(test, "Token kind")
    assert bytes(arrays["texts"]).decode().split("\n") == load_listed("small").vocabulary.display
    kinds = [header["legend"]["labels"][value] for value in arrays["value"]]
    assert kinds == load_listed("small").vocabulary.kinds.tolist()
    assert f"All {len(TOKENS):,} tokens are drawn" in texts(test)
    assert "original and reconstructed" in told(test)["alt"]


def test_neighbours_kept_in_the_full_space_stand_in_the_picture(open_page, keys):
    test = open_page()
    kept = runs.RUNS.get(keys["cluster"]).quality["neighbours_kept"]
    said = told(test)["kept"]
    assert said.split("map, ")[1].split(" ")[0] == f"{10 * kept:.1f}"
    assert said.endswith("in all 12 axes")
    assert f"**{10 * kept:.1f}** stay its nearest" in texts(test)


@pytest.mark.slow
def test_clusters_come_first_with_how_many_stay(open_page, clustered):
    test = open_page()
    assert told(test)["colour"] == "Clusters"
    header, arrays = column(test, "Clusters")
    assert arrays["value"].tolist() == clustered.before.tolist()
    assert arrays["after"].tolist() == clustered.after.tolist()
    assert header["legend"]["numbers"][0].endswith("% stay")
    assert "of the tokens stay in their cluster" in texts(test)
    test.session_state[LOOK]["highlight"] = 1
    healthy(test.run())
    assert f"of {clustered.sizes[1]:,} tokens stay" in texts(test)
    healthy(test.button(key="map_select_cluster").click().run())
    assert list(test.session_state[SELECTED].ids) == np.flatnonzero(clustered.before == 1).tolist()


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("run", list(RUNS))
def test_every_method_can_be_coloured_by_all_that_it_has(open_page, run):
    offered = told(test := open_page(run))["colours"]
    assert offered[:4] == ["Token kind", "Error", "Norm", "Token id"]
    unit, count = ("stage", 2) if run == "residual" else ("subspace", {"cluster": 3, "wide": 12, "rotated": 2}.get(run, 0))
    assert offered[4:] == [f"Code of {unit} {i}" for i in range(count)]
    for colour in (*offered[1:4], *offered[4:5]):
        test.session_state[LOOK]["colour"] = colour
        _, arrays = column(healthy(test.run()), colour)
        assert len(arrays["value"]) == len(TOKENS)


def test_what_the_browser_has_is_not_sent_again(open_page):
    test = open_page()
    test.session_state[LOOK]["have"] = tuple(sent(test))
    assert [header for header, arrays in sent(healthy(test.run())).values() if "from" not in arrays] == []


@pytest.mark.slow
def test_the_table_of_a_method_without_codes_has_no_codes(open_page):
    rows = open_page("int8", Selection((5, 6), ORIGINAL, "lasso")).dataframe[0].value
    assert not [name for name in rows.columns if "code" in name]
    assert rows["token"].tolist() == ["king", "kings"]


def test_a_selection_is_listed_with_codes_and_errors_and_can_be_cleared(open_page, keys):
    test = open_page(selection=Selection((5, 8), ORIGINAL, "lasso"))
    rows = test.dataframe[0].value
    assert rows["id"].tolist() == told(test)["ids"] == [5, 8]
    assert rows["token"].tolist() == ["king", "1990"]
    assert rows["kind"].tolist() == ["whole word", "number"]
    assert rows[["code 0", "code 1", "code 2"]].to_numpy().tolist() == compressed_of(keys["cluster"]).codes[[5, 8]].tolist()
    assert "2 tokens selected with a lasso on the original map" in texts(test)
    healthy(test.button(key="map_clear").click().run())
    assert told(test)["ids"] == []


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("run", ["cluster", "residual", "int8"])
def test_one_token_opens_its_inspector(open_page, run):
    test = open_page(run, Selection((5,), ORIGINAL, "click"))
    assert "king" in [head.value for head in test.header]
    assert {"Error", "Length before", "Length after"} <= {metric.label for metric in test.metric}
    assert "neighbours are kept" in texts(test)


@pytest.mark.slow
def test_tokens_can_be_selected_without_a_pointer(open_page):
    test = open_page()
    healthy(test.text_input(key="map_find").set_value("king").run())
    assert told(test)["found"] == [5]
    assert "1 token found for king, ringed on both maps. 1 more has it inside" in texts(test)
    healthy(test.button(key="map_select_found").click().run())
    assert test.session_state[SELECTED].ids == (5,)
    healthy(test.button(key="map_clear").click().run())
    healthy(test.button(key="map_find_inside").click().run())
    assert "2 tokens found for king" in texts(test)
    healthy(test.button(key="map_select_worst").click().run())
    assert len(test.dataframe[0].value) == 20
    assert "20 tokens selected by error" in texts(test)


@pytest.mark.slow
def test_what_a_search_or_a_selection_adds_moves_no_fragment(open_page, monkeypatch):
    """Streamlit knows a fragment by its place, and drops what the browser sends to a place that moved: a lasso would be lost."""
    places, make = [], fragment._make_fragment_identity

    def noted(function, *, delta_path, additional_hash_info):
        places.append((function.__name__, delta_path))
        return make(function, delta_path=delta_path, additional_hash_info=additional_hash_info)

    monkeypatch.setattr(fragment, "_make_fragment_identity", noted)
    open_page()
    plain, places[:] = list(places), []
    assert {"_explore", "settings_form"} <= {name for name, _ in plain}
    for query in ({"map_find": "king"}, {"map_find": "zebra"}, {"map_selected": "5,6", "map_colour": "Error"}):
        open_page(**query)
        assert places == plain, query
        places[:] = []


def test_a_search_without_result_says_what_to_try(open_page):
    assert "No token contains zzzz. Try a shorter part" in texts(open_page(map_find="zzzz"))


def test_a_link_restores_search_selection_colour_highlight_zoom_and_layout(open_page):
    query = {"map_colour": "Code of subspace 2", "map_highlight": "1", "map_find": "king", "map_selected": "5,9", "map": "PCA"}
    test = open_page(**query, map_view="0.4,0.6,3.5")
    found = told(test)
    assert (found["colour"], found["highlight"], found["view"]) == ("Code of subspace 2", 1, [0.4, 0.6, 3.5])
    assert (found["found"], found["ids"]) == ([5], [5, 9])
    assert test.radio(key="map").value == "PCA"
    for name, value in {**query, "map_view": "0.4,0.6,3.5"}.items():
        assert test.query_params[name] in (value, [value])


@pytest.mark.slow_after(2)
@pytest.mark.parametrize(
    "query",
    [
        {"map": "x"},
        {"map_tokens": "-1"},
        {"map_highlight": "x"},
        {"map_selected": "z!"},
        {"map_view": "a,b"},
        {"map_selected": "99999"},
    ],
)
def test_a_wrong_link_still_opens(open_page, query):
    assert told(open_page(**query))["ids"] == []


@pytest.mark.slow
def test_a_colour_that_the_run_does_not_have_is_named(open_page):
    test = open_page("int8", map_colour="Code of subspace 1")
    assert "which cannot be used here" in texts(test)
    assert told(test)["colour"] == "Token kind"


@pytest.mark.slow
def test_hostile_tokens_reach_the_page_only_escaped(open_page):
    test = open_page(map_find="<script>")
    assert "<script>" not in texts(test).replace("\\<script\\>", "")
    hostile = TOKENS.index("<b>x</b>") if "<b>x</b>" in TOKENS else TOKENS.index(HOSTILE[0])
    test = open_page(selection=Selection((hostile,), ORIGINAL, "click"))
    assert not [head.value for head in test.header if "<b>" in head.value.replace("\\<", "")]


@pytest.mark.slow
def test_a_selection_survives_another_method_but_not_another_vocabulary(open_page):
    selection = Selection((5, len(TOKENS) - 1), ORIGINAL, "box")
    test = open_page(selection=selection)
    assert test.session_state[SELECTED] == selection
    test.session_state["map_model"] = "another model"
    for name in ("map_selected",):
        with suppress(KeyError):
            del test.query_params[name]
    assert not healthy(test.run()).session_state[SELECTED]


# UMAP


@pytest.mark.slow
@pytest.mark.parametrize("is_of_this_model", [True, False])
def test_what_is_said_of_another_model_counts_for_nothing(open_page, monkeypatch, is_of_this_model):
    """A message of the browser can be on its way while another model is chosen."""
    test = open_page()
    identity = told(test)["vocabulary"] if is_of_this_model else "another model"
    message = {
        "from": "a",
        "number": 1,
        "vocabulary": identity,
        "ids": [5, 6],
        "by": ORIGINAL,
        "how": "box",
        "view": [0.5, 0.5, 4.0],
    }
    monkeypatch.setattr("subemb.ui.pages.token_map.page.said", lambda: message)
    monkeypatch.setattr("subemb.ui.pages.token_map.page.draw_maps", lambda points, on_said: on_said())
    healthy(test.run())
    look, selected = test.session_state[LOOK], test.session_state[SELECTED]
    assert (selected.ids, look["view"]) == (((5, 6), (0.5, 0.5, 4.0)) if is_of_this_model else ((), None))
    assert told(healthy(test.run()))["heard"] == {"from": "a", "number": 1}, (
        "the browser learns that nothing of it is outstanding"
    )


def test_principal_axes_are_shown_until_umap_is_ready_and_then_it_is_shown(open_page, keys):
    assert "Two axes show" in texts(open_page("wide"))
    random = np.random.default_rng(0)
    count = len(TOKENS)
    sides = [random.normal(size=(count, 2)).astype(np.float32) for _ in range(2)]
    call = arrange.call(subject(keys["wide"]), count, UmapSettings())
    MAPS.put(call.key, in_steps(Layout("umap", np.arange(count), *sides), 900))
    test = open_page("wide")
    (points,) = [arrays for _, arrays in sent(test).values() if "from" in arrays]
    assert points["from"].tolist() == MAPS.get(call.key).original.ravel().tolist()
    assert "UMAP arranged 900 of them (seed 0)" in texts(test)
    assert "Two axes show" in texts(open_page("wide", map="PCA"))


@pytest.mark.slow
def test_the_way_through_the_presets_goes_from_most_bytes_to_fewest_on_one_map(open_page, keys):
    test = healthy(open_app(PAGE, map_presets="1"))  # the bundled model, whose presets come along
    found = told(test)
    names, _, is_shown = zip(*found["stops"], strict=True)
    assert (names, is_shown) == (("Closer", "Balanced", "The paper's"), (False, True, False))
    _, arrays = sent(test)[found["through"]]
    (points,) = [arrays for _, arrays in sent(test).values() if "from" in arrays]
    moved = [np.abs(table.astype(int) - points["from"]).mean() for table in (arrays["0"], points["to"], arrays["2"])]
    assert moved == sorted(moved), "fewer bytes move tokens further"
    assert "colours stay those of this run" in texts(test)
    assert not told(open_page())["stops"], "no preset of this model was computed"


@pytest.mark.slow
def test_a_failed_umap_says_so_and_the_map_stays(keys):
    key = arrange.key(subject(keys["rotated"]), len(TOKENS), UmapSettings())
    job = manager().submit(key, "jobs_functions:fail_input", lane=arrange.lane)
    assert job.wait(60)
    test = open_app(PAGE, Request("small", None, RUNS["rotated"]))
    manager().forget(key)
    assert "UMAP of all tokens" in " ".join(box.value for box in test.error)
    assert told(test)["run"] == keys["rotated"]


def test_the_job_of_equal_requests_is_the_same(keys):
    of = subject(keys["cluster"])
    assert arrange.key(of, 10, UmapSettings()) == arrange.key(of, 10, UmapSettings())
    assert (
        arrange.key(of, 11, UmapSettings())
        != arrange.key(of, 10, UmapSettings(n_neighbors=5))
        != arrange.key(of, 10, UmapSettings())
    )


def test_the_jobs_refuse_a_model_that_has_changed(keys):
    for job, arguments in ((arrange, (10, UmapSettings())), (group, ())):
        with pytest.raises(ValueError, match="the files of small have changed since this run; press Run again"):
            job(subject(keys["cluster"], "small@other"), *arguments)
