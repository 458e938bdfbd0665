"""One whole run: load a model, weigh its tokens, compress, measure. The pages and the command line both call this.

A finished run is kept on disk, so that a link opened tomorrow, or by somebody else on the same server, shows it at once.
What the cards show is plain JSON (:class:`Run`) and is read without importing torch; codes and codebooks lie beside it in
the same form that :func:`subemb.codec.storage.save` writes for everybody.
"""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__
from .analysis.verdict import Verdict, verdict_of
from .base.errors import InputError, ModelError
from .base.files import json_value, read_file
from .base.plain import from_plain
from .base.progress import ProgressCallback, part_of, report, shares_of
from .base.shown import Card, Shown
from .base.store import Memory, Stamp, Store, content_key, stamp_of
from .base.text import percent_text, size_text
from .codec.compressed import Compressed
from .codec.estimates import estimate_seconds
from .codec.film import filming
from .codec.settings import OF_TEXT, CompressionSettings
from .codec.sizes import Size
from .codec.weights import estimated_frequencies, model_weights, text_digest
from .evaluate.similarity.demonstration import TaskScore, demonstration_score, demonstration_seconds
from .jobs.task import task as job
from .models.load import load_listed
from .models.model import PretrainedModel, describe
from .models.sensitivity import sensitivity_seconds, text_rows

if TYPE_CHECKING:
    import torch

    from .analysis.neighbours import NearBefore

FORMAT = 1  # of the JSON that the command line prints
NEIGHBOURS = 10
NEIGHBOUR_SAMPLE = 2000
NEIGHBOUR_SAMPLE_LARGE = 500  # of tables over 100,000 tokens, where each query costs more
ENTROPY_PAYS = 0.005  # of all bytes; what saves less is called nothing
_FILM, _LARGEST_FILM = "film.json", 2**21  # beside a run made by :func:`run_and_keep`; bytes that are read
#: Words that most people know and most vocabularies have; the first ten are watched while codes are found.
FAMILIAR, MOST_FAMILIAR = "king queen man woman dog cat water wine house car red blue one two day night", 10
MEASURING_SECONDS = 6e-11  # for each query, token and dimension; measured on two cores
_TELLING = 0.8  # of the seconds with alike tokens: where a run without any takes less, the table is looked at first
_ALIKE = Memory(64)  # the share of alike tokens of models


@dataclass(frozen=True, repr=False)
class Run(Shown):
    """Everything the cards and tables show about one finished run. Plain types only."""

    key: str
    model: dict[str, Any]  # as describe: name, revision, source, identity, vocabulary (V), dim (D), parameters, tokenizer_size
    settings: CompressionSettings  # resolved; with the tiers that were chosen for a budget
    size: Size  # what the compressed table stores
    quality: dict[str, Any]  # as measure
    history: list[dict[str, Any]] = field(default_factory=list)  # one for each iteration: iteration, error, per_subspace
    seconds: dict[str, float] = field(default_factory=dict)  # load, compress, measure, score
    task: TaskScore | None = None  # on the demonstration pairs in the model's own languages
    no_task: str = ""  # why there is none
    version: str = __version__  # of subemb
    budget: str | None = None  # for which the tiers of the settings were chosen
    keep: str | None = None  # what was asked for, where the settings tell it otherwise: as a number, or in tiers
    #: Why codebooks have more bits than was asked for: ``asked`` (None for an automatic number), ``in`` (bits), ``errors`` (without rounding,
    #: and in so few bits), ``tier`` (its number, where there are tiers).
    rounding: dict[str, Any] | None = None

    @property
    def verdict(self) -> Verdict:
        """What its numbers mean, in words."""
        quality, task = self.quality, self.task
        colliding = (quality.get("colliding_tokens") or 0) / self.size.vocabulary
        change = None if task is None or task.low is None else (task.low, task.high)
        return verdict_of(
            self.size.total_share, quality["relative_error"], quality["neighbours_kept"],
            kept=None if task is None else task.kept, change=change, colliding_share=colliding, neighbours=NEIGHBOURS,
            can_be_adapted=self.settings.about.can_be_adapted,
        )  # fmt: skip

    @property
    def entropy_saves(self) -> int | None:
        """Bytes that entropy-coding its codes would save; 0 where it does not pay, None where there is nothing to say."""
        coded, whole = self.quality.get("entropy_coded_bytes"), self.size.total_bytes
        if coded is None or not self.size.code_bits or not (self.size.codebook_parameters or self.settings.about.keeps_rows):
            return None
        if coded > (1 - ENTROPY_PAYS) * whole:
            return 0 if self.size.codebook_parameters else None
        return whole - coded

    @property
    def entropy_coded(self) -> str:
        """What entropy-coding its codes would save, in words; "" where there is nothing to say."""
        saved, whole = self.entropy_saves, self.size.total_bytes
        if saved is None:
            return ""
        if not saved:
            return "entropy coding would save next to nothing"
        return f"{size_text(whole - saved)} in a file with entropy-coded codes, {percent_text(saved / whole)} less"

    @property
    def rounding_text(self) -> str:
        """Why its codebooks have more bits than usual, in words; "" where they have not."""
        if self.rounding is None:
            return ""
        before, after = self.rounding["errors"]
        whose = f"the error of tier {self.rounding['tier']}" if "tier" in self.rounding else "the error"
        return (
            f"codebooks have {self.settings.codebook_bits} bits a number, because in {self.rounding['in']} bits {whose} would be {after:.3f} instead "
            f"of {before:.3f}: the table's numbers lie far from 0 and differ little"
        )

    @property
    def asked(self) -> CompressionSettings:
        """The settings that it was asked for: those that its key was made from, and that a link to it carries."""
        settings = self.settings if self.budget is None else replace(self.settings, tiers=None, budget=self.budget)
        settings = settings if self.rounding is None else replace(settings, codebook_bits=self.rounding["asked"])
        return settings if self.keep is None else replace(settings, keep=self.keep)

    def described(self) -> Card:
        """What is shown of it: the cards of the command line in short."""
        name, settings = str(self.model.get("name")), self.settings.in_words
        share = f"{size_text(self.size.total_bytes)}, {percent_text(self.size.total_share)} of the table"
        error = self.quality.get("relative_error")
        facts = [("model", name), ("settings", settings)]
        facts += [] if self.budget is None else [("tiers chosen for", f"a budget of {self.budget}")]
        facts += [] if error is None else [("relative error", f"{error:.4f}")]
        facts += [] if self.task is None else [("sentence similarity", self.task.in_words), ("verdict", self.verdict.text)]
        line = f"of {name}: {settings}, {share}" + ("" if error is None else f", error {error:.4f}")
        return Card(type(self).__name__, line, facts, share=self.size.total_share, share_text=share)

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {**asdict(self), "format": FORMAT}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Run":
        """The inverse of :meth:`to_dict`; raises InputError for another format."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise InputError("this run was written by another version of subemb; run it again")
        return from_plain(cls, {name: value for name, value in values.items() if name != "format"})


def run_key(identity: str, settings: CompressionSettings) -> str:
    """Key of one run: the model's content and every setting. Equal keys mean equal results."""
    return content_key(RUNS.format, identity, settings.to_dict())


def run(
    model: PretrainedModel,
    settings: CompressionSettings,
    text: str | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[Run, Compressed]:
    """Compress a model's table and measure the result.

    text: whose tokens are counted for the weights ``counts`` and ``sqrt_counts`` (for ``list`` a frequency list), and on which sensitive codes measure what the
        output notices.
    Raises InputError if settings and table do not fit, Cancelled if the callback says so.
    """
    from .codec import compress

    started = time.perf_counter()
    settings = resolved(settings, model, text)
    report(progress, "reading the table", 0.0)
    table = model.table
    noticing, compressing, measuring, scoring = _stage_seconds(settings, *table.shape, model)
    # reading table, text and network takes some time too
    shares = shares_of([noticing + 0.3, compressing, measuring, scoring])
    to_weigh, to_compress, to_measure, to_score = (part_of(progress, *share) for share in shares)
    weights, sensitivity = what_counts(model, settings, text, to_weigh)
    loaded = time.perf_counter()
    compressed = compress(table, settings=settings, weights=weights, sensitivity=sensitivity, progress=to_compress)
    finished = time.perf_counter()
    quality = measure(table, compressed, weights, to_measure, seed=settings.seed, frequencies=frequencies_of(model))
    quality["sensitive_error"] = compressed.info.get("sensitive_error")
    measured = time.perf_counter()
    task, why = _task_of(model, compressed, to_score)
    summary = Run(
        key=run_key(model.identity, settings),
        model=describe(model),
        settings=compressed.settings,
        budget=compressed.info.get("budget"),
        keep=compressed.info.get("keep"),
        rounding=compressed.info.get("rounding"),
        size=compressed.size(model.parameters),
        quality=quality,
        history=compressed.history,
        seconds={
            "load": loaded - started,
            "compress": finished - loaded,
            "measure": measured - finished,
            "score": time.perf_counter() - measured,
        },
        task=task,
        no_task=why,
    )
    report(progress, "done", 1.0)
    return summary, compressed


def what_counts(
    model: PretrainedModel, settings: CompressionSettings, text: str | None, progress: ProgressCallback | None = None
) -> "tuple[torch.Tensor | None, torch.Tensor | None]":
    """Token weights (V,) and the sensitivity (D, D) that resolved settings ask for, for ``compress``; None where they ask for none.

    text: as for :func:`run`. Raises InputError, ModelError as :meth:`PretrainedModel.sensitivity`, Cancelled.
    """
    keeps = settings.about.keeps_rows
    weights = model_weights(model, settings.weights, text=text, keeps_rows=keeps, progress=part_of(progress, 0.0, 0.15))
    return weights, what_is_noticed(model, settings, text, part_of(progress, 0.15, 1.0))


def what_is_noticed(
    model: PretrainedModel, settings: CompressionSettings, text: str | None, progress: ProgressCallback | None = None
) -> "torch.Tensor | None":
    """The sensitivity (D, D) that resolved settings ask for; None where they ask for none. Raises as :func:`what_counts`."""
    if not settings.sensitive:
        return None
    rows = None
    if text is not None and settings.weights != "list" and model.has_network:
        rows = text_rows(model, text)
    return model.sensitivity(rows, progress=progress)


def _task_of(model: PretrainedModel, compressed: Compressed, progress: ProgressCallback | None) -> tuple[TaskScore | None, str]:
    from .codec import attach

    try:
        small = attach(model, compressed)
    except ModelError as error:
        return None, str(error)
    return task_of(model, small, progress)


def task_of(
    model: PretrainedModel, small: PretrainedModel, progress: ProgressCallback | None = None
) -> tuple[TaskScore | None, str]:
    """The score on the demonstration pairs, or why there is none."""
    try:
        return demonstration_score(model, small, progress), ""
    except ModelError as error:
        return None, str(error)


def measured_run(
    model: PretrainedModel,
    compressed: Compressed,
    progress: ProgressCallback | None = None,
    scored: PretrainedModel | None = None,
) -> Run:
    """The summary of a compressed table that lies somewhere else, such as a saved folder: measured again, all tokens alike.

    scored: the model with that table, and weights that were changed with it, whose sentences are scored; None for no score.
    """
    started = time.perf_counter()
    seed, frequencies = compressed.settings.seed, frequencies_of(model)
    quality = measure(model.table, compressed, None, progress, seed=seed, frequencies=frequencies)
    measured = time.perf_counter() - started
    task, why = (None, "It was measured again from a folder, without sentences.") if scored is None else task_of(model, scored)
    return Run(
        key=run_key(model.identity, compressed.settings),
        model=describe(model),
        settings=compressed.settings,
        size=compressed.size(model.parameters),
        quality=quality,
        history=compressed.history,
        seconds={"load": 0.0, "compress": 0.0, "measure": measured},
        task=task,
        no_task=why,
    )


def resolved(settings: CompressionSettings, model: PretrainedModel, text: str | None) -> CompressionSettings:
    """Settings with every automatic value, and the digest of a text that is read: two texts must not share a key."""
    if settings.sensitive is None and settings.about.can_be_sensitive:
        settings = replace(settings, sensitive=False)  # as compress does where no sensitivity is given
    if (settings.weights in OF_TEXT or settings.sensitive) and settings.text_digest is None and text:
        settings = replace(settings, text_digest=text_digest(text))
    return settings.resolve(model.num_tokens, model.dim)


def estimate_run_seconds(
    settings: CompressionSettings, vocabulary: int, dim: int, model: PretrainedModel | None = None, can_wait: bool = True
) -> float:
    """Rough seconds of a whole run on two cores: compressing, and measuring the result; with a model also finding out what its output
    notices, where that is asked for and not known, and the score. can_wait: for the model to be read, which the score's share needs.
    Raises InputError as resolve does."""
    return sum(_stage_seconds(settings, vocabulary, dim, model, can_wait))


def _stage_seconds(
    settings: CompressionSettings, vocabulary: int, dim: int, model: PretrainedModel | None, can_wait: bool = True
) -> tuple[float, float, float, float]:
    """Rough seconds of what a run does, one after the other: what counts, compressing, measuring, the score."""
    compressing = estimate_seconds(settings, vocabulary, dim)
    noticed, score = 0.0, 0.0
    if model is not None:
        if estimate_seconds(settings, vocabulary, dim, 0.0) < _TELLING * compressing:
            compressing = estimate_seconds(settings, vocabulary, dim, _alike_share_of(model))
        noticed = sensitivity_seconds(model, settings.text_digest is not None) if settings.sensitive else 0.0
        score = demonstration_seconds(model, can_wait)
    measuring = MEASURING_SECONDS * neighbour_queries(vocabulary) * vocabulary * dim
    return noticed, compressing, measuring, score


def _alike_share_of(model: PretrainedModel) -> float | None:
    """What :func:`.analysis.neighbours.alike_share` says of a model's table, in a tenth to a whole second; None of one that is broken."""

    def share() -> float | None:
        from .analysis.neighbours import alike_share

        with suppress(ModelError):  # what is wrong with a model is said when it is run
            return alike_share(model.table)

    return _ALIKE.take(model.identity, share)


def neighbour_queries(vocabulary: int) -> int:
    """How many tokens are asked for their neighbours."""
    return min(vocabulary, NEIGHBOUR_SAMPLE if vocabulary <= 100_000 else NEIGHBOUR_SAMPLE_LARGE)


def measure(
    table,
    compressed: Compressed,
    weights=None,
    progress: ProgressCallback | None = None,
    seed: int = 0,
    before: "NearBefore | None" = None,
    frequencies: np.ndarray | None = None,
) -> dict[str, Any]:
    """The numbers of the quality card, in JSON types.

    ``relative_error``, ``weighted_error`` (or None), ``mean_cosine``, ``cosine_quantiles`` ({"0.05": ..., ...}), ``per_subspace``,
    ``neighbours_kept`` (share of the 10 nearest), ``neighbours_sample`` (tokens asked), ``distinct_tuples`` and ``colliding_tokens``
    (or None without codes), ``entropy_coded_bytes`` (of a file with entropy-coded codes); with ``frequencies`` (:func:`frequencies_of`)
    ``kept_by_frequency``, the neighbours kept of frequent and of rare tokens. :func:`run` adds ``sensitive_error``. before: the neighbours in the
    table, where they were found already.
    """
    from .analysis import neighbours_kept, reconstruction_error
    from .analysis.neighbours import kept_by_frequency
    from .codec.storage import entropy_coded_bytes

    report(progress, "measuring the reconstruction", 0.0)
    reconstruction = compressed.reconstruct()
    error = reconstruction_error(table, compressed, weights=weights)
    sample = neighbour_queries(len(table))
    kept = neighbours_kept(
        table, reconstruction, k=NEIGHBOURS, sample=sample, seed=seed, progress=part_of(progress, 0.2, 1.0), before=before
    )
    return {
        "relative_error": error.relative,
        "weighted_error": error.weighted,
        "mean_cosine": error.mean_cosine,
        "cosine_quantiles": {str(quantile): value for quantile, value in error.cosine_quantiles.items()},
        "per_subspace": [float(value) for value in error.per_subspace],
        "neighbours_kept": kept.mean,
        "neighbours_sample": len(kept.ids),
        "distinct_tuples": getattr(compressed, "distinct_tuples", None),
        "colliding_tokens": getattr(compressed, "colliding_tokens", None),
        "entropy_coded_bytes": entropy_coded_bytes(compressed),
        **({} if frequencies is None else {"kept_by_frequency": kept_by_frequency(kept, frequencies)}),
    }


def frequencies_of(model: PretrainedModel) -> np.ndarray:
    """(V,) how frequent tokens are thought to be, whatever weights a run was made with: bands of frequency are the same for all runs."""
    return estimated_frequencies(model.vocabulary)


def kept_keys(begin: str) -> list[str]:
    """Keys of the kept runs that begin so, the last used first."""
    return [key for key in RUNS if key.startswith(begin)] if begin else []


def compressed_of(key: str) -> Compressed:
    """Codes and codebooks of a finished run; shared, not to be changed.

    Raises InputError if they are gone or inconsistent, and drops the run then.
    """
    from .codec.loading import load

    folder = RUNS.path(key)
    try:
        return _compressed.take(folder, lambda: load(folder), _tensors_stamp(folder))
    except InputError as error:
        RUNS.drop(key)
        raise InputError(
            f"the kept result of this run cannot be read any more ({error}); press Run to compute it again"
        ) from error


def reconstruction_of(key: str) -> "torch.Tensor":
    """The whole reconstruction (V, D) float32 of a finished run; shared, not to be changed. Raises InputError as compressed_of."""
    compressed = compressed_of(key)
    return _reconstructions.take(RUNS.path(key), compressed.reconstruct, _tensors_stamp(RUNS.path(key)))


def _tensors_stamp(folder: Path) -> tuple[Stamp | None, ...]:
    """Stays equal as long as the tensors of a run are the same files."""
    return tuple(stamp_of(path) for path in sorted(folder.glob("*.safetensors")))


def film_of_run(key: str) -> list[dict[str, Any]]:
    """Pictures of a finished run while codes were found, as :meth:`subemb.codec.film.Film.take` makes them; [] if none were kept."""
    path = RUNS.path(key) / _FILM
    try:
        pictures = json_value(read_file(path, _LARGEST_FILM, _FILM), _FILM)
    except (OSError, InputError):
        return []
    return pictures if isinstance(pictures, list) else []


def _write(folder: Path, finished: "tuple[Run, Compressed] | tuple[Run, Compressed, list]") -> None:
    summary, compressed, *film = finished
    compressed.save_pretrained(folder, model=summary.model)
    RUNS.write_json(folder, summary)
    if film and film[0]:
        (folder / _FILM).write_text(json.dumps(film[0], separators=(",", ":")), encoding="utf-8")


#: Finished runs: what is put in is (Run, Compressed), what comes out a Run, which is read without importing torch.
RUNS: Store[Run] = Store("runs", format=2, most=40, in_memory=40, file="run.json", kind=Run, shipped="runs", write=_write)
_compressed = Memory(4)
_reconstructions = Memory(2, most_bytes=2**29, bytes_of=lambda table: table.nbytes)


def _key_of(name: str, revision: str | None, settings: dict[str, Any], text: str | None) -> str:
    model = load_listed(name, revision)
    return run_key(model.identity, resolved(CompressionSettings.from_dict(settings), model, text))


@job(lane="compress", key=_key_of, keep=RUNS)
def run_and_keep(
    name: str,
    revision: str | None,
    settings: dict[str, Any],
    text: str | None = None,
    progress: ProgressCallback | None = None,
) -> "tuple[Run, Compressed, list[dict[str, Any]]]":
    """The work behind the Run button: :func:`run` by names, filmed. It is kept in RUNS, and its result is a Run."""
    return filmed_run(load_listed(name, revision), CompressionSettings.from_dict(settings), text, progress)


def filmed_run(
    model: PretrainedModel, settings: CompressionSettings, text: str | None = None, progress: ProgressCallback | None = None
) -> "tuple[Run, Compressed, list[dict[str, Any]]]":
    """:func:`run`, and pictures of how the codes were found: what RUNS keeps."""
    with filming(model.num_tokens, familiar_tokens(model.vocabulary)) as film:
        finished = run(model, settings, text, progress)
    return *finished, film.kept()


def familiar_tokens(vocabulary) -> list[int]:
    """Ids of ten words that a reader knows, as far as the vocabulary has them whole."""
    found: list[int] = []
    for word in FAMILIAR.split():
        found += [token for token in vocabulary.search(word, limit=1, mode="exact") if token not in found]
        if len(found) == MOST_FAMILIAR:
            break
    return found
