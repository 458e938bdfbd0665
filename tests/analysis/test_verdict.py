"""The verdict on a run: what the numbers mean, in words."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subemb.analysis import verdict
from subemb.analysis.verdict import verdict_of


def test_examples_are_true():
    assert doctest.testmod(verdict).failed == 0


@pytest.mark.parametrize(
    ("numbers", "text", "tone"),
    [
        ((0.00599, 0.5, 0.12, 0.933, (-5.0, -1.0)), "keeps 93 % of the sentence similarity. Single words are blurred: of 10 neighbours 1 stays.", "fair"),
        ((0.0014, 0.9, 0.02, 0.7, (-30, -10)), "At 0.14 % of its size the table keeps 70 % of the sentence similarity. Single words are lost: of 10 neighbours none stays.", "poor"),
        ((0.014, 0.3, 0.5, 0.97, (-3, 0.5)), "keeps 97 % of the sentence similarity; the rest may be chance. Single words move: of 10 neighbours 5 stay.", "good"),
        ((0.25, 0.001, 0.96, 1.01, (-0.2, 0.9)), "keeps all of the sentence similarity. Single words stay where they were: all 10 neighbours of a word stay.", "good"),
        ((0.1, 0.1, 0.8, 0.9999, (-3, -1)), "keeps 99 % of the sentence similarity. Single words move a little: of 10 neighbours 8 stay.", "good"),
        ((0.1, 0.1, 0.8, -0.2, (-90, -70)), "keeps nothing of the sentence similarity.", "poor"),
        ((0.1, 0.3, 0.3, None, None), "keeps 70 % of the differences between its vectors. Single words are blurred: of 10 neighbours 3 stay.", "poor"),
        ((0.1, 1.3, 0.0, None, None), "keeps 0 % of the differences between its vectors. Single words are lost: of 10 neighbours none stays. One vector for all tokens would be no further from the original.", "poor"),
        ((1.2, 0.1, 0.9, 0.99, (-1, 1)), "It takes 120 % of the table's bytes and keeps 99 % of the sentence similarity", "poor"),
    ],
)  # fmt: skip
def test_words_for_numbers(numbers, text, tone):
    share, error, neighbours, kept, change = numbers
    found = verdict_of(share, error, neighbours, kept=kept, change=change)
    assert text in found.text
    assert found.tone == tone
    assert bool(found.advice) == (tone != "good" and (kept is not None or share >= 1))


def test_what_is_lossless_says_so_and_nothing_else():
    assert verdict_of(0.5, 0.0, 1.0, kept=1.0).text == "At 50 % of its size the table gives every vector back exactly."
    assert "saves nothing" in verdict_of(1.5, 0.0, 1.0, kept=1.0).advice


def test_borrowed_rows_are_far_off_and_no_worse_than_one_vector_for_all():
    assert verdict_of(0.006, 1.21, 0.26, kept=0.92).text.endswith("Single words are blurred: of 10 neighbours 3 stay.")
    assert verdict_of(0.006, 1.21, 0.02, kept=0.92).text.endswith(
        "One vector for all tokens would be no further from the original."
    )


def test_tokens_that_collide_are_told_from_a_hundredth_on():
    assert "cannot be told" not in verdict_of(0.01, 0.5, 0.1, colliding_share=0.0099).text
    told = verdict_of(0.01, 0.5, 0.1, colliding_share=0.04).text
    assert told.endswith("4 % of the tokens cannot be told from another any more.")


@given(
    st.floats(1e-6, 3), st.floats(0, 4), st.floats(0, 1), st.none() | st.floats(-3, 3), st.floats(0, 1),
)  # fmt: skip
def test_never_all_for_less_nor_nothing_for_more(share, error, neighbours, kept, colliding):
    found = verdict_of(share, error, neighbours, kept=kept, colliding_share=colliding)
    assert "100 % of the sentence" not in found.text
    assert "keeps 0 % of the sentence" not in found.text
    if error:
        assert ("keeps all" in found.text) == (kept is not None and kept >= 1)
    assert found.tone in ("good", "fair", "poor")


def test_only_what_can_be_trained_is_to_be_adapted():
    numbers = (0.01, 0.6, 0.1)
    assert verdict_of(*numbers, kept=0.6).is_to_adapt
    found = verdict_of(*numbers, kept=0.6, can_be_adapted=False)
    assert (found.is_to_adapt, found.advice) == (False, "")
    assert not verdict_of(*numbers, kept=0.99).is_to_adapt
