"""Charts and tables of labelled pairs, made from a report worked out by hand."""

import numpy as np
import pytest

from subemb.evaluate.data.pairs import PairSet
from subemb.evaluate.report import METRICS, SideScores
from subemb.evaluate.similarity.pairs import SimilarityReport
from subemb.evaluate.similarity.sentences import ListComparison
from subemb.evaluate.statistics import Interval
from subemb.ui.pages.similarity import charts
from subemb.ui.pages.similarity.lists import MOST_NUMBERED_CELLS, heat_map

HOSTILE = "<img src=x onerror=alert(1)> %{x} <b>bold</b>"


def made_report(task: str = "similarity", languages: tuple[str, ...] = (), pairs: int = 4) -> SimilarityReport:
    """``pairs`` pairs whose compressed cosines are the original ones backwards."""
    gold = np.arange(pairs) % 2 if task == "paraphrase" else np.linspace(0, 5, pairs)
    codes = tuple(languages[place % len(languages)] for place in range(pairs)) if languages else ()
    texts = (HOSTILE, *(f"text {number}" for number in range(1, pairs)))
    found = PairSet("made", task, "made", texts, texts[::-1], gold, languages=codes)
    before = np.linspace(-0.2, 0.9, pairs).astype(np.float32)
    values = dict.fromkeys(METRICS[task], 0.8)
    scores = {
        "original": SideScores(values),
        "compressed": SideScores(dict.fromkeys(values, 0.7), {}, {metric: Interval(-0.1, -0.2, -0.05) for metric in values}),
    }
    by_language = dict.fromkeys(dict.fromkeys(languages), scores)
    return SimilarityReport(
        pairs=found,
        pooling="mean",
        sides=("original", "compressed"),
        cosines={"original": before, "compressed": before[::-1].copy()},
        scores=scores,
        by_language=by_language,
    )


def test_the_scatter_has_every_pair_and_the_diagonal_on_equal_axes():
    report = made_report()
    figure = charts.cosine_scatter(
        report.cosines["original"], report.cosines["compressed"], report.pairs.gold, ["a"] * 4, report.sides
    )
    diagonal, points = figure.data
    assert list(diagonal.x) == list(diagonal.y)
    assert figure.layout.xaxis.range == figure.layout.yaxis.range
    assert figure.layout.xaxis.range[0] < -0.2, "negative cosines are inside"
    assert list(points.marker.color) == report.pairs.gold.tolist()
    assert points.type == "scattergl"


def test_paraphrases_differ_by_symbol_and_not_by_colour_alone():
    report = made_report("paraphrase")
    figure = charts.cosine_scatter(
        report.cosines["original"], report.cosines["compressed"], report.pairs.gold, ["a"] * 4, report.sides, classes=True
    )
    kinds = figure.data[1:]
    assert [len(kind.x) for kind in kinds] == [2, 2]
    assert len({kind.marker.symbol for kind in kinds}) == 2


def test_samples_are_all_or_so_many_in_order():
    assert charts.sample_of(5, most=10).tolist() == [0, 1, 2, 3, 4]
    places = charts.sample_of(1000, most=10)
    assert len(set(places.tolist())) == 10
    assert (np.diff(places) > 0).all()
    assert places.tolist() == charts.sample_of(1000, most=10).tolist()


@pytest.mark.parametrize(
    ("gold", "names", "bins"),
    [
        ([0, 1, 1], ["0", "1"], [0, 1, 1]),
        ([0.0, 0.2, 0.9, 1.0, 2.5, 4.99, 5.0], ["0 to 1", "1 to 2", "2 to 3", "3 to 4", "4 to 5"], [0, 0, 0, 1, 2, 4, 4]),
        (np.linspace(0, 1, 11), ["0 to 0.2", "0.2 to 0.4", "0.4 to 0.6", "0.6 to 0.8", "0.8 to 1"], None),
        ([3.0], ["3"], [0]),
    ],
)
def test_gold_is_cut_into_few_steps(gold, names, bins):
    found, found_names = charts.gold_bins(np.array(gold, float))
    assert found_names == names
    assert found.min() >= 0
    assert found.max() < len(names)
    if bins is not None:
        assert found.tolist() == bins


def test_boxes_are_quartiles_of_each_step_and_side():
    report = made_report(pairs=41)
    figure, table = charts.gold_boxes(report)
    assert len(figure.data) == 2
    assert table["pairs"].sum() == 2 * 41
    bins, names = charts.gold_bins(report.pairs.gold)
    row = table[(table["gold"] == names[1]) & (table["side"] == "compressed")].iloc[0]
    assert row["median"] == pytest.approx(np.median(report.cosines["compressed"][bins == 1]))


def test_tables_have_ranks_and_how_far_pairs_moved():
    table = charts.pairs_table(made_report(languages=("en", "de")))
    assert table["rank original"].tolist() == [4, 3, 2, 1]
    assert table["rank compressed"].tolist() == [1, 2, 3, 4]
    assert table["moved"].tolist() == [-3, -1, 1, 3]
    assert table["language"].tolist() == ["en", "de", "en", "de"]
    assert charts.pairs_table(made_report(), np.array([2]))["sentence 1"].tolist() == ["text 2"]


def test_languages_are_named_with_their_interval():
    figure, table = charts.language_chart(made_report(languages=("en", "sw"), pairs=6))
    assert table["language"].tolist() == ["English (en)", "English (en)", "Swahili (sw)", "Swahili (sw)"]
    assert table["difference"].dropna().tolist() == [-10.0, -10.0]
    assert [trace.name for trace in figure.data if trace.mode == "markers"] == ["original", "compressed"]


def test_the_alternative_text_counts():
    text = charts.change_summary(made_report(), "compressed")
    assert "4 pairs" in text
    assert "2 rose, 2 fell" in text


def made_lists(count: int) -> ListComparison:
    texts = tuple(f"text {number}" for number in range(count))
    return ListComparison(texts, None, {"original": np.linspace(-0.3, 1, count * count).reshape(count, count)})


def test_a_small_heat_map_writes_its_numbers_in_a_colour_that_is_read_on_the_cell():
    found = made_lists(2)
    cells, numbers = heat_map(found, found.matrices["original"], "Cosines", (-0.3, 1.0)).data
    assert list(numbers.text) == ["−.30", ".13", ".57", "1"]
    assert list(zip(numbers.x, numbers.y, strict=True)) == [(x, y) for y in cells.y for x in cells.x]
    assert numbers.textfont.color[0] == "#FFFFFF"  # Viridis begins dark and ends bright
    assert numbers.textfont.color[-1] == "#000000"
    middle = heat_map(found, np.zeros((2, 2)), "Difference", (-0.1, 0.1), diverging=True).data[1]
    assert set(middle.textfont.color) == {"#000000"}
    assert set(middle.text) == {"0"}


def test_a_larger_heat_map_has_no_numbers():
    found = made_lists(MOST_NUMBERED_CELLS + 1)
    assert len(heat_map(found, found.matrices["original"], "Cosines", (-0.3, 1.0)).data) == 1
