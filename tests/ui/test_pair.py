"""What is said of the change of one pair's cosine."""

import re

import numpy as np
import pytest

from subemb.evaluate.similarity.effects import Attribution, SentenceEffects
from subemb.evaluate.similarity.sentences import PairComparison, ReadSentence
from subemb.ui.pages.similarity.account import blocks_sum_text, summary_text

SENTENCES = (
    ReadSentence("tasty bread", (0, 1, 2, 3), ("[CLS]", "tasty", "bread", "[SEP]"), ("special", "word", "word", "special"), 4),
    ReadSentence("loaves", (0, 4, 5, 3), ("[CLS]", "lo", "##aves", "[SEP]"), ("special", "word", "word piece", "special"), 4),
)
TOKENS = ((0.3, -0.02, -0.1, 0.0), (-0.4, -0.056, -0.15, 0.2))  # those of special tokens are the largest


def said(first: float, second: float, change: float, tokens=TOKENS, unrelated=(), sides=("original", "compressed")) -> str:
    """The summary of a pair whose cosine was 0.7."""
    parts = [
        SentenceEffects(np.arange(4), whole, np.array(each), np.zeros((4, 1)), np.zeros(1), np.zeros(4))
        for whole, each in zip((first, second), tokens, strict=True)
    ]
    effects = Attribution(0.7, 0.7 + change, *parts, np.array([0.007]), (8,), "subspace", False, True, True, True)
    cosines = dict(zip(sides, (0.7, 0.7 + change), strict=True))
    unrelated = dict(zip(sides, unrelated, strict=False))
    return summary_text(PairComparison(cosines, SENTENCES, {sides[1]: effects}, "", unrelated), sides[1])


def test_where_the_sentences_own_moves_decide_the_strongest_token_is_named_with_its_word():
    found = said(-0.1, -0.12, -0.2)
    assert "lowers the cosine by **0.200**. Each sentence alone moves away from the other (−0.100, −0.120)" in found
    assert "both move the same way, which takes back +0.020. What the sentences do alone decides." in found
    assert "In the second sentence **\\#\\#aves** (of “loaves”) lowers it most: −0.150, the whole sentence −0.120." in found


def test_of_a_cosine_that_rises_the_token_that_raises_it_most_is_named():
    found = said(0.05, 0.1, 0.2, ((0.3, 0.02, -0.1, 0.0), (0.4, -0.056, 0.01, 0.2)))
    assert "which adds +0.050" in found
    assert "In the first sentence **tasty** raises it most: +0.020, the whole sentence +0.050." in found


def test_a_token_under_a_quarter_of_its_sentence_does_not_decide():
    found = said(0.1, 0.1, 0.2, ((0.3, 0.02, -0.1, 0.0), (0.4, -0.056, 0.01, 0.2)))
    assert "raises it most" not in found
    assert "No single token decides." in found


@pytest.mark.parametrize(
    ("first", "second", "change", "decides"),
    [
        (-0.265, -0.457, -0.293, "the sentences do alone"),
        (-0.177, -0.017, -0.15, "the first sentence does alone"),
        (0.02, -0.3, -0.25, "the second sentence does alone"),
        (0.03, 0.02, -0.1, None),  # of the other sign
        (-0.05, -0.02, -0.2, None),
    ],
)
def test_whose_part_is_over_half_of_the_change_decides(first, second, change, decides):
    found = said(first, second, change)
    assert ("No single token decides." in found) or decides
    assert re.findall("What (.*) decides", found) == ([decides] if decides else [])


def test_what_both_share_is_told_as_the_cause_with_what_all_sentences_do():
    found = said(-0.284, -0.309, 0.017, ((0.0, 0.0002, -0.1, 0.0), (0.0, 0.1, -0.1, 0.0)), (0.052, 0.614))
    assert "(−0.284, −0.309); both move the same way, which brings them together again: **+0.610**." in found
    assert "All sentences become more alike: two unrelated ones go from **0.05** to **0.61** on average." in found
    assert found.endswith("No single token decides.")


def test_two_parts_that_nearly_cancel_out_are_told_so():
    assert "which takes back +0.623. The two nearly cancel out." in said(-0.355, -0.285, -0.017)


def test_that_two_sentences_alone_come_together_is_told_too():
    assert "Sentences in general hardly do" in said(-0.284, -0.309, 0.017, unrelated=(0.05, 0.06))


@pytest.mark.parametrize("change", np.random.default_rng(0).normal(0, 0.2, 40))
def test_the_parts_that_are_shown_add_up_to_the_change_that_is_shown(change):
    first, second = np.random.default_rng(int(1e6 * abs(change))).normal(0, 0.3, 2)
    numbers = [
        float(number)
        for number in re.findall(r"[+-]?\d\.\d+", said(first, second, change).split("*. ", 2)[1].replace("−", "-"))
    ]
    shown = float(re.search(r"by \*\*(.*?)\*\*", said(first, second, change))[1])
    assert sum(numbers[:3]) == pytest.approx(np.sign(change) * shown, abs=1e-9)
    digits = len(f"{shown}".split(".")[1])
    assert abs(round(0.7, digits) + np.sign(change) * shown - round(0.7 + change, digits)) < 1e-9


def test_of_two_runs_the_rows_of_both_are_named():
    found = said(-0.461, -0.396, 0.291, unrelated=(0.07, 0.97), sides=("run A", "run B"))
    assert found.startswith("Replacing the rows of run A by those of run B raises the cosine by **0.291**.")
    assert "reconstruction" not in found


def test_what_blocks_do_one_by_one_is_told_beside_what_they_do_together():
    effects = Attribution(0.687, 0.978, *[None] * 2, np.array([0.004, 0.003]), (8, 8), "subspace", False, True, True, True)
    assert blocks_sum_text(effects, 3) == "One subspace at a time they add up to +0.007; all at once they make +0.291."
