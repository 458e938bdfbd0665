"""The page Export: the run on the page, or its adaptation, in four forms to download."""

from dataclasses import replace

import streamlit as st

from ....base.errors import InputError
from ....base.pace import rough
from ....base.text import count_text, escape_markdown, number_text, percent_text, seconds_text, size_text
from ....evaluate.context.network import kind_of
from ....evaluate.entailment.engines import engine_options
from ....export.report import WordsInContext, html_report
from ....jobs.task import Call
from ....tasks.evaluations import evaluations_of, words_of
from ....tasks.exports import COMPACT, Export, file_stem, make_export
from ...shell.frame import Frame, page
from ...shell.jobs import begin, outcome
from ...shell.text import counted, public_name
from ...widgets.adapted_side import adapted_side
from .offers import OFFERS, Offer, ShownResult


def draw() -> None:
    """The page."""
    frame = page(
        "Export",
        "Take away what you see here: a small folder for subemb, a whole model for tools that do not know it, the table alone for "
        "ONNX, or a report to read and print.",
    )
    with frame.errors():
        if frame.run is not None:
            adapted_side(frame)
            export_view(frame)


def export_view(frame: Frame) -> None:
    """Which model is exported, and four cards, one a form."""
    shown = ShownResult(frame.run, frame.model, adaptation_of(frame))
    result_line(shown)
    st.caption("Files made here stay on this server for a while, for everybody who opens the same result.")
    places = [column for _ in range(2) for column in st.columns(2, gap="medium")]
    for place, offer in zip(places, OFFERS, strict=False):
        with place.container(border=True, height="stretch", key=f"export_{offer.kind}"), frame.errors():
            export_card(frame, shown, offer)
    with places[-1].container(border=True, height="stretch", key="export_report"), frame.errors():
        report_card(frame, shown)


def adaptation_of(frame: Frame):
    """The Adaptation shown with the run, or None; one that is not over has no model to take away."""
    adaptation = getattr(frame, "adaptation", None)
    return adaptation if adaptation is not None and adaptation.is_over else None


def result_line(shown: ShownResult) -> None:
    """One line: the table as compressed, or the model as adapted."""
    if shown.adaptation is None:
        st.markdown("You export the model with its table **as compressed**, nothing trained.")
        st.caption(
            "The page **Adapt** trains the compact table first; an adaptation of this run can then be chosen here. On the command line: "
            "`subemb adapt` and `subemb export`."
        )
        return
    adaptation = shown.adaptation
    scores = ""
    if adaptation.scores and adaptation.scored:
        listed = ", ".join(f"{escape_markdown(side)} {number_text(value)}" for side, value in adaptation.scores.items())
        scores = f" Scores x 100 on {escape_markdown(adaptation.scored['name'])}: {listed}."
    st.markdown(
        f"You export the model **as adapted**, after {counted(adaptation.steps, 'step')} in "
        f"{seconds_text(adaptation.seconds)} of training.{scores}"
    )


# A form of the result


def export_card(frame: Frame, shown: ShownResult, offer: Offer) -> None:
    """One form: what it is, how large it is, a button that makes it, its download, and how to use it."""
    st.header(offer.title, anchor=False)
    st.markdown(offer.explanation(shown))
    problem = offer.problem(shown)
    if problem:
        st.info(problem, icon=":material/info:")
        return
    entropy = offer.kind == COMPACT and entropy_choice(shown)
    call = make_export.call(frame.subject, offer.kind, entropy)
    made = outcome(frame.visit, call, f"Making the {offer.title.lower()}")
    if made is None and call.job is not None:
        return
    if made is None:
        _make(frame, shown, offer, call, entropy)
    else:
        _take(made)
    st.markdown("How to use it")
    st.code(offer.usage(shown, made), language=offer.language, wrap_lines=True)


def entropy_choice(shown: ShownResult) -> bool:
    """Whether codes are to be written in as few bits as their frequencies allow: asked where that pays, and said where it does not."""
    saved = shown.run.entropy_saves
    is_unknown = shown.run.quality.get("entropy_coded_bytes") is None and shown.run.size.code_bits > 0  # of older runs
    if saved is None and not is_unknown:
        return False
    if saved == 0 and shown.adaptation is None:
        st.caption("Codes are packed in bits; entropy coding would save next to nothing.")
        return False
    if shown.adaptation is None and saved:
        share = percent_text(saved / shown.run.size.total_bytes)
        label = f"Entropy-code the codes: {size_text(saved)} less ({share})"
    else:
        label = "Entropy-code the codes"
    return st.toggle(
        label,
        key="entropy",
        bind="query-params",
        help="Codes that many tokens have take fewer bits (Huffman), in the file only: nothing else changes, and `subemb.load` opens "
        "it as before. What it saves is said once the file is made, where it is not known before.",
    )


def _make(frame: Frame, shown: ShownResult, offer: Offer, call: Call, entropy: bool) -> None:
    """The button that makes it, and what that will cost."""
    if st.button("Make", icon=":material/package_2:", key=f"export_{offer.kind}_make", type="primary"):
        begin(frame.visit, call)
        st.rerun()
    size = offer.estimated_bytes(shown)
    if entropy and shown.adaptation is None:
        size -= shown.run.entropy_saves or 0
    about = "of a size that is not known yet" if size is None else f"about {size_text(size)}"
    st.caption(
        f"The file will be {about}; to make it takes about {rough(offer.seconds(shown))}, a rough estimate. It can be "
        "cancelled."
    )


def _take(made: Export) -> None:
    """The download, its exact size, and what is in it."""
    st.download_button(
        "Download",
        data=made.read,
        file_name=made.name,
        mime="application/zip" if made.folder else "application/octet-stream",
        icon=":material/download:",
        key=f"export_{made.kind}_download",
        on_click="ignore",
        type="primary",
    )
    saved = ""
    if made.entropy_saved is not None:
        smaller = (
            f"made it {count_text(made.entropy_saved)} bytes smaller" if made.entropy_saved else "would not make it smaller"
        )
        saved = f" Entropy coding {smaller}."
    st.caption(f"{escape_markdown(made.name)}: {size_text(made.bytes)} ({count_text(made.bytes)} bytes).{saved}")
    if made.checked:
        st.caption(
            f"Checked with onnxruntime against torch on {counted(made.checked['tokens'], 'token')}: the largest difference of a number "
            f"is {made.checked['largest_difference']:.2g}. ONNX operator set {made.checked['opset']}."
        )
    if made.folder:
        with st.expander(f"What is in it ({counted(len(made.files), 'file')})"):
            st.dataframe(
                {"file": [name for name, _ in made.files], "bytes": [size for _, size in made.files]},
                hide_index=True,
                column_config={"bytes": st.column_config.NumberColumn(format="localized")},
                key=f"export_{made.kind}_files",
                alt="Files of the archive and their sizes",
            )


# The report


def report_card(frame: Frame, shown: ShownResult) -> None:
    """The report: what is in it, how large it is, and its download."""
    st.header("HTML report", anchor=False)
    st.markdown(
        "One page to read, to print and to hand on: settings, size and quality, interactive charts, tables, versions, and the "
        "commands that repeat it all. It is a single file that works offline in any browser."
    )
    sets = evaluations(frame)
    words = words_in_context(frame)
    content = html_report(shown.run, shown.adaptation, sets, words=words).encode()
    name = f"{file_stem(frame.subject, shown.adaptation)}-report.html"
    st.download_button(
        "Download",
        data=lambda: content,  # else the browser fetches it at once
        file_name=name,
        mime="text/html",
        icon=":material/download:",
        key="export_report_download",
        on_click="ignore",
        type="primary",
    )
    st.caption(
        f"{escape_markdown(name)}: {size_text(len(content))} ({count_text(len(content))} bytes), nearly all of it the library that "
        "draws the charts."
    )
    if sets:
        listed = ", ".join(f"{escape_markdown(found.data)} ({counted(found.pairs, 'pair')})" for found in sets)
        st.caption(f"With the scores of what was evaluated with this run: {listed}.")
    else:
        st.caption(
            "No labelled set was evaluated with this run yet. Do that on the pages Similarity and Entailment, and its scores are in "
            "the report too."
        )
    if words:
        st.caption(f"With what you asked for on Words in context: {', '.join(escape_markdown(one.data) for one in words)}.")
    st.markdown("How to use it")
    st.code(f"Open {name} in a browser; to print it, or to save it as PDF: Ctrl+P.", language=None, wrap_lines=True)


def evaluations(frame: Frame) -> list:
    """Scores of the labelled sets that were evaluated with this run, newest first; of files only those of this visitor."""

    def name_of(digest: str, name: str) -> str | None:
        return frame.visit.visitor.sets.get(digest) or (name if public_name(name) == name else None)

    try:
        judges = [option.choice for option in engine_options(frame.model)[0]]
    except InputError:  # a damaged entailment head; the page Entailment says so
        judges = []
    return evaluations_of(frame.subject, judges, name_of)


def words_in_context(frame: Frame) -> list[WordsInContext]:
    """Texts and sentences of this visitor on Words in context with this run, newest first."""
    kind = kind_of(frame.model)
    if kind is None:
        return []
    found = words_of(frame.subject, frame.model.head_digest(kind), frame.visit.visitor.sets.get)
    return [replace(one, note=frame.model.head_note(kind)) for one in found]
