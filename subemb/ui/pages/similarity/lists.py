"""The page Similarity, lists of sentences: heat maps of every side, nearest sentences, and what changed rank."""

import numpy as np
import streamlit as st

from ....evaluate.similarity.sentences import MOST_SENTENCES, ListComparison, checked_list
from ....format import count_text
from ....tasks.sides import Subject
from ...list_charts import MOST_MOVED, common_scale, difference_table, heat_map, matrix_table, moved_table, nearest_table
from ...shell.frame import Frame
from ...shell.work import Work, begin, subject_of
from ...token_effects import signed
from ...widgets.charts import chart_places, download_csv, show
from ...widgets.sentence_inputs import cutter, say_cut, take_up, write_link
from .pair import example_pairs, explain_no_sentences, outcome_or_reason

FIRST, SECOND = "lists_first", "lists_second"
LONGEST_LIST = 100_000  # characters
EXAMPLES = 8  # pairs of the demonstration set that are filled in


def lists_view(frame: Frame) -> None:
    """Two lists, or one against itself."""
    if not frame.model.has_tokenizer:
        explain_no_sentences(frame)
        return
    first, second, pressed = read_lists()
    if not first:
        st.info("Paste sentences, one a line, and press **Compare the lists**.", icon=":material/edit:")
        return
    work = work_for(subject_of(frame), first, second)
    if pressed:
        checked_list(first, "The first list")
        if second:
            checked_list(second, "The second list")
        begin(frame, work)
    result = outcome_or_reason(frame, work)
    if result is not None:
        lists_result(result)


def work_for(subject: Subject, first: list[str], second: list[str]) -> Work:
    """The job of two lists; an empty second one means the first against itself."""
    return Work(
        ("similarity lists", subject.content, tuple(first), tuple(second)),
        "subemb.tasks.similarity:compare_lists",
        {"subject": subject, "first": first, "second": second or None},
        "Comparing the lists",
    )


@st.cache_data(max_entries=1, show_spinner=False)
def example_lists() -> tuple[str, str]:
    """English pairs from all over the demonstration set, one list of either half."""
    english = [pair for pair in example_pairs() if pair[0] in ("en", "")]
    chosen = [english[i] for i in np.linspace(0, len(english) - 1, min(EXAMPLES, len(english))).round().astype(int)]
    return "\n".join(first for _, first, _ in chosen), "\n".join(second for _, _, second in chosen)


def read_lists() -> tuple[list[str], list[str], bool]:
    """Both lists as sentences, and whether the button was pressed. They are taken from the link, and written to it."""
    defaults = dict(zip((FIRST, SECOND), zip(("list1", "list2"), example_lists(), strict=True), strict=True))
    take_up(defaults, LONGEST_LIST)
    labels = ("First list, one sentence a line", "Second list, or empty for the first against itself")
    with st.form("lists", border=False):
        texts = [
            column.text_area(label, key=key, height=190, persist_state="session")
            for column, label, key in zip(st.columns(2), labels, defaults, strict=True)
        ]
        pressed = st.form_submit_button(
            "Compare the lists", type="primary", icon=":material/grid_on:", on_click=cutter(defaults, LONGEST_LIST)
        )
    kept = []
    for key, text, what in zip(defaults, texts, ("The first list", "The second list"), strict=True):
        say_cut(key, LONGEST_LIST, what)
        kept.append(lines_of(text, what))
    write_link({name: (text, default) for (name, default), text in zip(defaults.values(), texts, strict=True)})
    return *kept, pressed


def lines_of(text: str, what: str) -> list[str]:
    """Sentences of a pasted list, blank lines left out, MOST_SENTENCES at most; says so where there are more."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_SENTENCES:
        st.warning(
            f"{what} has {count_text(len(lines))} sentences; the first {MOST_SENTENCES} are compared.",
            icon=":material/content_cut:",
        )
    return lines[:MOST_SENTENCES]


# What came out


def lists_result(found: ListComparison) -> None:
    """Heat maps, nearest sentences and ranks."""
    scale = common_scale(found)
    for column, (side, matrix) in zip(chart_places(len(found.sides)), found.matrices.items(), strict=True):
        with column:
            show(
                heat_map(found, matrix, f"Cosines, {side}", scale),
                f"Heat map of {matrix.shape[0]} by {matrix.shape[1]} cosines, {side}: from {matrix.min():.3f} to {matrix.max():.3f}.",
                matrix_table(found, matrix),
                key=f"lists_{side}",
                file_name=f"subemb-cosines-{side}.csv",
            )
    st.caption("All sides have the same colour scale. Sentences are numbered in their order; point at a cell to read both.")
    for side in found.sides[1:]:
        side_view(found, side)


def side_view(found: ListComparison, side: str) -> None:
    """What one side changed against the first."""
    difference = found.difference(side)
    reach = max(float(np.abs(difference).max()), 1e-4)
    reference = found.sides[0]
    show(
        heat_map(found, difference, f"Difference: {side} minus {reference}", (-reach, reach), diverging=True),
        f"Heat map of the differences between {side} and {reference}: from {difference.min():+.3f} to {difference.max():+.3f}.",
        difference_table(found, side),
        key=f"lists_difference_{side}",
        file_name=f"subemb-cosine-differences-{side}.csv",
    )
    nearest = nearest_table(found, side)
    changed = int((nearest["nearest changed"] == "changed").sum())
    st.subheader("Nearest sentences", anchor=False)
    st.markdown(
        f"**{changed} of {len(nearest)}** sentences have another nearest sentence on the {side} side. Cosines moved by "
        f"{np.abs(difference).mean():.3f} on average, {signed(float(difference.mean()))} with their sign."
    )
    st.dataframe(
        nearest.style.apply(_mark_changed, axis=1).format(precision=3),
        hide_index=True,
        column_config=_widths(nearest),
        key=f"lists_nearest_{side}",
        alt=f"Nearest sentence of each sentence, {reference} and {side}",
    )
    download_csv(nearest, f"subemb-nearest-{side}.csv", key=f"lists_nearest_download_{side}")
    moved = moved_table(found, side)
    st.subheader("What changed rank", anchor=False)
    if moved.empty:
        st.markdown("Every sentence ranks the others as before.")
        return
    total = int((found.rank_changes(side) != 0).sum())
    st.markdown(
        f"**{count_text(total)}** of {count_text(int((found.ranks[side] > 0).sum()))} ranks changed. Rank 1 is the nearest sentence"
        + (f"; the {MOST_MOVED} largest moves are listed." if total > MOST_MOVED else ".")
    )
    st.dataframe(
        moved.style.format(precision=3),
        hide_index=True,
        column_config=_widths(moved),
        key=f"lists_moved_{side}",
        alt="Pairs whose rank changed most",
    )
    download_csv(moved, f"subemb-rank-changes-{side}.csv", key=f"lists_moved_download_{side}")


def _widths(table) -> dict:
    """Columns of sentences narrow enough that what changed is seen beside them."""
    of_text = ("sentence", "compared with", "nearest,")
    return {name: st.column_config.Column(width=190) for name in table.columns if name.startswith(of_text)}


def _mark_changed(row) -> list[str]:
    """Bold where another sentence is nearest now; the column says it in words too."""
    return ["font-weight: 700; background-color: rgba(187, 129, 0, 0.18)" if row["nearest changed"] == "changed" else ""] * len(
        row
    )
