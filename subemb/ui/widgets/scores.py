"""What results on labelled sets share, whatever was measured: how sides look, sentences that explain an interval or a test, names of
languages, rows that were left out. The view that puts them together is in :mod:`.labelled_set`."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ...base.text import escape_markdown, p_text, score_text
from ...evaluate.data.pairs import Skipped
from ...evaluate.statistics import Interval, McNemar
from ..shell.text import counted
from .charts import COMPRESSED, ORIGINAL, PALETTE, chart_places, download_csv

#: Colour of a side by its place: the original's and the compressed one's on all pages, then others.
SIDE_COLOURS = (ORIGINAL, COMPRESSED, *PALETTE[2:])
#: So that sides can be told apart without colour: a pattern of bars, and a symbol of points.
SIDE_PATTERNS = ("", "/", ".", "x")
SIDE_SYMBOLS = ("circle", "diamond", "square", "triangle-up")

#: English names of the languages in which labelled pairs are commonly distributed, by ISO 639-1 code.
LANGUAGE_NAMES = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "ha": "Hausa",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ka": "Georgian",
    "km": "Khmer",
    "ko": "Korean",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "ml": "Malayalam",
    "mr": "Marathi",
    "my": "Burmese",
    "ne": "Nepali",
    "nl": "Dutch",
    "no": "Norwegian",
    "pa": "Punjabi",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "und": "language not given",
    "ur": "Urdu",
    "uz": "Uzbek",
    "vi": "Vietnamese",
    "yo": "Yoruba",
    "zh": "Chinese",
    "zu": "Zulu",
}


def bar_marker(colour: str, place: int, opacity: float) -> dict:
    """The marker of a bar: its colour, and over it the pattern of its place in white of this opacity."""
    pattern = {"shape": SIDE_PATTERNS[place % 4], "size": 7, "fillmode": "overlay", "fgcolor": f"rgba(255,255,255,{opacity})"}
    return {"color": colour, "pattern": pattern}


def language_name(code: str) -> str:
    """The name of a language with its code, or the code alone if it is unknown.

    >>> language_name("sw"), language_name("tlh")
    ('Swahili (sw)', 'tlh')
    """
    name = LANGUAGE_NAMES.get(code.lower().split("-")[0].split("_")[0])
    return code if name is None else name if code == "und" else f"{name} ({code})"


def per_cent(value: float, digits: int = 1) -> str:
    """A share as per cent.

    >>> per_cent(0.6314), per_cent(float("nan"))
    ('63.1 %', 'undefined')
    """
    return "undefined" if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def range_text(interval: Interval) -> str:
    """The ends of an interval, in points.

    >>> range_text(Interval(-0.032, -0.045, -0.019))
    '−4.5 to −1.9'
    """
    return f"{score_text(interval.low, signed=True)} to {score_text(interval.high, signed=True)}"


def interval_text(interval: Interval, change: str) -> str:
    """A difference with its interval, in points. change: as :func:`subemb.evaluate.report.shown_difference`.

    >>> interval_text(Interval(-0.032, -0.045, -0.019), "−3.3")
    '−3.3 points (95 % interval −4.5 to −1.9)'
    """
    if math.isnan(interval.low):
        return f"{change} points (no interval: too few pairs)"
    return f"{change} points ({100 * interval.level:g} % interval {range_text(interval)})"


def interval_sentence(side: str, interval: Interval, change: str, metric: str = "accuracy", reference: str = "original") -> str:
    """What a difference and its interval mean, for a reader who has never seen one. Names are escaped for markdown.

    change: as :func:`subemb.evaluate.report.shown_difference`.

    >>> interval_sentence("compressed", Interval(-0.032, -0.045, -0.019), "−3.3")[:52]
    '**compressed** has 3.3 points less accuracy than ori'
    """
    name, reference = escape_markdown(side), escape_markdown(reference)
    if math.isnan(interval.difference):
        return f"**{name}**: the difference in {metric} is undefined on these pairs."
    amount = change.lstrip("−+")
    if float(amount) == 0:
        says = f"**{name}** has the same {metric} as {reference}, to a tenth of a point"
    else:
        says = f"**{name}** has {amount} points {'less' if change.startswith('−') else 'more'} {metric} than {reference}"
    if math.isnan(interval.low):
        return f"{says}. There are too few pairs to say how sure that is."
    if interval.low == interval.high == 0:
        return f"{says}: no pair is judged differently, so there is nothing that chance could change."
    reading = (
        "the choice of pairs alone hardly explains it"
        if interval.excludes_zero
        else "the interval holds 0, so the choice of pairs alone may explain it"
    )
    return (
        f"{says}. Drawn anew at random, the pairs give {range_text(interval)} points in "
        f"{100 * interval.level:g} of 100 draws (paired bootstrap, {interval.resamples:,} draws, seed {interval.seed}): {reading}."
    )


def mcnemar_sentence(side: str, test: McNemar, reference: str = "original", interval: Interval | None = None) -> str:
    """McNemar's exact test in words. Names are escaped for markdown. interval: of the same difference, with which it may disagree.

    >>> mcnemar_sentence("compressed", McNemar(0, 0, 1.0))
    'No pair is right on one side only, so there is nothing for McNemar’s test to weigh.'
    """
    one_side = test.only_first_right + test.only_second_right
    if not one_side:
        return "No pair is right on one side only, so there is nothing for McNemar’s test to weigh."
    chance = "under 0.01" if 100 * test.p_value < 0.01 else f"{100 * test.p_value:.2g}" if test.p_value < 0.995 else "100"
    verdict = "hardly chance" if test.p_value < 0.05 else "so chance may explain it"
    if interval is not None and not math.isnan(interval.low) and interval.excludes_zero != (test.p_value < 0.05):
        verdict = "the interval and the test disagree, as they may so near their limits, so take the difference as not sure"
    return (
        f"{counted(one_side, 'pair')} {'is' if one_side == 1 else 'are'} right on one side only: "
        f"{test.only_first_right:,} on {escape_markdown(reference)}, {test.only_second_right:,} on {escape_markdown(side)}. If both "
        f"sides were equally good, a split at least as uneven would come up in {chance} of 100 cases (McNemar’s exact test, "
        f"p = {p_text(test.p_value)}): {verdict}."
    )


def skipped_rows(skipped: Sequence[Skipped], pairs: int) -> None:
    """Rows that were not read, by reason; nothing if all were."""
    count = sum(entry.count for entry in skipped)
    if not count:
        return
    with st.expander(f"{counted(count, 'row')} of the data left out, {counted(pairs, 'pair')} used", icon=":material/rule:"):
        table = pd.DataFrame(
            {
                "reason": [entry.reason for entry in skipped],
                "rows": [entry.count for entry in skipped],
                "first lines": [", ".join(f"{line:,}" for line in entry.lines) for entry in skipped],
            }
        )
        st.dataframe(table, hide_index=True, alt="Rows left out, by reason, with the first line numbers")


def side_columns(
    figures: Mapping[str, go.Figure], alts: Mapping[str, str], table: pd.DataFrame, key: str, file_name: str | None = None
) -> None:
    """One chart a side, side by side (on a narrow page one below the other), and one table behind all of them."""
    for place, (column, (side, figure)) in enumerate(zip(chart_places(len(figures)), figures.items(), strict=True)):
        column.plotly_chart(
            figure, key=f"{key}_{place}", alt=alts[side], config={"displaylogo": False, "displayModeBar": False}
        )
    with st.expander(f"Table behind these charts ({counted(len(table), 'row')})"):
        st.dataframe(
            table, hide_index=True, height=min(320, 38 + 35 * max(1, len(table))), key=f"{key}_table", alt=alts_of(alts)
        )
        download_csv(table, file_name or f"{key}.csv", key=f"{key}_download")


def alts_of(alts: Mapping[str, str]) -> str:
    """The text alternatives of several charts as one."""
    return "; ".join(alts.values())
