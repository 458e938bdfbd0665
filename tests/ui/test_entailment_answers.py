"""The answers that every side gives on a labelled set: shares, and what the page says about a side that leans to one answer."""

import numpy as np
import pytest

from subemb.evaluate.data.pairs import LABELS, TWO_WAY_LABELS, PairSet
from subemb.evaluate.entailment.pairs import EntailmentReport, make_report
from subemb.ui.pages.entailment import charts
from subemb.ui.pages.entailment import labelled as answers
from subemb.ui.pages.entailment.labelled import unknown_sentence


class Engine:
    name, description = "made", "made"

    def __init__(self, labels):
        self.labels = labels


def made_result(gold, predicted, languages=(), labels=LABELS) -> EntailmentReport:
    """A result in which every side of ``predicted`` says this."""
    texts = [f"sentence {number}" for number in range(len(gold))]
    pairs = PairSet("made", "entailment", "made", texts, texts, gold, labels, languages)
    found = {side: np.eye(len(labels))[chosen] for side, chosen in predicted.items()}
    return make_report(Engine(labels), pairs, found, resamples=200)


GOLD = [0, 0, 1, 1, 2, 2, 2, 2, 1, 0]  # 3, 3, 4 of ten
BEFORE = [0, 0, 1, 1, 2, 2, 2, 0, 0, 0]  # 5, 2, 3
AFTER = [0, 0, 0, 0, 0, 0, 0, 0, 2, 0]  # 9, 0, 1


@pytest.fixture
def report():
    return made_result(GOLD, {"original": BEFORE, "compressed": AFTER})


def test_shares_of_people_and_sides(report):
    shares = answers.answer_shares(report)
    assert list(shares) == ["as labelled", "original", "compressed"]
    np.testing.assert_allclose(shares["as labelled"], [0.3, 0.3, 0.4])
    np.testing.assert_allclose(shares["original"], [0.5, 0.2, 0.3])
    np.testing.assert_allclose(shares["compressed"], [0.9, 0, 0.1])
    table = answers.answers_table(report)
    assert table["pairs"].tolist() == [3, 3, 4, 5, 2, 3, 9, 0, 1]
    assert table.groupby("who")["share, %"].sum().tolist() == pytest.approx([100, 100, 100])


def test_a_side_that_gives_one_answer_is_named(report):
    assert answers.leaning(report) == {"compressed": 0}
    (sentence,) = answers.answers_sentences(report, is_head=True)
    assert "**compressed** answers **entailment** for 90.0 % of the pairs" in sentence
    assert "original does for 50.0 %, people did for 30.0 %" in sentence
    assert "closer together" in sentence
    (sentence,) = answers.answers_sentences(report, is_head=False)
    assert "closer together" not in sentence  # true of sentence embeddings only


def test_nothing_is_said_of_sides_that_answer_as_people_do():
    balanced = made_result(GOLD, {"original": GOLD, "compressed": BEFORE})
    assert answers.answers_sentences(balanced, is_head=True) == []
    # A set that is mostly entailment is judged so rightly.
    one_sided = made_result([0] * 9 + [1], {"original": [0] * 10, "compressed": [0] * 10})
    assert answers.answers_sentences(one_sided, is_head=True) == []


@pytest.mark.parametrize("sides", [["original"], ["original", "compressed"], ["original", "compressed", "adapted"]])
def test_the_chart_has_a_full_bar_for_people_and_every_side(sides):
    report = made_result(GOLD, dict(zip(sides, (BEFORE, AFTER, GOLD), strict=False)))
    figure = answers.answers_chart(report)
    assert [trace.name for trace in figure.data] == list(report.labels)
    assert list(figure.data[0].y) == ["As labelled", *(side.capitalize() for side in sides)]
    np.testing.assert_allclose(np.sum([trace.x for trace in figure.data], axis=0), 100)
    assert len({trace.marker.pattern.shape for trace in figure.data}) == 3  # never colour alone
    alt = answers.answers_alt(report)
    assert "as labelled: entailment 30.0 %, neutral 30.0 %, contradiction 40.0 %" in alt
    assert ("compressed: entailment 90.0 % (+40.0 points)" in alt) == (len(sides) > 1)


def test_two_labels():
    report = made_result([0, 1], {"original": [0, 1], "compressed": [1, 1]}, labels=TWO_WAY_LABELS)
    assert answers.leaning(report) == {"compressed": 1}
    assert "**not entailment**" in answers.answers_sentences(report, is_head=True)[0]


def test_languages_in_which_the_first_side_guesses_are_named():
    many = 60
    gold = [0, 1] * many
    known, guessed = gold[:many], [0] * many  # English all right, Thai half
    result = made_result(gold, {"original": known + guessed, "compressed": gold}, ["en"] * many + ["th"] * many)
    table = charts.language_table(result)
    sentence = unknown_sentence(table, result, 0.5)
    assert sentence.startswith("In Thai \\(th\\) already **original**")
    assert "English" not in sentence
    assert unknown_sentence(table, result, 0.1) == ""
