"""The parts of a report that hold its numbers: cards and tables."""

import math
from collections.abc import Sequence

from ..adaptation.result import ADAPTED, TUNED, Adaptation
from ..base.text import count_text, percent_text, seconds_text, size_text
from ..codec.methods import METHODS
from ..codec.settings import WEIGHT_NAMES, CompressionSettings
from ..codec.sizes import FLOAT_BYTES, Size
from ..evaluate.similarity.report import METRIC_NAMES
from ..runs import NEIGHBOURS, Run
from .report_html import Markup, cards, element, folded, joined, section, table
from .report_scores import ScoredSet, points_text, score_text

LONG_TABLE = 16  # rows; longer ones are folded


def size_section(run: Run | None, adaptation: Adaptation | None) -> Markup:
    """What is stored, before and after: cards, and a table of the parts."""
    parts = []
    if run is not None:
        parts.append(cards(_size_cards(run.size, run.settings)))
        parts.append(
            element(
                "p",
                "The paper counts only the floats that are left. The codes are integers, but they have to be kept as well, so the "
                "second share is the one that a file shows.",
                class_="note",
            )
        )
    if adaptation is not None:
        parts.append(cards(_adapted_size_cards(adaptation)))
    return section("Size", *parts, _sizes_table(run, adaptation))


def _size_cards(size: Size, settings: CompressionSettings) -> list[tuple[str, str, str]]:
    found = [
        ("Original table", size_text(size.original_bytes), f"{count_text(size.vocabulary)} × {size.dim} floats"),
        ("Compressed, in total", size_text(size.total_bytes), f"{percent_text(size.total_share)} of the table"),
    ]
    if METHODS[settings.method].uses_codebooks:
        bits = size.code_bits / size.vocabulary
        codes = f"{bits:g} {'bit' if bits == 1 else 'bits'} a token" if size.code_bits else "computed from the id"
        books = size.codebook_parameters
        found += [
            ("Codebooks", size_text(books * FLOAT_BYTES), f"{count_text(books)} floats"),
            ("Codes", size_text(size.code_bytes), codes),
        ]
    else:
        found.append(("Floats", size_text(size.float_bytes), f"{count_text(size.parameters)} floats"))
        found.append(("Rounded numbers", size_text(size.code_bytes), "packed"))
    return [
        *found,
        ("Fewer floats", percent_text(1 - size.parameter_share, 5), "the paper’s measure"),
        ("Fewer bytes", percent_text(1 - size.total_share, 5), "the honest measure"),
    ]


def _adapted_size_cards(adaptation: Adaptation) -> list[tuple[str, str, str]]:
    size = adaptation.size
    if not size:
        return []
    share = percent_text(size["total_bytes"] / size["original_bytes"])
    changed = size["changed_parameters"]
    return [
        ("Adapted, in total", size_text(size["total_bytes"]), f"{share} of the original table"),
        (
            "Changed weights",
            size_text(size["changed_bytes"]),
            f"{count_text(changed)} floats of the network" if changed else "only the table was trained",
        ),
    ]


def _sizes_table(run: Run | None, adaptation: Adaptation | None) -> Markup:
    """Bytes of every part on every side."""
    size, adapted = run.size if run is not None else None, adaptation.size if adaptation is not None else {}
    original = size.original_bytes if size is not None else adapted.get("original_bytes")
    if original is None:
        return Markup("")
    head, columns = ["stored", "original"], [{"table": original, "total": original}]
    if size is not None:
        head.append("compressed")
        columns.append(
            {
                "books": size.codebook_parameters * FLOAT_BYTES,
                "codes": size.code_bytes,
                "other": size.other_parameters * FLOAT_BYTES,
                "table": size.total_bytes,
                "total": size.total_bytes,
            }
        )
        columns[0]["model"], columns[1]["model"] = size.model_bytes, size.compressed_model_bytes
    if adapted:
        head.append(ADAPTED)
        model = None if size is None or size.model_bytes is None else size.model_bytes - original + adapted["table_bytes"]
        columns.append(
            {
                "table": adapted["table_bytes"],
                "changed": adapted["changed_bytes"],
                "total": adapted["total_bytes"],
                "model": model,
            }
        )
    rows = []
    for name, label in _SIZE_ROWS.items():
        found = [column.get(name) for column in columns]
        if any(found) and (name != "changed" or adapted):
            rows.append([label, *(_bytes(value) for value in found)])
    shares = [column["total"] / original for column in columns]
    rows.append(["share of the original table", *(percent_text(share) for share in shares)])
    note = "Floats are counted as float32. The whole model is the network with that table in it."
    if adapted.get("changed_bytes"):
        note += (
            " Changed weights take the place of others in the network; what is handed on besides the original has to hold them."
        )
    return joined([table("Bytes before and after", head, rows), element("p", note, class_="note")])


_SIZE_ROWS = {
    "books": "codebooks",
    "codes": "codes, or rounded numbers",
    "other": "other floats",
    "table": "token table",
    "changed": "changed weights",
    "total": "stored in total",
    "model": "whole model",
}


def _bytes(value: int | None) -> Markup | str:
    if value is None:
        return "–"
    exact = element("small", f"{count_text(value)} B") if value >= 1000 else ""
    return joined([size_text(value), exact], "")


def quality_section(run: Run, measured: str = "compressed") -> Markup:
    """What the compression lost. measured: whose table that is, the ``compressed`` one's or the ``adapted`` one's."""
    quality = run.quality
    found = [
        ("Relative error", f"{quality['relative_error']:.3f}", "0 is perfect, 1 is the mean vector"),
        ("Mean cosine", f"{quality['mean_cosine']:.3f}", "1 is perfect"),
        (f"Neighbours kept at {NEIGHBOURS}", percent_text(quality["neighbours_kept"]), "100 % is perfect"),
    ]
    if quality["distinct_tuples"] is not None:
        colliding = quality["colliding_tokens"]
        remark = f"{count_text(colliding)} tokens collide" if colliding else f"all {count_text(run.size.vocabulary)}"
        found.append(("Distinct tuples", count_text(quality["distinct_tuples"]), remark))
    if quality["weighted_error"] is not None:
        weights = f"weights: {WEIGHT_NAMES[run.settings.weights]}"
        found.append(("Weighted error", f"{quality['weighted_error']:.3f}", weights))
    quantiles = sorted((float(name), value) for name, value in quality["cosine_quantiles"].items())
    shares = ", ".join(f"{value:.2f} at {percent_text(share)}" for share, value in quantiles)
    asked = f"{count_text(quality['neighbours_sample'])} of {count_text(run.size.vocabulary)} tokens, seed {run.settings.seed}"
    note = (
        f"{_MEASURED[measured]} Cosine of single tokens, quantiles: {shares}. Neighbours: of the "
        f"{NEIGHBOURS} nearest tokens (cosine), the share that is still among them, asked of {asked}."
    )
    if run.seconds.get("compress"):
        measuring = seconds_text(run.seconds.get("measure", 0))
        note += f" Computed in {seconds_text(run.seconds['compress'])}, measured in {measuring}."
    return section(f"Quality of the {measured} table", cards(found), element("p", note, class_="note"), _subspaces(run))


_MEASURED = {
    "compressed": "Of the table as compressed, before any training.",
    ADAPTED: "Of the table as adapted: training makes the model good, not the table like the original’s.",
}


def _subspaces(run: Run) -> Markup:
    """Error of every subspace (of residual: none)."""
    errors: Sequence[float] = run.quality.get("per_subspace") or []
    if not errors:
        return Markup("")
    title = "Relative squared error of each subspace"
    drawn = table(title, ["subspace", "relative error"], [[f"subspace {i}", f"{error:.4f}"] for i, error in enumerate(errors)])
    return drawn if len(errors) <= LONG_TABLE else folded(f"{title} ({len(errors)} rows)", drawn)


def adaptation_set(adaptation: Adaptation) -> ScoredSet | None:
    """The scores of an adaptation on the set that it was followed on, or None without one."""
    if adaptation.scored is None or not adaptation.scores:
        return None
    scored = adaptation.scored
    metric = str(scored.get("metric", "score"))
    name = METRIC_NAMES.get(metric, metric[:1].upper() + metric[1:])
    return ScoredSet(scored["name"], scored["pairs"], name, adaptation.scores)


def score_cards(found: ScoredSet) -> Markup:
    """The scores of one set as cards, with the difference to the side that each is compared with."""
    items = []
    for side, value in found.values.items():
        reference = found.reference_of(side)
        remark = (
            found.metric if side == reference else f"{points_text(value - found.values[reference])} points against {reference}"
        )
        items.append((side[:1].upper() + side[1:], score_text(value), remark))
    return cards(items)


def fairness(adaptation: Adaptation) -> Markup | str:
    """With what an adaptation by fine-tuning is compared, as a note; "" for others."""
    if TUNED in adaptation.scores:
        said = (
            "The fine-tuned original was trained alike, for as many steps on the same batches, its whole table in place of the "
            "codebooks: what compression costs is the distance of adapted to it, not to the original as it came."
        )
    elif adaptation.settings.is_fine_tuning:
        said = "It was stopped before the original had been trained as long, so there is no fair comparison with an original."
    else:
        return ""
    return element("p", said, class_="note")


def scores_section(sets: Sequence[ScoredSet], followed: ScoredSet | None = None) -> Markup:
    """One row a labelled set, one column a side; differences with their interval where it is known.

    followed: the set that an adaptation was followed on, one of them.
    """
    if not sets:
        note = "No labelled set was scored. The pages Similarity, Entailment and Adapt measure what the model still can do."
        return section("Scores", element("p", note))
    sides = list(dict.fromkeys(side for found in sets for side in found.values))
    rows = []
    for found in sets:
        name = joined([found.data, element("small", f"{found.judged_by}") if found.judged_by else ""], " ")
        cells = [_cell(found, side) for side in sides]
        rows.append([name, found.metric, count_text(found.pairs), *cells])
    note = "Scores × 100. Below a score: its difference to the first side in points, or to the side that is named there"
    if any(found.differences for found in sets):
        note += ", with the interval that pairs drawn anew give in 95 of 100 draws where it was computed"
    if followed is not None and ADAPTED in followed.values:
        note += (
            f". {followed.data} chose which step’s weights were kept, so its score of the adapted model is a little too good"
        )
    return section(
        "Scores",
        table("Scores on labelled sets", ["data set", "metric", "pairs", *sides], rows),
        element("p", note + ".", class_="note"),
    )


def _cell(found: ScoredSet, side: str) -> Markup | str:
    if side not in found.values:
        return "–"
    reference = found.reference_of(side)
    if side == reference:
        return score_text(found.values[side])
    interval = found.differences.get(side)
    if interval is None:
        change = points_text(found.values[side] - found.values[reference])
        change += f" against {reference}" if reference == TUNED else ""
    elif math.isnan(interval.low):
        change = f"{points_text(100 * interval.difference)}, no interval"
    else:
        change = f"{points_text(100 * interval.difference)} ({points_text(100 * interval.low)} to {points_text(100 * interval.high)})"
    return joined([score_text(found.values[side]), element("small", change)], "")
