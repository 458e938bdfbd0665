"""What is said of the change of one pair's cosine."""

import numpy as np
import pytest

from subemb.evaluate.similarity.effects import Attribution, SentenceEffects
from subemb.evaluate.similarity.sentences import ReadSentence
from subemb.ui.pages.similarity.pair import summary_text

SENTENCES = (
    ReadSentence("tasty bread", (0, 1, 2, 3), ("[CLS]", "tasty", "bread", "[SEP]"), ("special", "word", "word", "special"), 4),
    ReadSentence("loaves", (0, 4, 5, 3), ("[CLS]", "lo", "##aves", "[SEP]"), ("special", "word", "word piece", "special"), 4),
)


def made(
    first: float, second: float, change: float, tokens=((0.3, -0.02, -0.1, 0.0), (-0.4, -0.056, -0.15, 0.2))
) -> Attribution:
    """Effects of the sentences of SENTENCES; those of special tokens are the largest."""
    parts = [
        SentenceEffects(np.arange(4), whole, np.array(each), np.zeros((4, 1)), np.zeros(1), np.zeros(4))
        for whole, each in zip((first, second), tokens, strict=True)
    ]
    return Attribution(0.7, 0.7 + change, *parts, np.zeros(1), (8,), "subspace", False, True, True, True)


def test_the_strongest_token_is_named_with_its_word():
    said = summary_text(made(-0.1, -0.12, -0.2), SENTENCES)
    assert "lowers the cosine by **0.200**" in said
    assert "In the second sentence **\\#\\#aves** (of “loaves”) lowers it most: −0.150." in said


def test_of_a_cosine_that_rises_the_token_that_raises_it_most_is_named():
    said = summary_text(made(0.1, 0.1, 0.2, ((0.3, 0.02, -0.1, 0.0), (0.4, -0.056, 0.01, 0.2))), SENTENCES)
    assert "In the first sentence **tasty** raises it most: +0.020." in said


@pytest.mark.parametrize(
    ("first", "second", "change", "is_said"),
    [
        (-0.265, -0.457, -0.293, True),  # most of it cancels out
        (-0.177, -0.417, -0.202, True),
        (0.03, 0.02, -0.1, True),  # of the other sign
        (-0.1, -0.12, -0.2, False),  # they add up, nearly
        (-0.05, -0.02, -0.2, False),  # they act together
    ],
)
def test_that_the_sentences_effects_do_not_add_up_is_said_where_they_do_not(first, second, change, is_said):
    said = summary_text(made(first, second, change), SENTENCES)
    assert ("These do not add up" in said) == is_said
    if is_said:
        assert f"alone makes {first:+.3f}, the second {second:+.3f}".replace("-", "−") in said
