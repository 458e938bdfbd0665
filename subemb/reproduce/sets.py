"""What the claims are measured on: labelled sets found in a folder by their names, or the demonstration sets; and what is learned from.

No sentence that is scored is learned from.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..adaptation.scoring import MaskedWordScore
from ..adaptation.texts import FEWEST, Text, TooFew, one_text, read_text_file
from ..base.errors import InputError, ModelError
from ..base.progress import ProgressCallback, part_of, report
from ..base.store import content_key
from ..evaluate.data.languages import in_languages, language_of_name
from ..evaluate.data.pairs import PairSet
from ..evaluate.data.read import demo_pairs, read_pairs
from ..evaluate.entailment.engines import engine_options
from ..evaluate.report import score_sides
from ..evaluate.similarity.demonstration import own_demo_pairs
from ..models.model import PretrainedModel
from ..sweep.measure import LabelledSet, labelled_set
from ..sweep.table import SetScore
from .rows import MASKED, SPEED, UNTRAINED, Cell, Sizes

#: Part of a path in small letters -> what to call the set, and the tasks that it is scored on. Of a pair that fits several the first counts.
SCORED = (
    (r"(^|/)sts[-_]?b?[-_](dev|test)\.csv$", "STS-B dev", ("similarity",)),
    (r"(^|/)stsb[-_][a-z]{2}[-_](dev|test)\.csv$", "STS-B", ("similarity",)),
    (r"(^|/)sick_(trial|test|test_annotated)\.txt$", "SICK", ("similarity", "entailment")),
    (r"(^|/)(msr_paraphrase_test\.txt|mrpc[^/]*(dev|test|validation)[^/]*)$", "MRPC", ("paraphrase",)),
    (r"(^|/)xnli\.(dev|test)\.[a-z]{2}\.tsv$", "XNLI", ("entailment",)),
)
BY_LANGUAGE = SCORED[1][0]  # the second of these
#: Files whose sentences are learned from, and what their labels teach.
LEARNED = (
    (r"(^|/)sts[-_]?b?[-_]train\.csv$", "similarity"),
    (r"(^|/)sick_train\.txt$", "entailment"),
    (r"(^|/)snli\.(dev|train)\.tsv$", "entailment"),
    (r"(^|/)wordnet/examples\.txt$", ""),
)
_WIKITEXT = r"(^|/)wiki[^/]*/?[^/]*(valid|test)[^/]*$"  # the text whose words are masked
_HIDDEN = ("[UNK]", "<unk>")  # what it does not say
#: Two sentences that people gave so much of the highest score, are called paraphrases where no set of paraphrases is there.
PARAPHRASE_FROM = 0.8
MOST_FILES = 5_000
_MOST_TEXT, _SENTENCE = 12_000, (40, 200)  # sentences that are learned from; characters of one whose words are masked
_BASE_LANGUAGE = "en"


@dataclass(frozen=True)
class Scored:
    """A set, and what it is called in the table."""

    ready: LabelledSet
    language: str
    of: str = ""  # the set whose cosines it is judged by, where it is the same pairs with other labels
    notes: tuple[str, ...] = ()
    was_learned: bool = False  # whether what judges it was trained on these pairs: then it decides nothing

    @property
    def name(self) -> str:
        """What it is called."""
        return self.ready.name

    def facts(self) -> dict[str, Any]:
        """JSON types."""
        ready = self.ready
        return {
            "name": ready.name, "task": ready.task, "language": self.language, "pairs": len(ready.gold), "digest": ready.digest,
            "metric": ready.metric, "original": ready.original, "of": self.of, "notes": list(self.notes), "learned": self.was_learned,
        }  # fmt: skip


@dataclass(frozen=True)
class Material:
    """Everything that rows are measured on and learn from."""

    sets: tuple[Scored, ...]
    masked: "MaskedWords | None"
    text: Text | None  # None: sequences drawn from the vocabulary
    words: Text | None  # whose words are masked, where fine-tuning learns them; None: such sequences too
    labelled: dict[str, PairSet]  # task -> pairs to fine-tune on
    languages: tuple[str, ...]  # that the model reads
    is_demonstration: bool
    missing: dict[str, str]  # task -> why it cannot be measured
    notes: tuple[str, ...]
    heads: tuple[str, ...]  # what judges entailment

    def digests(self, cell: Cell) -> list[str]:
        """Of everything that a row is scored on and learns from."""
        if cell.kind == SPEED:
            return []
        masked = [] if self.masked is None else [self.masked.digest]
        scored = masked if cell.on == MASKED else [one.ready.digest for one in self.sets]
        if cell.training == UNTRAINED:
            return scored
        learned = self.learned(cell)
        return scored + ([] if learned is None else [learned.digest])

    def learned(self, cell: Cell) -> "PairSet | Text | None":
        """What a row learns from: labelled pairs, a text, or None for sequences drawn from the vocabulary."""
        return self.words if cell.task == MASKED else self.labelled.get(cell.task, self.text)

    def facts(self) -> tuple[dict[str, Any], ...]:
        """Of all sets, JSON types."""
        return tuple(one.facts() for one in self.sets) + ((self.masked.facts(),) if self.masked else ())


class MaskedWords:
    """Words masked in sentences that nobody learns from, 15 % of each; and the same sentences as a text, for the pseudo-perplexity."""

    name = "Masked words"

    def __init__(self, model: PretrainedModel, sentences: list[str], source: str):
        self.text, self.source = "\n".join(sentences), source
        self._score = MaskedWordScore(model, model.token_ids(sentences), source, None, 0)
        self._model, self._sentences = model, sentences
        self.gold = self._score.gold

    @cached_property
    def before(self) -> tuple[np.ndarray, np.ndarray]:
        """The original's :meth:`answers`: found where a row asks for them, which most do not."""
        return self.answers(self._model)

    @cached_property
    def digest(self) -> str:
        """Of the sentences and the original's guesses: a head that was trained again guesses otherwise."""
        return content_key(self._sentences, self.before[0])

    def answers(self, side: PretrainedModel) -> tuple[np.ndarray, np.ndarray]:
        """(m,) tokens guessed, and (m,) the log probability of the right one, in nats."""
        return self._score.answers(side)

    def score(self, found: np.ndarray, before: np.ndarray | None = None) -> SetScore:
        """The share of guesses that are right x 100, with the interval of its difference to ``before``, else the original."""
        sides = {"before": self.before[0] if before is None else before, "after": found}
        one = score_sides(self.gold, sides, ("accuracy",))["after"]
        apart = one.differences["accuracy"]
        return SetScore(100 * one.values["accuracy"], 100 * apart.difference, 100 * apart.low, 100 * apart.high)

    def facts(self) -> dict[str, Any]:
        """As those of a labelled set."""
        right = 100 * float((self.before[0] == self.gold).mean())
        return {
            "name": self.name, "task": MASKED, "language": "", "pairs": len(self.gold), "digest": self.digest, "metric": "accuracy",
            "original": right, "of": "", "learned": False, "notes": [f"15 % of the tokens of {self.source}"],
        }  # fmt: skip


def material_for(
    model: PretrainedModel, folder: Path | None, sizes: Sizes, progress: ProgressCallback | None = None
) -> Material:
    """Read what is there. folder: where labelled sets lie, in whatever folders; None: the demonstration sets.

    Raises InputError for a folder that has none, and for files that cannot be read; Cancelled.
    """
    languages = _languages(model)
    missing, notes = _cannot(model), []
    heads, of_head = _heads(model, missing)
    pairs = list(_demonstration(languages) if folder is None else _found(folder, languages))
    if folder is not None and not pairs:
        raise InputError(
            f"{folder} has no set that is known by its name; it is looked for sts-dev.csv, stsb-de-dev.csv, SICK_trial.txt and "
            "xnli.dev.en.tsv in it and in its folders: give another folder, or leave --data out to use the demonstration sets"
        )
    sets: list[Scored] = []
    if model.has_network and model.has_tokenizer:
        for number, (given, language) in enumerate(pairs):
            report(progress, f"the original on {given.name}", number / (len(pairs) + 1))
            if given.task in missing:
                continue
            was_learned = given.digest in of_head and given.task == "entailment"
            less = given.sample(sizes.pairs, 0) if len(given) > sizes.pairs else given
            try:
                ready = labelled_set(model, less, part_of(progress, number / (len(pairs) + 1), (number + 1) / (len(pairs) + 1)))
            except ModelError as error:
                missing[given.task] = str(error)
                continue
            why = (
                f"{given.name}: {heads[0]} was trained on these very pairs, so they are shown and decide nothing."
                if was_learned
                else ""
            )
            sets.append(Scored(ready, language, notes=(why,) if why else (), was_learned=was_learned))
    if sets and not any(one.ready.task == "paraphrase" for one in sets):
        sets += _as_paraphrases(sets)
    if folder is None:
        notes.append("Measured on the demonstration sets that come with subemb: material to try things with, not benchmarks.")
    scored = [given for given, _ in pairs]
    masked = _masked(model, folder, sizes, missing)
    words, labelled = _learned(folder, languages, scored)
    text = words if languages == (_BASE_LANGUAGE,) else None
    if folder is not None and len(languages) > 1:
        english = " Only fine-tuning is done on English, and scored in every language." if labelled or words else ""
        notes.append(
            "This model reads several languages: it is adapted to sequences drawn from its vocabulary, not to English text."
            + english
        )
    return Material(tuple(sets), masked, text, words, labelled, languages, folder is None, missing, tuple(notes), heads)


def _cannot(model: PretrainedModel) -> dict[str, str]:
    """Task -> why it cannot be measured at all."""
    if not model.has_network or not model.has_tokenizer:
        what = "network" if not model.has_network else "tokenizer"
        return dict.fromkeys(("similarity", "paraphrase", "entailment", MASKED), f"{model.name} has no {what}")
    if not model.has_head("masked") or model.tokenizer.mask_token_id is None:
        return {MASKED: f"{model.name} has no masked-word head"}
    return {}


def _heads(model: PretrainedModel, missing: dict[str, str]) -> tuple[tuple[str, ...], set[str]]:
    """What judges entailment, in words, and digests of the sets that it was trained on."""
    if "entailment" in missing:
        return (), set()
    options, problem = engine_options(model)
    if not options:
        missing["entailment"] = problem or f"{model.name} has no entailment head; subemb train-head makes one"
        return (), set()
    first = options[0]
    name = "its own classifier" if first.choice.head is None else f"the entailment head {first.choice.head}"
    return (name,), {str(one.get("digest")) for one in first.card.get("data", ())}


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file of a folder and its path in it, in small letters."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give one that holds labelled sets, or leave --data out")
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if number >= MOST_FILES:
            raise InputError(f"{folder} holds more than {MOST_FILES:,} files; give the folder of the labelled sets alone")
        if path.is_file():
            yield path, path.relative_to(folder).as_posix().lower()


def _listed(folder: Path, languages: tuple[str, ...]) -> Iterator[tuple[Path, str, str, str]]:
    """File, name, task and language of the sets of a folder in the model's languages. Of STS-B's English pairs, which are distributed
    twice, only those are taken that the model's other languages have too."""
    files = list(_files(folder))
    has_several = len(languages) > 1 and any(re.search(BY_LANGUAGE, name) for _, name in files)
    for path, name in files:
        if re.search(SCORED[0][0] if has_several else BY_LANGUAGE, name):
            continue
        for pattern, called, tasks in SCORED:
            if not re.search(pattern, name):
                continue
            language = language_of_name(path.name) or _BASE_LANGUAGE
            if language in languages:
                named = f"{called}, {language}" if language_of_name(path.name) else called
                for task in tasks:
                    yield path, f"{named} ({task})" if len(tasks) > 1 else named, task, language
            break


def _found(folder: Path, languages: tuple[str, ...]) -> Iterator[tuple[PairSet, str]]:
    """Sets of a folder in the model's languages, each with its language."""
    for path, name, task, language in _listed(folder, languages):
        yield replace(in_languages(read_pairs(path, task=task)), name=name), language


def count_sets(model: PretrainedModel, folder: Path | None) -> int:
    """How many labelled sets a row of a model is scored on; see :func:`material_for`. Raises InputError for a folder that is none."""
    missing, languages = _cannot(model), _languages(model)
    _heads(model, missing)
    if folder is None:
        return sum(given.task not in missing for given, _ in _demonstration(languages))
    return sum(task not in missing for _, _, task, _ in _listed(folder, languages))


def _languages(model: PretrainedModel) -> tuple[str, ...]:
    """That a model reads."""
    return own_demo_pairs(model)[1] if model.has_tokenizer else ()


def _demonstration(languages: tuple[str, ...]) -> Iterator[tuple[PairSet, str]]:
    """The demonstration sets, language by language."""
    for task in ("similarity", "entailment"):
        for language, part in demo_pairs(task).by_language().items():
            if language in languages:
                yield replace(part, name=f"Demonstration, {language} ({task})"), language


def _as_paraphrases(sets: list[Scored]) -> list[Scored]:
    """Graded pairs as paraphrases or none: those from PARAPHRASE_FROM of the highest score on."""
    found = []
    for one in sets:
        gold = one.ready.gold
        if one.ready.task == "similarity":
            low, high = float(gold.min()), float(gold.max())
            limit = low + PARAPHRASE_FROM * (high - low)
            is_one = (gold >= limit).astype(np.int64)
            if 0 < is_one.sum() < len(is_one):
                name = f"{one.name} as paraphrases".replace(" (similarity)", "")
                ready = replace(one.ready, name=name, task="paraphrase", digest=f"{one.ready.digest}-p", gold=is_one)
                said = f"No set of paraphrases is there: the pairs of {one.name} that people gave {limit:.2g} or more are called paraphrases."
                found.append(Scored(ready, one.language, one.name, (said,)))
    return found


def _masked(model: PretrainedModel, folder: Path | None, sizes: Sizes, missing: dict[str, str]) -> MaskedWords | None:
    if MASKED in missing:
        return None
    source, sentences = "the demonstration sentences", []
    if folder is not None:
        for path, name in _files(folder):
            if re.search(_WIKITEXT, name):
                source = f"{path.parent.name}/{path.name}"
                sentences = [line for line in read_text_file(path).sentences if not any(mark in line for mark in _HIDDEN)]
                break
    if not sentences:
        pairs = in_languages(demo_pairs("similarity"))
        sentences = list(dict.fromkeys([*pairs.first, *pairs.second]))
    fitting = [one for one in sentences if _SENTENCE[0] <= len(one) <= _SENTENCE[1]]
    sentences = fitting if len(fitting) >= FEWEST else [one for one in sentences if len(one) <= _SENTENCE[1]]
    if len(sentences) < FEWEST:
        missing[MASKED] = (
            f"{source} has {len(sentences)} sentences of at most {_SENTENCE[1]} characters; at least {FEWEST} are needed"
        )
        return None
    chosen = np.random.default_rng(0).permutation(len(sentences))[: sizes.pairs]
    return MaskedWords(model, [sentences[place] for place in sorted(chosen)], source)


def _learned(folder: Path | None, languages: tuple[str, ...], scored: list[PairSet]) -> tuple[Text | None, dict[str, PairSet]]:
    """The text without labels, and pairs by what they teach: all of it English, so of models that read it."""
    if folder is None or _BASE_LANGUAGE not in languages:
        return None, {}
    texts, labelled = [], {}
    for path, name in _files(folder):
        for pattern, task in LEARNED:
            if re.search(pattern, name):
                texts.append(read_text_file(path))
                if task and task not in labelled:
                    labelled[task] = read_pairs(path, task=task)
    if not texts:
        return None, labelled
    text = one_text(texts)
    try:
        for pairs in scored:
            text = text.without(pairs)
        if len(text) > _MOST_TEXT:
            chosen = np.zeros(len(text), dtype=bool)
            chosen[np.random.default_rng(0).permutation(len(text))[:_MOST_TEXT]] = True
            text = text.select(chosen.tolist())
    except TooFew:
        return None, labelled
    return text, labelled
