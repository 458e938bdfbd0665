"""A visitor's own files of sentence pairs: uploading, what was recognised, and a column mapping to correct."""

import hashlib

import pandas as pd
import streamlit as st

from ..base.errors import InputError
from ..evaluate.data.pairs import PairSet, combine
from ..evaluate.data.read import Preview, preview, read_pairs
from ..evaluate.data.recognise import Columns
from ..format import size_text
from ..models.vocabulary import escape_markdown
from .shell.text import show_error

TYPES = ["csv", "tsv", "txt", "jsonl", "ndjson", "json", "parquet"]
MOST_MEGABYTES = 20  # a file; what the server's maxUploadSize allows
MOST_FILES = 20
MOST_TOTAL_BYTES = 60_000_000  # of all files together, which the server holds for each visitor
_NO_LANGUAGE = "none"


def uploaded_pairs(task: str, key: str, linked: str | None) -> PairSet | None:
    """The pairs of the files given, all together; None while there are none. linked: the file that the link is about."""
    st.file_uploader(
        "Files with labelled pairs",
        type=TYPES,
        accept_multiple_files=True,
        key=f"{key}_upload",
        max_upload_size=MOST_MEGABYTES,
        on_change=_take,
        args=(key,),
        help="STS benchmark, stsb-multi-mt, SICK, GLUE (STS-B, MRPC, QQP, RTE, QNLI, WNLI), PAWS-X, SNLI, MultiNLI and XNLI as they "
        "are distributed, or any table as CSV, TSV, JSON lines or Parquet. Several files, one a language, are taken together.",
    )
    files: list[tuple[str, bytes]] = st.session_state.get(f"{key}_files", [])
    if not files:
        _ask(linked)
        return None
    if not st.session_state.get(f"{key}_upload"):  # the widget forgets when another page is visited
        _kept(files, key)
    if len(files) > MOST_FILES or sum(len(content) for _, content in files) > MOST_TOTAL_BYTES:
        total = size_text(sum(len(content) for _, content in files))
        raise InputError(
            f"{len(files)} files with {total} are too many: at most {MOST_FILES} files and {size_text(MOST_TOTAL_BYTES)} together; "
            "take some away"
        )
    columns = _mapping(files, task, key)
    sets = []
    for name, content in files:
        try:
            sets.append(_read(hashlib.sha256(content).hexdigest(), name, task, columns, content))
        except InputError as error:
            show_error(f"{error}")
    if 0 < len(sets) < len(files):
        st.caption(f"{len(sets)} of {len(files)} files are used.")
    return combine(sets) if sets else None


def _take(key: str) -> None:
    """Keep what was uploaded, or let it go when the visitor takes it away."""
    given = st.session_state.get(f"{key}_upload") or []
    st.session_state[f"{key}_files"] = [(entry.name, entry.getvalue()) for entry in given]


def _ask(linked: str | None) -> None:
    if linked:
        st.info(
            f"This link is about **{escape_markdown(linked)}**, a file that is not part of the link. Give that file here to compute "
            "with it anew; results that this server has kept are shown without it.",
            icon=":material/link:",
        )
    else:
        st.caption(f"Up to {MOST_MEGABYTES} MB each, UTF-8. What was recognised and what had to be left out is shown here.")


def _kept(files: list[tuple[str, bytes]], key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Given before: {escape_markdown(', '.join(name for name, _ in files))}", width="content")
        if st.button("Remove", icon=":material/close:", key=f"{key}_remove"):
            st.session_state[f"{key}_files"] = []
            st.rerun()


@st.cache_data(max_entries=8, show_spinner="Reading the file")
def _read(digest: str, name: str, task: str, columns: Columns | None, _content: bytes) -> PairSet:
    """``digest``, of the content, is what the cache goes by."""
    return read_pairs(_content, name, task, columns)


@st.cache_data(max_entries=16, show_spinner=False)
def _preview(digest: str, name: str, task: str, _content: bytes) -> Preview:
    return preview(_content, name, task)


def _mapping(files: list[tuple[str, bytes]], task: str, key: str) -> Columns | None:
    """The visitor's columns, or None for those that were recognised. One mapping for all files, by the first that can be read."""
    found = None
    for name, content in files:
        try:
            found = _preview(hashlib.sha256(content).hexdigest(), name, task, content)
            break
        except InputError:
            continue  # said when it is read
    if found is None or len(found.header) < 3:
        return None
    mark = hashlib.sha256(repr(found.header).encode()).hexdigest()[:8]
    unknown = found.columns is None
    with st.expander(
        "Columns: say which ones to read" if unknown else f"Columns: {_columns_text(found.columns)}",
        expanded=unknown,
        icon=":material/table:",
        key=f"{key}_columns_{mark}",
    ):
        columns = _mapping_widgets(found, task, f"{key}_{mark}")
        if len(files) > 1:
            st.caption(f"The first rows of {escape_markdown(name)}. A choice of other columns holds for all files.")
        return columns


def _columns_text(columns: Columns) -> str:
    return escape_markdown(", ".join(part for part in (columns.first, columns.second, columns.gold, columns.language) if part))


def _mapping_widgets(found: Preview, task: str, key: str) -> Columns | None:
    roles = (
        ("Premise", "Hypothesis", "Label") if task == "entailment" else ("First sentence", "Second sentence", "Score or label")
    )
    table = pd.DataFrame(
        [[*row[: len(found.header)], *[""] * (len(found.header) - len(row))] for row in found.rows], columns=list(found.header)
    )
    st.dataframe(table, hide_index=True, key=f"{key}_rows", alt="The first rows of the file, with its columns")
    if not found.has_header:
        st.caption("The file has no header; its columns are numbered.")
    if found.left_out:
        st.caption(escape_markdown(f"Columns with neither text nor numbers cannot be read: {', '.join(found.left_out[:20])}."))
    guess = (found.columns.first, found.columns.second, found.columns.gold) if found.columns else (None,) * 3
    with st.container(horizontal=True):
        chosen = [
            st.selectbox(
                role,
                list(found.header),
                index=found.header.index(column) if column else None,
                key=f"{key}_{role}",
                persist_state="session",
                placeholder="choose a column",
                width=190,
            )
            for role, column in zip(roles, guess, strict=True)
        ]
        language_guess = found.columns.language if found.columns else None
        language = st.selectbox(
            "Language",
            [_NO_LANGUAGE, *found.header],
            index=1 + found.header.index(language_guess) if language_guess else 0,
            key=f"{key}_Language",
            persist_state="session",
            width=190,
            help="A column with a language code for each pair, if there is one.",
        )
    if None in chosen:
        return None
    columns = Columns(*chosen, None if language == _NO_LANGUAGE else language)
    return None if columns == found.columns else columns
