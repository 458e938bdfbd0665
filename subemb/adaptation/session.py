"""One adaptation from its inputs to its result, with or without a folder that its checkpoints go to."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..base.arguments import checked
from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of, report
from ..codec import attach
from ..codec.compressed import Compressed
from ..codec.estimates import estimate_seconds as compression_seconds
from ..codec.layers import TableLayer
from ..codec.methods import METHODS
from ..codec.settings import CompressionSettings
from ..evaluate.data.pairs import PairSet
from ..models.load import opened
from ..models.model import PretrainedModel, describe
from ..models.sensitivity import MOST_ROWS
from .codes import ROUNDS, sensitive_codes, with_drawn_codebooks
from .material import Material, check_given, material_of, searched_rows
from .objectives import MASKED_SHARE, distilled_head
from .result import ADAPTED, COMPRESSED, ORIGINAL, TUNED, Adaptation
from .settings import DRAWN, LABELLED, AdaptationSettings, device_for
from .students import OriginalStudent, Student
from .texts import Text, text_of
from .trainer import SCORINGS, STATE_FILE, Trainer, read_state, write_state

log = logging.getLogger(__name__)
_ALIKE = "alike."  # in a checkpoint, in front of all names that belong to the training of the original
SEARCH_SHARE = 0.6  # of a time budget, at most, for the search for codes; the training has the rest
OPENING_SHARE = 0.1  # of the work, in the progress that is told, where no codes are searched
OWN_SHARE = 0.47  # of the rest, in fine-tuning: steps of the original, whose whole table is trained, take somewhat longer
_FLOPS = 1.3e11  # floating-point operations a second
_TOKENS = 16  # of a sentence
_LOOKED_UP = 5e-6  # seconds of a token where there is no network around the table
_COMPRESSIONS = 4  # choosing codes together takes as long as this many compressions
# Multiplications and additions for every weight and token: to read, to pass a gradient back to the embeddings, and to the weights.
_READ, _BACK, _WEIGHTS = 2, 2, 2


@checked
def adapt(
    model: PretrainedModel | str,
    compressed: Compressed,
    text: "Sequence | Text | None" = None,  # of strings; what is none is named by its place in it
    *,
    labelled: PairSet | None = None,
    settings: AdaptationSettings | None = None,
    scored: PairSet | None = None,
    folder: Path | None = None,
    progress: ProgressCallback | None = None,
    **values: Any,
) -> PretrainedModel:
    """Train a compressed table, and more of the model if asked to, until the model does again what the original does.

    With ``objective="masked"``, ``"similarity"`` or ``"entailment"`` it is fine-tuned instead, and so is a copy of the original, for as
    many steps on the same batches: ``facts["scores"]`` has both.

    model: the original, or its name; it is the teacher and is not changed. compressed: made of its table, by a method with codebooks.
    text: sentences to learn from, without labels; None draws token sequences from the vocabulary.
    labelled: pairs to learn from, for the objectives similarity and entailment.
    settings: or its fields by name, such as ``seconds=300, seed=0``; see :class:`AdaptationSettings`.
    scored: a labelled set whose score is followed, and by which the best weights are kept. Its sentences are taken out of the text,
        and pairs that have one of them out of ``labelled``. Without a set, fine-tuning sets a tenth of what it is given aside and
        scores that.
    folder: for checkpoints. The same call with the same folder goes on where the last one stopped.

    Returns a model with the new table, changed weights and ``facts`` (an :class:`Adaptation` as a dictionary).
    Raises InputError for what cannot be adapted, ModelError if the model has no network, Cancelled.
    """
    if settings is not None and values:
        raise InputError(f"give settings, or {', '.join(values)}, not both")
    settings = settings or AdaptationSettings(**values)
    model = opened(model)
    check_adaptable(model, compressed)
    if text is not None and not isinstance(text, Text):
        text = text_of(text)
    session = Session(model, compressed, text, settings, scored, folder, labelled=labelled)
    session.run(progress)
    return session.result("done")


def check_adaptable(model: PretrainedModel, compressed: Compressed) -> None:
    """Raises InputError for a table without codebooks, or of another shape; ModelError without a tokenizer."""
    if not compressed.coded:
        if compressed.settings.about.can_be_adapted:
            raise InputError(
                f"none of the tiers {compressed.settings.tiers} has codebooks to train; give one of them codes, FxQ"
            )
        with_codebooks = ", ".join(key for key, method in METHODS.items() if method.can_be_adapted)
        raise InputError(
            f"{compressed.settings.method} has no codebooks to train; compress with a method that has: {with_codebooks}"
        )
    if (compressed.num_embeddings, compressed.embedding_dim) != (model.num_tokens, model.dim):
        raise InputError(
            f"the compressed table has {compressed.num_embeddings} tokens x {compressed.embedding_dim} dimensions, the model's "
            f"{model.num_tokens} x {model.dim}; compress this model's own table"
        )
    if not model.has_tokenizer:
        model.tokenizer  # noqa: B018 - says what is missing


def check_trainable(model: PretrainedModel, compressed: Compressed, settings: AdaptationSettings) -> None:
    """Raises InputError unless a gradient comes back through the network to the compressed table: a trial on a few tokens."""
    attached = attach(model, compressed)
    rows = [compressed.coded[0].tokens[:4].tolist()]  # tokens whose rows are trained
    head = {"masked": "masked", "distill": distilled_head(model)}.get(settings.objective)

    def output() -> torch.Tensor:
        if head is None:
            return attached.encode_ids_tensor(rows)
        ids = torch.tensor(rows, device=attached.device)
        return attached.network(head)(input_ids=ids, attention_mask=torch.ones_like(ids)).logits

    why = f"nothing can be learned through the network of {model.name}"
    try:
        with torch.enable_grad():
            found = output()
            layers = attached.network(head).modules()
            books = [
                book for layer in layers if isinstance(layer, TableLayer) for part in layer.coded for book in part.codebooks
            ]
            gradients = torch.autograd.grad(found.float().sum(), books, allow_unused=True) if books else ()
    except (InputError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # networks of every kind
        log.info("no gradient through %s: %s", model.name, error)
        kind = model.config.get("model_type", "it")
        raise InputError(
            f"{why}: its architecture ({kind}) computes no gradient as it is used here; compress and evaluate it without adapting"
        ) from error
    if all(gradient is None for gradient in gradients):
        raise InputError(f"{why}: it does not look its tokens up in the compressed table, so it cannot be adapted")


class Session:
    """The state of one adaptation: a Trainer, in fine-tuning a second one for the original, and what is known about the start.

    See :func:`adapt`.
    """

    def __init__(
        self,
        model: PretrainedModel,
        compressed: Compressed,
        text: Text | None,
        settings: AdaptationSettings,
        scored: PairSet | None = None,
        folder: Path | None = None,
        key: str = "",
        labelled: PairSet | None = None,
    ):
        check_given(model, text, labelled, settings)
        self.model, self.start, self.text, self.settings = model, compressed, text, settings
        self.given_scored, self.folder, self.key, self.labelled = scored, folder, key, labelled
        self.trainer: Trainer | None = None
        self.alike: Trainer | None = None  # of the original, trained in the same way
        self.scores: dict[str, float] = {}
        self._material: Material | None = None
        self._placed = model  # the same model on the device that computes

    @property
    def reassigns(self) -> bool:
        """Whether codes are chosen again before training: if asked for, and possible with this method."""
        return self.settings.reassigns(self.start.settings.method)

    @property
    def opening(self) -> float:
        """Share of the whole work that :meth:`open` is, roughly: most of it where codes are searched."""
        if not self.reassigns or (self.folder is not None and (self.folder / STATE_FILE).is_file()):
            return OPENING_SHARE
        return SEARCH_SHARE

    def run(self, progress: ProgressCallback | None = None) -> None:
        """From the last checkpoint, or from the start, to the end. Raises Cancelled after saving, InputError, ModelError."""
        self.open(part_of(progress, 0.0, self.opening))
        self.train(self.save, part_of(progress, self.opening, 1.0))

    def _place(self) -> None:
        device = device_for(self.settings.device)
        if device != self.model.device:
            self._placed = self.model.on_device(device)

    def open(self, progress: ProgressCallback | None = None) -> None:
        """Build the trainers, and go on from the last checkpoint if there is one."""
        with enough_memory(self.settings):
            self._open(progress)

    def _open(self, progress: ProgressCallback | None) -> None:
        self._place()
        check_trainable(self._placed, self.start, self.settings)
        report(progress, "reading the text", 0.0)
        material = self._material = material_of(self._placed, self.text, self.labelled, self.settings, self.given_scored)
        kept = None if self.folder is None else self._kept_state(self.folder)
        started, cpu = time.perf_counter(), time.process_time()
        if kept is not None:
            tensors, facts = kept
            # codes and codebooks are restored in place: not in those that were given
            begun = self.start.with_coded([replace(part, codes=part.codes.clone()) for _, part in self.start.coded])
            self.scores = facts["scores"]
        elif self.reassigns:
            begun = sensitive_codes(
                self._placed,
                self.start,
                material.rows if self.settings.is_labelled else searched_rows(material, self.settings.seed),
                self.settings.seed,
                part_of(progress, 0.02, 0.95),
                None if self.settings.seconds is None else SEARCH_SHARE * self.settings.seconds,
            )
        elif self.settings.start == DRAWN:
            begun = with_drawn_codebooks(self.start, self.model.table, self.settings.seed)
        else:
            begun = self.start
        spent = time.perf_counter() - started, time.process_time() - cpu
        if kept is not None:
            spent = facts["trainer"]["begun"], 0.0  # the rest is restored
        if kept is None and material.scored is not None:
            report(progress, "scoring the labelled set", 0.95)
            self.scores = {
                ORIGINAL: material.scored.score(self._placed),
                COMPRESSED: material.scored.score(attach(self._placed, self.start)),
            }
        self._build(begun, spent)
        if kept is not None:
            self._restore(tensors, facts)
        else:
            self.save()  # whatever happens next, codes need not be searched again

    def _own_seconds(self, searched: float) -> float | None:
        """When the compressed model's part of the time budget ends; in fine-tuning the rest is the original's. searched: seconds that are
        spent already."""
        seconds = self.settings.seconds
        if seconds is None or not self.settings.is_fine_tuning:
            return seconds
        return searched + OWN_SHARE * max(0.0, seconds - searched)

    @cached_property
    def _made_of(self) -> str:
        """A digest of everything that decides the result. A checkpoint with another digest belongs to another adaptation."""
        settings = self.settings.to_dict()
        del settings["device"]
        given = [None if part is None else part.digest for part in (self.text, self.labelled, self.given_scored)]
        content = json.dumps([self.model.identity, attach(self.model, self.start).identity, settings, given])
        return hashlib.sha256(content.encode()).hexdigest()

    def _kept_state(self, folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """The last checkpoint, or None. Raises InputError for one of another adaptation."""
        kept = read_state(folder)
        if kept is not None and kept[1].get("made_of") != self._made_of:
            raise InputError(
                f"the checkpoint in {folder} is of another adaptation (other settings, text, table or model); give the same again to go "
                "on with it, or another folder to begin anew"
            )
        return kept

    def _build(self, begun: Compressed, spent: tuple[float, float]) -> None:
        material, settings = self._material, self.settings
        if settings.seconds is not None:
            settings = replace(settings, seconds=self._own_seconds(spent[0]) or settings.seconds)
        student = Student(self._placed, begun, material.objective.head, settings)
        score = None if material.scored is None else material.scored.score
        self.trainer = Trainer(
            material.objective, student, material.lengths, settings, score, spent=spent, mixture=material.mixture
        )

    def _build_alike(self) -> None:
        material = self._material
        settings = replace(self.settings, steps=self.trainer.step)
        self.alike = Trainer(
            material.objective,
            OriginalStudent(self._placed, material.objective.head, settings),
            material.lengths,
            settings,
            score=material.scored.score,
            table_rate=settings.network_rate,
            series=ORIGINAL,
            schedule=self.trainer.schedule,
            mixture=material.mixture,
        )

    def _restore(self, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        alike = {name.removeprefix(_ALIKE): value for name, value in tensors.items() if name.startswith(_ALIKE)}
        self.trainer.restore({name: value for name, value in tensors.items() if not name.startswith(_ALIKE)}, facts["trainer"])
        if facts.get("alike") is not None:
            self._build_alike()
            self.alike.restore(alike, facts["alike"])

    def train(self, save: Callable[[], None], progress: ProgressCallback | None = None) -> None:
        """Do every step that is left, in fine-tuning those of the original too. save: called now and then; see Trainer.run.

        Raises Cancelled after saving, InputError.
        """
        with enough_memory(self.settings):
            self._train(save, progress)

    def _train(self, save: Callable[[], None], progress: ProgressCallback | None) -> None:
        if not self.settings.is_fine_tuning:
            self.trainer.run(save, progress)
            return
        if self.alike is None:
            self.trainer.run(save, part_of(progress, 0.0, 0.5))
            self._build_alike()
        self.alike.run(save, part_of(progress, 0.5, 1.0))

    def save(self) -> None:
        """Write a checkpoint, if there is a folder for it."""
        if self.folder is None:
            return
        tensors, facts = self.trainer.checkpoint()
        more, alike = ({}, None) if self.alike is None else self.alike.checkpoint()
        tensors |= {f"{_ALIKE}{name}": value for name, value in more.items()}
        write_state(self.folder, tensors, {"trainer": facts, "alike": alike, "scores": self.scores, "made_of": self._made_of})

    def summary(self, state: str, message: str = "", size: dict[str, Any] | None = None) -> Adaptation:
        """What is known now."""
        trainer, alike = self.trainer, self.alike
        pairs = zip(trainer.student.codes, self.start.coded, strict=True)
        changed = sum(int((codes.cpu().long() != part.codes.long()).sum()) for codes, (_, part) in pairs)
        return Adaptation(
            key=self.key,
            model=describe(self.model),
            compression=self.start.settings.to_dict(),
            settings=self.settings,
            text=self._material.learned,
            scored=None if self._material.scored is None else self._material.scored.facts,
            scores=self.scores,
            size=size or {},
            history=trainer.history,
            steps=trainer.step,
            planned_steps=trainer.planned,
            best_step=trainer.best_step,
            seconds=trainer.seconds,
            cpu_seconds=trainer.cpu_seconds,
            sentences_a_step=trainer.sentences_a_step if trainer.is_hurried else self.settings.batch_size,
            reassigned=changed,
            state=state,
            message=message,
            threads=torch.get_num_threads(),
            device=self._placed.device.type,
            original_history=[] if alike is None else alike.history,
        )

    @property
    def tuned_original(self) -> PretrainedModel | None:
        """The original that was trained alike, with its best weights; None without fine-tuning, or before it is trained."""
        if self.alike is None:
            return None
        if self.alike.best is not None:
            self.alike.student.load(self.alike.best)
        return self.alike.student.as_model()

    def result(self, state: str, message: str = "") -> PretrainedModel:
        """The model with the best weights. state: ``done`` or ``stopped``."""
        student, best = self.trainer.student, self.trainer.best
        adapted = student.adapted(self.model, best)
        if self._material.scored is not None:
            found = dict(self.scores)
            if self.alike is not None and self.alike.is_over:
                found[TUNED] = self.alike.best_score
            found[ADAPTED] = self._material.scored.score(adapted)
            self.scores = {side: found[side] for side in (ORIGINAL, TUNED, COMPRESSED, ADAPTED) if side in found}
        adapted.facts = self.summary(state, message, sizes(adapted)).to_dict()
        return adapted


@contextmanager
def enough_memory(settings: AdaptationSettings) -> Iterator[None]:
    """Raises InputError where a CUDA device runs out of memory."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"the GPU has too little memory for batches of {settings.batch_size}; use a smaller batch_size, or device cpu. What was "
            "saved before is still there"
        ) from error


def sizes(adapted: PretrainedModel) -> dict[str, int | None]:
    """The table and the whole model, in bytes; see ``Adaptation.size``."""
    size = adapted.compressed.size(adapted.original.parameters)
    changed = adapted.changed_parameters
    return {
        "table_bytes": size.total_bytes,
        "original_bytes": size.original_bytes,
        "model_bytes": size.compressed_model_bytes,
        "original_model_bytes": size.model_bytes,
        "changed_parameters": changed,
        "changed_bytes": 4 * changed,
        "folder_bytes": size.total_bytes + 4 * changed,
    }


def steps_seconds(
    settings: AdaptationSettings, model: PretrainedModel, compression: CompressionSettings, held_out: int = 0
) -> float:
    """Seconds that ``settings.steps`` steps take on two cores, roughly, with the search for codes: it tells minutes from hours.

    Counted are the multiplications of the network, at a speed measured with all-MiniLM-L6-v2 (two threads of ordinary server cores,
    where it varied between 0.1 and 0.17 teraflops), and the search for codes as so many compressions. A faster or a busy machine
    makes it wrong by a factor of two.

    compression: how the table was compressed, resolved. held_out: sentences or pairs that are scored on the way.
    """
    each = _READ + _BACK + (0 if settings.train == "codebooks" else _WEIGHTS)
    if settings.is_fine_tuning:
        each += _READ + _BACK + _WEIGHTS  # the original, whose whole table is trained
    elif distilled_head(model) is not None:
        each += _READ  # the teacher, which otherwise reads a text once
    network = (model.parameters or 0) - model.num_tokens * model.dim
    token = network / _FLOPS if network > 0 else _LOOKED_UP
    if settings.objective == "masked":  # the head says every word at the places that are masked
        token += MASKED_SHARE * model.num_tokens * model.dim / _FLOPS
    scored = held_out * (SCORINGS + 1) * _READ * (2 if settings.is_fine_tuning else 1)  # of the original too
    both = 2 if settings.objective in LABELLED else 1  # sentences of a pair
    seconds = both * _TOKENS * token * (settings.steps * settings.batch_size * each + scored)
    if settings.reassigns(compression.method):
        seconds += (ROUNDS + 1) * MOST_ROWS * _TOKENS * (_READ + _BACK) * token
        seconds += _COMPRESSIONS * compression_seconds(compression, model.num_tokens, model.dim)
    return seconds
