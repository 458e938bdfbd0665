"""Evaluations of a subject's sides, as jobs: sentences, labelled sets, word lists, words in context; and where results are kept."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of, report
from ..base.store import Memory, Store
from ..evaluate.context.fill import Filled, fill
from ..evaluate.context.network import ContextSides
from ..evaluate.context.perplexity import Digest, TextPerplexity, digest_of, text_perplexity
from ..evaluate.context.uses import TOKENS, TableUses, compare_uses, sides_of_uses
from ..evaluate.data.pairs import PairSet, WordSet
from ..evaluate.entailment import pairs as entailment
from ..evaluate.entailment.engines import EngineChoice, chosen_head, engine_options
from ..evaluate.entailment.pairs import EntailmentReport, PairJudgement
from ..evaluate.similarity import words as word_similarity
from ..evaluate.similarity.effects import AttributionSettings
from ..evaluate.similarity.moved import MovedSentence, sentence_on_sides
from ..evaluate.similarity.pairs import SimilarityReport, evaluate_pairs
from ..evaluate.similarity.sentences import ListComparison, PairComparison, checked_text, compare, pair_on_sides
from ..evaluate.similarity.words import WordReport
from ..export.report import ScoredSet, WordsInContext, scored_set
from ..jobs.task import task
from ..models.model import PretrainedModel
from .sides import MODELS, Subject, entries_of, open_model, open_sides

if TYPE_CHECKING:
    from ..evaluate.entailment.head import EntailmentHead

LANE = "evaluate"
LONGEST = 1000  # characters of a premise or hypothesis that is typed
MOST_PAIRS = 50_000  # of a labelled set: their sentences are kept with the result
RESAMPLES, SEED = 2000, 0

#: What a worker process keeps in memory: entailment heads; sides of one model with the heads that say words, which share weights.
HEADS, CONTEXT_SIDES = Memory(4), Memory(4)


# Sentences


@task(lane=LANE, reads=entries_of)
def compare_pair(
    subject: Subject,
    first: str,
    second: str,
    settings: AttributionSettings | None = None,
    progress: ProgressCallback | None = None,
) -> PairComparison:
    """:func:`pair_on_sides` of a subject."""
    return pair_on_sides(open_sides(subject, progress), first, second, settings, progress)


@task(lane=LANE, reads=entries_of)
def move_sentence(subject: Subject, text: str, progress: ProgressCallback | None = None) -> MovedSentence:
    """:func:`subemb.evaluate.similarity.moved.sentence_on_sides` of a subject."""
    return sentence_on_sides(open_sides(subject, progress), text, progress)


@task(lane=LANE, reads=entries_of)
def compare_lists(
    subject: Subject, first: list[str], second: list[str] | None = None, progress: ProgressCallback | None = None
) -> ListComparison:
    """:func:`subemb.evaluate.similarity.sentences.compare` of a subject."""
    return compare(open_sides(subject, progress), first, second, progress)


@task(lane=LANE, reads=entries_of)
def judge_pair(
    subject: Subject,
    premise: str,
    hypothesis: str,
    engine_choice: EngineChoice | None = None,
    progress: ProgressCallback | None = None,
) -> PairJudgement:
    """Probabilities of the labels of one pair, by every side of a subject.

    engine_choice: None takes the first of :func:`engine_options`. Raises InputError for a sentence that is empty or longer
    than LONGEST characters, ModelError (``unsupported``) for a model without an engine, Cancelled.
    """
    premise = checked_text(premise, "the premise", LONGEST)
    hypothesis = checked_text(hypothesis, "the hypothesis", LONGEST)
    sides = open_sides(subject, progress)
    model = next(iter(sides.values()))
    choice = engine_choice or next((option.choice for option in engine_options(model)[0]), None)
    head = None if choice is None else _head_of(model, choice)
    return entailment.judge_pair(sides, premise, hypothesis, head, progress)


def _head_of(model: PretrainedModel, choice: EngineChoice) -> "EntailmentHead | None":
    """:func:`chosen_head`; a head is kept in the process for the next job."""
    if choice.head is None:
        return chosen_head(model, choice)
    return HEADS.take((model.identity, choice), lambda: chosen_head(model, choice))


# Labelled sets and word lists


# Results hold all their sentences, so only a few results stay in memory.
SIMILARITY_SETS: Store[SimilarityReport] = Store("similarity-sets", most=60, in_memory=12, kind=SimilarityReport)
WORD_LISTS: Store[WordReport] = Store("word-lists", most=60, in_memory=12, kind=WordReport)
ENTAILMENT_SETS: Store[EntailmentReport] = Store("entailment-sets", most=60, in_memory=12, kind=EntailmentReport)
_DATA = ("pairs", "words")  # arguments that go into the key as their digests


def _data_and_settings(subject: Subject, **arguments: Any) -> dict[str, Any]:
    """What decides a result on a set. Data counts by its digest, which may also be given in its place, as links do."""
    return {
        "subject": subject,
        **{name: getattr(value, "digest", value) if name in _DATA else value for name, value in arguments.items()},
    }


@task(lane=LANE, reads=entries_of, key=_data_and_settings, keep=SIMILARITY_SETS)
def evaluate_similarity_set(
    subject: Subject,
    pairs: PairSet,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    progress: ProgressCallback | None = None,
) -> SimilarityReport:
    """:func:`subemb.evaluate.similarity.pairs.evaluate_pairs` of a subject.

    Raises InputError for more than MOST_PAIRS pairs and for sets that cannot be used, ModelError, Cancelled.
    """
    _check_number(pairs)
    sides = open_sides(subject, part_of(progress, 0.0, 0.02))
    return evaluate_pairs(sides, pairs, resamples, seed, part_of(progress, 0.02, 1.0))


@task(lane=LANE, reads=entries_of, key=_data_and_settings, keep=WORD_LISTS)
def evaluate_word_list(
    subject: Subject,
    words: WordSet,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    progress: ProgressCallback | None = None,
) -> WordReport:
    """:func:`subemb.evaluate.similarity.words.evaluate_words` of a subject."""
    sides = open_sides(subject, part_of(progress, 0.0, 0.1))
    return word_similarity.evaluate_words(sides, words, resamples, seed, part_of(progress, 0.1, 1.0))


def _check_number(pairs: PairSet) -> None:
    if len(pairs) > MOST_PAIRS:
        raise InputError(
            f"{pairs.name} has {len(pairs):,} pairs; at most {MOST_PAIRS:,} are evaluated: choose a sample of them"
        )


@task(lane=LANE, reads=entries_of, key=_data_and_settings, keep=ENTAILMENT_SETS)
def evaluate_entailment_set(
    subject: Subject,
    pairs: PairSet,
    engine_choice: EngineChoice,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    progress: ProgressCallback | None = None,
) -> EntailmentReport:
    """Every side of a subject on a labelled set.

    Raises what :func:`subemb.evaluate.entailment.pairs.evaluate_entailment` raises, and InputError for more than MOST_PAIRS pairs and
    for a head that is gone.
    """
    _check_number(pairs)
    sides = open_sides(subject, progress)
    model = next(iter(sides.values()))
    head = _head_of(model, engine_choice)
    return entailment.evaluate_entailment(sides, pairs, head, resamples, seed, part_of(progress, 0.02, 0.99))


# Which labelled sets were evaluated with a subject

_scores = Memory(128)


def evaluations_of(
    subject: Subject, judges: Sequence[EngineChoice], name_of: Callable[[str, str], str | None] | None = None
) -> list[ScoredSet]:
    """The scores of every kept evaluation of a subject, newest first.

    judges: engines that may have judged entailment. name_of: takes digest and name of the pairs, and returns what they are to be
    called, or None to leave them out.
    This does not count as using a kept result.
    """
    keys_of = {
        SIMILARITY_SETS: lambda digest: [evaluate_similarity_set.key(subject, digest)],
        ENTAILMENT_SETS: lambda digest: [evaluate_entailment_set.key(subject, digest, judge) for judge in judges],
    }
    found = []
    for store, key, (digest, scores) in _newest_first(tuple(keys_of), _scores, _scores_of):
        if key in keys_of[store](digest):
            name = scores.data if name_of is None else name_of(digest, scores.data)
            if name is not None:
                found.append(replace(scores, data=name))
    return found


def _newest_first(
    stores: Sequence[Store], remembered: Memory, read: Callable[[Store, str], Any]
) -> list[tuple[Store, str, Any]]:
    """Every entry of some stores, newest first: the store, the key, and what ``read`` makes of it, remembered until it changes."""
    found = []
    for store in stores:
        for key in store:
            stamp = store.stamp(key)
            if stamp is not None:  # else it was dropped meanwhile
                value = remembered.take(store.path(key), lambda store=store, key=key: read(store, key), stamp)
                found.append((-stamp.changed, store, key, value))
    return [entry[1:] for entry in sorted(found, key=lambda entry: entry[0])]


def _scores_of(store: Store, key: str) -> tuple[str, ScoredSet | None]:
    """Digest of the pairs, and scores without the sentences; both empty if the result cannot be read."""
    report = store.get(key, is_use=False)
    return ("", None) if report is None else (report.pairs.digest, scored_set(report))


# Words in context

TEXTS: Store[TextPerplexity] = Store("texts-in-context", most=60, in_memory=12, kind=TextPerplexity)
USES: Store[TableUses] = Store("table-uses", most=60, in_memory=12, kind=TableUses)


def context_sides(
    subject: Subject, input: bool, output: bool, head: str = "", progress: ProgressCallback | None = None
) -> ContextSides:
    """The sides of a subject with the heads that say words; kept in the process for the next job.

    head: digest of one that was trained here (:meth:`~subemb.models.model.PretrainedModel.head_digest`), as the model's identity does
    not tell it. Raises ModelError if the model has no head, InputError as :func:`open_sides` and ContextSides do, or for another head.
    """
    return _context_sides(subject, (input, output), lambda sides: ContextSides(sides, input, output), head, progress)


def _context_sides(
    subject: Subject,
    what: Any,
    make: Callable[[dict[str, PretrainedModel]], ContextSides],
    head: str,
    progress: ProgressCallback | None,
) -> ContextSides:
    if head and open_model(subject).head_digest("masked") != head:
        MODELS.forget(lambda key, _: key[2] == subject.identity)  # it was opened before the head was trained
        if open_model(subject).head_digest("masked") != head:
            raise InputError(f"the masked-word head of {subject.name} has been trained anew since; load this page again")
    sides = open_sides(subject, progress)
    report(progress, "reading the head that says words", 0.5)
    model = id(open_model(subject))
    CONTEXT_SIDES.forget(lambda key, _: key[0] != model)
    return CONTEXT_SIDES.take((model, subject.content, what), lambda: make(sides))


@task(lane=LANE, reads=entries_of)
def fill_sentence(
    subject: Subject,
    sentence: str,
    word: int | None = None,
    input: bool = True,
    output: bool = True,
    k: int = 10,
    head: str = "",
    progress: ProgressCallback | None = None,
) -> Filled:
    """What every side puts into the gaps of a sentence; see :func:`subemb.evaluate.context.fill.fill`. head: as of :func:`context_sides`."""
    sides = context_sides(subject, input, output, head, part_of(progress, 0.0, 0.7))
    return fill(sides, sentence, k=k, word=word, progress=part_of(progress, 0.7, 1.0))


def _text_by_digest(text: str, **others: Any) -> dict[str, Any]:
    """What decides a result on a text, which counts by its digest."""
    return {**others, "text": digest_of(text)}


@task(lane=LANE, reads=entries_of, key=_text_by_digest, keep=TEXTS)
def perplexity_of_text(
    subject: Subject,
    text: str,
    input: bool = True,
    output: bool = True,
    most_tokens: int | None = None,
    seed: int = 0,
    head: str = "",
    progress: ProgressCallback | None = None,
) -> TextPerplexity:
    """The perplexity of a text; see :func:`subemb.evaluate.context.perplexity.text_perplexity`. head: as of :func:`context_sides`."""
    sides = context_sides(subject, input, output, head, part_of(progress, 0.0, 0.05))
    part = part_of(progress, 0.05, 1.0)
    return text_perplexity(sides, text, most_tokens=most_tokens, seed=seed, progress=part)


@task(lane=LANE, reads=entries_of, key=_text_by_digest, keep=USES)
def compare_table_uses(
    subject: Subject,
    sentence: str,
    text: str,
    word: int | None = None,
    most_tokens: int = TOKENS,
    seed: int = 0,
    head: str = "",
    progress: ProgressCallback | None = None,
) -> TableUses:
    """Where the table of a run hurts, compared with the original; see :func:`subemb.evaluate.context.uses.compare_uses`.

    head: as of :func:`context_sides`. Raises InputError without a run.
    """
    if subject.run_key is None:
        raise InputError("there is no compressed table to compare; press Run first")
    subject, part = replace(subject, other_key=None), part_of(progress, 0.0, 0.05)
    sides = _context_sides(subject, "uses", lambda sides: sides_of_uses(*list(sides.values())[:3]), head, part)
    return compare_uses(sides, sentence, text, word, most_tokens, seed, part_of(progress, 0.05, 1.0))


_words = Memory(128)


def words_of(subject: Subject, head: str, name_of: Callable[[str], str | None]) -> list[WordsInContext]:
    """What is kept of a subject's words in context: texts that were scored, and comparisons of the table's uses, newest first.

    head: as of :func:`context_sides`. name_of: takes :func:`known_as` of what was given, and returns what it is to be called, or None to
    leave it out. This does not count as using a kept result.
    """
    found = []
    for store, key, kept in _newest_first((USES, TEXTS), _words, lambda store, key: store.get(key, is_use=False)):
        if kept is None or key not in _keys_of(subject, kept, head):
            continue
        name = name_of(known_as(kept.sentence, kept.scored) if store is USES else known_as("", kept))
        if name is not None:
            found.append(WordsInContext(name, kept))
    return found


def known_as(sentence: str, scored: TextPerplexity | None) -> str:
    """What stands for a sentence and a text that a visitor gave."""
    return digest_of(f"{sentence}\0{'' if scored is None else scored.digest}")


def _keys_of(subject: Subject, kept: TableUses | TextPerplexity, head: str) -> list[str]:
    """Keys under which such a result of this subject may be kept."""
    if isinstance(kept, TableUses):
        text = Digest("" if kept.scored is None else kept.scored.digest) or ""
        seed = 0 if kept.scored is None else kept.scored.seed
        return [compare_table_uses.key(subject, kept.sentence, text, kept.word, kept.most_tokens, seed, head)]
    uses = ((True, True), (True, False), (False, True))
    text = Digest(kept.digest)
    return [perplexity_of_text.key(subject, text, input, output, kept.most_tokens, kept.seed, head) for input, output in uses]
