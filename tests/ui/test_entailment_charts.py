"""Charts of the page Entailment: what is drawn, from numbers that are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from subemb.evaluate.data.pairs import LABELS, TWO_WAY_LABELS, PairSet
from subemb.evaluate.entailment.pairs import EntailmentReport, JudgedScores, PairJudgement, Writing, make_report
from subemb.evaluate.statistics import Interval, McNemar
from subemb.ui.pages.entailment import charts
from subemb.ui.pages.entailment.labelled import agreement_sentence, confusion_alt, languages_alt, languages_sentence
from subemb.ui.pages.entailment.pair import flip_text, pair_alt
from subemb.ui.widgets.scores import interval_sentence, interval_text, mcnemar_sentence

HOSTILE = "<b>x</b> **y** $z$ %{x}"
TWO = PairJudgement(LABELS, {"original": (0.7, 0.2, 0.1), "compressed": (0.25, 0.35, 0.4)})
THREE = PairJudgement(LABELS, {**TWO.probabilities, "adapted": (0.6, 0.3, 0.1)})


class Engine:
    name, description = "made", "made"

    def __init__(self, labels=LABELS):
        self.labels = labels


def made_result(gold, predicted, languages=(), labels=LABELS, texts=None, engine=LABELS) -> EntailmentReport:
    """A result in which every side of ``predicted`` says this, each with 0.8."""
    texts = texts or [f"sentence {number}" for number in range(len(gold))]
    pairs = PairSet("made", "entailment", "made", texts, texts, gold, labels, languages)
    found = {side: np.eye(len(engine))[chosen] * 0.7 + 0.3 / len(engine) for side, chosen in predicted.items()}
    report = make_report(Engine(engine), pairs, found, resamples=200)
    writing = {code: Writing("Latin" if code in ("en", "de") else "Thai", 10) for code in dict.fromkeys(languages)}
    return replace(report, writing=writing if len(writing) > 1 else {})


@pytest.fixture
def languages():
    """Thai loses both of its right pairs, German gains one, English stays."""
    gold = [0, 1, 0, 1, 0, 1, 2, 2]
    before = [0, 1, 0, 2, 0, 1, 2, 0]
    after = [0, 1, 0, 1, 1, 2, 2, 0]
    return made_result(gold, {"original": before, "compressed": after}, ["en", "en", "de", "de", "th", "th", "th", "th"])


# A pair


@pytest.mark.parametrize("judgement", [TWO, THREE], ids=["two sides", "three sides"])
def test_one_bar_a_side_with_number_and_change(judgement):
    figure = charts.pair_chart(judgement)
    assert [trace.name for trace in figure.data] == judgement.sides
    for trace, side in zip(figure.data, judgement.sides, strict=True):
        np.testing.assert_allclose(trace.x, [100 * value for value in judgement.probabilities[side]])
        assert list(trace.y) == ["Entailment", "Neutral", "Contradiction"]
    assert list(figure.data[0].text) == ["70.0", "20.0", "10.0"]
    assert list(figure.data[1].text) == ["25.0 (−45.0)", "35.0 (+15.0)", "40.0 (+30.0)"]
    assert figure.layout.xaxis.range[1] > 100  # room for the numbers
    patterns = [trace.marker.pattern.shape for trace in figure.data]
    assert len(set(patterns)) == len(judgement.sides)  # never colour alone


def test_one_side_has_no_change():
    figure = charts.pair_chart(PairJudgement(LABELS, {"original": (0.7, 0.2, 0.1)}))
    assert list(figure.data[0].text) == ["70.0", "20.0", "10.0"]
    assert "change" not in " ".join(charts.pair_table(PairJudgement(LABELS, {"original": (0.7, 0.2, 0.1)})))


def test_the_table_of_a_pair_has_every_number():
    table = charts.pair_table(THREE)
    assert table["label"].tolist() == list(LABELS)
    np.testing.assert_allclose(table["compressed, %"], [25, 35, 40])
    np.testing.assert_allclose(table["adapted, change in points"], [-10, 10, 0], atol=1e-9)


def test_verdicts_in_words():
    assert TWO.winner("original") == "entailment"
    assert flip_text(TWO, "compressed") == "flipped: entailment before"
    assert flip_text(THREE, "adapted") == "unchanged"
    assert "compressed: entailment 25.0 % (−45.0 points), neutral 35.0 % (+15.0 points)" in pair_alt(TWO)


def test_names_of_sides_are_escaped():
    figure = charts.pair_chart(PairJudgement(LABELS, {"original": (0.7, 0.2, 0.1), HOSTILE: (0.2, 0.7, 0.1)}))
    assert "<b>" not in figure.data[1].name
    assert "%{x} " not in figure.data[1].hovertemplate.split(",")[0]


# Confusion


def test_confusion_matrices_share_their_colours_and_tell_counts_and_shares():
    score = JudgedScores({"accuracy": 0.5}, confusion=((3, 1, 0), (0, 0, 0), (1, 1, 2)))
    figure = charts.confusion_chart(LABELS, score, "original")
    heat = figure.data[0]
    assert (heat.zmin, heat.zmax) == (0, 100)
    assert heat.text[0][0] == "3<br>75.0 %"
    assert heat.text[1][1] == "0"  # no pair has this label: no share of nothing
    assert math.isnan(heat.z[1][1])
    assert heat.text[2][2] == "2<br>50.0 %"
    written = {(note.y, note.x): (note.text, note.font.color) for note in figure.layout.annotations}
    assert len(written) == 9
    assert written["entailment", "entailment"] == ("3<br>75.0 %", "#000000")
    assert written["entailment", "neutral"] == ("1<br>25.0 %", "#FFFFFF")


def test_the_table_of_confusions_adds_up(languages):
    table = charts.confusion_table(languages)
    assert table.groupby("side")["pairs"].sum().to_dict() == {"original": 8, "compressed": 8}
    right = table[table["labelled"] == table["judged"]].groupby("side")["pairs"].sum()
    assert right.to_dict() == {"original": 6, "compressed": 5}
    assert "entailment: 3 of 3 judged as labelled (100.0 %)" in confusion_alt(languages, "original")


def test_two_labels():
    result = made_result(
        [0, 1, 1], {"original": [0, 1, 0], "compressed": [0, 1, 1]}, labels=TWO_WAY_LABELS, engine=TWO_WAY_LABELS
    )
    figure = charts.confusion_chart(result.labels, result.scores["original"], "original")
    assert list(figure.data[0].x) == ["entailment", "not<br>entailment"]
    assert charts.flips_table(result, "compressed")["what became of it"].tolist() == ["wrong → right"]


# Languages


@pytest.mark.parametrize(("right", "pairs"), [(0, 10), (3, 10), (10, 10), (411, 1000)])
def test_wilson_agrees_with_scipy(right, pairs):
    expected = binomtest(right, pairs).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(charts.wilson(right / pairs, pairs), expected, atol=1e-6)


def test_wilson_of_nothing_is_undefined():
    assert all(math.isnan(end) for end in (*charts.wilson(0.5, 0), *charts.wilson(math.nan, 5)))


def test_languages_are_ordered_by_loss_or_by_before(languages):
    table = charts.language_table(languages, charts.LARGEST_LOSS)
    assert table["code"].tolist() == ["th", "en", "de"]
    np.testing.assert_allclose(table["compressed, change"], [-50, 0, 50])
    np.testing.assert_allclose(table["original, %"], [75, 100, 50])
    assert table["pairs"].tolist() == [4, 2, 2]
    assert table["script"].tolist() == ["Thai", "Latin", "Latin"]
    assert charts.language_table(languages, charts.HIGHEST_BEFORE)["code"].tolist() == ["en", "th", "de"]


def test_the_chart_of_languages_draws_every_side_with_intervals(languages):
    table = charts.language_table(languages)
    figure = charts.accuracy_chart(table, languages.sides, charts.LARGEST_LOSS, 0.4)
    original, compressed = figure.data
    np.testing.assert_allclose(original.x, [75, 100, 50])
    np.testing.assert_allclose(compressed.x, [25, 100, 100])
    assert (np.array(original.error_x.array) >= -1e-9).all()
    assert (np.array(original.error_x.arrayminus) >= -1e-9).all()
    assert original.marker.symbol != compressed.marker.symbol
    small = "<br><span style='font-size:11px'>{}</span>"
    names = [("Thai (th)", "Thai"), ("English (en)", "Latin"), ("German (de)", "Latin")]
    assert list(figure.layout.yaxis.ticktext) == [language + small.format(script) for language, script in names]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first at the top
    change = charts.change_chart(table, languages.sides, charts.LARGEST_LOSS)
    assert list(change.data[0].text) == ["−50.0", "0.0", "+50.0"]


def test_languages_in_words(languages):
    table = charts.language_table(languages)
    assert languages_alt(table, languages).endswith(
        "Thai (th) 75.0 % to 25.0 %; English (en) 100.0 % to 100.0 %; German (de) 50.0 % to 100.0 %"
    )
    sentence = languages_sentence(table, languages)
    assert "**−50.0 points** in Thai" in sentence
    assert "10 tokens of the vocabulary" in sentence
    assert "**+50.0 points** in German" in sentence


def test_one_language_has_no_table():
    result = made_result([0, 1], {"original": [0, 1], "compressed": [0, 0]}, ["en", "en"])
    assert charts.language_table(result).empty


def test_languages_with_hostile_codes_are_escaped():
    result = made_result([0, 1], {"original": [0, 1], "compressed": [0, 0]}, ["<b>", "%{x}"])
    table = charts.language_table(result)
    for figure in (
        charts.accuracy_chart(table, result.sides, charts.LARGEST_LOSS, 0.5),
        charts.change_chart(table, result.sides, charts.LARGEST_LOSS),
    ):
        assert not any("<b>" in text or "%{x}" in text for text in figure.layout.yaxis.ticktext)
        assert not any("<b>" in str(row) or "%{x}" in str(row) for row in figure.data[0].customdata)


# Pairs


def test_flipped_pairs_with_probabilities(languages):
    table = charts.flips_table(languages, "compressed")
    assert sorted(table["pair"]) == [4, 5, 6]
    rows = table.set_index("pair")
    assert rows["what became of it"].to_dict() == {4: "wrong → right", 5: "right → wrong", 6: "right → wrong"}
    assert rows.loc[5, "entailment, original"] == pytest.approx(80)
    assert rows.loc[5, "entailment, compressed"] == pytest.approx(10)
    assert rows.loc[5, ["labelled", "original", "compressed", "language"]].tolist() == [
        "entailment",
        "entailment",
        "neutral",
        "th",
    ]
    assert table["change"].is_monotonic_decreasing


def test_without_flips_the_table_is_empty():
    assert charts.flips_table(made_result([0, 1], {"original": [0, 2], "compressed": [0, 2]}), "compressed").empty


def test_every_pair_is_in_the_download(languages):
    table = charts.pairs_table(languages)
    assert len(table) == 8
    assert table["pair"].tolist() == list(range(1, 9))
    assert (table["original"] == table["labelled"]).sum() == 6
    np.testing.assert_allclose(table[[f"{label}, compressed" for label in LABELS]].sum(axis=1), 1, atol=1e-5)


# Sentences


def test_an_interval_is_read_for_people():
    assert "hardly explains it" in interval_sentence("compressed", Interval(-0.032, -0.045, -0.019), "−3.2")
    assert "may explain it" in interval_sentence("compressed", Interval(-0.01, -0.03, 0.01), "−1.0")
    assert "no pair is judged differently" in interval_sentence("compressed", Interval(0.0, 0.0, 0.0), "0.0")
    assert "too few pairs" in interval_sentence("compressed", Interval(0.5, math.nan, math.nan), "+50.0")
    assert "undefined" in interval_sentence("compressed", Interval(math.nan, math.nan, math.nan), "undefined")
    assert interval_text(Interval(0.1, 0.05, 0.15), "+10.0") == "+10.0 points (95 % interval +5.0 to +15.0)"
    assert "<b>" not in interval_sentence("<b>", Interval(0.1, 0.05, 0.15), "+10.0")


def test_the_difference_of_shown_scores_is_told_and_not_that_of_the_scores():
    judgement = PairJudgement(LABELS, {"original": (0.2214, 0.5, 0.2786), "compressed": (0.2586, 0.4628, 0.2786)})
    assert charts.pair_chart(judgement).data[1].text[0] == "25.9 (+3.8)"


def test_mcnemar_is_read_for_people():
    said = mcnemar_sentence("compressed", McNemar(30, 12, 0.00796))
    assert "42 pairs are right on one side only: 30 on original, 12 on compressed" in said
    assert "in 0.8 of 100 cases" in said
    assert "hardly chance" in said
    assert "may explain it" in mcnemar_sentence("compressed", McNemar(5, 5, 1.0))
    near = Interval(-0.082, -0.164, -0.006)  # 0 lies outside, barely
    for p_value, disagrees in ((0.06, True), (0.04, False)):
        said = mcnemar_sentence("compressed", McNemar(30, 16, p_value), interval=near)
        assert ("take the difference as not sure" in said) == disagrees
        assert ("may explain it" in said) is False
    assert "1 pair is right" in mcnemar_sentence("compressed", McNemar(1, 0, 1.0))


def test_agreement_is_told_with_kappa_and_flips(languages):
    said = agreement_sentence(languages, "compressed")
    assert "**62.5 %** of the pairs alike" in said
    assert "3 pairs flipped" in said
