"""Choosing a labelled set on a page: the demonstration set, a visitor's own files, or a data set of the Hugging Face hub.

The URL says what is chosen. It cannot hold files: it then has the set's name and digest, by which a page finds results that
are kept (:func:`linked_digest`), and a visitor without the file is told which one to give.
"""

import hashlib
import itertools
import re
import sys

import pandas as pd
import streamlit as st

from ...base.errors import InputError
from ...base.open_server import is_public, upload_limits
from ...base.text import escape_markdown, size_text
from ...evaluate.data.hub import read_hub_pairs, validate_data_id
from ...evaluate.data.kinds import KINDS
from ...evaluate.data.languages import in_languages
from ...evaluate.data.pairs import ALL_LANGUAGES, SEPARATORS, UNKNOWN_LANGUAGE, Columns, PairSet, Reading, combine, skipped_text
from ...evaluate.data.read import Preview, demo_pairs, preview, read_pairs
from ...evaluate.data.tables import MOST_BYTES
from ...evaluate.data.values import labels_of
from ...evaluate.similarity.demonstration import own_languages
from ...models.hub import validate_revision
from ..shell.frame import Frame
from ..shell.jobs import begin, outcome
from ..shell.text import counted, show_error, write_parameters
from ..shell.uploads import Content, content_of, file_uploader, hold, read_once
from .settings import linked_number

TYPES = ["csv", "tsv", "txt", "jsonl", "ndjson", "json", "parquet"]
MOST_FILES = 20
JUDGED = 100  # pairs of a language by which it is found out whether it is one of the model's own
MOST_TOTAL_BYTES = 60_000_000  # of all files together, which the server holds for each visitor
DEMO, FILES, HUB = "Demonstration set", "Your files", "Hugging Face hub"
DEFAULT_LIMIT = 2_000
LIMITS = (DEFAULT_LIMIT, 200, 500, 1_000, 5_000, 10_000, 50_000)
ALL = 0
_NO_LANGUAGE = "none"


def choose_pairs(frame: Frame, task: str, key: str) -> PairSet | None:
    """Draw the choice and return the pairs to use, or None while there are none (then the page has said what to do).

    task: ``similarity`` (also offers paraphrase sets; look at the result's ``task``) or ``entailment``.
    key: starts the names of the URL's parameters; one for each place where pairs are chosen.
    """
    pairs = None
    with frame.errors(), st.container(border=True, key=f"{key}_box"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            source = st.segmented_control(
                "Sentence pairs from",
                [DEMO, FILES] if is_public() else [DEMO, FILES, HUB],
                default=DEMO,
                required=True,
                label_visibility="collapsed",
                key=f"{key}_source",
                bind="query-params",
                persist_state="session",
            )
            if source == DEMO:
                st.caption(
                    "Written for this project, to try the page with. Scores on it cannot be compared with published ones."
                )
        if source == FILES:
            pairs = uploaded_pairs(task, key, _linked_name(key))
        elif source == HUB:
            pairs = hub_pairs(frame, task, key)
        else:
            pairs = _demo(task)
        if pairs is not None:
            describe(pairs)
            is_one_each = source == FILES and len(st.session_state.get(f"{key}_files", [])) > 1
            pairs = _sampled(frame, pairs, key, is_one_each)
    if source == FILES:
        _link(key, pairs)
    else:
        _forget_link(key)
    return pairs


@st.cache_data(max_entries=2, show_spinner=False)
def _demo(task: str) -> PairSet:
    return demo_pairs(task)


def describe(pairs: PairSet) -> None:
    """What was read: name, format, how many pairs in which languages, what was left out and why."""
    languages = list(dict.fromkeys(pairs.languages))
    parts = [pairs.format, KINDS[pairs.task].title, counted(len(pairs), "pair")]
    if pairs.labels:
        parts.append(f"{len(pairs.labels)} labels")
    if languages:
        parts.append(f"language{'s' if len(languages) > 1 else ''} {', '.join(map(_language_text, languages[:30]))}")
    st.markdown(f"**{escape_markdown(pairs.name)}** · {escape_markdown(' · '.join(parts))}")
    for note in pairs.notes:
        st.caption(escape_markdown(note.sentence(on_page=True)))
    if pairs.skipped:
        st.warning(
            f"{counted(pairs.skipped_count, 'row')} left out. {escape_markdown(skipped_text(pairs.skipped))}",
            icon=":material/filter_alt:",
        )


def _sampled(frame: Frame, pairs: PairSet, key: str, is_one_each: bool) -> PairSet:
    """The pairs of the chosen languages, and of those at most as many as wanted. is_one_each: whether several files were given, as one a
    language; then all languages are used unless some are chosen."""
    languages = list(dict.fromkeys(pairs.languages))
    whole = pairs
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(languages) > 1:
            every = is_one_each or frame.run is None  # without a model nothing tells which languages are its own
            default = (ALL_LANGUAGES,) if every else default_languages(frame.model, pairs)
            pairs = _in_chosen_languages(pairs, languages, f"{key}_languages", default)
        limit = st.selectbox(
            "Pairs to use at most",
            [*LIMITS, ALL],
            format_func=lambda number: f"{number:,}" if number else "all",
            key=f"{key}_limit",
            bind="query-params",
            persist_state="session",
            width=170,
            help="More pairs take longer and make the intervals narrower.",
        )
        seed = linked_number(
            "Seed of the sample",
            min_value=0,
            max_value=2**32 - 1,
            step=1,
            key=f"{key}_seed",
            persist_state="session",
            width=150,
        )
        used = pairs.sample(limit, int(seed or 0)) if limit else pairs
        if len(used) < len(pairs):
            st.caption(f"{len(used):,} of {counted(len(pairs), 'pair')}, seed {int(seed or 0)}.", width="content")
        elif len(used) < len(whole):
            st.caption(f"{len(used):,} of {counted(len(whole), 'pair')}, the languages chosen.", width="content")
        else:
            st.caption(f"All {counted(len(used), 'pair')} are used.", width="content")
    for note in pairs.notes[len(whole.notes) :]:
        st.caption(escape_markdown(note.sentence(on_page=True)))
    return used


def default_languages(model, pairs: PairSet) -> tuple[str, ...]:
    """The languages in which a set in several is read while none is chosen: those that the model is made for. (): in one of them."""
    own = _own_languages(model.identity, pairs.digest, model, pairs) if model.has_tokenizer else ()
    return () if own == ("en",) else tuple(language for language in dict.fromkeys(pairs.languages) if language in own)


@st.cache_data(max_entries=32, show_spinner=False)
def _own_languages(identity: str, digest: str, _model, _pairs: PairSet) -> tuple[str, ...]:
    """By how the tokenizer cuts the first pairs of each language."""
    parts = [part.select(list(range(min(JUDGED, len(part))))) for part in _pairs.by_language().values()]
    return own_languages(_model, combine(parts))


def _in_chosen_languages(pairs: PairSet, languages: list[str], key: str, default: tuple[str, ...]) -> PairSet:
    """The pairs in the languages chosen, or in the default ones while none is."""
    options = [ALL_LANGUAGES, *languages]
    if key in st.session_state:  # another set may not have them all
        st.session_state[key] = [language for language in st.session_state[key] or [] if language in options]
    found = in_languages(pairs, default)
    used = list(dict.fromkeys(found.languages))
    named = f"all {len(used)}" if len(used) == len(languages) else f"{', '.join(used)}, of {len(languages)}"
    chosen = st.multiselect(
        "Languages",
        options,
        format_func=_language_text,
        key=key,
        bind="query-params",
        persist_state="session",
        placeholder=named,
        width=300,
        help="A model says little about languages it was not made for, so a set in several is read in the model's own unless you choose.",
    )
    return in_languages(pairs, chosen) if chosen else found


def _language_text(code: str) -> str:
    return "not given" if code == UNKNOWN_LANGUAGE else code


# Files


def uploaded_pairs(task: str, key: str, linked: str | None) -> PairSet | None:
    """The pairs of the files given, all together; None while there are none. linked: name of the file in the link."""
    file_uploader(
        "Files with labelled pairs",
        type=TYPES,
        accept_multiple_files=True,
        key=f"{key}_upload",
        on_change=_take,
        args=(key,),
        help="STS benchmark, stsb-multi-mt, SICK, GLUE (STS-B, MRPC, QQP, RTE, QNLI, WNLI), PAWS-X, SNLI, MultiNLI and XNLI as they "
        "are distributed, or any table as CSV, TSV, JSON lines or Parquet. Several files, one a language, are taken together.",
    )
    problem = st.session_state.get(f"{key}_problem")
    if problem:
        raise InputError(problem)
    files: list[tuple[str, Content]] = st.session_state.get(f"{key}_files", [])
    if not files:
        _ask(linked)
        return None
    if not st.session_state.get(f"{key}_upload"):  # the widget forgets when another page is visited
        _given_before(files, key)
    if len(files) > MOST_FILES or sum(len(content) for _, content in files) > MOST_TOTAL_BYTES:
        total = size_text(sum(len(content) for _, content in files))
        raise InputError(
            f"{len(files)} files with {total} are too many: at most {MOST_FILES} files and {size_text(MOST_TOTAL_BYTES)} together; "
            "take some away"
        )
    reading = _reading(f"{key}_written")
    columns = _mapping(files, task, reading, key)
    sets = []
    for name, content in files:
        try:
            sets.append(_read(content, name, task, columns, reading))
        except InputError as error:
            show_error(f"{error}")
    if 0 < len(sets) < len(files):
        st.caption(f"{len(sets)} of {len(files)} files are used.")
    return combine(sets) if sets else None


def _take(key: str) -> None:
    """Remember the uploaded files, or forget them when the visitor removes them."""
    given = st.session_state.get(f"{key}_upload") or []
    st.session_state[f"{key}_files"], st.session_state[f"{key}_problem"] = [], None
    try:
        st.session_state[f"{key}_files"] = [(entry.name, hold(content_of(entry))) for entry in given]
    except InputError as error:  # the server holds too much; said where files are shown
        st.session_state[f"{key}_problem"] = str(error)


def _ask(linked: str | None) -> None:
    if linked:
        st.info(
            f"This link is about **{escape_markdown(linked)}**, a file that is not part of the link. Give that file here to compute "
            "with it again; results that this server has kept are shown without it.",
            icon=":material/link:",
        )
    else:
        st.caption(
            f"Up to {upload_limits().of_a_file >> 20} MB each, UTF-8. What was recognised and what had to be left out is shown here."
        )


def _given_before(files: list[tuple[str, Content]], key: str) -> None:
    """Names of the files given before, and a button that removes them."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Given before: {escape_markdown(', '.join(name for name, _ in files))}", width="content")
        if st.button("Remove", icon=":material/close:", key=f"{key}_remove"):
            st.session_state[f"{key}_files"] = []
            st.rerun()


def _read(content: Content, name: str, task: str, columns: Columns | None, reading: Reading) -> PairSet:
    """The rows of a file."""

    def rows() -> PairSet:
        with st.spinner("Reading the file"):
            return read_pairs(content.data, name, task, columns, reading=reading)

    return read_once(content, (name, task, columns, reading), rows, _bytes_of)


def _bytes_of(pairs: PairSet) -> int:
    return sum(map(sys.getsizeof, itertools.chain(pairs.first, pairs.second))) + 3 * 8 * len(pairs)


@st.cache_data(max_entries=16, show_spinner=False)
def _preview(digest: str, name: str, task: str, reading: Reading, _content: Content) -> Preview:
    return preview(_content.data, name, task, reading)


_FOUND_OUT = "found out"


def _reading(key: str) -> Reading:
    """What the visitor says about how the files are written. Raises InputError for labels that say nothing."""
    with st.expander("How the file is written", icon=":material/edit_note:", key=f"{key}_box"), st.container(horizontal=True):
        header = st.selectbox(
            "First line", [_FOUND_OUT, "names of columns", "a pair"], key=f"{key}_header", persist_state="session", width=190
        )
        separator = st.selectbox(
            "Fields are separated by", [_FOUND_OUT, *SEPARATORS], key=f"{key}_separator", persist_state="session", width=190
        )
        labels = st.text_input(
            "What the labels mean",
            key=f"{key}_labels",
            persist_state="session",
            max_chars=300,
            placeholder="0=entailment, 1=neutral, 2=contradiction",
            width=330,
            help="Needed where the file does not say it. Also not_entailment, paraphrase and not_paraphrase.",
        )
    said = None if header in (None, _FOUND_OUT) else header == "names of columns"
    return Reading(said, None if separator in (None, _FOUND_OUT) else separator, labels_of(labels or ""))


def _mapping(files: list[tuple[str, Content]], task: str, reading: Reading, key: str) -> Columns | None:
    """The visitor's columns, or None for those that were recognised. One mapping for all files, by the first that can be read."""
    found = None
    for name, content in files:
        try:
            found = _preview(content.digest, name, task, reading, content)
            break
        except InputError:
            continue  # the error is shown when the file is read
    if found is None or len(found.header) < 3:
        return None
    mark = hashlib.sha256(repr(found.header).encode()).hexdigest()[:8]
    unknown = found.columns is None
    with st.expander(
        "Columns: say which ones to read" if unknown else f"Columns: {escape_markdown(', '.join(found.columns.names))}",
        expanded=unknown,
        icon=":material/table:",
        key=f"{key}_columns_{mark}",
    ):
        columns = _mapping_widgets(found, task, f"{key}_{mark}")
        if len(files) > 1:
            st.caption(f"The first rows of {escape_markdown(name)}. Columns that you choose are read from all files.")
        return columns


def _mapping_widgets(found: Preview, task: str, key: str) -> Columns | None:
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
            for role, column in zip(KINDS[task].parts, guess, strict=True)
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


# Hugging Face hub


def hub_pairs(frame: Frame, task: str, key: str) -> PairSet | None:
    """The pairs of the set named, once they have been fetched; None before."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = _field("Data set", f"{key}_id", "organization/name", 260)
        config = _field("Configuration", f"{key}_config", "none", 150, "A subset, such as mrpc of nyu-mll/glue.")
        split = _field("Split", f"{key}_split", "validation", 140)
        revision = _field("Revision", f"{key}_revision", "main", 140, "Branch, tag or commit; empty for main.")
        columns = _columns(task, key)
    reading = _reading(f"{key}_written")
    if not name:
        st.caption(
            f"{KINDS[task].hub_example} At most {size_text(MOST_BYTES)} are fetched; they are kept in this server's cache."
        )
        return None

    said = {} if reading == Reading() else {"reading": reading}
    call = read_hub_pairs.call(name, split or "validation", config or None, revision or None, task, columns, **said)
    if call.job is None and st.button("Fetch", icon=":material/download:", key=f"{key}_fetch"):
        validate_data_id(name)
        validate_revision(revision)
        begin(frame.visit, call)
        st.rerun()
    return outcome(frame.visit, call, "Fetching the data set")


def _columns(task: str, key: str) -> Columns | None:
    """Columns named by the visitor, all three or none."""
    with (
        st.popover("Columns", icon=":material/table:", help="Which columns to read, if they are not recognised."),
        st.container(),
    ):
        st.caption("Columns are recognised by their names. Name them here to read others: the first three, or none.")
        named = [
            _field(role, f"{key}_{part}", "as recognised", None)
            for role, part in zip((*KINDS[task].parts, "Language"), ("first", "second", "gold", "language"), strict=True)
        ]
    return Columns(*named[:3], named[3] or None) if all(named[:3]) else None


def _field(label: str, key: str, placeholder: str, width: int | None, help: str | None = None) -> str:
    value = st.text_input(
        label,
        key=key,
        placeholder=placeholder,
        max_chars=200,
        bind="query-params",
        persist_state="session",
        width=width or "stretch",
        help=help,
    )
    return (value or "").strip()


# What a link says about a file


def linked_digest(key: str) -> tuple[str, str] | None:
    """(name, digest) of the pairs that the URL is about, where they came from a file; None if it is about none.

    The digest is that of the PairSet that :func:`choose_pairs` returned: languages and sample chosen.
    """
    name, digest = st.query_params.get(f"{key}_file"), st.query_params.get(f"{key}_digest", "")
    return (name[:200], digest) if name and re.fullmatch(r"[0-9a-f]{16}", digest) else None


def _linked_name(key: str) -> str | None:
    linked = linked_digest(key)
    return linked[0] if linked else None


def _link(key: str, pairs: PairSet | None) -> None:
    """Put the file's name and digest into the URL; without a file the URL stays. Says so if it is not the file of the link."""
    state = f"{key}_arrived_with"
    arrived = st.session_state.setdefault(state, linked_digest(key))
    if pairs is None:
        return
    if arrived and arrived[1] == pairs.digest:
        st.session_state[state] = None  # given; from now on the visitor changes what is shown
    elif arrived:
        st.info(
            f"These pairs are not those of the link that you followed, which is about {escape_markdown(arrived[0])} (digest "
            f"{arrived[1]}; these have {pairs.digest}).",
            icon=":material/link_off:",
        )
    write_parameters({f"{key}_file": pairs.name[:200], f"{key}_digest": pairs.digest})


def _forget_link(key: str) -> None:
    write_parameters(dict.fromkeys((f"{key}_file", f"{key}_digest")))
