"""The page Similarity, tab Words: lists of word pairs with human scores, measured on the tables themselves."""

import re

import pandas as pd
import streamlit as st

from ....base.errors import InputError
from ....base.open_server import longest_text
from ....base.text import count_text, escape_markdown, plotly_text, score_text
from ....evaluate.data.pairs import WordSet
from ....evaluate.data.word_lists import demo_words, read_words
from ....evaluate.report import shown_difference
from ....evaluate.similarity.words import WordReport
from ....evaluate.statistics import descending_ranks
from ....models.vocabulary import Vocabulary
from ....tasks.evaluations import evaluate_word_list
from ...shell.frame import Frame
from ...shell.jobs import begin, outcome, outcome_or_offer
from ...shell.text import counted, errors_shown, show_error
from ...shell.uploads import content_of, file_uploader
from ...widgets.charts import show
from ...widgets.labelled_set import as_given, score_cards, verdict
from ...widgets.scores import interval_text, skipped_rows
from . import charts
from .labelled import number_columns

_LINK = "words"  # URL parameter: digest of the list
_CHOSEN = "word_similarity_chosen"  # session state: the WordSet that was given last
_PROBLEM = "word_similarity_problem"
MOST_BYTES = 5_000_000  # of an uploaded list
LONGEST_TEXT = 200_000  # characters of a typed one
PLACEHOLDER = "cup mug 8.5\nriver bridge 4\ndoctor nurse 7.2\nbanana engine 0.3\nhappy cheerful 9"


def words_view(frame: Frame) -> None:
    """The whole tab."""
    st.markdown(
        "Pairs of words with human scores of how alike they are, such as WordSim-353 or SimLex-999. Here the token tables "
        "alone are measured, without the network: a word's vector is the mean of the rows of its pieces. The list below was written to "
        "try this with; it is not a benchmark."
    )
    form(frame)
    if _PROBLEM in st.session_state:
        show_error(st.session_state[_PROBLEM])
    words: WordSet | None = st.session_state.get(_CHOSEN)
    linked = st.query_params.get(_LINK, "")
    with errors_shown():
        report = None
        if words is not None:
            report = computed(frame, words)
            st.query_params[_LINK] = words.digest
        elif re.fullmatch(r"[0-9a-f]{16}", linked):
            report = evaluate_word_list.kept(frame.compared, linked)
            if report is None:
                st.info(
                    "The results of this link are not kept on this server for the run above: give the list of words again.",
                    icon=":material/link_off:",
                )
        else:
            report, words = demonstrated(frame), _demo()
        if report is not None:
            results(as_given(frame, report, words), frame.vocabulary)


@st.cache_data(max_entries=1, show_spinner=False)
def _demo() -> WordSet:
    return demo_words()


def demonstrated(frame: Frame) -> WordReport | None:
    """The result of the demonstration list, which takes a moment and stands there until another list is given."""
    call = evaluate_word_list.call(frame.compared, _demo())
    place = st.empty()
    with place.container():
        found = outcome(frame.visit, call, "Comparing the demonstration list", auto=True)
    if call.job is not None and call.job.state == "failed":
        place.caption(
            f"The English demonstration list cannot be measured with this model: {escape_markdown(call.job.error)}. Give one of its own."
        )
    return found


def form(frame: Frame) -> None:
    """A list to type or to upload, and the button."""
    if "word_similarity_text" not in st.session_state and not st.query_params.get(_LINK):
        demo = _demo()
        rows = zip(demo.first, demo.second, demo.gold, strict=True)
        st.session_state["word_similarity_text"] = "\n".join(f"{first} {second} {gold:g}" for first, second, gold in rows)
    with st.form("word_similarity_form", border=True):
        left, right = st.columns([3, 2], gap="medium")
        typed = left.text_area(
            "Word pairs, one a line: word word score",
            key="word_similarity_text",
            placeholder=PLACEHOLDER,
            height=120,
            persist_state="session",
            help="Separated by blanks, tabs, commas or semicolons. Higher scores mean more alike; any scale will do.",
        )
        upload = file_uploader(
            "Or a file",
            type=["txt", "csv", "tsv"],
            max_upload_size=MOST_BYTES // 1_000_000,
            key="word_similarity_file",
            place=right,
            help="WordSim-353 or SimLex-999 as distributed, or lines of word, word, score. The file is taken if both are given.",
        )
        as_written = right.checkbox(
            "Words as they are written",
            key="word_similarity_as_written",
            persist_state="session",
            help="Otherwise a mark of the part of speech that all words end in, as in moon-n, is left away.",
        )
        pressed = st.form_submit_button("Compare", type="primary", icon=":material/play_arrow:", key="word_similarity_run")
    if not pressed:
        return
    st.session_state.pop(_PROBLEM, None)
    try:
        words = st.session_state[_CHOSEN] = _given(typed, upload, as_written)
        call = evaluate_word_list.call(frame.compared, words)
        if call.kept() is None:
            call.forget()
            begin(frame.visit, call)
    except InputError as error:
        st.session_state.pop(_CHOSEN, None)
        st.session_state[_PROBLEM] = str(error)


def _given(typed: str, upload, as_written: bool) -> WordSet:
    """The list as read. Raises InputError for one that cannot be used."""
    if upload is not None:
        if upload.size > MOST_BYTES:
            raise InputError(
                f"{upload.name} has {count_text(upload.size)} bytes; lists of up to {count_text(MOST_BYTES)} are read"
            )
        return read_words(content_of(upload), upload.name, as_written)
    if not typed.strip():
        raise InputError("there is no list yet; type lines of the form: word word score, or choose a file")
    longest = longest_text(LONGEST_TEXT)
    if len(typed) > longest:
        raise InputError(f"{count_text(len(typed))} characters are more than {count_text(longest)}; give the list as a file")
    return read_words(typed.encode("utf-8", "replace"), "typed words", as_written)


def computed(frame: Frame, words: WordSet) -> WordReport | None:
    """The result; while there is none, progress or an error is drawn. For another run it waits for the button again."""

    def offer() -> None:
        st.caption("Press Compare to measure this list on the run above.")

    call = evaluate_word_list.call(frame.compared, words)
    return outcome_or_offer(frame.visit, call, f"Comparing {counted(len(words), 'word pair')}", offer)


# Results


def results(report: WordReport, vocabulary: Vocabulary) -> None:
    """Cards, sentences, chart and table."""
    st.header(f"{escape_markdown(report.pairs.name)}: {counted(len(report), 'word pair')}", anchor=False)
    st.caption(f"{pieces_text(report)} They are cut as inside a sentence, with the blank before a word. Scores x 100.")
    if report.unknown:
        left_out = len(report.pairs) - len(report)
        with st.expander(
            f"{counted(left_out, 'pair')} left out: {counted(len(report.unknown), 'word')} unknown to the tokenizer"
        ):
            shown = report.unknown[:200]
            st.text(", ".join(shown) + (" …" if len(shown) < len(report.unknown) else ""))
    for note in report.pairs.notes:
        st.caption(escape_markdown(note.sentence(on_page=True)))
    for remark in report.remarks:
        st.warning(escape_markdown(remark.sentence(on_page=True)), icon=":material/rule:")
    skipped_rows(report.pairs.skipped, len(report.pairs))
    verdict(report)
    score_cards(report, "{} table")
    reference = report.sides[0]
    by_pieces(report)
    table = words_table(report, vocabulary)
    for place, side in enumerate(report.sides[1:]):
        figure = charts.cosine_scatter(
            *(report.cosines[one] for one in (reference, side)),
            report.gold,
            [f"{plotly_text(a)} – {plotly_text(b)}" for a, b in zip(table["word 1"], table["word 2"], strict=True)],
            (reference, side),
        )
        alt = f"Cosines of {counted(len(report), 'word pair')}, {reference} across and {side} up, coloured by gold"
        show(figure, alt, table.drop(columns="place"), f"word_similarity_scatter_{place}", "words.csv")
        st.markdown(
            f"**Pairs that moved most** from {escape_markdown(reference)} to {escape_markdown(side)}: by how many places, when all "
            "pairs are ordered by cosine. Above 0 a pair now counts as less similar."
        )
        _moved(table.iloc[report.moved(side, 50)].drop(columns="place"), f"word_similarity_moved_{place}")


def pieces_text(report: WordReport) -> str:
    """How many words there are, and into how many pieces the tokenizer cuts them, in a sentence."""
    words, counts = len(report.pieces) + len(report.unknown), report.piece_counts
    unknown = f"; {counted(len(report.unknown), 'word')} unknown" if report.unknown else ""
    if list(counts) == [1] and not unknown:
        return f"{counted(words, 'different word')}, {'each ' if words > 1 else ''}one token."
    parts = [
        f"{count_text(count)} {'are' if count > 1 else 'is'} {'one token' if number == 1 else f'cut into {count_text(number)} pieces'}"
        for number, count in counts.items()
    ]
    return f"{counted(words, 'different word')}: {', '.join(parts)}{unknown}."


def by_pieces(report: WordReport) -> None:
    """Scores of pairs of one-piece words, and of pairs with a word of several pieces."""
    if not report.by_pieces:
        return
    several = report.has_several_pieces
    sizes = dict(zip(report.by_pieces, (int((~several).sum()), int(several.sum())), strict=True))
    reference, rows = report.sides[0], []
    for kind, found in report.by_pieces.items():
        row = {"pairs of which": kind, "pairs": sizes[kind]}
        row |= {f"Spearman {side}": score_text(found[side].values["spearman"]) for side in report.sides}
        for side in report.sides[1:]:
            row[f"{side} against {reference}"] = interval_text(
                found[side].differences["spearman"], shown_difference(found[reference], found[side], "spearman")
            )
        rows.append(row)
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="word_similarity_pieces",
        alt="Spearman of pairs of one-piece words, and of pairs with a word of several pieces",
    )


def words_table(report: WordReport, vocabulary: Vocabulary) -> pd.DataFrame:
    """Measured pairs with pieces, gold, cosines and ranks. ``place``: (m,) of the pair in the list."""

    def pieces(word: str) -> str:
        return " · ".join(vocabulary.display[number] for number in report.pieces[word])

    first = [report.pairs.first[place] for place in report.used]
    second = [report.pairs.second[place] for place in report.used]
    columns = {
        "place": report.used,
        "word 1": first,
        "word 2": second,
        "gold": report.gold,
        "pieces 1": [pieces(word) for word in first],
        "pieces 2": [pieces(word) for word in second],
        **{f"cosine {side}": report.cosines[side] for side in report.sides},
    }
    ranks = {side: descending_ranks(report.cosines[side]) for side in report.sides}
    columns |= {f"rank {side}": ranks[side] for side in report.sides}
    for side in report.sides[1:]:
        columns["moved" if len(report.sides) == 2 else f"moved {side}"] = ranks[side] - ranks[report.sides[0]]
    return pd.DataFrame(columns)


def _moved(table: pd.DataFrame, key: str) -> None:
    config = number_columns(table) | {
        name: st.column_config.TextColumn(width=110) for name in table if name.startswith("word ")
    }
    first = [name for start in ("word ", "moved", "gold", "cosine ") for name in table if name.startswith(start)]
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        height=min(420, 38 + 35 * len(table)),
        column_config=config,
        column_order=[*first, *(name for name in table if name not in first)],
        alt="Word pairs whose cosine changed rank most, with gold, pieces, cosines and ranks",
    )
