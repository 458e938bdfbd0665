"""The demonstration pairs in a model's own languages, and how well a run of it does on them."""

import math
import threading
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ...base.errors import InputError, ModelError
from ...base.progress import ProgressCallback, part_of, report
from ...base.store import Memory
from ...base.text import count_text, score_text, seconds_text
from ...models.model import PretrainedModel
from ..data.languages import in_languages
from ..data.pairs import PairSet
from ..data.read import DEMO_NAME, demo_pairs
from ..report import METRICS, score_sides
from .effects import cosines as vector_cosines
from .pairs import cosines, encoding_seconds

_OWN_PAIRS = Memory(16)  # of models
# Bytes of a token and share of unknown ones, from which on a language is taken for the model's own.
_OWN_BYTES, _MOST_UNKNOWN = 3.5, 0.01


def own_languages(model: PretrainedModel, pairs: PairSet) -> tuple[str, ...]:
    """The languages of a set that a model's tokenizer writes in whole pieces: at least 3.5 bytes a token, at most 1 % unknown ones.

    If there is none, English. (On the demonstration pairs all-MiniLM-L6-v2 has 4.5 in English, 2.2 to
    3.0 in five other languages.)
    """
    found = {}
    unknown = getattr(model.tokenizer, "unk_token_id", None)
    for language, part in pairs.by_language().items():
        texts = [*part.first, *part.second]
        rows, empty = model.token_ids(texts, whole=True), len(model.token_ids([""], whole=True)[0])
        tokens = max(1, sum(len(row) - empty for row in rows))
        words = sum(len(text.split()) for text in texts)
        lost = max(
            sum(row.count(unknown) for row in rows) / tokens, 1 - tokens / words
        )  # static tables leave unknown words out
        found[language] = (lost <= _MOST_UNKNOWN, sum(len(text.encode()) for text in texts) / tokens)
    own = tuple(language for language, (is_known, size) in found.items() if is_known and size >= _OWN_BYTES)
    return own or ("en",)


def own_demo_pairs(model: PretrainedModel) -> tuple[PairSet, tuple[str, ...]]:
    """The demonstration pairs for similarity in a model's own languages, and which these are. Raises what ``token_ids`` raises."""
    pairs = demo_pairs("similarity")

    def own() -> tuple[PairSet, tuple[str, ...]]:
        languages = own_languages(model, pairs)
        return in_languages(pairs, languages), languages

    return _OWN_PAIRS.take((model.identity, pairs.digest), own)


@dataclass(frozen=True)
class TaskScore:
    """What original and compressed score on a labelled set. Plain types only."""

    name: str  # of the set
    languages: tuple[str, ...]
    pairs: int
    metric: str  # a name of METRICS
    original: float | None  # None where it is not defined, such as for equal cosines of all pairs
    compressed: float | None
    #: 95 % interval of compressed - original, paired bootstrap over the pairs; None where it is not defined.
    low: float | None = None
    high: float | None = None

    @property
    def in_words(self) -> str:
        """``75.4 before, 72.0 after (193 pairs, en)``."""
        before, after = score_text(self.original), score_text(self.compressed)
        return f"{before} before, {after} after ({count_text(self.pairs)} pairs, {', '.join(self.languages)})"

    @property
    def kept(self) -> float | None:
        """Share of the original's score that is kept; None where that says nothing: an original that scores (next to) nothing."""
        if self.original is None or self.compressed is None or self.original < 0.1:
            return None
        return self.compressed / self.original


MOST_SECONDS = 120.0  # that a run may take longer for its score
_BOOTSTRAP_SECONDS = 0.3  # of the interval
_ESTIMATES = Memory(8)
_TYPICAL_SECONDS = 3.0  # told until it is known
_FIRST_PAGE_SECONDS = 8.0  # in which nothing else may take the processor
_ASKED = Memory(64)  # models of which it is being found out
_ORIGINALS = Memory(4)  # cosines of originals on the demonstration pairs, (n,) float32


def demonstration_seconds(model: PretrainedModel, can_wait: bool = True) -> float:
    """Roughly how many seconds :func:`demonstration_score` takes on two free cores; 0 for a model that gets none.

    The tokenizer is read for it. can_wait: else that is done later in another thread, and until then a typical number is
    returned: the first page of a new server takes twice as long with it.
    """

    def estimated() -> float:
        if not model.has_network:
            return 0.0
        try:
            pairs, _ = own_demo_pairs(model)
        except (InputError, ModelError):  # said when it is run
            return 0.0
        seconds = encoding_seconds(model, [*pairs.first, *pairs.second], 2)
        return 0.0 if seconds > MOST_SECONDS else seconds + _BOOTSTRAP_SECONDS

    if can_wait or model.identity in _ESTIMATES.keys():  # noqa: SIM118
        return _ESTIMATES.take(model.identity, estimated)

    def find_out() -> None:
        with suppress(Exception):  # what is wrong with a model is said when it is run
            _ESTIMATES.take(model.identity, estimated)

    if model.identity not in _ASKED.keys():  # noqa: SIM118
        _ASKED.take(model.identity, bool)
        later = threading.Timer(_FIRST_PAGE_SECONDS, find_out)
        later.daemon = True
        later.start()
    return _TYPICAL_SECONDS


def demonstration_score(
    model: PretrainedModel, compressed: PretrainedModel, progress: ProgressCallback | None = None
) -> TaskScore:
    """Spearman between cosines and people's judgement on the demonstration pairs, before and after.

    model: as its authors made it. compressed: the same with the compressed table attached.
    Raises ModelError for a model that cannot encode sentences, or would take longer than MOST_SECONDS; Cancelled.
    """
    pairs, languages = own_demo_pairs(model)
    if (seconds := encoding_seconds(model, [*pairs.first, *pairs.second], 2)) > MOST_SECONDS:
        raise ModelError(
            f"scoring {len(pairs)} sentence pairs with {model.name} would take about {seconds_text(seconds)}; the page Similarity does "
            "it when asked",
            "unsupported",
        )
    report(progress, "scoring sentence pairs", 0.0)
    sides = pairs.first, pairs.second
    before = _ORIGINALS.take((model.identity, pairs.digest), lambda: cosines(model, *sides, part_of(progress, 0.0, 0.45)))
    after = cosines(compressed, *sides, part_of(progress, 0.45, 0.9))
    metric = METRICS["similarity"][0]
    scores = score_sides(pairs.gold, {"original": before, "compressed": after}, (metric,), progress=part_of(progress, 0.9, 1.0))
    change = scores["compressed"].differences[metric]
    numbers = (scores["original"].values[metric], scores["compressed"].values[metric], change.low, change.high)
    original, found, low, high = (float(number) if math.isfinite(number) else None for number in numbers)
    return TaskScore(DEMO_NAME, languages, len(pairs), metric, original, found, low, high)


_UNRELATED = 40  # sentences
_UNRELATED_COSINES = Memory(16)  # of sides, by identity


def unrelated_cosine(model: PretrainedModel) -> float:
    """Mean cosine of sentences that have nothing to do with each other: the first 40 of the demonstration pairs, one a pair.

    Where compression makes all sentences more alike, it rises. Raises what ``encode`` raises.
    """

    def measured() -> float:
        pairs, _ = own_demo_pairs(model)
        vectors = model.encode(list(dict.fromkeys(pairs.first))[:_UNRELATED])
        found = vector_cosines(vectors[:, None], vectors[None])
        return float(found[~np.eye(len(found), dtype=bool)].mean())

    return _UNRELATED_COSINES.take(model.identity, measured)
