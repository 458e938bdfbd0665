"""What objects look like in an interpreter and a notebook: short, and with a stranger's text escaped."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

import subemb
from subemb import analysis
from subemb.base.shown import Brief, Card, card_html
from subemb.codec.methods import METHODS
from subemb.evaluate.data.pairs import PairSet
from subemb.evaluate.report import score_sides
from subemb.evaluate.similarity.pairs import SimilarityReport
from subemb.models.model import PretrainedModel

HOSTILE = "<script>alert('x')</script>\u202e\x1b[31m"
TABLE = torch.randn(40, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", METHODS)
def test_a_result_is_one_line_without_its_history(method):
    found = subemb.compress(TABLE, method, 3, 8, rank=2)
    line = repr(found)
    assert len(line) < 250
    assert "\n" not in line
    for part in (found.settings.about.title, "40 tokens x 12", f"relative error {found.info['error']:.4f}"):
        assert part in line
    assert f"{found.info['error']:.4f}" in found._repr_html_()


def test_an_error_report_names_its_numbers():
    found = analysis.reconstruction_error(TABLE, subemb.compress(TABLE, "product", 3, 4))
    assert repr(found) == f"<ReconstructionError {found.relative:.4f} of 40 tokens, mean cosine {found.mean_cosine:.4f}>"
    assert f"{found.per_subspace.max():.4f}" in found._repr_html_()


def test_a_report_shows_every_side_and_the_interval():
    gold, original = np.linspace(0, 1, 30), np.linspace(0, 1, 30)
    sides = {"original": original, "compressed": original[::-1].copy()}
    pairs = PairSet(HOSTILE, "similarity", "made", ["a"] * 30, ["b"] * 30, gold)
    scores = score_sides(gold, sides, ("spearman", "pearson"), resamples=20)
    report = SimilarityReport(sides=tuple(sides), scores=scores, pairs=pairs, pooling="mean", cosines=sides)
    line = repr(report)
    assert "Spearman x 100: original 100.0, compressed -100.0" in line
    assert "30 pairs" in line
    assert "\x1b" not in line
    html = report._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "−200.0" in html
    assert repr(pairs).count("items") == 2  # sentences are counted, not printed


def test_a_model_has_a_card_and_names_are_escaped():
    model = PretrainedModel.from_table(TABLE, name=HOSTILE)
    html = model._repr_html_()
    assert "<script" not in html
    assert "40 tokens x 12" in html
    small = model._with(compressed=subemb.compress(TABLE, "product", 3, 4))
    assert "Product quantization" in small._repr_html_()


def test_a_card_takes_its_colours_from_the_notebook():
    html = card_html(Card("t", "l", [("a", "b")], ["h"], [["r"]], "n", 0.5, "half"))
    assert "color: inherit" in html
    assert "background: transparent" in html
    assert 'aria-label="half"' in html


def test_arrays_and_long_lists_are_told_by_their_size():
    @dataclass(repr=False)
    class Made(Brief):
        array: np.ndarray
        names: list
        few: dict

    assert (
        repr(Made(np.zeros((9, 2)), list(range(50)), {"a": [1]}))
        == "Made(array=<(9, 2) float64>, names=[50 items], few={'a': [1]})"
    )
