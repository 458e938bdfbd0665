"""The page Words in context, input or output: which use of the compressed table costs how much."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ....base.pace import rough
from ....base.text import escape_markdown
from ....evaluate.context.perplexity import NAMES, estimated_seconds
from ....evaluate.context.uses import TOKENS, TableUses
from ....evaluate.context.verdicts import uses_verdict
from ....export.charts import uses_chart
from ....jobs.task import Call
from ....tasks.evaluations import compare_table_uses, known_as
from ...shell.jobs import begin, outcome
from ...shell.text import counted, shortened
from ...widgets.charts import layout, show
from .asked import ContextPage, bold
from .sentence import read_text as read_sentence_text
from .sentence import read_words, take_up_sentence
from .text import planned, scored_text, take_up_text

_BAR = 30  # pixels of a bar with its place


def uses_view(page: ContextPage) -> None:
    """One button, then a verdict, a chart of every use, and its table."""
    verdict = st.container(key="verdict")
    take_up_sentence()
    take_up_text()
    sentence, word = st.session_state["masked_text"], st.session_state["masked_word"]
    text = st.session_state["scored_text"]
    if sentence.strip():
        words, has_gap = read_words(page, sentence)
        word = word if word is not None and word < len(words) else None
        if word is None and not has_gap:
            sentence = ""
    if not (sentence.strip() or text.strip()):
        st.info("Give a sentence with a hidden word, or a text, in the tabs before.", icon=":material/edit:")
        return
    call = compare_table_uses.call(page.frame.subject, sentence, text, word, head=page.head)
    if call.kept() is None and call.job is None:
        offer(page, call, sentence, text)
        return
    found = outcome(page.frame.visit, call, "Comparing the uses of the table")
    if found is not None:
        shown = sentence if found.scored is None else text
        page.frame.visit.visitor.name_set(known_as(sentence, found.scored), shortened(" ".join(shown.split()), 60))
        verdict.markdown(uses_verdict(found, bold))
        results(page, found)


def offer(page: ContextPage, call: Call, sentence: str, text: str) -> None:
    """What is compared, what it costs, and the button."""
    sides = ["input alone", "output alone", "both"] if page.is_tied else ["input"]
    listed = f"{', '.join(sides)}{', and adapted' if page.frame.adaptation is not None else ''}"
    model, seconds = page.model, 1.0
    about = []
    if sentence.strip():
        about.append(f"the sentence “{escape_markdown(shortened(sentence, 80))}”")
    if text.strip():
        what = planned(page, text)
        count = len(sides) + 1 + (page.frame.adaptation is not None)
        seconds += estimated_seconds(what, TOKENS, count, model.parameters, model.num_tokens, model.dim)
        about.append(f"{NAMES[page.kind]} of the text ({counted(min(TOKENS, what.tokens), 'token')})")
    st.markdown(
        "The table is used twice: it turns tokens into vectors, and at the output it gives every token a score. Where does compressing "
        "it hurt?"
    )
    st.caption(f"Compressed: {listed}. Measured: {' and '.join(about)}. Takes about {rough(seconds)}, a rough estimate.")
    if st.button("Compare input and output", type="primary", icon=":material/play_arrow:", key="uses_button"):
        begin(page.frame.visit, call)
        st.rerun()


def results(page: ContextPage, found: TableUses) -> None:
    """The chart of every use, its table, and what was measured."""
    chart = uses_chart(found)
    panels = len(chart.data)
    figure = layout(
        go.Figure(chart.data), chart.title, "", "", height=110 + panels * (50 + _BAR * len(found.sides)), **chart.layout
    )
    for name in chart.layout:  # the look that all charts share has one title for all axes
        figure.layout[name].title = chart.layout[name]["title"]
    if found.filled is not None:
        st.markdown(read_sentence_text(found.filled))
    show(
        figure, chart.alt, pd.DataFrame(chart.rows, columns=chart.columns), key="table_uses", file_name="subemb-table-uses.csv"
    )
    if found.scored is not None:
        st.caption(scored_text(found.scored))
    page.notes()
