"""A labelled set of the Hugging Face hub, by its id: a form in the URL, and a download with progress and Cancel."""

import streamlit as st

from ..evaluate.data.pairs import PairSet
from ..evaluate.data.recognise import Columns
from ..evaluate.file_text import MOST_BYTES
from ..format import size_text
from .shell.frame import Frame
from .shell.work import Work, begin, has_begun, outcome

_EXAMPLES = {
    "similarity": "For example sentence-transformers/stsb (validation), or nyu-mll/glue with the configuration mrpc.",
    "entailment": "For example stanfordnlp/snli (validation), or facebook/xnli with a language as the configuration.",
}


def hub_pairs(frame: Frame, task: str, key: str) -> PairSet | None:
    """The pairs of the set named, once they have been fetched; None before."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = _field("Data set", f"{key}_id", "organization/name", 260)
        config = _field("Configuration", f"{key}_config", "none", 150, "A subset, such as mrpc of nyu-mll/glue.")
        split = _field("Split", f"{key}_split", "validation", 140)
        revision = _field("Revision", f"{key}_revision", "main", 140, "Branch, tag or commit; empty for main.")
        columns = _columns(task, key)
    if not name:
        st.caption(f"{_EXAMPLES[task]} At most {size_text(MOST_BYTES)} are fetched; they are kept in this server's cache.")
        return None
    work = hub_work(name, split or "validation", config or None, revision or None, task, columns)
    if not has_begun(work) and st.button("Fetch", icon=":material/download:", key=f"{key}_fetch"):
        from ..evaluate.data.hub import validate_data_id
        from ..models.hub import validate_revision

        validate_data_id(name)
        validate_revision(revision)
        begin(frame, work)
        st.rerun()
    return outcome(frame, work)


def hub_work(name: str, split: str, config: str | None, revision: str | None, task: str, columns: Columns | None) -> Work:
    """The job that fetches a set and reads it."""
    return Work(
        ("hub_pairs", name, split, config, revision, task, columns),
        "subemb.evaluate.data.hub:read_hub_pairs",
        {"dataset_id": name, "split": split, "config": config, "revision": revision, "task": task, "columns": columns},
        "Fetching the data set",
        lane="download",
    )


def _columns(task: str, key: str) -> Columns | None:
    """Columns named by the visitor, all three or none."""
    roles = (
        ("Premise", "Hypothesis", "Label") if task == "entailment" else ("First sentence", "Second sentence", "Score or label")
    )
    with (
        st.popover("Columns", icon=":material/table:", help="Which columns to read, if they are not recognised."),
        st.container(),
    ):
        st.caption("Columns are recognised by their names. Name them here to read others: the first three, or none.")
        named = [
            _field(role, f"{key}_{part}", "as recognised", None)
            for role, part in zip((*roles, "Language"), ("first", "second", "gold", "language"), strict=True)
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
