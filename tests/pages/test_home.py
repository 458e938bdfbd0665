"""The first page, without a browser."""

from dataclasses import replace

import pytest
from apps import metrics, rerun_until
from checkpoints import SPECIAL, make_bert
from streamlit.testing.v1 import AppTest

from subemb.codec.methods import METHODS
from subemb.codec.settings import CompressionSettings
from subemb.jobs.manager import manager
from subemb.presets import PRESETS
from subemb.runs import Run, run_and_keep
from subemb.ui.shell.request import Request, to_query

WORDS = [f"word{number}" for number in range(200)]
QUICK = CompressionSettings("product", subspaces=2, codebook_size=16, iterations=2)


@pytest.fixture
def models(tmp_path, monkeypatch):
    make_bert(tmp_path / "models" / "small", [*SPECIAL, *WORDS], dim=12)
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    manager().close()  # a worker has the environment that it was started with
    yield tmp_path / "models"
    manager().close()


def opened(request: Request | None = None, **query: str) -> AppTest:
    test = AppTest.from_file("../../app.py", default_timeout=60)
    test.query_params.update((to_query(request) if request else {}) | query)
    test.run()
    assert not test.exception
    return test


def kept(settings: CompressionSettings) -> Run:
    return run_and_keep("small", None, settings.to_dict())


def wait_for_the_run(test: AppTest) -> None:
    """Until the Run button is back in the place of progress and Cancel."""
    rerun_until(test, lambda test: "run_button" in [button.key for button in test.button])
    assert not test.button(key="run_button").disabled, "the run did not end"


def test_a_link_to_a_kept_run_shows_its_cards(models):
    run = kept(QUICK)
    test = opened(Request("small", None, QUICK))
    shown = metrics(test)
    assert shown["Relative error"] == f"{run.quality['relative_error']:.3f}"
    assert shown["Mean cosine"] == f"{run.quality['mean_cosine']:.3f}"
    assert shown["Distinct tuples"] == str(run.quality["distinct_tuples"])
    assert shown["Original table"] == "9.84 kB"  # 205 tokens x 12 floats x 4 bytes
    assert shown["Codebooks"] == "768 B"  # 16 x 12 floats x 4 bytes
    assert shown["Codes"] == "205 B"  # 205 tokens x 2 codes x 4 bits
    assert shown["Compressed, in total"] == "973 B"
    table = test.dataframe[-1].value
    assert list(table["error"]) == [run.quality["relative_error"]]


def test_a_link_to_a_run_that_is_not_there_asks_for_run(models):
    test = opened(Request("small", None, QUICK))
    assert "has not been computed on this server yet" in test.info[0].value
    assert test.number_input(key="form_f_product").value == 2
    assert test.number_input(key="form_q_product").value == 16
    assert not metrics(test)


@pytest.mark.slow
def test_a_links_own_tolerance_is_what_run_computes(models):
    settings = CompressionSettings("product", subspaces=2, codebook_size=16, iterations=2, tolerance=0.25)
    test = opened(Request("small", None, settings))
    test.button(key="run_button").click().run()
    wait_for_the_run(test)
    assert test.query_params["tolerance"] == "0.25"
    assert metrics(test)["Relative error"] == f"{kept(settings).quality['relative_error']:.3f}"


def test_run_computes_in_a_worker_and_shows_the_result(models):
    test = opened(Request("small", None, QUICK))
    test.button(key="run_button").click().run()
    wait_for_the_run(test)
    assert metrics(test)["Relative error"] == f"{kept(QUICK).quality['relative_error']:.3f}"
    assert test.query_params["f"] == "2"
    test.number_input(key="form_f_product").set_value(3).run()
    test.button(key="run_button").click().run()
    wait_for_the_run(test)
    assert test.query_params["f"] == "3"
    assert len(test.dataframe[-1].value) == 2, "both runs of the visit stand in the table"


@pytest.mark.slow
def test_run_shows_at_once_what_was_computed_before(models):
    kept(QUICK)
    test = opened(Request("small", None, replace(QUICK, codebook_size=9)))
    assert not metrics(test)
    test.number_input(key="form_q_product").set_value(QUICK.codebook_size).run()
    test.button(key="run_button").click().run()
    assert test.query_params["q"] == "16"
    assert metrics(test)["Codebooks"] == "768 B"
    assert "Computed before" in test.info[0].value


@pytest.mark.slow
def test_a_message_that_left_the_browser_before_a_run_was_shown_does_not_choose_a_preset_again(models):
    settings = replace(PRESETS["paper"].settings, subspaces=2)
    kept(PRESETS["paper"].settings)
    kept(settings)
    test = opened(Request("small", None, settings))
    (control,) = test.get("button_group")
    control.set_value("paper")
    test.run()
    assert test.query_params["f"] == "3"
    late = test._tree.get_widget_states()  # what the browser has now, and still sends while the next run is being drawn
    test.number_input(key="form_f_cluster").set_value(2).run()
    test.button(key="run_button").click().run()
    assert test.query_params["f"] == "2"
    test._run(late)
    assert not test.exception
    assert test.query_params["f"] == "2"


def test_an_automatic_codebook_size_is_told_and_that_it_is_the_least(models):
    test = opened(Request("small", None, CompressionSettings("cluster", subspaces=6)))
    captions = [caption.value.replace("\\", "") for caption in test.caption]
    assert any(
        "Q = 3 (the least for distinct tuples; a larger Q keeps more)" in said for said in captions
    )  # 3 ** 6 >= 205 > 2 ** 6
    assert any(said.startswith("Your own settings: Cluster (unique), f = 6, Q = 3") for said in captions)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_shown_and_chosen(models, method):
    settings = CompressionSettings(method, subspaces=3, iterations=2)
    run = kept(settings)
    test = opened(Request("small", None, settings))
    assert metrics(test)["Relative error"] == f"{run.quality['relative_error']:.3f}"
    assert test.selectbox(key="form_method").value == method
    assert not test.error, [box.value for box in test.error]
    assert not test.button(key="run_button").disabled


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("form_f_product", 13, "13 subspaces do not fit a table of 12 dimensions"),
        ("form_q_product", 206, "a codebook size of 206 cannot be used with 205 tokens"),
    ],
)
def test_settings_that_do_not_fit_are_named_and_cannot_be_run(models, field, value, said):
    kept(QUICK)
    test = opened(Request("small", None, QUICK))
    test.number_input(key=field).set_value(value).run()
    assert said in test.sidebar.error[0].value
    assert test.button(key="run_button").disabled
    assert metrics(test), "the result computed before stays"


def notes(test: AppTest) -> str:
    return " ".join(caption.value for caption in test.sidebar.caption)


def said(test: AppTest) -> str:
    return " ".join(text.value for text in test.main.markdown)


@pytest.mark.slow
def test_a_changed_form_says_that_the_page_shows_another_run_and_leads_back(models):
    kept(QUICK)
    test = opened(Request("small", None, QUICK))
    assert "Not run yet" not in said(test)
    test.number_input(key="form_f_product").set_value(3).run()
    assert "Not run yet. The page still shows **small**" in said(test)
    test.number_input(key="form_f_product").set_value(2).run()
    assert "Not run yet" not in said(test)
    test.number_input(key="form_f_product").set_value(3).run()
    test.button(key="bar_back").click().run()
    assert "Not run yet" not in said(test)
    assert test.number_input(key="form_f_product").value == 2


@pytest.mark.slow
def test_the_bar_runs_what_the_form_asks_for(models):
    kept(QUICK)
    kept(replace(QUICK, subspaces=3))
    test = opened(Request("small", None, QUICK))
    test.number_input(key="form_f_product").set_value(3).run()
    test.button(key="bar_run").click().run()
    assert not test.exception
    assert test.query_params["f"] == "3"
    assert "f \\= 3" in said(test)
    assert "Not run yet" not in said(test)


def test_a_codebook_size_that_is_cleared_is_automatic_again(models):
    test = opened(Request("small", None, CompressionSettings("cluster", subspaces=3, codebook_size=9)))
    test.number_input(key="form_q_cluster").set_value(None).run()
    assert test.number_input(key="form_q_cluster").value is None
    assert "Q = 6" in notes(test)  # 5 ** 3 < 205 <= 6 ** 3


def test_unique_tuples_that_cannot_exist_are_named_before_running(models):
    test = opened(Request("small", None, QUICK))
    test.toggle(key="form_unique_product").set_value(True).run()
    test.number_input(key="form_q_product").set_value(4).run()
    assert "too few for 205 tokens" in test.sidebar.error[0].value
    assert "raise Q to 15 or leave it empty" in test.sidebar.error[0].value
    assert test.button(key="run_button").disabled


@pytest.mark.slow
@pytest.mark.parametrize("query", [{"f": "three"}, {"method": "magic"}, {"q": "-5"}])
def test_a_damaged_link_says_so_and_shows_the_example(models, query):
    test = opened(model="small", **query)
    assert "The example is shown instead" in test.error[0].value
    assert next(iter(query.values())) in test.error[0].value


def test_what_was_wrong_with_a_link_is_not_said_of_what_is_opened_after_it(models):
    test = opened(model="small", f="three")
    assert "The example is shown instead" in test.error[0].value
    test.button(key="run_button").click().run()
    assert not any("The example is shown instead" in box.value for box in test.error)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"q": "999999"}, "a codebook size of 999999 cannot be used with 205 tokens"),
        ({"method": "product", "f": "13"}, "13 subspaces do not fit a table of 12 dimensions"),
        ({"method": "low_rank", "rank": "500"}, "rank 500 is more than"),
    ],
)
def test_a_link_whose_settings_do_not_fit_its_model_names_the_value_and_shows_the_example(models, query, said):
    test = opened(model="small", **query)
    problem = test.error[0].value.replace("\\", "")  # the form may say that this small table cannot have the example's settings
    assert said in problem
    assert "The example is shown instead" in problem
    assert not any("ownload" in text.value for text in [*test.caption, *test.markdown])  # the model is here
    assert test.selectbox(key="form_model").value == "small"
    assert not set(query) & set(test.query_params)


@pytest.mark.slow
def test_another_method_keeps_what_was_set_and_begins_with_its_own_otherwise(models):
    test = opened(Request("small", None, CompressionSettings("cluster")))

    def form(method: str) -> tuple:
        test.selectbox(key="form_method").set_value(method).run()
        return tuple(test.number_input(key=f"form_{letter}_{method}").value for letter in "fq")

    assert form("cluster") == (3, None)
    assert form("product") == (8, 256)  # nothing was set: what the method suggests
    test.number_input(key="form_f_product").set_value(6).run()
    assert form("cluster") == (6, None)
    test.number_input(key="form_q_cluster").set_value(12).run()
    assert form("optimized_product") == (6, 12)
    assert form("residual") == (4, 12)  # stages are no subspaces
    test.number_input(key="form_f_residual").set_value(2).run()
    test.selectbox(key="form_method").set_value("low_rank").run()
    assert form("arbitrary") == (6, 12)
    test.number_input(key="form_q_arbitrary").set_value(None).run()
    assert form("product") == (6, None)
    assert form("residual") == (2, None)


def test_another_method_begins_with_the_settings_of_the_link(models):
    test = opened(Request("small", None, CompressionSettings("product", subspaces=4, codebook_size=16)))
    test.selectbox(key="form_method").set_value("cluster").run()
    assert [test.number_input(key=f"form_{letter}_cluster").value for letter in "fq"] == [4, 16]


@pytest.mark.slow
def test_a_link_to_a_model_that_is_not_there_says_so(models):
    test = opened(Request("nobody/nothing", None, QUICK))
    assert any("nobody" in box.value and "nothing" in box.value for box in test.error)


def test_a_link_cannot_name_a_folder_outside(models):
    test = opened(Request("../../etc", None, QUICK))
    assert any("etc" in box.value for box in test.error)
    assert not metrics(test)


@pytest.mark.slow
def test_a_broken_model_is_listed_with_its_reason(models):
    (models / "broken").mkdir()
    (models / "broken" / "config.json").write_text('{"model_type": "bert"}')
    (models / "broken" / "pytorch_model.bin").write_bytes(b"not a checkpoint")
    from subemb.ui.shell.models import list_again

    list_again()
    kept(QUICK)
    test = opened(Request("small", None, QUICK))
    assert "1 model cannot be used" in [box.label for box in test.expander]
    assert "broken" not in test.selectbox(key="form_model").options
