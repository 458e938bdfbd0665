"""Reports of ``subemb evaluate entailment`` as plain text. Shares are shown x 100."""

from typing import Any

from ..format import count_text
from .evaluation_text import data_text, heading_text, intervals_lines, number_of, score_text, scores_table, sentence_text
from .text import columns_text, one_line


def entailment_text(report: dict[str, Any]) -> str:
    """The report of ``subemb evaluate entailment``."""
    parts = [heading_text(report), f"Judged by: {one_line(report['engine'])}.\n{one_line(report['description'])}"]
    if report["sets"]:
        parts.append(_sets_text(report))
        parts += [
            text for data in report["sets"] for text in (_against_text(data), _confusions_text(data), _flips_text(data)) if text
        ]
    parts += [_pair_text(pair) for pair in report["pairs"]]
    return "\n\n".join(parts)


def _sets_text(report: dict[str, Any]) -> str:
    rows, sets = [], report["sets"]
    has_languages = any(data["by_language"] for data in sets)
    for data in sets:
        for place, (language, scores) in enumerate(_groups(data).items()):
            count = data["languages"][language] if place else data["pairs"]
            labels = ["" if place else data["name"], *([language] if has_languages else []), count_text(count)]
            values = {side: score["accuracy"] for side, score in scores.items()}
            rows.append((labels, values, {side: score["difference"] for side, score in scores.items() if score["difference"]}))
    titles = ["SET", *(["LANGUAGE"] if has_languages else []), "PAIRS"]
    notes = [data_text(data) for data in sets]
    return "\n".join(
        ["ACCURACY (x 100)", scores_table(titles, rows, numbers=[len(titles) - 1]), "", *intervals_lines(report), *notes]
    )


def _groups(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All pairs, and those of each language."""
    return {"all": data["scores"], **data["by_language"]}


def _against_text(data: dict[str, Any]) -> str:
    """McNemar's test and agreement of every side with the first, per language where there are several."""
    reference, *others = data["scores"]
    if not others:
        return ""
    rows = [["SIDE", "PAIRS", f"ONLY {reference.upper()} RIGHT", "ONLY THIS SIDE RIGHT", "McNEMAR p", "AGREEMENT", "KAPPA"]]
    for group, scores in _groups(data).items():
        for side in others:
            score, test = scores[side], scores[side]["mcnemar"]
            counts = [count_text(test["only_first_right"]), count_text(test["only_second_right"])]
            kappa = "undefined" if score["kappa"] is None else f"{score['kappa']:.2f}"
            rows.append(
                [
                    one_line(side),
                    one_line(group),
                    *counts,
                    p_text(test["p_value"]),
                    score_text(number_of(score["agreement"])),
                    kappa,
                ]
            )
    return f"AGAINST {reference.upper()}, {one_line(data['name'])}\n{columns_text(rows, right=(2, 3, 4, 5, 6))}"


def p_text(value: float) -> str:
    """A p value, never a false 0.

    >>> p_text(0.0321), p_text(1e-9), p_text(1.0)
    ('0.032', '< 0.001', '1.000')
    """
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _confusions_text(data: dict[str, Any]) -> str:
    """Rows are labels, columns what was judged."""
    sides = list(data["scores"])
    rows = [
        [
            "LABEL",
            *(
                f"{side.upper()}: {label}" if not number else label
                for side in sides
                for number, label in enumerate(data["labels"])
            ),
        ]
    ]
    for place, label in enumerate(data["labels"]):
        rows.append([label, *(count_text(count) for side in sides for count in data["scores"][side]["confusion"][place])])
    table = columns_text(rows, right=range(1, len(rows[0])))
    return f"JUDGED AS, {one_line(data['name'])} (a row for each label, a column for each judgement)\n{table}"


def _flips_text(data: dict[str, Any]) -> str:
    parts = []
    for side, flips in data["flipped"].items():
        count = data["flipped_count"][side]
        head = f"FLIPPED PAIRS, {one_line(data['name'])}, {side}: {count_text(len(flips))} of {count_text(count)} listed"
        lines = [head]
        if flips:
            lines.append(f"probabilities of {', '.join(data['engine_labels'])}")
        for flip in flips:
            language = f" [{one_line(flip['language'])}]" if flip["language"] else ""
            before, after = (_shares(flip[name]) for name in ("probabilities_before", "probabilities_after"))
            lines.append(
                f"{flip['before']} ({before}) -> {flip['after']} ({after}); label {flip['gold']}, {flip['kind']}{language}"
            )
            lines += [sentence_text(flip["premise"]), sentence_text(flip["hypothesis"])]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _shares(probabilities: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in probabilities)


def _pair_text(pair: dict[str, Any]) -> str:
    rows = [["", *(label.upper() for label in pair["labels"])]]
    rows += [[side, *(f"{value * 100:.1f} %" for value in values)] for side, values in pair["probabilities"].items()]
    lines = ["PAIR", sentence_text(pair["premise"]), sentence_text(pair["hypothesis"])]
    return "\n".join([*lines, columns_text(rows, right=range(1, len(rows[0])))])
