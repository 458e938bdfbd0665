"""The ten steps of the lesson: what each says, draws and asks, and which lines of the plain loops it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ....base.text import escape_markdown, number_text, percent_text
from ....codec import readable
from ....tasks.evaluations import move_sentence
from ....tasks.sides import ADAPTED, COMPRESSED, ORIGINAL
from ...shell.frame import Frame
from ...shell.jobs import outcome
from ...shell.pages import PAGES
from ...widgets.leads import lead, token_link
from ...widgets.token_choice import choose_token, default_token
from . import pictures
from .pictures import short_number
from .plane import adaptation_drawing, draw_plane, k_means_drawing
from .real import (
    row_picture,
    row_text,
    sentence_picture,
    sentence_text,
    stored_picture,
    stored_text,
    token_picture,
    token_row,
    token_text,
)
from .toy import CODEBOOK_SIZE, FOLLOWED, SUBSPACES, toy

SENTENCE = "The king drinks water, and the queen drinks wine."
LONGEST = 300  # characters of the sentence


@dataclass(frozen=True)
class Place:
    """Where a step draws: few words, and one picture."""

    frame: Frame
    words: Any  # container
    picture: Any  # container

    def say(self, text: str) -> None:
        """Write the step's text, see :func:`pictures.said`."""
        self.words.html(pictures.framed(f'<div class="le-said">{pictures.said(text)}</div>'))

    def show(self, picture: str) -> None:
        """Draw the step's picture, HTML."""
        self.picture.html(picture)


@dataclass(frozen=True)
class Step:
    """One step."""

    title: str
    draw: Callable[[Place], None]
    functions: tuple[Callable, ...]  # of codec/readable.py whose lines are shown
    lines: tuple[str, ...]  # what the lines have in them that this step runs
    link: str = ""  # the page that goes on from here; empty where the step draws a link of its own
    leads_to: str = ""  # what is there


# The table, and its pieces


def _table(place: Place) -> None:
    count, dim = toy().table.shape
    place.say(
        f"A language model looks every word up in a table: [V|V = {count} words] down, [D|D = {dim} numbers] across. Words used alike "
        f"have similar numbers. This table can be checked by hand; a real one has tens of thousands of rows. Follow **{FOLLOWED}**."
    )
    place.show(pictures.table_picture(toy()))


def _cut(place: Place) -> None:
    dim = toy().table.shape[1]
    place.say(
        f"Cut the [D|{dim} numbers] of every word into [f|f = {SUBSPACES} pieces] of two. A piece of two numbers is a point in a plane, so it "
        "can be drawn. From now on every piece is treated by itself, as if the others were not there."
    )
    place.show(pictures.cut_picture(toy()))


def _k_means(place: Place) -> None:
    place.say(
        f"All first pieces as points. Lay down [Q|Q = {CODEBOOK_SIZE} codewords]. Every word joins the nearest one; every codeword moves to the "
        "middle of its words; again, until nothing moves. That is k-means. **Press Play.**"
    )
    with place.picture:
        draw_plane(k_means_drawing(toy()))


def _codes(place: Place) -> None:
    place.say(
        f"Each piece gives way to the number of its codeword. A word is now [f|{SUBSPACES} small numbers], its **codes**. The codewords themselves "
        f"are kept once for all words: [f|{SUBSPACES} codebooks] of [Q|{CODEBOOK_SIZE} rows]."
    )
    place.show(pictures.codes_picture(toy()))
    with place.words:
        ask_which_collide()


def ask_which_collide() -> None:
    """The first question; its answer is checked."""
    found = st.pills("**Your turn.** Which two words have the same codes?", toy().words, selection_mode="multi", key="collide")
    if len(found) == 2:
        codes = [toy().grouped[0][toy().words.index(word)].tolist() for word in found]
        if set(found) == set(toy().collision):
            st.success(f"Yes: both are {' '.join(map(str, codes[0]))}.", icon=":material/check:")
        else:
            differ = [str(i) for i, (one, other) in enumerate(zip(*codes, strict=True)) if one != other]
            st.warning(f"Not these: they differ in piece {' and '.join(differ)}.", icon=":material/close:")
    elif len(found) > 2:
        st.caption("Two words, please.")


def _collision(place: Place) -> None:
    one, other = toy().collision
    before, after = toy().error(toy().grouped), toy().error(toy().unique)
    moved = " and ".join(toy().moved)
    place.say(
        f"**{one}** and **{other}** have the same codes: the model could never tell them apart again. So **{moved}** takes a free tuple, the one "
        f"that costs least, and codewords move to their new middle. The price: {short_number(after - before)} more squared error."
    )
    place.show(pictures.collision_picture(toy()))


def _rebuild(place: Place) -> None:
    place.say(
        f"Look up the codes of **{FOLLOWED}**, join what you find: from now on the model reads this. Subtract it from the original, square, "
        "add up: that is the error. The bars show it for [V|all words]."
    )
    place.show(pictures.rebuilt_picture(toy()))
    with place.words:
        ask_how_many_bytes()


def ask_how_many_bytes() -> None:
    """The second question; its answer is checked."""
    count, dim = toy().table.shape
    table, codebooks, codes = (round(part) for part in toy().counted)
    right, bytewise = codebooks + codes, codebooks + count * SUBSPACES
    why = {
        codebooks: "Those are the codebooks alone. The codes have to be stored too.",
        right: "Yes. See how on the next step.",
        bytewise: "Almost: a code below 4 needs 2 bits, not a whole byte.",
        table: "That is the original table.",
    }
    chosen = st.pills(
        f"**Your turn.** How many bytes are {CODEBOOK_SIZE} × {dim} floats of 4 bytes and {count} × {SUBSPACES} codes of 2 bits?",
        sorted(why),
        key="bytes",
    )
    if chosen in why:
        (st.success if chosen == right else st.warning)(
            why[chosen], icon=":material/check:" if chosen == right else ":material/close:"
        )


def _bytes(place: Place) -> None:
    count, dim = toy().table.shape
    run = place.frame.run
    fewer = 1 - CODEBOOK_SIZE / count
    text = (
        f"Every square is a byte. The paper counts floats alone: [Q|{CODEBOOK_SIZE} × {dim}] are left of [V|{count} × {dim}], {percent_text(fewer)} fewer. "
        "The [f|codes] have to be stored as well."
    )
    if run is not None:
        text += f" {stored_text(run.size)}"
    place.say(text)
    place.show(pictures.bytes_picture(toy(), "" if run is None else stored_picture(run.size, run.model["name"])))


# The model and the run shown


def _waits_for_run(place: Place) -> bool:
    """Whether there is no run to show numbers of; says so."""
    if place.frame.run is None:
        place.say("Here stand the real numbers of a finished run. Press **Run** in the sidebar, or wait until it is done.")
    return place.frame.run is None


def _token(place: Place) -> None:
    if _waits_for_run(place):
        return
    with place.words:
        words, fields = st.container(), st.container()
    with fields:
        token = choose_token(place.frame.vocabulary, beside=False)
    if token is None:
        return
    row = token_row(place.frame, token)
    Place(place.frame, words, place.picture).say(token_text(place.frame, row))
    place.show(token_picture(row))
    place.words.html(lead(token_link(token), "All about this token →"))


def _sentence(place: Place) -> None:
    if _waits_for_run(place):
        return
    found = None
    if place.frame.model.has_tokenizer:
        with place.words:
            words = st.container()
            text = st.text_input(
                "A sentence", SENTENCE, max_chars=LONGEST, key="sentence", bind="query-params", persist_state="session"
            )
        if not text.strip():
            place.words.info("Write a sentence.", icon=":material/edit:")
            return
        call = move_sentence.call(place.frame.subject, text)
        found = moved_sentence(place, call)
        job = call.job
        if found is None and (job is None or job.error_reason not in ("unsupported", "no_tokenizer")):
            return
    if found is None:
        row = token_row(place.frame, default_token(place.frame.vocabulary))
        place.say(row_text(row, place.frame.model.name))
        place.show(row_picture(row))
        return
    Place(place.frame, words, place.picture).say(sentence_text(found, (ORIGINAL, COMPRESSED)))
    place.show(sentence_picture(found, (ORIGINAL, COMPRESSED)))


def moved_sentence(place: Place, call):
    """The MovedSentence of a call of move_sentence; None while it is computed, or where the model cannot encode."""
    drawn = place.picture.empty()
    with drawn.container():
        found = outcome(place.frame.visit, call, "Encoding the sentence", auto=True)
    job = call.job
    if found is not None or (job is not None and job.error_reason in ("unsupported", "no_tokenizer")):
        drawn.empty()
    return found


def _adaptation(place: Place) -> None:
    frame = place.frame
    if frame.run is not None and frame.adaptation is not None and frame.model.has_tokenizer:
        found = moved_sentence(place, move_sentence.call(frame.subject, st.session_state.get("sentence") or SENTENCE))
        if found is not None:
            before, after = found.cosines[COMPRESSED], found.cosines[ADAPTED]
            place.say(
                "Adaptation moves codewords until the whole network gives back what it gave before. No code gets longer, no table larger. "
                f"Here is your sentence: cosine **{number_text(before, 2)}** before, **{number_text(after, 2)}** adapted."
            )
            place.show(sentence_picture(found, (ORIGINAL, COMPRESSED, ADAPTED)))
            return
    start, end = toy().unique, toy().adapted(16)
    nearer = toy().sentence_error(start) / toy().sentence_error(end)
    place.say(
        "Codewords need not sit in the middle of their words. Press **Play**: they move until **sentences**, here means of words, are back where "
        f"they were (the rings): **{nearer:.0f} times** less error, though single words get worse. This is adaptation in small; the real one asks the network."
    )
    with place.picture:
        draw_plane(adaptation_drawing(toy()))
    with place.words:
        name = "" if frame.run is None else f" {escape_markdown(frame.run.model['name'])}"
        st.page_link(
            PAGES["Adapt"].file,
            label=f"Adapt{name}",
            icon=":material/model_training:",
            query_params=frame.visit.address or None,
        )


STEPS = (
    Step("A table of numbers", _table, (readable.product,), ("table: np.ndarray", "in enumerate(table)"), "Token_map", "All tokens of your model"),
    Step("Cut it into pieces", _cut, (readable.product, readable.cut), ("enumerate(cut(", "ends =", "return [slice"), "Reconstruction_error", "What each piece loses in your model"),
    Step("Find shared points", _k_means, (readable.product,), ("distances =", "np.argmin", "members", "for token, row", "for code in", "break"), "Assignments?view=Codewords", "The codewords of your model"),
    Step("Write down the codes", _codes, (readable.product,), ("codes[token, i] =", "codebooks.append", "return codes"), "Assignments?view=Token", "The codes of a word of your model"),
    Step("Two words collide", _collision, (readable.cluster,), ("seats =", "prices", "linear_sum_assignment", "codebook[code] ="), "Assignments?view=Collisions", "What collides in your model"),
    Step("Put it together again", _rebuild, (readable.rebuild, readable.squared_error), ("parts =", "np.concatenate", "difference", "total +"), "Reconstruction_error?part=Best+and+worst", "The best and worst words of your model"),
    Step("Count every byte", _bytes, (readable.count_bytes,), ("table =", "codebooks =", "bits =", "codes ="), "Trade-off", "What every byte buys"),
    Step("One token of your model", _token, (readable.rebuild,), ("parts =", "np.concatenate")),
    Step("What a sentence feels", _sentence, (readable.adapt,), ("rebuilt =", "difference ="), "Similarity", "Compare two sentences"),
    Step("What adaptation repairs", _adaptation, (readable.adapt,), ("difference", "codebooks[i][codes", "for token in tokens")),
)  # fmt: skip
