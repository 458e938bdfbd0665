"""What an adaptation learns from and is scored on, made of what was given: rows of token ids, an objective, a score."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..base.errors import InputError
from ..evaluate.data.pairs import PairSet
from ..evaluate.entailment.engines import HeadEngine, engine_for
from ..evaluate.statistics import is_constant
from ..models.model import PretrainedModel
from .mixing import Mixture
from .objectives import GradedPairs, LabelledPairs, MaskedText, Objective, distillation_for
from .scoring import MaskedWordScore, PairScore, Scorer
from .settings import OBJECTIVES, AdaptationSettings
from .texts import FEWEST, Text, facts_of, plain, rows_of

HELD_OUT_SHARE = 0.1  # of what fine-tuning is given, where nothing else is to be scored
MOST_HELD_OUT = 1000
MOST_SEARCHED = 60_000  # rows of a mixture whose tokens are counted


@dataclass(frozen=True)
class Material:
    """Everything that the training reads."""

    objective: Objective  # what is minimised
    rows: list[list[int]]  # all token ids that it reads, for counting tokens
    lengths: np.ndarray  # (n,) tokens of each of the n sentences or pairs that make up batches
    mixture: Mixture  # how the sources of these n are mixed
    scored: Scorer | None  # what is scored on the way
    learned: dict[str, Any]  # facts about what is learned from, JSON types


def material_of(
    model: PretrainedModel,
    text: Text | None,
    labelled: PairSet | None,
    settings: AdaptationSettings,
    scored: PairSet | None,
) -> Material:
    """The material of one adaptation. What is scored is never learned from; without a set to score, fine-tuning sets a tenth of
    what it is given aside. Raises InputError, ModelError as :func:`check_given` does, or if too little is left."""
    check_given(model, text, labelled, settings)
    check_scored(scored)
    if settings.is_labelled:
        return _of_pairs(model, labelled, settings, scored)
    text = None if text is None else text.without(scored)
    if settings.objective == "masked":
        return _of_masked_text(model, text, settings, scored)

    rows, mixture = rows_of(model, text, settings.sample, settings.seed)
    objective = distillation_for(model, rows, settings)
    asked = None if scored is None else PairScore(scored)
    return Material(objective, rows, _lengths(rows), mixture, asked, facts_of(text, settings.sample))


def check_scored(pairs: PairSet | None) -> None:
    """Raises InputError for a set to be scored on whose pairs all have the same label or score, since nothing can be told from it."""
    if pairs is not None and len(pairs) > 1 and is_constant(pairs.gold):
        raise InputError(
            f"all {len(pairs):,} pairs of {pairs.name} have the same label or score, so no score can be followed on them; give a set with "
            "different ones"
        )


def check_given(model: PretrainedModel, text: Text | None, labelled: PairSet | None, settings: AdaptationSettings) -> None:
    """Raises InputError for data that an objective does not learn from, ModelError for a model that it is not for."""
    title = OBJECTIVES[settings.objective].title
    if model.checkpoint.is_static and settings.train in ("last", "norms"):
        raise InputError(
            f"{model.name} is a static table: it has no layers to train; train is {settings.train!r}, use codebooks"
        )
    if settings.is_labelled:
        if labelled is None:
            raise InputError(f"{title} learns from labelled pairs; give a file of them")
        allowed = ("entailment",) if settings.objective == "entailment" else ("similarity", "paraphrase")
        if labelled.task not in allowed:
            raise InputError(f"{labelled.name} has pairs for {labelled.task}; {title} needs them for {' or '.join(allowed)}")
        if settings.objective == "entailment":
            engine_for(model)  # says what is missing
        return
    if labelled is not None:
        raise InputError(f"{title} reads no labels; choose another objective, or give the sentences as text")
    if settings.objective == "masked":
        if not model.has_head("masked") or model.tokenizer.mask_token_id is None:
            raise InputError(
                f"{model.name} has no masked-word head; choose another objective, train one (subemb train-masked-head), or take a model "
                "that has one, such as BERT"
            )
        if text is None:
            raise InputError(f"{title} needs a text: sequences drawn from the vocabulary have no words to guess")


def _of_masked_text(model: PretrainedModel, text: Text, settings: AdaptationSettings, scored: PairSet | None) -> Material:
    asked: Scorer
    if scored is not None:
        asked = PairScore(scored)
    else:
        held = _held_out(len(text), settings.seed)
        out = tuple(sentence for sentence, is_out in zip(text.sentences, held, strict=True) if is_out)
        text = text.select((~held).tolist())
        asked = MaskedWordScore(
            model, model.token_ids(out), f"{len(out):,} sentences of {text.name}, held out", text.digest, settings.seed
        )
    rows, mixture = rows_of(model, text, settings.sample, settings.seed)
    return Material(MaskedText(model, rows), rows, _lengths(rows), mixture, asked, facts_of(text, settings.sample))


def _of_pairs(model: PretrainedModel, labelled: PairSet, settings: AdaptationSettings, scored: PairSet | None) -> Material:
    if scored is None:
        held = _held_out(len(labelled), settings.seed)
        scored = labelled.select(held)
        scored = replace(scored, name=f"{len(scored):,} pairs of {labelled.name}, held out")
        labelled = labelled.select(~held)
        is_held_out = True
    else:
        is_held_out = False
    learned = pairs_without(labelled, scored)
    asked = PairScore(scored)
    asked.facts["held_out"] = is_held_out
    rows = model.token_ids([*learned.first, *learned.second])
    if settings.objective == "similarity":
        objective = GradedPairs(learned, rows)
    else:
        engine = engine_for(model)
        objective = LabelledPairs(learned, rows, engine.head if isinstance(engine, HeadEngine) else None)
    lengths = _lengths(rows)
    facts = {"name": learned.name, "sentences": 2 * len(learned), "digest": learned.digest, "pairs": len(learned)}
    lengths = lengths[: len(learned)] + lengths[len(learned) :]
    return Material(objective, rows, lengths, Mixture((len(learned),)), asked, facts)


def pairs_without(pairs: PairSet, held_out: PairSet) -> PairSet:
    """The pairs none of whose sentences occurs in another set. Raises InputError if fewer than FEWEST are left."""
    taken = {plain(sentence) for part in (held_out.first, held_out.second) for sentence in part}
    free = [plain(a) not in taken and plain(b) not in taken for a, b in zip(pairs.first, pairs.second, strict=True)]
    if sum(free) < FEWEST:
        raise InputError(
            f"{sum(free)} of the {len(pairs):,} pairs of {pairs.name} have no sentence in common with the {len(held_out):,} that are "
            f"scored; give at least {FEWEST} more, or another set to score"
        )
    return pairs.select(np.array(free))


def _held_out(count: int, seed: int) -> np.ndarray:
    """Which of ``count`` are held out, bool. Raises InputError if too few would be left."""
    out = min(MOST_HELD_OUT, max(2, round(HELD_OUT_SHARE * count)))
    if count - out < FEWEST:
        raise InputError(f"{count} are too few to learn from and to hold some out for the score; give at least {FEWEST + 2}")
    held = np.zeros(count, dtype=bool)
    held[np.random.default_rng([seed, 0x0D]).choice(count, out, replace=False)] = True
    return held


def searched_rows(material: Material, seed: int) -> list[list[int]]:
    """The rows by which codes are found: all, or, of several sources, evenly many of each."""
    return [material.rows[place] for place in material.mixture.sample(MOST_SEARCHED, seed)]


def _lengths(rows: Sequence[Sequence[int]]) -> np.ndarray:
    return np.array([len(row) for row in rows])
