"""Colours that text is written in can be read in both themes."""

import tomllib

import pytest
from shared import ROOT

from subemb.ui.widgets.colours import AXES, contrast

THEMES = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"]


@pytest.mark.parametrize("letter", AXES)
def test_axis_letters_can_be_read_in_both_themes(letter):
    for colour, theme in zip(AXES[letter], ("light", "dark"), strict=True):
        for background in ("backgroundColor", "secondaryBackgroundColor"):
            assert contrast(colour, THEMES[theme][background]) >= 4.5


def test_axis_letters_have_different_colours():
    assert len({colour for pair in AXES.values() for colour in pair}) == 2 * len(AXES)
