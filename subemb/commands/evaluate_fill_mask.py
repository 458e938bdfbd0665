"""``subemb evaluate fill-mask``: what a model puts in the place of a mask, and how well it guesses a text, before and after."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, ModelError
from ..base.progress import ProgressCallback, part_of
from ..base.text import columns_text, count_text, one_line
from .evaluate_inputs import ComparedSides, add_sides, open_compared, seed_of
from .terminal import path_argument, print_json
from .text import DEMONSTRATION, heading_text, sentence_text

if TYPE_CHECKING:
    from ..evaluate.context.fill import Filled, FilledMask
    from ..evaluate.context.network import ContextSides
    from ..evaluate.context.perplexity import PseudoPerplexity
    from ..models.model import PretrainedModel

TABLES = {"both": (True, True), "input": (True, False), "output": (False, True)}
DEFAULT_TOKENS = 500


def add(tasks) -> None:
    command = tasks.add_parser(
        "fill-mask",
        help="masked words: the best fillings, KL divergence, pseudo-perplexity of a text",
        description="What a model with a masked-word head puts in the place of a mask, and the pseudo-perplexity of a text. Without "
        "either, the English sentences of the demonstration set are the text.",
    )
    add_sides(command)
    command.add_argument(
        "--sentence", action="append", default=[], metavar="SENTENCE", help="with [MASK] or <mask> in it; may be repeated"
    )
    command.add_argument(
        "--data",
        type=path_argument,
        nargs="+",
        metavar="FILE",
        help="UTF-8 texts, one sentence a line: pseudo-perplexity before and after",
    )
    command.add_argument("--top", type=int, default=10, metavar="K", help="fillings of each side (default 10)")
    command.add_argument("--compress", choices=TABLES, default="both", help="input table, tied output head, or both (default)")
    command.add_argument(
        "--tokens",
        type=int,
        default=DEFAULT_TOKENS,
        metavar="N",
        help=f"of a text, masked at most, drawn with --seed (default {DEFAULT_TOKENS})",
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.add_argument("--json", action="store_true", help="the report for programs")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Read, compress if asked, fill and score, report."""
    from .text import ProgressLine

    _check(given)
    seed = seed_of(given)
    with ProgressLine(enabled=not given.quiet) as progress:
        texts = _texts(given)
        compared = open_compared(given, part_of(progress, 0.0, 0.3), check=lambda model: check_model(model, given.sentence))
        report = evaluate(compared, texts, given, seed, part_of(progress, 0.3, 1.0))
    print_json(report) if given.json else print(fill_mask_text(report))
    return 0


def _check(given: argparse.Namespace) -> None:
    """Raise InputError for what cannot be used, before any work."""
    from ..evaluate.context.fill import MOST_FILLINGS
    from ..evaluate.context.perplexity import MOST_TOKENS

    for name, value, most in (("top", given.top, MOST_FILLINGS), ("tokens", given.tokens, MOST_TOKENS)):
        if not 1 <= value <= most:
            raise InputError(f"--{name} is {value}; choose 1 to {most:,}")
    if given.text is not None and given.weights not in ("counts", "sqrt_counts"):
        raise InputError(
            "--text names a file whose tokens are counted for --weights counts or sqrt_counts; give a sentence with a mask as "
            "--sentence, and a text to score as --data"
        )


def check_model(model: "PretrainedModel", sentences: Sequence[str] = ()) -> None:
    """Raise ModelError unless a model has a masked-word head, naming some that do; InputError for a sentence without a mask."""
    from ..evaluate.context.fill import HUB_MODELS
    from ..evaluate.context.network import ContextSides
    from ..evaluate.context.words import checked_sentence, with_own_masks

    try:
        mask = ContextSides({"original": model}).mask_token
    except ModelError as error:
        if error.reason != "unsupported":
            raise
        examples = ", ".join(f"{one.name} ({one.languages})" for one in (HUB_MODELS[0], HUB_MODELS[3]))
        raise ModelError(f"{model.name} cannot fill masks: {error}; models that can: {examples}", error.reason) from error
    for sentence in sentences:
        if mask not in with_own_masks(model.tokenizer, checked_sentence(sentence))[0]:
            raise InputError(f"the sentence {sentence[:80]!r} has no mask; write {mask} where a word is to be found")


def _texts(given: argparse.Namespace) -> list[tuple[str, str, bool]]:
    """(name, text, whether it is the demonstration) of everything to score. Raises InputError as the readers do."""
    from ..evaluate.context.perplexity import LONGEST_TEXT
    from ..evaluate.data.tables import decoded, read_bytes

    found = []
    for path in given.data or []:
        text = decoded(read_bytes(path), path.name)
        if not text.strip():
            raise InputError(f"{path.name} is empty; give a text with a sentence a line")
        if len(text) > LONGEST_TEXT:
            raise InputError(f"{path.name} has {len(text):,} characters; at most {LONGEST_TEXT:,} are read: give a part of it")
        found.append((path.name, text, False))
    if not (found or given.sentence):
        from ..evaluate.data.read import demo_pairs

        pairs = demo_pairs("similarity")
        english = pairs.by_language().get("en", pairs)
        found.append((pairs.name, "\n".join(dict.fromkeys(english.first)), True))
    return found


# The report, JSON types


def evaluate(
    compared: ComparedSides,
    texts: list[tuple[str, str, bool]],
    given: argparse.Namespace,
    seed: int,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Everything that a line asks for, JSON types; probabilities in 0..1, divergences and log probabilities in nats."""
    from ..evaluate.context.fill import fill
    from ..evaluate.context.network import HEAD_TEXTS, ContextSides
    from ..evaluate.context.perplexity import pseudo_perplexity

    sides = ContextSides(compared.sides, *TABLES[given.compress])
    total = len(given.sentence) + len(texts)
    parts = (part_of(progress, number / total, (number + 1) / total) for number in range(total))
    return {
        "task": "fill-mask",
        **compared.to_dict(),
        "mask_token": sides.mask_token,
        "tables": {
            side: {"input": "compressed" if tables.input else "original", "head": HEAD_TEXTS[tables.head]}
            for side, tables in zip(sides.names, sides.tables, strict=True)
        },
        "seed": seed,
        "sentences": [_filled(fill(sides, sentence, k=given.top, progress=next(parts))) for sentence in given.sentence],
        "texts": [
            _scored(
                sides, name, is_demo, pseudo_perplexity(sides, text, most_tokens=given.tokens, seed=seed, progress=next(parts))
            )
            for name, text, is_demo in texts
        ],
    }


def _filled(found: "Filled") -> dict[str, Any]:
    return {
        "sentence": found.sentence,
        "vocabulary": found.vocabulary,
        "masks": [_mask(found, mask) for mask in found.masks],
    }


def _mask(found: "Filled", mask: "FilledMask") -> dict[str, Any]:
    sides = found.sides
    return {
        "position": mask.position,
        "kl": dict(zip(sides, mask.kl, strict=True)),
        "entropy": dict(zip(sides, mask.entropy, strict=True)),
        "kept_of_top": {side: mask.kept(number) for number, side in enumerate(sides)},
        "fillings": [
            {
                "id": filling.token_id,
                "token": filling.token,
                "probabilities": dict(zip(sides, filling.probabilities, strict=True)),
                "ranks": dict(zip(sides, filling.ranks, strict=True)),
            }
            for filling in mask.fillings
        ],
    }


def _scored(sides: "ContextSides", name: str, is_demo: bool, found: "PseudoPerplexity") -> dict[str, Any]:
    intervals = {side: found.interval(side) for side in sides.names[1:]}
    return {
        "name": name,
        "is_demonstration": is_demo,
        "sentences": len(found.sentences),
        "sentences_left_out": found.sentences_left_out,
        "tokens": found.tokens,
        "tokens_masked": found.masked,
        "tokens_cut": found.cut,
        "tokens_unknown": found.unknown,
        "pseudo_perplexity": {side: found.perplexity(side) for side in sides.names},
        "mean_log_probability": {side: found.mean(side) for side in sides.names},
        "differences": {side: None if interval is None else interval.to_dict() for side, interval in intervals.items()},
    }


# The report as text


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
