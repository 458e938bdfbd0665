"""Reports of ``subemb evaluate fill-mask`` as plain text."""

from typing import Any

from ..format import count_text
from .evaluation_text import DEMONSTRATION, heading_text, sentence_text
from .text import columns_text, one_line


def fill_mask_text(report: dict[str, Any]) -> str:
    """The report of ``subemb evaluate fill-mask``."""
    rows = [
        [f"{side}:", f"input table {tables['input']},", f"output head {tables['head']}"]
        for side, tables in report["tables"].items()
    ]
    parts = [heading_text(report), columns_text(rows)]
    parts += [_sentence_text(found) for found in report["sentences"]]
    if report["texts"]:
        parts.append(_texts_text(report["texts"]))
    return "\n\n".join(parts)


def _sentence_text(found: dict[str, Any]) -> str:
    lines = ["SENTENCE", sentence_text(found["sentence"])]
    for number, mask in enumerate(found["masks"], 1):
        if len(found["masks"]) > 1:
            lines += ["", f"MASK {number} of {len(found['masks'])}, each filled on its own"]
        lines += _mask_lines(mask)
    return "\n".join(lines)


def _mask_lines(mask: dict[str, Any]) -> list[str]:
    """Fillings with probability and rank on every side, the best of the first side first."""
    sides = list(mask["kl"])
    rows = [["FILLING", *(title for side in sides for title in (side.upper(), "RANK"))]]
    for filling in mask["fillings"]:
        cells = []
        for side in sides:
            cells += [share_text(filling["probabilities"][side]), count_text(filling["ranks"][side])]
        rows.append([one_line(filling["token"]), *cells])
    lines = [columns_text(rows, right=range(1, len(rows[0])))]
    top = mask["kept_of_top"][sides[0]]
    for side in sides[1:]:
        kept = f"{mask['kept_of_top'][side]} of the {top} best of {sides[0]} are among its own"
        lines.append(f"{side}: KL divergence from {sides[0]} {mask['kl'][side]:.3f} nats; {kept}")
    return lines


def share_text(share: float) -> str:
    """A probability in per cent, never a false 0.

    >>> share_text(0.5), share_text(0.00001)
    ('50.00 %', '< 0.01 %')
    """
    return "< 0.01 %" if 0 < share < 0.0001 else f"{share * 100:.2f} %"


def _texts_text(texts: list[dict[str, Any]]) -> str:
    sides = list(texts[0]["pseudo_perplexity"])
    rows = [["TEXT", "TOKENS", *(side.upper() for side in sides)]]
    for side in sides[1:]:
        rows[0] += [f"{side.upper()} NATS A TOKEN", "95 % INTERVAL"]
    notes = []
    for text in texts:
        row = [one_line(text["name"]), count_text(text["tokens_masked"])]
        row += [f"{text['pseudo_perplexity'][side]:,.2f}" for side in sides]
        for side in sides[1:]:
            difference = text["mean_log_probability"][side] - text["mean_log_probability"][sides[0]]
            interval = text["differences"][side]
            shown = "too few sentences" if interval is None else f"{interval['low']:+.3f} to {interval['high']:+.3f}"
            row += [f"{difference:+.3f}", shown]
        rows.append(row)
        notes.append(_note(text))
    about = "1 is a perfect guess of every token from all the others; nats a token: change of the mean log probability."
    return "\n".join(["PSEUDO-PERPLEXITY", columns_text(rows, right=range(1, len(rows[0]))), "", about, *notes])


def _note(text: dict[str, Any]) -> str:
    """What of a text was scored, and what was left out."""
    parts = [f"{one_line(text['name'])}: {count_text(text['sentences'])} sentences, {count_text(text['tokens'])} tokens"]
    if text["tokens_masked"] < text["tokens"]:
        parts.append(f"{count_text(text['tokens_masked'])} of them drawn at random and masked (--tokens)")
    if text["sentences_left_out"]:
        parts.append(f"{count_text(text['sentences_left_out'])} more sentences left out")
    if text["tokens_cut"]:
        parts.append(f"{count_text(text['tokens_cut'])} tokens cut off where a sentence is longer than the model reads")
    if text["tokens_unknown"]:
        parts.append(f"{count_text(text['tokens_unknown'])} of the masked ones unknown to the tokenizer")
    demo = f"\nThis is {DEMONSTRATION}." if text["is_demonstration"] else ""
    return "; ".join(parts) + demo
