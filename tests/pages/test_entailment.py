"""The page Entailment, without a browser."""

import json

import pytest
from apps import metrics, open_app, own_folders, rerun_until
from checkpoints import make_bert
from entailment_models import made_pairs, make_classifier, make_encoder, train_quick_head
from streamlit.testing.v1 import AppTest

from subemb.codec.settings import CompressionSettings
from subemb.evaluate.entailment.engines import engine_options
from subemb.jobs.manager import manager
from subemb.runs import RUNS, run_and_keep
from subemb.tasks import evaluations as entailment
from subemb.tasks import sides
from subemb.tasks.evaluations import evaluate_entailment_set, judge_pair
from subemb.tasks.sides import Subject, open_sides
from subemb.ui.pages.entailment.engine import set_aside, train_command
from subemb.ui.shell.request import Request
from subemb.ui.shell.sidebar import ANOTHER
from subemb.ui.widgets import pairs_source as data_source

PAGE = "pages/5_Entailment.py"
SETTINGS = CompressionSettings("product", subspaces=2, codebook_size=2, weights="none", iterations=2)
HOSTILE = "<b>x</b> **y** $z$ :smile: [l](javascript:alert(1)) <img src=x>"
MODELS = ("classifier", "encoder", "plain", "mood")


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    """A classifier with permuted labels, an encoder with two heads, one with nothing, and a classifier of something else."""
    with own_folders(tmp_path_factory) as models:
        # Jobs' workers keep the environment they were started with: other tests' would look into other folders.
        manager().close()
        make_classifier(models / "classifier")
        make_classifier(models / "mood", ("POSITIVE", "NEGATIVE"))
        make_encoder(models / "encoder")
        make_bert(models / "plain", dim=8)
        train_quick_head(models / "encoder")
        train_quick_head(models / "encoder", "second", seed=1)
        found = {}
        for name in MODELS:
            run = run_and_keep(name, None, SETTINGS.to_dict())
            found[name] = Subject(name, None, run.model["identity"], run.key)
        for kept in (sides.MODELS, sides.TABLES, entailment.HEADS):
            kept.clear()
        yield found
        manager().close()


@pytest.fixture
def open_page(subjects):
    def opened(model: str = "encoder", **query: str) -> AppTest:
        return settled(open_app(PAGE, Request(model, None, SETTINGS), timeout=90, **query))

    return opened


def settled(test: AppTest) -> AppTest:
    """Run again while a job is going on."""
    rerun_until(test, lambda test: not any(str(button.key).startswith("cancel_") for button in test.button))
    assert not test.exception, test.exception
    return test


def texts(test: AppTest) -> str:
    return " ".join(
        str(element.value) for element in [*test.markdown, *test.caption, *test.info, *test.warning, *test.header, *test.error]
    )


def figure(test: AppTest, place: int = 0) -> dict:
    return json.loads(test.get("plotly_chart")[place].proto.spec)


def option_of(subjects, name: str, place: int = 0):
    return engine_options(open_sides(subjects[name])["original"])[0][place]


# A pair


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("name", ["classifier", "encoder"])
def test_a_pair_in_the_link_is_judged_on_every_side(open_page, subjects, name):
    premise, hypothesis = "the cat sits on the mat", "a dog runs"
    test = open_page(name, premise=premise, hypothesis=hypothesis)
    expected = judge_pair(subjects[name], premise, hypothesis)
    bars = figure(test)["data"]
    assert [bar["name"] for bar in bars] == ["original", "compressed"]
    for bar, side in zip(bars, expected.sides, strict=True):
        assert bar["x"] == pytest.approx([100 * value for value in expected.probabilities[side]], abs=1e-3)
    shown = metrics(test)
    assert shown == {"Original says": expected.winner("original"), "Compressed says": expected.winner("compressed")}
    alt = test.get("plotly_chart")[0].proto.alt
    assert "original: entailment" in alt
    assert "compressed: entailment" in alt
    assert test.text_area(key="entailment_premise").value == premise


@pytest.mark.slow
def test_the_demonstration_pair_comes_first_and_examples_can_be_chosen(open_page):
    test = open_page()
    first = test.text_area(key="entailment_premise").value
    assert first
    assert "premise" not in test.query_params  # the default is no part of the link
    assert "demonstration set labels this pair" in texts(test)
    options = test.selectbox(key="entailment_example").options
    assert len(options) >= 300
    settled(test.selectbox(key="entailment_example").set_value(40).run())
    second = test.text_area(key="entailment_premise").value
    assert second != first
    assert test.query_params["premise"] == second
    assert len(test.get("plotly_chart")) == 1


def test_the_classifier_is_named_with_its_labels_in_its_order(open_page):
    said = texts(open_page("classifier"))
    assert "the model's own classifier" in said
    assert "0: NEUTRAL, 1: Contradiction, 2: entailment" in said


@pytest.mark.slow
def test_heads_are_named_with_what_they_learned_from_and_can_be_chosen(open_page, subjects):
    test = open_page()
    assert "from 120 labelled pairs" in texts(test)
    assert "set aside as labelled" in texts(test)
    names = [f"Entailment head {option_of(subjects, 'encoder', place).choice.head}" for place in (0, 1)]
    assert test.selectbox(key="engine").options == names
    before = figure(test)["data"][0]["x"]
    settled(test.selectbox(key="engine").set_value(names[1]).run())
    assert figure(test)["data"][0]["x"] != before
    assert "subemb train-head MODEL --data FILE" in [block.value for block in test.code]


def test_nothing_to_judge(open_page):
    test = open_page(premise=" ", hypothesis="a cat")
    assert "Write a premise" in texts(test)
    assert not test.get("plotly_chart")


def test_too_long_a_link_is_cut_and_said(open_page):
    test = open_page(premise="cat " * 600, hypothesis="a dog")
    assert len(test.text_area(key="entailment_premise").value) == 1000
    assert "The premise has 2,400 characters; the first 1,000 are kept" in texts(test)
    assert "of the 252 tokens" in texts(test)  # what the model itself does not read
    assert len(test.get("plotly_chart")) == 1


def test_hostile_text_is_shown_as_itself(open_page):
    test = open_page(premise=HOSTILE, hypothesis="\u202e<script>alert(1)</script>")
    assert test.text_area(key="entailment_premise").value == HOSTILE
    assert not test.error
    assert "<b>x" not in texts(test)
    assert len(test.get("plotly_chart")) == 1


# No engine


def test_without_an_engine_the_page_says_what_to_do(open_page):
    test = open_page("plain")
    assert not test.error
    assert "no NLI classifier" in texts(test)
    assert test.code[0].value == train_command("plain")
    assert test.code[0].value.startswith("subemb train-head plain --data ")
    assert not test.tabs
    test.button(key="entailment_download_0").click().run()
    assert test.session_state["form_model"] == ANOTHER
    assert test.session_state["form_hub_id"] == "cross-encoder/nli-MiniLM2-L6-H768"


@pytest.mark.slow
def test_the_bundled_model_can_be_chosen(open_page):
    from subemb.ui.shell import visit

    test = open_page("plain")
    test.button(key="entailment_bundled").click().run()
    assert not test.exception
    assert test.session_state[visit._KEY].is_example
    assert RUNS.get(test.session_state[visit._KEY].shown_key).model["name"] == "all-MiniLM-L6-v2"  # shipped, not computed


def test_a_classifier_of_something_else_says_why(open_page):
    said = texts(open_page("mood"))
    assert "0: POSITIVE" in said.replace("\\", "")
    assert "Train a head for it" in said


# A labelled set


@pytest.fixture
def demo(monkeypatch):
    """A small set in two languages in place of the demonstration set."""
    pairs = made_pairs(("en", "ru"))
    data_source._demo.clear()
    monkeypatch.setattr(data_source, "demo_pairs", lambda task: pairs)
    yield pairs
    data_source._demo.clear()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["classifier", "encoder"])
def test_a_set_is_offered_with_its_cost_and_judged_on_a_button(open_page, demo, name):
    test = open_page(name, part="Labelled set")
    assert "36 pairs" in texts(test)
    settled(test.multiselect(key="entailment_set_languages").set_value(["all"]).run())
    assert "72 pairs" in texts(test)
    assert "a rough estimate. It can be cancelled" in texts(test)
    settled(test.button(key="entailment_set_run").click().run())
    assert not test.error, [box.value for box in test.error]
    shown = metrics(test)
    assert set(shown) == {"Accuracy, original", "Accuracy, compressed"}
    said = texts(test)
    assert "paired bootstrap, 2,000 draws, seed 0" in said or "no pair is judged differently" in said
    assert "McNemar" in said
    assert "of the pairs alike" in said
    assert "By language" in [tab.label for tab in test.tabs]
    charts = []
    for view in ("Answers", "Confusion", "By language"):
        test = open_page(name, part="Labelled set", entailment_set_languages="all", entailment_view=view)
        charts += test.get("plotly_chart")
    titles = [json.loads(chart.proto.spec)["layout"]["title"]["text"] for chart in charts]
    assert titles == [
        "Answers given, right or wrong",
        "Original: labelled against judged",
        "Compressed: labelled against judged",
        "Accuracy by language, largest loss first",
        "Change by language, largest loss first",
    ]
    assert all(chart.proto.alt for chart in charts)


@pytest.mark.slow
def test_a_kept_result_is_shown_at_once_and_its_parts_can_be_chosen(open_page, subjects, demo):
    option = option_of(subjects, "classifier")
    evaluate_entailment_set(subjects["classifier"], demo, option.choice)
    kept = {"part": "Labelled set", "entailment_set_languages": "all"}
    test = open_page("classifier", **kept, entailment_view="Flipped pairs")
    assert "Accuracy, compressed" in metrics(test)
    tables = [table.value for table in test.dataframe]
    flips = next(table for table in tables if "what became of it" in table)
    assert set(flips["what became of it"]) <= {"right → wrong", "wrong → right", "wrong both times"}
    assert {"entailment, original", "entailment, compressed"} <= set(flips)
    for kind in ("right → wrong", "wrong → right", "wrong both times"):
        settled(test.segmented_control(key="flips").set_value(kind).run())
        left = [table.value for table in test.dataframe if "what became of it" in table.value]
        wanted = int((flips["what became of it"] == kind).sum())
        assert sum(map(len, left)) == wanted
        if not wanted:
            assert f"No pair: {kind}" in texts(test)
    test = open_page("classifier", **kept, entailment_view="By language")
    settled(test.segmented_control(key="language_order").set_value("highest before first").run())
    table = next(table.value for table in test.dataframe if "original, %" in table.value and "code" in table.value)
    assert table["original, %"].is_monotonic_decreasing


@pytest.mark.slow
def test_a_link_to_a_file_that_is_not_here_shows_what_is_kept(open_page, subjects, demo):
    option = option_of(subjects, "encoder")
    other = made_pairs(("en",), "theirs <b>.tsv")
    query = {
        "part": "Labelled set",
        "entailment_set_source": data_source.FILES,
        "entailment_set_file": other.name,
        "entailment_set_digest": other.digest,
    }
    test = open_page(**query)
    assert "not kept on this server" in texts(test)
    evaluate_entailment_set(subjects["encoder"], other, option.choice)
    test = open_page(**query)
    assert "Accuracy, compressed" in metrics(test)
    assert "theirs" in texts(test)
    assert "<b>" not in texts(test)


@pytest.mark.parametrize("digest", ["", "x" * 16, "../../etc/passwd", "0" * 16])
def test_links_that_lead_nowhere(open_page, digest):
    test = open_page(
        part="Labelled set", entailment_set_source=data_source.FILES, entailment_set_file="a.tsv", entailment_set_digest=digest
    )
    assert not test.exception
    assert not metrics(test)


def test_pairs_set_aside_are_averaged_by_their_number():
    card = {"accuracy": [{"report_pairs": 30, "report_accuracy": 0.5}, {"report_pairs": 10, "report_accuracy": None}, "odd"]}
    assert set_aside(card) == (0.5, 30)
    assert set_aside({}) == (0.0, 0)
