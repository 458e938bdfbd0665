"""``subemb evaluate context``: what a model puts into a gap or says next, and how well it guesses a text, before and after."""

import argparse
from typing import Any

from ..base.errors import InputError, ModelError
from ..base.progress import ProgressCallback, part_of
from ..base.text import columns_text, count_text, one_line
from ..evaluate.context.fill import HUB_MODELS, MOST_FILLINGS, Filled, FilledMask, fill
from ..evaluate.context.network import CAUSAL, HEAD_TEXTS, MASKED, ContextSides
from ..evaluate.context.perplexity import LONGEST_TEXT, MOST_TOKENS, PERPLEXITY, TextPerplexity, text_perplexity
from ..evaluate.context.uses import OUTPUT, TableUses, sides_of_uses
from ..evaluate.context.verdicts import fill_verdict, text_verdict, uses_verdict
from ..evaluate.context.words import checked_sentence, with_own_masks
from ..evaluate.data.read import demo_pairs
from ..evaluate.data.tables import decoded, read_bytes
from ..models.model import PretrainedModel
from .evaluate_inputs import ComparedSides, add_sides, open_compared, seed_of
from .terminal import path_argument, print_json
from .text import DEMONSTRATION, ProgressLine, heading_text, sentence_text

EACH = "each"
TABLES = {"both": (True, True), "input": (True, False), "output": (False, True)}


def add(tasks) -> None:
    command = tasks.add_parser(
        "context",
        aliases=["fill-mask"],
        help="words in context: the best fillings or next words, KL divergence, perplexity of a text",
        description="What a model with a masked-word head puts in the place of a mask, or a decoder says next; and the perplexity of a "
        "text: of a masked model the pseudo-perplexity. Without either, the English sentences of the demonstration set are the text.",
    )
    add_sides(command)
    command.add_argument(
        "--sentence",
        action="append",
        default=[],
        metavar="SENTENCE",
        help="with [MASK] or <mask> in it; a decoder reads what stands before it; may be repeated",
    )
    command.add_argument(
        "--next",
        action="append",
        default=[],
        metavar="TEXT",
        help="the beginning of a text: what a decoder says next; may be repeated",
    )
    command.add_argument(
        "--data",
        type=path_argument,
        nargs="+",
        metavar="FILE",
        help="UTF-8 texts, for a masked model one sentence a line: perplexity before and after; --text FILE is the same, unless --weights "
        "or --sensitive need it",
    )
    command.add_argument("--top", type=int, default=10, metavar="K", help="fillings of each side (default 10)")
    command.add_argument(
        "--compress",
        choices=(*TABLES, EACH),
        default="both",
        help="input table, tied output head, or both (default); each: all of these beside each other, to see where it hurts",
    )
    command.add_argument(
        "--tokens",
        type=int,
        metavar="N",
        help="of a text, scored at most: drawn with --seed by a masked model (default 500), the first ones by a decoder (default 5,000)",
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.add_argument("--json", action="store_true", help="the report for programs")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Read, compress if asked, fill and score, report."""
    _check(given)
    seed = seed_of(given)
    with ProgressLine(enabled=not given.quiet) as progress:
        texts = _texts(given)
        compared = open_compared(given, part_of(progress, 0.0, 0.3), check=lambda model: check_model(model, given))
        report = evaluate(compared, texts, given, seed, part_of(progress, 0.3, 1.0))
    print_json(report) if given.json else print(context_text(report))
    return 0


def _check(given: argparse.Namespace) -> None:
    """Raise InputError for what cannot be used, before any work; a text that nobody counts is one to score."""
    for name, value, most in (("top", given.top, MOST_FILLINGS), ("tokens", given.tokens, MOST_TOKENS)):
        if value is not None and not 1 <= value <= most:
            raise InputError(f"--{name} is {value}; choose 1 to {most:,}")
    if given.text is not None and given.weights not in ("counts", "sqrt_counts") and not given.sensitive:
        if not given.text.is_file():
            raise InputError(
                f"--text {given.text} is no file; give a sentence with a mask as --sentence, the beginning of one as --next, and a text to "
                "score as --data"
            )
        given.data, given.text = [*(given.data or []), given.text], None


def check_model(model: PretrainedModel, given: argparse.Namespace) -> None:
    """Raise ModelError unless a model can be asked for words, naming some that can; InputError for sentences that it cannot be asked."""
    try:
        sides = ContextSides({"original": model})
    except ModelError as error:
        if error.reason != "unsupported":
            raise
        examples = ", ".join(f"{HUB_MODELS[place].name} ({HUB_MODELS[place].languages})" for place in (0, 3, 6))
        raise ModelError(f"{model.name} cannot fill gaps: {error}; models that can: {examples}", error.reason) from error
    for sentence in (*given.sentence, *given.next):
        checked_sentence(sentence)
    if sides.kind == CAUSAL:
        return
    if given.next:
        raise InputError(
            f"{model.name} fills gaps and says nothing that comes next; give --sentence with {sides.mask_token} in it"
        )
    for sentence in given.sentence:
        if sides.mask_token not in with_own_masks(model.tokenizer, sentence)[0]:
            raise InputError(
                f"the sentence {sentence[:80]!r} has no mask; write {sides.mask_token} where a word is to be found"
            )


def _texts(given: argparse.Namespace) -> list[tuple[str, str, bool]]:
    """(name, text, whether it is the demonstration) of everything to score. Raises InputError as the readers do."""
    found = []
    for path in given.data or []:
        text = decoded(read_bytes(path), path.name)
        if not text.strip():
            raise InputError(f"{path.name} is empty; give a text with a sentence a line")
        if len(text) > LONGEST_TEXT:
            raise InputError(f"{path.name} has {len(text):,} characters; at most {LONGEST_TEXT:,} are read: give a part of it")
        found.append((path.name, text, False))
    if not (found or given.sentence or given.next):
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
    sides = _sides(compared, given.compress)
    sentences = [*given.sentence, *given.next]
    total = len(sentences) + len(texts)
    parts = (part_of(progress, number / total, (number + 1) / total) for number in range(total))
    filled = [fill(sides, sentence, k=given.top, progress=next(parts)) for sentence in sentences]
    scored = [
        (name, is_demo, text_perplexity(sides, text, most_tokens=given.tokens, seed=seed, progress=next(parts)))
        for name, text, is_demo in texts
    ]
    return {
        "task": "fill-mask",
        **compared.to_dict(),
        "sides": list(sides.names),
        "kind": sides.kind,
        "head_note": compared.model.head_note(sides.kind),
        "mask_token": sides.mask_token,
        "tables": {
            side: {"input": "compressed" if tables.input else "original", "head": HEAD_TEXTS[tables.head]}
            for side, tables in zip(sides.names, sides.tables, strict=True)
        },
        "seed": seed,
        "verdict": _where_it_hurts(sides, filled, [one for _, _, one in scored]) if given.compress == EACH else "",
        "sentences": [_filled(one) for one in filled],
        "texts": [_scored(sides, *one) for one in scored],
    }


def _sides(compared: ComparedSides, which: str) -> ContextSides:
    if which != EACH:
        return ContextSides(compared.sides, *TABLES[which])
    others = [side for name, side in compared.sides.items() if name != next(iter(compared.sides))]
    if not others:
        raise InputError(
            "--compress each compares uses of a compressed table; give one, or options of compression such as --method"
        )
    # Of what `subemb adapt` wrote the table it began with is not kept: its uses are those of the adapted one.
    return sides_of_uses(compared.model, *others[:2])


def _where_it_hurts(sides: ContextSides, filled: list[Filled], scored: list[TextPerplexity]) -> str:
    found = TableUses(filled[0] if filled else None, scored[0] if scored else None, OUTPUT in sides.names)
    return uses_verdict(found, one_line)


def _filled(found: Filled) -> dict[str, Any]:
    return {
        "sentence": found.sentence,
        "unread": found.unread,
        "vocabulary": found.vocabulary,
        "verdict": fill_verdict(found, one_line),
        "masks": [_mask(found, mask) for mask in found.masks],
    }


def _mask(found: Filled, mask: FilledMask) -> dict[str, Any]:
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
                "ranks": dict(zip(sides, filling.best_ranks, strict=True)),
            }
            for filling in mask.fillings
        ],
    }


def _scored(sides: ContextSides, name: str, is_demo: bool, found: TextPerplexity) -> dict[str, Any]:
    intervals = {side: found.interval(side) for side in sides.names[1:]}
    return {
        "name": name,
        "is_demonstration": is_demo,
        "sentences": len(found.sentences),
        "sentences_left_out": found.sentences_left_out,
        "tokens": found.tokens,
        "tokens_scored": found.scored,
        **({"tokens_masked": found.scored} if found.kind == MASKED else {"window": found.window}),
        "tokens_cut": found.cut,
        "tokens_unknown": found.unknown,
        PERPLEXITY[found.kind]: {side: found.perplexity(side) for side in sides.names},
        "mean_log_probability": {side: found.mean(side) for side in sides.names},
        "differences": {side: None if interval is None else interval.to_dict() for side, interval in intervals.items()},
        "verdict": text_verdict(found),
    }


# The report as text


def context_text(report: dict[str, Any]) -> str:
    """The report of ``subemb evaluate context``."""
    rows = [
        [f"{side}:", f"input table {tables['input']},", f"output head {tables['head']}"]
        for side, tables in report["tables"].items()
    ]
    parts = [heading_text(report), columns_text(rows)]
    parts += [text for text in (report["head_note"], report["verdict"]) if text]
    parts += [_sentence_text(found, report["kind"]) for found in report["sentences"]]
    if report["texts"]:
        parts.append(_texts_text(report["texts"], report["kind"]))
    return "\n\n".join(parts)


def _sentence_text(found: dict[str, Any], kind: str) -> str:
    lines = ["WHAT COMES NEXT" if kind == "causal" else "SENTENCE", sentence_text(found["sentence"])]
    if found["unread"]:
        lines.append(f"not read, as it stands behind the gap: {one_line(found['unread'])}")
    lines += ["", found["verdict"]]
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


def _texts_text(texts: list[dict[str, Any]], kind: str) -> str:
    name = "perplexity" if kind == "causal" else "pseudo_perplexity"
    sides = list(texts[0][name])
    rows = [["TEXT", "TOKENS", *(side.upper() for side in sides)]]
    for side in sides[1:]:
        rows[0] += [f"{side.upper()} NATS A TOKEN", "95 % INTERVAL"]
    notes = []
    for text in texts:
        row = [one_line(text["name"]), count_text(text["tokens_scored"])]
        row += [f"{text[name][side]:,.2f}" for side in sides]
        for side in sides[1:]:
            difference = text["mean_log_probability"][side] - text["mean_log_probability"][sides[0]]
            interval = text["differences"][side]
            shown = "too few sentences" if interval is None else f"{interval['low']:+.3f} to {interval['high']:+.3f}"
            row += [f"{difference:+.3f}", shown]
        rows.append(row)
        notes += [text["verdict"], _note(text)]
    from_what = "those before it" if kind == "causal" else "all the others of its sentence"
    about = f"1 is a perfect guess of every token from {from_what}; nats a token: change of the mean log probability."
    title = name.replace("_", "-").upper()
    return "\n".join([title, columns_text(rows, right=range(1, len(rows[0]))), "", about, *notes])


def _note(text: dict[str, Any]) -> str:
    """What of a text was scored, and what was left out."""
    parts = [f"{one_line(text['name'])}: {count_text(text['sentences'])} sentences, {count_text(text['tokens'])} tokens"]
    if text["tokens_scored"] < text["tokens"]:
        scored = count_text(text["tokens_scored"])
        parts.append(
            f"the first {scored} scored (--tokens)"
            if "window" in text
            else f"{scored} of them drawn at random and masked (--tokens)"
        )
    if "window" in text:
        parts.append(f"read in windows of {text['window']} tokens that overlap by half")
    if text["sentences_left_out"]:
        parts.append(f"{count_text(text['sentences_left_out'])} more sentences left out")
    if text["tokens_cut"]:
        parts.append(f"{count_text(text['tokens_cut'])} tokens cut off where a sentence is longer than the model reads")
    if text["tokens_unknown"]:
        parts.append(f"{count_text(text['tokens_unknown'])} of the scored ones unknown to the tokenizer")
    demo = f"\nThis is {DEMONSTRATION}." if text["is_demonstration"] else ""
    return "; ".join(parts) + demo
