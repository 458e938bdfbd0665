"""One adaptation from its inputs to its result, with or without a folder that its checkpoints go to."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import InputError
from ..progress import ProgressCallback, part_of, report
from .result import Adaptation
from .sensitivity import sensitive_codes_and_stretch
from .settings import AdaptationSettings
from .state import read_state, write_state
from .texts import Text, facts_of, rows_of, text_of
from .trainer import Trainer

if TYPE_CHECKING:
    from ..codec.result import Compressed, SubspaceCompressed
    from ..evaluate.pairs import PairSet
    from ..other_models import AdaptedModel
    from ..pretrained import PretrainedModel

#: Methods whose codes are the nearest codewords in each subspace, so that they can be found anew.
REASSIGNED = ("cluster", "product")
ORIGINAL, COMPRESSED, ADAPTED = "original", "compressed", "adapted"


def adapt(
    model: "PretrainedModel",
    compressed: "Compressed",
    text: "Sequence[str] | Text | None" = None,
    *,
    settings: AdaptationSettings | None = None,
    scored: "PairSet | None" = None,
    folder: Path | None = None,
    progress: ProgressCallback | None = None,
    **values: Any,
) -> "AdaptedModel":
    """Train a compressed table, and more of the model if asked to, until the model does again what the original does.

    model: the original, which is the teacher and is not changed. compressed: of its table, by a method with codebooks.
    text: sentences to learn from, without labels; None draws token sequences from the vocabulary.
    settings: or its fields by name, such as ``seconds=300, seed=0``; see :class:`AdaptationSettings`.
    scored: a labelled set whose score is followed, and by which the best weights are kept. Its sentences are taken out of the text.
    folder: for checkpoints: the same call with the same folder goes on where the last one stopped.

    Returns a model with the new table, changed weights and ``facts`` (an :class:`Adaptation` as a dictionary).
    Raises InputError for what cannot be adapted, ModelError if the model has no network, Cancelled.
    """
    if settings is not None and values:
        raise InputError(f"give settings, or {', '.join(values)}, not both")
    settings = settings or AdaptationSettings(**values)
    check_adaptable(model, compressed)
    if text is not None and not isinstance(text, Text):
        text = text_of(text)
    if text is not None:
        text = text.without(scored)
    session = Session(model, compressed, text, settings, scored, folder)
    session.run(progress)
    return session.result("done")


def check_adaptable(model: "PretrainedModel", compressed: "Compressed") -> None:
    """Raises InputError for a table without codebooks, or of another shape; ModelError without a tokenizer."""
    from ..codec.result import SubspaceCompressed

    if not isinstance(compressed, SubspaceCompressed):
        raise InputError(
            f"{compressed.settings.method} has no codebooks to train; compress with a method that has: cluster, product, "
            "arbitrary, optimized_product or residual"
        )
    if (compressed.num_embeddings, compressed.embedding_dim) != (model.num_tokens, model.dim):
        raise InputError(
            f"the compressed table has {compressed.num_embeddings} tokens x {compressed.embedding_dim} dimensions, the model's "
            f"{model.num_tokens} x {model.dim}; compress this model's own table"
        )
    if not model.has_tokenizer:
        model.tokenizer  # noqa: B018 - says what is missing


class Session:
    """The state of one adaptation: a Trainer and what is known about its start. See :func:`adapt`."""

    def __init__(
        self,
        model: "PretrainedModel",
        compressed: "SubspaceCompressed",
        text: Text | None,
        settings: AdaptationSettings,
        scored: "PairSet | None" = None,
        folder: Path | None = None,
        key: str = "",
    ):
        self.model, self.start, self.text, self.settings = model, compressed, text, settings
        self.scored, self.folder, self.key = scored, folder, key
        self.trainer: Trainer | None = None
        self.scores: dict[str, float] = {}
        self._stretch: torch.Tensor | None = None
        self._begun: SubspaceCompressed | None = None

    @property
    def reassigns(self) -> bool:
        """Whether codes are found anew: asked for, and possible with this method."""
        return self.settings.reassign and self.start.settings.method in REASSIGNED

    def run(self, progress: ProgressCallback | None = None) -> None:
        """From the last checkpoint, or from the start, to the end. Raises Cancelled after saving, InputError, ModelError."""
        self.open(progress)
        self.trainer.run(self.save, part_of(progress, 0.1, 1.0))

    def open(self, progress: ProgressCallback | None = None) -> None:
        """Build the trainer, and take up the last checkpoint if there is one."""
        report(progress, "reading the text", 0.0)
        rows = rows_of(self.model, self.text, self.settings.sample, self.settings.seed)
        kept = None if self.folder is None else read_state(self.folder)
        started = time.perf_counter()
        if kept is not None:
            tensors, facts = kept
            self._stretch = tensors.pop("stretch", None)
            self._begun = self._start_of(tensors)
            self.scores = facts["scores"]
        elif self.reassigns:
            self._begun, self._stretch = sensitive_codes_and_stretch(
                self.model, self.start, rows, self.settings.seed, part_of(progress, 0.0, 0.1)
            )
        else:
            self._begun = self.start
        spent = time.perf_counter() - started
        if kept is None and self.scored is not None:
            from ..codec import attach

            report(progress, "scoring the labelled set", 0.1)
            self.scores = {
                ORIGINAL: self._score(self.model),
                COMPRESSED: self._score(attach(self.model, self.start)),
            }
        score = None if self.scored is None else self._score
        self.trainer = Trainer(self.model, self._begun, rows, self.settings, self._stretch, score, spent)
        if kept is not None:
            self.trainer.restore(tensors, facts["trainer"])

    def _start_of(self, tensors: dict[str, torch.Tensor]) -> "SubspaceCompressed":
        """Where training began, for tuples that are to stay distinct: the codes of the checkpoint are as good."""
        codes = tensors["student.codes"]
        return replace(self.start, codes=codes if codes.dtype == torch.uint8 else codes.int(), history=[], info={})

    def _score(self, side: "PretrainedModel") -> float:
        return score_of(side, self.scored)

    def save(self) -> None:
        """Write a checkpoint, if there is a folder for it."""
        if self.folder is None:
            return
        tensors, facts = self.trainer.checkpoint()
        if self._stretch is not None:
            tensors["stretch"] = self._stretch
        write_state(self.folder, tensors, {"trainer": facts, "scores": self.scores})

    def summary(self, state: str, message: str = "", size: dict[str, Any] | None = None) -> Adaptation:
        """What is known now."""
        from ..runs import describe

        trainer = self.trainer
        changed = int((trainer.student.codes.long() != self.start.codes.long()).sum())
        return Adaptation(
            key=self.key,
            model=describe(self.model),
            compression=self.start.settings.to_dict(),
            settings=self.settings,
            text=facts_of(self.text, self.settings.sample),
            scored=None if self.scored is None else scored_facts(self.scored),
            scores=self.scores,
            size=size or {},
            history=trainer.history,
            steps=trainer.step,
            planned_steps=trainer.planned,
            best_step=trainer.best_step,
            seconds=trainer.seconds,
            cpu_seconds=trainer.cpu_seconds,
            reassigned=changed,
            state=state,
            message=message,
            threads=torch.get_num_threads(),
        )

    def result(self, state: str, message: str = "") -> "AdaptedModel":
        """The model with the best weights. state: ``done`` or ``stopped``."""
        student, best = self.trainer.student, self.trainer.best
        adapted = student.adapted({}, best)
        if self.scored is not None:
            self.scores = self.scores | {ADAPTED: self._score(adapted)}
        adapted.facts = self.summary(state, message, sizes(adapted)).to_dict()
        return adapted


def sizes(adapted: "AdaptedModel") -> dict[str, int]:
    """Everything that is stored, in bytes; see ``Adaptation.size``."""
    size = adapted.compressed.size()
    changed = adapted.changed_parameters
    return {
        "table_bytes": size.total_bytes,
        "original_bytes": size.original_bytes,
        "changed_parameters": changed,
        "changed_bytes": 4 * changed,
        "total_bytes": size.total_bytes + 4 * changed,
    }


def score_of(side: "PretrainedModel", pairs: "PairSet") -> float:
    """A labelled set's score x 100: Spearman for graded similarity, average precision for paraphrases, accuracy for entailment."""
    from ..evaluate.entailment import engine_for
    from ..evaluate.similarity import cosines
    from ..evaluate.statistics import accuracy, average_precision, spearman

    if pairs.task == "entailment":
        judged = engine_for(side).probabilities(pairs.first, pairs.second)
        return 100 * accuracy(pairs.gold, judged.argmax(1))
    measure = spearman if pairs.task == "similarity" else average_precision
    return 100 * measure(pairs.gold, cosines(side, pairs.first, pairs.second))


def scored_facts(pairs: "PairSet") -> dict[str, Any]:
    """What is kept of a labelled set: JSON types."""
    metric = {"similarity": "Spearman", "paraphrase": "average precision", "entailment": "accuracy"}[pairs.task]
    return {"name": pairs.name, "task": pairs.task, "pairs": len(pairs), "digest": pairs.digest, "metric": metric}
