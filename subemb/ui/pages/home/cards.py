"""The size card and the quality card. Every number comes from a Run."""

import streamlit as st

from ....base.text import count_text, number_text, percent_text, seconds_text, sentence_case, size_text
from ....codec.settings import WEIGHT_NAMES
from ....runs import NEIGHBOURS, Run
from ...widgets.runs_list import ERROR_HELP

PLAIN = {"delta_color": "off", "delta_arrow": "off"}  # the small line below a number is a remark, not a change
CODES_HELP = (
    "V × f × ceil(log2 Q) bits, packed.",
    "In each tier, tokens × f × ceil(log2 Q) bits, packed; and which token belongs to which tier.",
)
FLOATS_HELP = "Factors, means and scales."


def size_card(run: Run) -> None:
    """Original, codebooks, codes, total; the paper's measure next to the honest one; share of the whole model."""
    size = run.size
    with st.container(border=True, height="stretch", key="size_card"):
        st.header("Size", anchor=False)
        left, right = st.columns(2)
        left.metric(
            "Original table",
            size_text(size.original_bytes),
            f"{count_text(size.vocabulary)} × {size.dim} floats",
            help="Tokens × dimensions × 4 bytes (float32).",
            **PLAIN,
        )
        right.metric(
            "Compressed, in total", size_text(size.total_bytes), f"{percent_text(size.total_share)} of the table", **PLAIN
        )
        _parts(run, *st.columns(2))
        paper, honest = st.columns(2)
        fewer_floats, fewer_bytes = size.fewer_texts
        paper.metric(
            "Fewer floats",
            fewer_floats,
            "the paper's measure",
            help="Floats that are no longer stored, as a share of V × D. Codes are not counted.",
            **PLAIN,
        )
        honest.metric(
            "Fewer bytes",
            fewer_bytes,
            "the honest measure",
            help="Bytes that are no longer stored, codes and everything else counted.",
            **PLAIN,
        )
        st.caption(
            "The paper counts only the floats that are left. The codes are integers, but they have to be kept as well: the "
            "second number counts them. A file is larger by its header and the settings, up to 2 kB."
        )
        for note in (run.rounding_text, run.entropy_coded):
            if note:
                st.caption(f"{sentence_case(note)}.")
        if size.share_of_model is not None:
            st.markdown(
                f"The table is **{percent_text(size.original_share_of_model)}** of the whole model "
                f"({size_text(size.model_bytes)}) before and **{percent_text(size.share_of_model)}** "
                f"({size_text(size.compressed_model_bytes)}) after."
            )


def _parts(run: Run, left, right) -> None:
    """What the total is made of."""
    size = run.size
    floats = f"{count_text(size.codebook_parameters)} numbers, {size.bits_of_codebooks}"
    if not size.codebook_parameters:
        left.metric("Floats", size_text(size.float_bytes), f"{count_text(size.parameters)} floats", help=FLOATS_HELP, **PLAIN)
        right.metric(run.settings.about.packed.capitalize(), size_text(size.code_bytes), "packed", **PLAIN)
        return
    left.metric("Codebooks", size_text(size.codebook_bytes), floats, **PLAIN)
    if size.code_bits:
        bits = size.code_bits / size.vocabulary
        bits = f"{round(bits, 1):g} {'bit' if bits == 1 else 'bits'} a token"
        right.metric("Codes", size_text(size.code_bytes), bits, help=CODES_HELP[run.settings.tiers is not None], **PLAIN)
    else:
        right.metric("Codes", "0 B", "computed from the id", help="The digits of the token id are its codes.", **PLAIN)
    if size.other_parameters:
        st.metric(
            "Rotation" if run.settings.about.is_rotated else "Other floats",
            size_text(size.other_bytes),
            f"{count_text(size.other_parameters)} floats",
            **PLAIN,
        )


def quality_card(run: Run) -> None:
    """Relative error, mean cosine, neighbours kept at 10, distinct tuples."""
    quality, size = run.quality, run.size
    asked = f"{count_text(quality['neighbours_sample'])} of {count_text(size.vocabulary)} tokens, seed {run.settings.seed}"
    with st.container(border=True, height="stretch", key="quality_card"):
        st.header("Quality", anchor=False)
        left, right = st.columns(2)
        left.metric(
            "Relative error",
            f"{quality['relative_error']:.3f}",
            "0 is perfect, 1 no better than the mean",
            help=ERROR_HELP,
            **PLAIN,
        )
        right.metric(
            "Mean cosine",
            number_text(quality["mean_cosine"], 3),
            "1 is perfect",
            help="Cosine between a token's vector and its reconstruction, mean over all tokens.",
            **PLAIN,
        )
        left, right = st.columns(2)
        left.metric(
            f"Neighbours kept at {NEIGHBOURS}",
            percent_text(quality["neighbours_kept"]),
            "100 % is perfect",
            help=f"Of the {NEIGHBOURS} nearest tokens (cosine) in the original table, the share that is still among the "
            f"{NEIGHBOURS} nearest after compression; mean over {asked}.",
            **PLAIN,
        )
        if quality["distinct_tuples"] is None:
            right.metric("Distinct tuples", "none", "no codes", help="This method stores no codes.", **PLAIN)
        else:
            colliding = quality["colliding_tokens"]
            note = f"{count_text(colliding)} tokens collide" if colliding else f"all {count_text(size.vocabulary)}"
            right.metric(
                "Distinct tuples",
                count_text(quality["distinct_tuples"]),
                note,
                help="Tokens with the same tuple of codes collide: they become the same token to the model.",
                **PLAIN,
            )
        if quality["weighted_error"] is not None:
            st.metric(
                "Weighted error",
                f"{quality['weighted_error']:.3f}",
                f"weights: {WEIGHT_NAMES[run.settings.weights]}",
                help="The same error with every token counted by its weight"
                + (": what this run made small." if quality.get("sensitive_error") is None else "."),
                **PLAIN,
            )
        if quality.get("sensitive_error") is not None:
            st.metric(
                "Error as the output notices",
                f"{quality['sensitive_error']:.3f}",
                help="The weighted error with every direction counted by how much the model's output moves: what this run made small.",
                **PLAIN,
            )
        quantiles = sorted(((float(name), value) for name, value in quality["cosine_quantiles"].items()))
        shares = ", ".join(f"{number_text(value, 2)} at {percent_text(share)}" for share, value in quantiles)
        st.caption(
            f"Cosine of single tokens, quantiles: {shares}. Neighbours were measured for {asked}. Computed in "
            f"{seconds_text(run.seconds.get('compress', 0))}, measured in {seconds_text(run.seconds.get('measure', 0))}."
        )
