"""The HTML report: what it shows is what was given, it needs nothing else, and names in it are never markup."""

import dataclasses
import json
import math
import re
import shlex
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from checkpoints import HOSTILE, TOKENS, make_bert

import subemb
from subemb.adaptation.result import Adaptation
from subemb.adaptation.settings import OBJECTIVES, TRAINED, AdaptationSettings
from subemb.base.errors import InputError
from subemb.base.text import count_text, percent_text, size_text
from subemb.cli import parser as command_line
from subemb.codec.settings import CompressionSettings
from subemb.codec.storage import brief_history, history_of
from subemb.evaluate import demo_pairs, evaluate_pairs
from subemb.evaluate.data.pairs import LABELS, PairSet
from subemb.evaluate.entailment.pairs import make_report
from subemb.evaluate.statistics import Interval
from subemb.export.charts import error_chart, loss_chart, score_chart
from subemb.export.report import ScoredSet, environment, html_report, scored_set, script_json
from subemb.runs import Run, run

EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script> $x$ \u202e"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return subemb.load(make_bert(tmp_path_factory.mktemp("models") / "small", dim=24, initializer_range=0.3))


@pytest.fixture(scope="module")
def made(model):
    settings = CompressionSettings("product", subspaces=3, codebook_size=4, iterations=3, seed=5)
    return run(model, settings)


@pytest.fixture(scope="module")
def finished(made) -> Run:
    return made[0]


def adapted(run: Run, **changes) -> Adaptation:
    """An adaptation of a run with numbers that nothing else has."""
    points = [{"step": step, "seconds": step * 0.7, "loss": 3.5 / step} for step in range(1, 12)]
    for point in points[4::5]:
        point["score"] = 71.0 + point["step"] / 10
    values = {
        "key": "a" * 24,
        "model": run.model,
        "compression": run.settings.to_dict(),
        "settings": AdaptationSettings(train="norms", steps=11, seed=7),
        "text": {"name": "lines.txt", "sentences": 4321, "digest": "d"},
        "scored": {"name": "dev.csv", "task": "similarity", "pairs": 987, "digest": "e", "metric": "spearman"},
        "scores": {"original": 86.66, "compressed": 70.12, "adapted": 72.22},
        "size": {
            "table_bytes": run.size.total_bytes,
            "original_bytes": run.size.original_bytes,
            "changed_parameters": 333,
            "changed_bytes": 1332,
            "folder_bytes": run.size.total_bytes + 1332,
            "model_bytes": run.size.compressed_model_bytes,
            "original_model_bytes": run.size.model_bytes,
        },
        "history": points,
        "steps": 11,
        "planned_steps": 11,
        "best_step": 10,
        "seconds": 7.7,
        "cpu_seconds": 9.9,
        "reassigned": 17,
        "state": "done",
        "threads": 2,
    }
    return Adaptation(**{**values, **changes})


class Page(HTMLParser):
    """What a browser would make of a page: elements, and the text outside of scripts and styles."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "link"):
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            self.scripts[-1] += data
        elif inside != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    @property
    def figures(self) -> list[dict]:
        found = re.search(r"const FIGURES = (\[.*?\]);\n", self.scripts[-1], re.DOTALL)
        return json.loads(found[1])


def test_numbers_on_the_page_are_those_of_the_run(finished):
    text = Page(html_report(finished)).text
    size, quality = finished.size, finished.quality
    for value in (
        size_text(size.original_bytes),
        size_text(size.total_bytes),
        percent_text(size.total_share),
        *size.fewer_texts,
        f"{count_text(size.codebook_parameters)} numbers, {size.bits_of_codebooks}",
        f"{quality['relative_error']:.3f}",
        f"{quality['mean_cosine']:.3f}",
        f"{quality['weighted_error']:.3f}",
        percent_text(quality["neighbours_kept"]),
        count_text(quality["distinct_tuples"]),
        *(f"{error:.4f}" for error in quality["per_subspace"]),
        finished.model["name"],
        "seed 5",
    ):
        assert value in text, value


def test_sizes_are_those_of_all_sides(finished):
    adaptation = adapted(finished)
    text = Page(html_report(finished, adaptation)).text
    rows = text[text.index("Bytes before and after") :]
    for value in (
        finished.size.original_bytes,
        finished.size.total_bytes,
        finished.size.model_bytes,
        finished.size.compressed_model_bytes,
        1332,
    ):
        assert (f"{count_text(value)} B" if value >= 1000 else f"{value} B") in rows
    assert "333 floats, in place of the original’s" in text
    assert percent_text(finished.size.total_bytes / finished.size.original_bytes) in rows
    assert f"{percent_text(finished.size.compressed_model_bytes / finished.size.model_bytes)} of the original" in text


def test_scores_are_named_with_set_metric_and_pairs(finished):
    text = Page(html_report(finished, adapted(finished))).text
    row = text[text.index("Scores on labelled sets") :]
    assert re.search(r"dev\.csv .*?Spearman 987 86\.7 70\.1 −16\.6 72\.2 −14\.5", row)


def test_after_fine_tuning_adapted_is_compared_with_the_fine_tuned_original(finished):
    settings = AdaptationSettings("similarity", steps=11)
    scores = {"original": 80.0, "fine-tuned original": 88.5, "compressed": 70.0, "adapted": 86.0}
    page = Page(html_report(finished, adapted(finished, settings=settings, scores=scores)))
    before, _, after = page.text.partition("Scores on labelled sets")
    cards = before[before.index("Before and after") :]
    assert "Adapted 86.0 −2.5 points against fine-tuned original" in cards
    assert "Fine-tuned original 88.5 +8.5 points against original" in cards
    assert "Compressed 70.0 −10.0 points against original" in cards
    assert "what compression costs is the distance of adapted to it" in cards
    assert re.search(r"987 80\.0 88\.5 \+8\.5 70\.0 −10\.0 86\.0 −2\.5 against fine-tuned original", after)
    names = [trace["name"] for figure in page.figures if figure["id"] == "chart-score" for trace in figure["data"]]
    assert "fine-tuned original: 88.5" in names
    assert "fine-tuned original 88.5" in page.text[page.text.index("Charts") :]


def test_fine_tuning_without_a_fair_comparison_says_so(finished):
    settings = AdaptationSettings("similarity", steps=11)
    text = Page(html_report(finished, adapted(finished, settings=settings, state="stopped"))).text
    assert "there is no fair comparison" in text
    assert "no fair comparison" not in Page(html_report(finished, adapted(finished))).text


def test_evaluations_are_in_the_report(model, made):
    finished, compressed = made
    pairs = demo_pairs("similarity").sample(40)
    report = evaluate_pairs({"original": model, "compressed": subemb.attach(model, compressed)}, pairs, resamples=100)
    text = Page(html_report(finished, results=[report])).text
    scores = report.scores["compressed"]
    assert f"{pairs.name} Spearman 40" in text
    assert f"{100 * scores.values['spearman']:.1f}" in text
    interval = scores.differences["spearman"]
    assert f"{abs(100 * interval.low):.1f}" in text
    assert f"{abs(100 * interval.high):.1f}" in text
    assert scored_set(report).values["original"] == 100 * report.scores["original"].values["spearman"]


def test_entailment_is_in_the_report(finished):
    pairs = PairSet("nli.tsv", "entailment", "made", ("a", "b", "c"), ("d", "e", "f"), [0, 1, 2], LABELS)
    engine = SimpleNamespace(name="a head", description="made", labels=LABELS)
    answers = {"original": np.eye(3), "compressed": np.eye(3)[[0, 2, 2]]}
    text = Page(html_report(finished, results=[make_report(engine, pairs, answers, resamples=50)])).text
    assert "nli.tsv a head Accuracy, % 3 100.0 66.7 −33.3" in text


def test_undefined_scores_and_sides_that_one_set_lacks_are_said_to_be_so(finished):
    sets = [
        ScoredSet("one", 1, "Spearman", {"original": math.nan, "compressed": math.nan}),
        ScoredSet(
            "two", 2, "Accuracy, %", {"original": 50.0, "adapted": 40.0}, {"adapted": Interval(-0.1, math.nan, math.nan)}
        ),
    ]
    text = Page(html_report(finished, results=sets)).text
    assert "one Spearman 1 undefined undefined undefined –" in text
    assert "two Accuracy, % 2 50.0 – 40.0 −10.0, no interval" in text


def test_settings_are_said_in_words(finished):
    adaptation = adapted(finished)
    text = Page(html_report(finished, adaptation)).text
    assert OBJECTIVES["distill"].help in text
    assert TRAINED["norms"].help in text
    for words in (
        "Product quantization",
        "3: every token",
        "4 shared sub-vectors",
        "lines.txt: 4,321 sentences without labels",
        "987 pairs",
    ):
        assert words in text
    assert "17 codes changed" in text
    assert "the weights of step 10 were kept" in text


@pytest.mark.parametrize("state", ["stopped", "paused", "running", "failed"])
def test_how_it_ended_is_said(finished, state):
    text = Page(html_report(finished, adapted(finished, state=state, message="the disk is full"))).text
    assert "the disk is full" in text


def test_commands_are_understood_by_the_command_line(finished):
    adaptation = adapted(
        finished, settings=AdaptationSettings(train="last", last_layers=2, reassign=False, sample=50, seconds=9)
    )
    html = html_report(finished, adaptation)
    lines = [line for line in Page(html).words if line.startswith(("subemb compress", "subemb adapt"))]
    compress, adapt = (command_line().parse_args(shlex.split(line)[1:]) for line in lines)
    from subemb.commands.adapt import adaptation_of
    from subemb.commands.compress import settings_of

    settings, _ = settings_of(compress)
    assert settings.resolve(finished.size.vocabulary, finished.size.dim) == finished.settings
    again = adaptation_of(adapt)
    assert dataclasses.replace(again, steps=None, seconds=9) == adaptation.settings
    assert again.steps == adaptation.planned_steps, "a time budget is not the same twice; the steps are"
    assert adapt.model == str(compress.output)
    assert [path.name for path in adapt.train_text] == ["lines.txt"]
    assert adapt.scored.name == "dev.csv"


def test_without_a_text_the_command_says_so(finished):
    adaptation = adapted(finished, text={"name": "vocabulary", "sentences": 20_000, "digest": ""}, scored=None, scores={})
    page = Page(html_report(finished, adaptation))
    line = next(line for line in page.words if line.startswith("subemb adapt"))
    assert command_line().parse_args(shlex.split(line)[1:]).no_text
    assert "no text: 20,000 token sequences drawn from the vocabulary" in page.text


def adapt_line(page: Page):
    """The command that adapts again, as the command line understands it."""
    line = next(line for line in page.words if line.startswith("subemb adapt"))
    return command_line().parse_args(shlex.split(line)[1:])


@pytest.mark.slow
def test_files_that_were_joined_are_given_one_by_one(finished):
    text = {"name": "sts train.csv, SICK_train.txt, snli.tsv", "sentences": 4321, "digest": "d"}
    given = adapt_line(Page(html_report(finished, adapted(finished, text=text)))).train_text
    assert list(map(str, given)) == ["sts train.csv", "SICK_train.txt", "snli.tsv"]
    text = {"name": "a.csv, b.csv", "sentences": 8, "pairs": 4, "digest": "d"}
    tuned = adapted(finished, text=text, settings=AdaptationSettings("similarity", steps=11))
    assert list(map(str, adapt_line(Page(html_report(finished, tuned))).labelled)) == ["a.csv", "b.csv"]
    page = Page(html_report(finished, adapted(finished, text={**text, "name": "a.csv and 4 more files"})))
    assert list(map(str, adapt_line(page).train_text)) == ["a.csv", "more-files.csv"]
    assert "more-files.csv stands for 4 more files, whose names are not kept" in page.text


@pytest.mark.parametrize("name", ["my notes, and others.txt", "one, two", "no suffix"])
def test_a_comma_in_a_name_does_not_make_two_files(finished, name):
    text = {"name": name, "sentences": 4321, "digest": "d"}
    given = adapt_line(Page(html_report(finished, adapted(finished, text=text)))).train_text
    assert list(map(str, given)) == [name]


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("name", ["pasted", "the text"])
def test_what_was_in_no_file_has_to_be_written_into_one(finished, name):
    text = {"name": name, "sentences": 4321, "digest": "d"}
    page = Page(html_report(finished, adapted(finished, text=text, scored=None, scores={})))
    assert list(map(str, adapt_line(page).train_text)) == ["my-sentences.txt"]
    assert "They are not in this report; put them into a file of that name, one sentence a line" in page.text
    assert "give the files where they lie" not in page.text
    text = {"name": name, "sentences": 8, "pairs": 4, "digest": "d"}
    tuned = adapted(finished, text=text, settings=AdaptationSettings("similarity", steps=11))
    page = Page(html_report(finished, tuned))
    assert list(map(str, adapt_line(page).labelled)) == ["my-pairs.csv"]
    assert "They are not in this report; put them into a file of that name" in page.text


@pytest.mark.parametrize("task", ["similarity", "entailment"])
def test_the_demonstration_set_is_a_file_of_subemb(finished, task):
    from subemb.base.paths import app_folder
    from subemb.evaluate import read_pairs

    pairs = demo_pairs(task)
    text = {"name": pairs.name, "sentences": 2 * len(pairs), "pairs": len(pairs), "digest": pairs.digest}
    scored = {"name": pairs.name, "task": task, "pairs": len(pairs), "digest": pairs.digest, "metric": "m"}
    page = Page(html_report(finished, adapted(finished, text=text, scored=scored, settings=AdaptationSettings(task, steps=11))))
    given = adapt_line(page)
    assert [str(path) for path in given.labelled] == [str(given.scored)] == [f"assets/demo_{task}.csv"]
    assert read_pairs(app_folder() / given.scored).digest == pairs.digest
    said = f"The sentences of the demonstration set are not in this report; assets/demo_{task}.csv of subemb is the file"
    assert page.text.count(said) == 1


def test_a_time_budget_is_said_to_come_out_only_nearly_the_same(finished):
    page = Page(html_report(finished, adapted(finished, settings=AdaptationSettings(seconds=90))))
    assert adapt_line(page).steps == 11
    assert "the learning-rate schedule and the search for codes depended on the speed of that machine" in page.text
    assert "nearly, but not exactly, the same" in page.text
    page = Page(html_report(finished, adapted(finished, settings=AdaptationSettings(seconds=90, reassign=False))))
    assert "the learning-rate schedule depended on the speed of that machine" in page.text
    assert "not exactly" not in Page(html_report(finished, adapted(finished))).text, "it was asked for in steps"


def test_versions_are_those_given_or_installed(finished):
    import torch

    text = Page(html_report(finished)).text
    assert f"subemb {subemb.__version__}" in text
    assert f"PyTorch {torch.__version__}" in text
    text = Page(html_report(dataclasses.replace(finished, version="0.0.9"), versions_used={"subemb": "7.7"})).text
    assert "Compressed by subemb 0.0.9" in text
    assert "Reported by subemb 7.7" in text


# Charts


def test_charts_draw_the_histories(finished):
    adaptation = adapted(finished)
    figures = {figure["id"]: figure for figure in Page(html_report(finished, adaptation)).figures}
    assert set(figures) == {"chart-error", "chart-score", "chart-loss"}
    whole = figures["chart-error"]["data"][-1]
    assert whole["y"] == pytest.approx([entry["error"] for entry in finished.history])
    assert len(figures["chart-error"]["data"]) == 1 + finished.settings.subspaces
    loss = figures["chart-loss"]["data"][0]
    assert loss["x"] == pytest.approx([point["seconds"] for point in adaptation.history])
    assert loss["y"] == pytest.approx([point["loss"] for point in adaptation.history])
    by_name = {trace["name"]: trace for trace in figures["chart-score"]["data"]}
    assert by_name["while adapted"]["y"] == pytest.approx([71.5, 72.0])
    assert by_name["original: 86.7"]["y"] == [86.66, 86.66]
    assert (by_name["kept"]["x"], by_name["kept"]["y"]) == ([7.0], [72.0])


def test_the_charts_of_pages_and_reports_agree(finished):
    from subemb.export import charts
    from subemb.ui.widgets.charts import PALETTE, error_curve

    assert charts.PALETTE == PALETTE
    figure, shown, alt = error_curve(finished.history)
    chart = error_chart(finished.history)
    assert alt == chart.alt
    assert [list(trace.y) for trace in figure.data] == [trace["y"] for trace in chart.figure["data"]]
    assert chart.columns == list(shown.columns)
    assert len(chart.rows) == len(shown)


def test_figures_are_ones_that_plotly_knows(finished):
    import plotly.graph_objects as go

    adaptation = adapted(finished)
    charts = [
        error_chart([{**entry, "stage": ("k-means", "unique")[i % 2]} for i, entry in enumerate(finished.history)]),
        loss_chart(adaptation.history),
        score_chart(adaptation.history, adaptation.scores, "Spearman", 10),
    ]
    for chart in charts:
        go.Figure(chart.figure)  # raises for an unknown property
        assert all(len(row) == len(chart.columns) for row in chart.rows)


def test_steps_of_which_some_were_kept_have_the_numbers_that_they_had():
    history = [{"iteration": at, "stage": "a" if at < 40 else "b", "error": 1 / at} for at in range(1, 76)]
    chart = error_chart(history_of(brief_history(history)))
    assert [row[0] for row in chart.rows] == [entry["iteration"] for entry in history_of(brief_history(history))]
    assert (chart.rows[0][0], chart.rows[-1][0]) == (1, 75)
    assert "after 30 of 75 steps" in chart.alt
    (line,) = chart.layout["shapes"]
    assert 37 < line["x0"] < 41
    assert "after each of 75 steps" in error_chart(history).alt


def test_nothing_measured_draws_nothing(finished):
    assert error_chart([]) is None
    assert loss_chart([]) is None
    assert score_chart([{"step": 1, "seconds": 1.0, "loss": 2.0}], {}, "Score") is None
    page = Page(html_report(dataclasses.replace(finished, history=[])))
    assert "Charts" not in page.words
    assert not page.scripts, "without charts there is no need of their library"


def test_every_chart_has_a_text_alternative_and_its_table(finished):
    page = Page(html_report(finished, adapted(finished)))
    charts = [attributes for tag, attributes in page.elements if attributes.get("class") == "chart"]
    assert len(charts) == 3
    assert all(chart["role"] == "img" and len(chart["aria-label"]) > 20 for chart in charts)
    assert page.text.count("Table behind this chart") == 3


# Alone


def test_it_asks_nobody_for_anything(finished):
    html = html_report(finished, adapted(finished))
    page = Page(html)
    for tag, attributes in page.elements:
        assert not {"src", "srcset", "action", "data"} & set(attributes), tag
        assert attributes.get("href", "data:,") == "data:,"
    policy = next(attributes["content"] for tag, attributes in page.elements if attributes.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert len(page.scripts) == 2
    assert 1e6 < len(html.encode()) < 8e6, "the chart library is in it, once"


def test_equal_arguments_make_an_equal_page(finished):
    assert html_report(finished, adapted(finished)) == html_report(finished, adapted(finished))


def test_an_adaptation_alone_can_be_reported(finished):
    page = Page(html_report(None, adapted(finished)))
    assert "Quality of the compressed table" not in page.text
    assert "Product quantization" in page.text
    assert count_text(finished.size.original_bytes) in page.text


@pytest.mark.slow
@pytest.mark.parametrize("method", ["residual", "arbitrary", "low_rank", "int8", "cluster"])
def test_every_method_can_be_reported(model, method):
    unusual = {"residual": {"subspaces": 2, "codebook_size": 4}, "cluster": {"subspaces": 24, "codebook_size": 2}}
    settings = CompressionSettings(method, iterations=2, **unusual.get(method, {}))
    finished, _ = run(model, settings)
    page = Page(html_report(finished))
    assert size_text(finished.size.total_bytes) in page.text
    assert not page.open


def test_whose_quality_it_is_is_said(finished):
    assert "Quality of the compressed table" in Page(html_report(finished, adapted(finished))).text
    text = Page(html_report(finished, adapted(finished), measured="adapted")).text
    assert "Quality of the adapted table" in text
    assert "before any training" not in text


def test_nothing_and_strangers_are_refused(finished):
    with pytest.raises(InputError, match="give a run, an adaptation, or both"):
        html_report()
    stranger = adapted(finished, model={**finished.model, "identity": "other"})
    with pytest.raises(InputError, match="belong together"):
        html_report(finished, stranger)
    with pytest.raises(InputError, match="compressed or adapted"):
        html_report(finished, measured="original")
    with pytest.raises(InputError, match="holds no scores"):
        html_report(finished, results=["a string"])


# Strangers' text


def test_hostile_names_are_text(finished):
    model = {**finished.model, "name": EVIL, "revision": EVIL}
    history = [{**entry, "stage": EVIL + str(i // 2)} for i, entry in enumerate(finished.history)]
    evil = dataclasses.replace(finished, model=model, history=history)
    adaptation = adapted(
        evil,
        model=model,
        text={"name": EVIL, "sentences": 2, "digest": EVIL},
        scored={"name": EVIL, "task": "similarity", "pairs": 2, "digest": EVIL, "metric": EVIL},
        scores={"original": 1.0, EVIL: 2.0},
        message=EVIL,
        device=EVIL,
    )
    sets = [ScoredSet(EVIL, 2, EVIL, {EVIL: 1.0, "adapted": 2.0}, judged_by=EVIL)]
    html = html_report(evil, adaptation, sets, versions_used={EVIL: EVIL})
    page = Page(html)
    assert len(page.scripts) == 2
    assert not [tag for tag, _ in page.elements if tag in ("img", "iframe", "b", "object")]
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "<img src=x onerror=alert(1)></script>" in page.text
    assert "\u202e" not in html
    for trace in [trace for figure in page.figures for trace in figure["data"]]:
        assert "<" not in trace["name"]
        assert trace["hovertemplate"].count("<") == 2, "the template's own <extra></extra>"
    assert not page.open


@pytest.mark.parametrize("name", [*HOSTILE, *TOKENS[:3]])
def test_every_hostile_token_is_text(name):
    parts = environment().get_template("parts.html.jinja").module
    drawn = Page(parts.table(name, [name, name], [[name, name]]))
    assert {tag for tag, _ in drawn.elements} == {"div", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert not drawn.open


def test_script_json_cannot_end_its_element():
    values = [EVIL, "\u2028", math.inf, math.nan, {"a": [1.5, None, True]}]
    text = script_json(values)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == [EVIL, "\u2028", None, None, {"a": [1.5, None, True]}]
