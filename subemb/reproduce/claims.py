"""The twelve claims, each with the rule that makes a verdict of the rows. All rules are pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..analysis.equal_bytes import NEAR
from ..base.text import percent_text
from .claim import (
    ABSTRACT,
    ARBITRARY,
    ASKED,
    CLUSTER,
    FAILS,
    FEW,
    HOLDS,
    INT4,
    KNOWN_TABLES,
    MANY,
    METHOD,
    NOT_SAID,
    OPEN,
    POINTS,
    PRODUCT,
    RIVALS,
    SAME,
    SEVERAL,
    SHARE,
    SLOWER,
    Claim,
    Judged,
    Part,
    against_original,
    against_others,
    all_hold,
    any_holds,
    codebooks_trained,
    counted,
    decided,
    drawn,
    equal_bytes,
    float_share,
    honest_share,
    judged,
    listed,
    main_sets,
    masked_words,
    nothing,
    pairs_tuned,
    points_text,
    rows_of,
    searched,
    settings_of,
    speeds,
    tables_of,
    tuned,
    untrained,
)  # fmt: skip
from .rows import CODEBOOKS, MASKED, SEARCHED, SPEED, TRAINING_WORDS, TUNED, ClaimRow, ClaimsTable

_SENTENCES = ("similarity", "paraphrase", "entailment")


def fewer_floats(claim: Claim, table: ClaimsTable) -> Judged:
    """By V and f alone: the floats of f codebooks of the smallest Q with Q ** f >= V."""
    tables, parts = tables_of(table.facts), []
    for one in tables:
        for subspaces in (2, FEW, 4):
            saved = 1 - float_share(one.vocabulary, subspaces)
            parts.append(
                Part(f"f = {subspaces}", one.name, HOLDS if saved > SHARE else FAILS, 100 * saved, counts=subspaces == FEW)
            )
    with_two = [part.on for part in parts if part.what == "f = 2" and part.verdict == HOLDS]
    nearest = max((part for part in parts if part.what == "f = 2"), key=lambda part: part.value)
    two = (
        f"f = 2 does for {listed(with_two)}"
        if with_two
        else f"f = 2 saves it for none: at best {nearest.value:.4f} % ({nearest.on})"
    )
    verdict = all_hold(part.verdict for part in counted(parts))
    but = [f"{part.on} ({part.value:.1f} %)" for part in counted(parts) if part.verdict == FAILS]
    tables_said = f"all tables but {listed(but)}" if but else "all of these tables"
    return judged(claim, verdict, f"Counted in floats alone, f = 3 saves more than 99.8 % of {tables_said}; {two}.", parts)


def all_distinct(claim: Claim, table: ClaimsTable) -> Judged:
    """No two tokens of any row share a tuple."""
    rows = [row for method in (ARBITRARY, CLUSTER) for row in rows_of(table, method)]
    rows += [row for training in (CODEBOOKS, SEARCHED) for row in rows_of(table, CLUSTER, training=training)]
    rows = [row for row in rows if row.distinct_tuples is not None]
    if not rows:
        return nothing(claim, table)
    parts = []
    for (method, words, training), group in _grouped(rows).items():
        worst = max(row.colliding_tokens or 0 for row in group)
        name = f"{method}, {words}" if method != CLUSTER else words
        parts.append(
            Part(name, TRAINING_WORDS[training], HOLDS if not worst else FAILS, worst, seeds=len(group), share=group[0].share)
        )
    verdict = all_hold(part.verdict for part in parts)
    sharing = max(part.value for part in parts)
    found = (
        f"In {'the one table' if len(rows) == 1 else f'all {len(rows)} tables'} every token has a tuple of its own"
        if verdict == HOLDS
        else f"Up to {sharing:.0f} tokens share a tuple"
    )
    trained = any(training in (CODEBOOKS, SEARCHED) for _, _, training in _grouped(rows))
    after = ", after training too." if trained else "; none of them was trained."
    return judged(claim, verdict, found + after if verdict == HOLDS else f"{found}.", parts, rows)


def _grouped(rows: Iterable[ClaimRow]) -> dict[tuple[str, str, str], list[ClaimRow]]:
    found: dict[tuple[str, str, str], list[ClaimRow]] = {}
    for row in rows:
        words = f"f = {row.settings.subspaces}, Q = {row.settings.codebook_size}"
        found.setdefault((row.settings.method, words, row.training), []).append(row)
    return found


def cluster_is_better(claim: Claim, table: ClaimsTable) -> Judged:
    """Cluster codes against arbitrary ones at equal f, Q and training, task by task."""
    parts, rows = [], []
    for training, on in ((CODEBOOKS, "sentences"), (TUNED, MASKED)):
        task = MASKED if on == MASKED else ""
        mine, theirs = (rows_of(table, method, FEW, training=training, on=on, task=task) for method in (CLUSTER, ARBITRARY))
        rows += [*mine, *theirs]
        names = main_sets(table, MASKED) if on == MASKED else main_sets(table, *_SENTENCES)
        parts += [against_others(mine, theirs, name, 0.0, "trained alike") for name in names]
    mine, theirs = rows_of(table, CLUSTER, FEW), rows_of(table, ARBITRARY, FEW)
    for name in main_sets(table, *_SENTENCES):
        part = against_others(mine, theirs, name, 0.0, "nothing trained")
        parts.append(None if part is None else _shown(part))
    parts = decided(parts, table)
    asked = counted(parts)
    if not asked:
        return nothing(claim, table, *_SENTENCES)
    verdict = all_hold(part.verdict for part in asked)
    least, most = min(asked, key=lambda part: part.value), max(asked, key=lambda part: part.value)
    spread = f"{points_text(least.value)} ({least.on}) to {points_text(most.value)} points ({most.on})"
    open_ones = [part.on for part in asked if part.verdict != HOLDS]
    tail = f"; not surely on {listed(open_ones)}" if open_ones and verdict == OPEN else ""
    return judged(
        claim,
        verdict,
        f"Trained alike, cluster codes score {spread} more than arbitrary ones{tail}.{_without(table)}",
        parts,
        rows,
    )


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:]


def _shown(part: Part) -> Part:
    """The same, shown for comparison only."""
    return replace(part, counts=False)


def _without(table: ClaimsTable) -> str:
    """Which tasks could not be asked, as a sentence of its own."""
    names = {"similarity": "similarity", "paraphrase": "paraphrase", "entailment": "entailment", MASKED: "masked words"}
    missing = [names[task] for task in names if task in table.facts.missing]
    return f" Without {listed(missing)}, which this model cannot do here." if missing else ""


def few_points_lost(claim: Claim, table: ClaimsTable) -> Judged:
    """Every setting after adaptation or fine-tuning, on every task; one that loses at most 4 points on all of them is enough."""
    found: dict[str, list[Part]] = {}
    rows = _trained_cluster(table)
    for words, group in settings_of(rows).items():
        found[words] = _after_training(group, main_sets(table), words, table)
    settings = {words: parts for words, parts in found.items() if parts and _is_beyond(rows, words)}
    if not settings and any(found.values()):
        return judged(claim, OPEN, "No setting of so small a table stores less than 0.2 % of its floats.", (), rows)
    if not settings:
        return nothing(claim, table, *_SENTENCES)
    tasks = {part.on for parts in settings.values() for part in parts if part.counts}
    verdicts = {
        words: all_hold(
            [part.verdict for part in parts if part.counts] + [OPEN] * (tasks != {part.on for part in parts if part.counts})
        )
        for words, parts in settings.items()
    }
    verdict = any_holds(verdicts.values())
    if verdict == HOLDS:
        words = next(words for words, one in verdicts.items() if one == HOLDS)
        share = max(part.share or 0 for part in settings[words])
        smaller = [name for name, one in verdicts.items() if one == FAILS]
        tail = f"; {listed(smaller)} does not" if smaller else ""
        sentence = (
            f"{words} loses at most 4 points on every task, in {percent_text(share)} of the bytes{_codebooks(rows)}{tail}."
        )
    else:
        worst = {
            words: min((part for part in parts if part.counts), key=lambda part: part.value)
            for words, parts in settings.items()
        }
        words, part = max(worst.items(), key=lambda item: item[1].value)
        stays = "stays" if verdict == FAILS else "surely stays"
        perhaps = "" if part.low is None or part.verdict == FAILS else f", and perhaps {-part.low:.1f}"
        sentence = (
            f"No setting that saves over 99.8 % of the floats {stays} within 4 points everywhere: the nearest, {words} "
            f"({percent_text(part.share)} of the bytes{_codebooks(rows)}), loses "
            f"{-part.value:.1f} points on {part.on}{perhaps}."
        )
    everything = [part for parts in settings.values() for part in parts]
    return judged(claim, verdict, sentence + _without(table), everything, rows)


def _trained_cluster(table: ClaimsTable, *tasks: str) -> list[ClaimRow]:
    """Rows of cluster codes after adaptation or fine-tuning: on any task, or on some."""
    return [
        row
        for row in table.done
        if row.settings.method == CLUSTER
        and (row.training == SEARCHED or (row.training == TUNED and row.task in (tasks or (row.task,))))
    ]


def _after_training(group: Sequence[ClaimRow], names: Sequence[str], words: str, table: ClaimsTable) -> list[Part]:
    """Parts of one setting on some sets: adapted, and fine-tuned on the task of each; of the two the better one counts."""
    parts = []
    for training, on, task, how in (
        (SEARCHED, "sentences", "", "adapted"),
        (TUNED, "sentences", "similarity", "fine-tuned"),
        (TUNED, "sentences", "entailment", "fine-tuned"),
        (TUNED, MASKED, MASKED, "fine-tuned"),
    ):
        own = [row for row in group if (row.training, row.on, row.task) == (training, on, task)]
        parts += [against_original(own, name, -POINTS, f"{words}, {how}") for name in names]
    return _easiest(decided(parts, table))


def _codebooks(rows: Sequence[ClaimRow]) -> str:
    """How the numbers of codebooks are stored, where shares of bytes are said; "" where rows differ."""
    bits = {row.settings.codebook_bits for row in rows}
    return f", codebooks in {bits.pop()} bits" if len(bits) == 1 and None not in bits else ""


def _easiest(parts: Sequence[Part]) -> list[Part]:
    """Of a setting: what counts on each set is its better training, adaptation or fine-tuning; the others are shown."""
    best: dict[str, Part] = {}
    for part in parts:
        if part.on not in best or part.value > best[part.on].value:
            best[part.on] = part
    return [part if best[part.on] is part else replace(part, counts=False) for part in parts]


def _is_beyond(rows: Sequence[ClaimRow], words: str) -> bool:
    return any(row.floats is not None and row.floats < 1 - SHARE for row in settings_of(rows)[words])


def every_language(claim: Claim, table: ClaimsTable) -> Judged:
    """At most 4 points lost in every language, by one setting."""
    languages = list(dict.fromkeys(one["language"] for one in table.facts.sets if one["language"]))
    if len(table.facts.languages) < 2:
        only = ", ".join(table.facts.languages) or "no language that is known"
        return judged(
            claim, OPEN, f"{table.facts.model['name']} reads one language ({only}): a multilingual model is needed.", ()
        )
    if len(languages) < 2:
        return judged(claim, OPEN, "The labelled sets are in one language: give sets in several with --data.", ())
    names = [one["name"] for one in table.facts.sets if one["task"] in ("similarity", "entailment")]
    rows = _trained_cluster(table, "similarity", "entailment")
    settings = {
        words: _after_training(group, names, words, table)
        for words, group in settings_of(rows).items()
        if _is_beyond(rows, words)
    }
    settings = {words: parts for words, parts in settings.items() if counted(parts)}
    if not settings:
        return nothing(claim, table, "similarity", "entailment")
    verdict = any_holds(all_hold(part.verdict for part in counted(parts)) for parts in settings.values())
    best = max(settings, key=lambda words: min(part.value for part in counted(settings[words])))
    worst = min(counted(settings[best]), key=lambda part: part.value)
    sentence = (
        f"Of {len(languages)} languages the worst under {best} ({percent_text(worst.share)} of the bytes{_codebooks(rows)}): {worst.on}, "
        f"{points_text(worst.value)} points."
    )
    return judged(claim, verdict, sentence, [part for parts in settings.values() for part in parts], rows)


def three_is_enough(claim: Claim, table: ClaimsTable) -> Judged:
    """f = 3 against f = 2, both with the paper's own Q; more subspaces are shown."""
    by_count = {count: rows_of(table, CLUSTER, count, training=SEARCHED) for count in (2, FEW, SEVERAL, MANY)}
    names = main_sets(table, "similarity", "entailment")
    parts = decided((against_others(by_count[FEW], by_count[2], name, -SAME, "f = 3 less f = 2") for name in names), table)
    asked = counted(parts)
    if not asked:
        return nothing(claim, table, "similarity", "entailment")
    for count in (SEVERAL, MANY):
        for name in names:
            part = against_others(by_count[count], by_count[2], name, -SAME, f"f = {count} less f = 2")
            parts.append(None if part is None else _shown(part))
    verdict = all_hold(part.verdict for part in asked)
    two, three = (by_count[count][0] for count in (2, FEW))
    worst = min(asked, key=lambda part: part.value)
    sentence = (
        f"f = 3 scores {points_text(worst.value)} points against f = 2 on {worst.on}, where it does worst, and stores "
        f"{percent_text(three.share)} of the bytes instead of {percent_text(two.share)}{_codebooks([two, three])}."
    )
    return judged(claim, verdict, sentence, parts, [row for rows in by_count.values() for row in rows])


def multilingual_gain(claim: Claim, table: ClaimsTable) -> Judged:
    """What is saved of the whole model with f = 3, every byte counted."""
    known, parts = tables_of(table.facts), []
    saved = {one.name: 100 * one.share * (1 - honest_share(one.vocabulary, one.dim, FEW)) for one in known}
    others = max(saved[one.name] for one in KNOWN_TABLES if one.name in saved and not one.is_multilingual)
    for one in known:
        word = "multilingual" if one.is_multilingual else "one language"
        more = saved[one.name] - others
        verdict = HOLDS if not one.is_multilingual or more >= SAME else OPEN if more > -SAME else FAILS
        parts.append(Part(one.name, word, verdict, saved[one.name], counts=one.is_multilingual))
    verdict = all_hold(part.verdict for part in counted(parts))
    least, most = min(counted(parts), key=lambda part: part.value), max(counted(parts), key=lambda part: part.value)
    near = max((one for one in known if not one.is_multilingual), key=lambda one: saved[one.name])
    small = (
        f" But {near.name}, a model of one language, gains {saved[near.name]:.1f} % too, no less than {least.what} to within a point."
        if verdict == OPEN
        else ""
    )
    sentence = f"f = 3 takes {least.value:.1f} % ({least.what}) to {most.value:.1f} % ({most.what}) off whole multilingual models.{small}"
    return judged(claim, verdict, sentence, parts)


def masked_models(claim: Claim, table: ClaimsTable) -> Judged:
    """Masked words with both tables compressed, fine-tuned, the original alike."""
    rows = [row for row in table.done if row.on == MASKED and row.settings.method == CLUSTER]
    names, parts = main_sets(table, MASKED), []
    for words, group in settings_of(rows).items():
        for training, how in ((TUNED, "fine-tuned"), ("untrained", "nothing trained")):
            own = [row for row in group if row.training == training]
            for name in names:
                part = against_original(own, name, -POINTS, f"{words}, {how}", training == TUNED)
                parts.append(part)
    asked = counted(parts)
    if not asked and rows:
        return judged(claim, OPEN, f"Measured without fine-tuning only. {_perplexities(rows)}".strip(), parts, rows)
    if not asked:
        return nothing(claim, table, MASKED)
    verdict = any_holds(part.verdict for part in asked)
    best = max(asked, key=lambda part: part.value)
    sentence = (
        f"Fine-tuned alike, {best.what.split(', fine')[0]} guesses {abs(best.value):.1f} points "
        f"{'fewer' if best.value < 0 else 'more'} of the masked words right than the original. "
    )
    sentence += _perplexities(rows)
    note = f" {table.facts.head_note}" if table.facts.head_note else ""
    return judged(claim, verdict, sentence.strip() + note, parts, rows)


def _perplexities(rows: Sequence[ClaimRow]) -> str:
    """What the tied head does to the pseudo-perplexity, in a sentence; "" where it is not known."""
    for row in rows:
        values = row.values
        if row.training == "untrained" and "perplexity, input only" in values:
            ways = [f"{way} {values[f'perplexity, {way}']:,.0f}" for way in ("input only", "output only", "both")]
            f = row.settings.subspaces
            return f"Pseudo-perplexity with f = {f}, nothing trained: {values['perplexity, original']:,.0f}; {', '.join(ways)}."
    return ""


def no_slower(claim: Claim, table: ClaimsTable) -> Judged:
    """Seconds of a training step, a lookup and logits over those of the dense table."""
    rows, parts = rows_of(table, CLUSTER, kind=SPEED), []
    names = {"step": "a training step", "lookup": "looking rows up", "logits": "logits of a tied head"}
    for words, group in settings_of(rows).items():
        for what, name in names.items():
            values = [row.values for row in group if f"{what}, ratio" in row.values]
            if values:
                middle, low, high = (values[0][f"{what}, ratio{end}"] for end in ("", " low", " high"))
                verdict = HOLDS if high <= SLOWER else FAILS if low > SLOWER else OPEN
                parts.append(Part(words, name, verdict, middle, low, high, share=group[0].share, counts=what == "step"))
    if not parts:
        return nothing(claim, table)
    if not counted(parts):
        return judged(claim, OPEN, f"{table.facts.model['name']} has no network: there is no step to time.", parts, rows)
    verdict = all_hold(part.verdict for part in counted(parts))
    steps = [part.value for part in counted(parts)]
    lookups = [part.value for part in parts if part.on == names["lookup"]]
    sentence = (
        f"A training step takes {min(steps):.2f} to {max(steps):.2f} times as long as with nn.Embedding; looking rows up alone "
        f"{min(lookups):.1f} to {max(lookups):.1f} times."
    )
    if verdict == OPEN:
        reach = max(part.high for part in counted(parts))
        sentence += f" The middle half of the timings reaches {reach:.2f}, beyond {SLOWER}: they are too far apart to tell."
    return judged(claim, verdict, sentence, parts, rows)


def honest_bytes(claim: Claim, table: ClaimsTable) -> Judged:
    """f = 3 with codebooks in floats of 32 bits and every code: does it still save 99.8 %?"""
    parts = []
    for one in tables_of(table.facts):
        saved = 1 - honest_share(one.vocabulary, one.dim, FEW)
        parts.append(Part("f = 3", one.name, HOLDS if saved > SHARE else FAILS, 100 * saved))
    rows = _trained_cluster(table)
    own = table.facts.model["name"]
    for words, group in settings_of(rows).items():
        saved = 1 - group[0].share_of_floats_in_32_bits
        parts.append(Part(words, str(own), HOLDS if saved > SHARE else FAILS, 100 * saved, share=group[0].share, counts=False))
    verdict = all_hold(part.verdict for part in counted(parts))
    failing = [f"{part.on} ({part.value:.2f} %)" for part in counted(parts) if part.verdict == FAILS]
    few = (
        f"f = 3 saves more than 99.8 % of the bytes of all tables but {listed(failing)}"
        if failing
        else "f = 3 saves more than 99.8 % of all tables"
    )
    kept = next((part for part in few_points_lost(BY_NUMBER[4], table).parts if part.what.startswith(f"f = {MANY},")), None)
    many = next((part for part in parts if part.what.startswith(f"f = {MANY},")), None)
    tail = (
        f"; f = {MANY}, which keeps most of the scores, saves {many.value:.1f} %, and {100 * (1 - many.share):.1f} % as it is stored "
        f"here{_codebooks(rows)}"
        if many is not None and many.share is not None and kept is not None
        else ""
    )
    return judged(claim, verdict, f"With codes and floats of 32 bits counted, {few}{tail}.", parts, rows)


def random_start(claim: Claim, table: ClaimsTable) -> Judged:
    """Random codebooks against fitted ones, the same codes, equally many steps."""
    fitted, random = (rows_of(table, CLUSTER, FEW, training=CODEBOOKS, drawn=is_drawn) for is_drawn in (False, True))
    names = main_sets(table, *_SENTENCES)
    parts = decided((against_others(random, fitted, name, -SAME, "random less fitted") for name in names), table)
    asked = counted(parts)
    if not asked:
        return nothing(claim, table, *_SENTENCES)
    verdict = all_hold(part.verdict for part in asked)
    worst = min(asked, key=lambda part: part.value)
    steps = random[0].steps
    sentence = f"After {steps} steps codebooks that began at random are {points_text(worst.value)} points from fitted ones on {worst.on}."
    return judged(claim, verdict, sentence, parts, [*fitted, *random])


def best_at_equal_bytes(claim: Claim, table: ClaimsTable) -> Judged:
    """Rivals at the bytes of f = 8, and int4 at its own: none may surely keep more."""
    parts, rows = [], []
    for rival in (*(one for one in RIVALS if one != CLUSTER), INT4):
        ours = rows_of(table, PRODUCT if rival == INT4 else CLUSTER)
        sizes = {row.total_bytes for row in ours}
        theirs = [row for row in rows_of(table, rival) if any(abs(row.total_bytes - size) <= NEAR * size for size in sizes)]
        if not theirs:
            continue
        near = [row for row in ours if abs(row.total_bytes - theirs[0].total_bytes) <= NEAR * theirs[0].total_bytes]
        rows += [*theirs, *near]
        for name in main_sets(table, "similarity", "entailment"):
            parts.append(against_others(near, theirs, name, -SAME, f"less {_lower(theirs[0].settings.about.title)}"))
    parts = decided(parts, table)
    asked = counted(parts)
    if not asked:
        return nothing(claim, table, "similarity", "entailment")
    verdict = all_hold(part.verdict for part in asked)
    better = [part.what.removeprefix("less ") for part in asked if part.verdict == FAILS]
    worst = min(asked, key=lambda part: part.value)
    at = percent_text(worst.share)
    if better:
        sentence = f"At equal bytes {listed(better)} keep more, nothing trained: up to {-worst.value:.1f} points ({worst.on}, at {at} of the bytes)."
    else:
        sentence = f"No rival surely keeps more at equal bytes, nothing trained; the nearest to it is {points_text(worst.value)} points {worst.what} on {worst.on}."
    return judged(claim, verdict, sentence, parts, rows)


CLAIMS = (
    Claim(
        1,
        "The table shrinks by more than 99.8 %, counted in floats",
        ABSTRACT,
        "“Compression rates beyond 99.8 % in comparison with the original embeddings”, for language models on XNLI and GLUE.",
        "Arithmetic: 1 − Q / V with the smallest Q that gives distinct tuples. Holds if f = 3 saves more than 99.8 % of every table.",
        fewer_floats,
        limit=100 * SHARE,
        unit="% of floats saved",
    ),
    Claim(
        2,
        "Every token has a tuple of codes of its own",
        METHOD,
        f"{NOT_SAID} Its Algorithm 1 makes tuples distinct, and its Algorithm 2 makes them distinct again.",
        "Holds if no two tokens share a tuple in any of the tables that were measured, trained or not.",
        all_distinct,
        untrained,
        "tables",
        limit=0.0,
        unit="tokens that share a tuple",
    ),
    Claim(
        3,
        "Cluster codes keep more than arbitrary ones",
        ABSTRACT,
        "The assignment follows “the contextual relationship among tokens from pre-trained language models”; evaluated on similarity and "
        "textual entailment, sentence and paraphrase tasks.",
        "f = 3, the same Q, equally many training steps. Holds if the whole interval of the difference lies above 0 on every task.",
        cluster_is_better,
        codebooks_trained,
        "trained tables",
        limit=0.0,
        unit="points, cluster less arbitrary",
    ),
    Claim(
        4,
        "At most 4 points are lost",
        ABSTRACT,
        "“A sacrifice of up to 4 % absolute accuracy”, on XNLI and GLUE.",
        "After adaptation, or fine-tuning of both. Holds if one setting beyond 99.8 % fewer floats surely loses at most 4 points on every "
        "task; fails if none can.",
        few_points_lost,
        tuned,
        "trained tables",
        limit=-POINTS,
        unit="points against the original",
    ),
    Claim(
        5,
        "So in every language",
        ABSTRACT,
        "Evaluated on XNLI, which has 15 languages. How languages differ, its abstract does not say.",
        "As claim 4, on similarity and entailment in each of the model's languages.",
        every_language,
        pairs_tuned,
        "trained tables",
        limit=-POINTS,
        unit="points against the original",
    ),
    Claim(
        6,
        "Three subspaces keep as much as two",
        ASKED,
        NOT_SAID,
        "Both with the smallest Q that gives distinct tuples, equally long training. Holds if f = 3 is surely less than 1 point below f = 2.",
        three_is_enough,
        searched,
        "trained tables",
        limit=-SAME,
        unit="points against f = 2",
    ),
    Claim(
        7,
        "Multilingual models gain most",
        ABSTRACT,
        "Multilingual models “cover a significant part of their overall learning parameters” with their table.",
        "What f = 3 takes off the whole model, codes counted. Holds if every multilingual model gains more than every other one, by a point at least.",
        multilingual_gain,
        unit="% of the whole model saved",
    ),
    Claim(
        8,
        "It works inside a masked language model",
        ABSTRACT,
        "“The subspace embedding structure calibrates to masked language models.”",
        "Input table and tied head both compressed, fine-tuned on masked words like the original. Holds if a setting surely guesses at most "
        "4 points less.",
        masked_models,
        masked_words,
        "masked words",
        limit=-POINTS,
        unit="points of masked words right",
    ),
    Claim(
        9,
        "Training takes no longer",
        ASKED,
        NOT_SAID,
        "Holds if the middle half of a training step's ratios to nn.Embedding lies at or below 1.1.",
        no_slower,
        speeds,
        "timings",
        limit=SLOWER,
        unit="times as long as nn.Embedding",
        bars="the middle half of the timings",
    ),
    Claim(
        10,
        "Beyond 99.8 % also with every byte counted",
        ASKED,
        "It counts “compression rates” of the embeddings; of the codes, its abstract says nothing.",
        "f = 3: codebooks as floats of 32 bits, and every code. Holds if more than 99.8 % of the bytes of every table are saved.",
        honest_bytes,
        searched,
        "trained tables",
        limit=100 * SHARE,
        unit="% of bytes saved",
    ),
    Claim(
        11,
        "Codebooks may begin at random",
        METHOD,
        f"{NOT_SAID} The authors' code begins with random codebooks.",
        "The same cluster codes, equally many steps. Holds if random codebooks end surely less than 1 point below fitted ones.",
        random_start,
        drawn,
        "trained tables",
        limit=-SAME,
        unit="points, random less fitted",
    ),
    Claim(
        12,
        "No other way keeps more at equal bytes",
        ASKED,
        NOT_SAID,
        "Nothing trained, every byte counted. Holds if no rival is surely more than 1 point better; fails if one surely is.",
        best_at_equal_bytes,
        equal_bytes,
        "tables",
        limit=-SAME,
        unit="points, subspace embedding less its rival",
    ),
)
BY_NUMBER = {claim.number: claim for claim in CLAIMS}


def judge(table: ClaimsTable, numbers: Sequence[int] = ()) -> list[Judged]:
    """All claims, or some, with their verdicts."""
    return [claim.judge(claim, table) for claim in CLAIMS if not numbers or claim.number in numbers]


def tally(found: Iterable[Judged]) -> str:
    """``7 of 12 claims hold, 3 fail, 2 cannot be told here``."""
    found = list(found)
    holding, others = _tallied(found)
    return f"{holding} of {len(found)} claims {others} here"


def tally_of_abstract(found: Iterable[Judged]) -> str:
    """``Of the 6 that its abstract makes, 3 hold, ...``: the others are not what the paper says of itself; "" without any."""
    own = [one for one in found if one.claim.whose == ABSTRACT]
    if not own:
        return ""
    holding, others = _tallied(own)
    return (
        f"Of the {len(own)} that the paper's abstract makes, {holding} {others}. The others come from its algorithms and code, or are "
        "questions that a reader has; more than the abstract is not known here."
    )


def _tallied(found: Sequence[Judged]) -> tuple[int, str]:
    """How many hold, and the words that follow that number."""
    verdicts = [one.verdict for one in found]
    holding, failing, open_ones = (verdicts.count(one) for one in (HOLDS, FAILS, OPEN))
    return (
        holding,
        f"hold{'s' if holding == 1 else ''}, {failing} fail{'s' if failing == 1 else ''}, {open_ones} cannot be told",
    )
