"""What an adaptation minimises: one class for each kind of distillation, and one for each kind of fine-tuning.

Distillation learns from rows of token ids and a teacher, the original model; :func:`distillation_for` chooses by the model.

- :class:`SentenceVectors`: 1 - cosine of the two vectors of a sentence, plus RELATION times the mean squared difference between the
  cosines of all pairs of sentences of a batch (relational distillation, Park et al., CVPR 2019, arXiv 1904.05068). On STS
  benchmark dev the second term is what brings the order of similarities back.
- :class:`MaskedWords`, :class:`PairClasses`: the probabilities of words at masks, or of the classes of pairs.

Fine-tuning has no teacher, and the original is trained in the same way for comparison.

- :class:`MaskedText`: the words of a text at masks.
- :class:`GradedPairs`, :class:`LabelledPairs`: the order of graded pairs, or the labels of premises and hypotheses.
"""

import copy
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F

from ..evaluate.data.pairs import LABELS, PairSet
from ..evaluate.entailment.engines import ClassifierEngine, classifier_logits
from ..evaluate.entailment.head import EntailmentHead
from ..models.model import PretrainedModel
from ..models.sentences import padded, padding_id
from .settings import AdaptationSettings

RELATION = 100.0  # weight of the second term of sentence vectors
MASKED_SHARE = 0.15  # of the tokens of a sentence
KEPT_BYTES = 2**28  # of the teacher's sentence vectors, kept for the next pass
SCALE = 20.0  # of cosines in the order loss, as its author chose it
AS_MASK, AS_ANOTHER = 0.8, 0.1  # shares of the masked tokens that the network sees as the mask, and as a random token


class Objective(Protocol):
    """What a student minimises."""

    head: str | None  # the head that its network needs, one of :data:`subemb.models.architectures.HEADS`, or None

    def loss(self, student: PretrainedModel, places: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Mean loss of a batch. places: which of the rows or pairs. generator: the source of everything random in it."""
        ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a checkpoint holds."""
        ...

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Go on from what :meth:`tensors` gave."""
        ...


class _Stateless:
    """An objective that has nothing to keep in a checkpoint."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """Nothing to keep."""
        return {}

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Nothing was kept."""


def drawn_masks(ids: torch.Tensor, mask: torch.Tensor, special: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Which of (n, length) tokens are masked, bool: each with probability MASKED_SHARE, at least one in a row that has any.

    mask: 1 where there is a token, 0 for padding. special: ids that are never masked.
    """
    never = torch.isin(ids, torch.tensor(special)) | (mask == 0)
    chances = torch.rand(ids.shape, generator=generator).masked_fill(never, 2.0)
    return (chances < MASKED_SHARE) | (chances == chances.min(1, keepdim=True).values) & (chances < 2.0)


# Distillation: what the teacher gives


def distillation_for(teacher: PretrainedModel, rows: Sequence[Sequence[int]], settings: AdaptationSettings) -> Objective:
    """What there is to learn from a model: its masked words, its classes, or its sentence vectors."""
    head = distilled_head(teacher)
    if head is not None:
        return (MaskedWords if head == "masked" else PairClasses)(teacher, rows, settings.temperature)
    return SentenceVectors(teacher, rows)


def distilled_head(teacher: PretrainedModel) -> str | None:
    """The head whose probabilities are distilled, ``masked`` or ``classifier``. None for sentence vectors: of encoders, and of every model
    made for sentence-transformers, even if it began as a masked language model."""
    if teacher.is_sentence_model:
        return None
    if teacher.has_head("masked") and teacher.tokenizer.mask_token_id is not None:
        return "masked"
    return "classifier" if teacher.has_head("classifier") else None


class SentenceVectors:
    """The teacher's sentence vectors and their cosines."""

    head = None

    def __init__(self, teacher: PretrainedModel, rows: Sequence[Sequence[int]]):
        self.teacher, self.rows = teacher, rows
        self._kept: torch.Tensor | None = None
        self._known = torch.zeros(len(rows), dtype=torch.bool)

    def loss(self, student: PretrainedModel, places: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Mean loss of a batch. places: which rows."""
        rows = [self.rows[place] for place in places]
        return self._of_vectors(student.encode_ids_tensor(rows), self._wanted(rows, torch.tensor(places)))

    @staticmethod
    def _of_vectors(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        found = F.normalize(found)
        apart = ~torch.eye(len(found), dtype=torch.bool, device=found.device)
        relation = (found @ found.T - wanted @ wanted.T)[apart].square().mean()
        return (1 - (found * wanted).sum(1)).mean() + RELATION * relation

    def _wanted(self, rows: list, places: torch.Tensor) -> torch.Tensor:
        """Unit vectors of the teacher, (m, width), read once for each row where memory allows."""
        if self._kept is not None and bool(self._known[places].all()):
            return self._kept[places]
        with torch.no_grad():
            vectors = F.normalize(self.teacher.encode_ids_tensor(rows))
        if self._kept is None and len(self.rows) * vectors.shape[1] * 4 <= KEPT_BYTES:
            self._kept = torch.zeros(len(self.rows), vectors.shape[1], device=vectors.device)
        if self._kept is not None:
            self._kept[places], self._known[places] = vectors, True
        return vectors

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a checkpoint holds: computed again in another batch, a sentence's vector would have other last digits."""
        return {} if self._kept is None else {"kept": self._kept, "known": self._known}

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Go on from what :meth:`tensors` gave."""
        if tensors:
            self._kept, self._known = tensors["kept"].to(self.teacher.device, copy=True), tensors["known"].bool()


class _Logits(_Stateless):
    """Distillation of probabilities: KL divergence at a temperature T, times T squared (Hinton et al. 2015, arXiv 1503.02531)."""

    head: str

    def __init__(self, teacher: PretrainedModel, rows: Sequence[Sequence[int]], temperature: float):
        self.teacher, self.rows, self.temperature = teacher, rows, temperature
        self.padding = padding_id(teacher.tokenizer, teacher.network(self.head).config)

    def divergence(self, found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Of (n, classes) logits of student and teacher."""
        t = self.temperature
        return (
            F.kl_div(F.log_softmax(found / t, -1), F.log_softmax(wanted / t, -1), log_target=True, reduction="batchmean")
            * t
            * t
        )


class MaskedWords(_Logits):
    """The teacher's probabilities of fillings at masks, 15 % of a sentence's tokens."""

    head = "masked"

    def loss(self, student: PretrainedModel, places: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Mean loss of a batch over its masks."""
        ids, mask = padded([self.rows[place] for place in places], self.padding)
        masked = drawn_masks(ids, mask, self.teacher.tokenizer.all_special_ids, generator)
        ids = ids.masked_fill(masked, self.teacher.tokenizer.mask_token_id)
        ids, mask, masked = (part.to(self.teacher.device) for part in (ids, mask, masked))
        with torch.no_grad():
            wanted = self.teacher.logits_at(self.head, ids, mask, masked)
        found = student.logits_at(self.head, ids, mask, masked)
        return self.divergence(found, wanted)


class PairClasses(_Logits):
    """The teacher's probabilities of classes, for pairs made of the batch's sentences."""

    head = "classifier"

    def loss(self, student: PretrainedModel, places: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Mean loss of a batch: every sentence with the next one, both without their special tokens, joined as pairs are."""
        tokenizer = self.teacher.tokenizer
        texts = [tokenizer.decode(self.rows[place], skip_special_tokens=True) for place in places]
        order = torch.randperm(len(texts), generator=generator).tolist()
        pairs = [(text, texts[place]) for text, place in zip(texts, order, strict=True)]
        with torch.no_grad():
            wanted = classifier_logits(self.teacher, pairs)
        return self.divergence(classifier_logits(student, pairs), wanted)


# Fine-tuning: masked words of a text, or labels of pairs


class MaskedText(_Stateless):
    """Cross-entropy of the words at masks. Of the masked tokens 80 % are the mask, 10 % another token, 10 % stay as they are
    (Devlin et al., NAACL 2019, section 3.1). rows: token ids of the sentences."""

    head = "masked"

    def __init__(self, model: PretrainedModel, rows: Sequence[Sequence[int]]):
        self.rows, self.tokenizer = rows, model.tokenizer
        self.padding = padding_id(model.tokenizer, model.network(self.head).config)

    def loss(self, student: PretrainedModel, places: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Mean over the masks of a batch, in nats."""
        ids, mask = padded([self.rows[place] for place in places], self.padding)
        masked = drawn_masks(ids, mask, self.tokenizer.all_special_ids, generator)
        wanted = ids[masked]
        kind = torch.rand(ids.shape, generator=generator)
        others = torch.randint(len(self.tokenizer), ids.shape, generator=generator)
        seen = ids.masked_fill(masked & (kind < AS_MASK), self.tokenizer.mask_token_id)
        seen = torch.where(masked & (kind >= AS_MASK) & (kind < AS_MASK + AS_ANOTHER), others, seen)
        seen, mask, masked, wanted = (part.to(student.device) for part in (seen, mask, masked, wanted))
        return F.cross_entropy(student.logits_at(self.head, seen, mask, masked), wanted)


class GradedPairs(_Stateless):
    """The order of graded pairs by the cosine of their sentence vectors: CoSENT (Su 2022),

    log(1 + sum over pairs i, j with gold_i > gold_j of exp(SCALE (cos_j - cos_i))).

    pairs: for similarity, or paraphrases with gold 0 and 1. rows: token ids of all first sentences, then of all second ones.
    """

    head = None

    def __init__(self, pairs: PairSet, rows: Sequence[Sequence[int]]):
        self.gold = torch.from_numpy(pairs.gold.copy()).double()
        self.rows = rows

    def loss(self, student: PretrainedModel, places: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Of one batch; 0 if its pairs all have the same gold value."""
        count = len(self.gold)
        rows = [self.rows[place] for place in places] + [self.rows[count + place] for place in places]
        vectors = F.normalize(student.encode_ids_tensor(rows))
        return order_loss(
            (vectors[: len(places)] * vectors[len(places) :]).sum(1), self.gold[torch.tensor(places)].to(vectors.device)
        )


def order_loss(cosines: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """CoSENT of (n,) cosines and (n,) gold values; see :class:`GradedPairs`."""
    apart = SCALE * (cosines[None, :] - cosines[:, None])  # row i, column j: cos_j - cos_i
    wrong = apart[gold[:, None] > gold[None, :]]
    return torch.logsumexp(torch.cat([cosines.sum()[None] * 0, wrong]), 0)


class LabelledPairs(_Stateless):
    """Cross-entropy of entailment labels, by the model's NLI classifier or by an entailment head on its sentence vectors.

    pairs: three-way, or two-way: then neutral and contradiction are one label, whatever the engine has.
    entailment_head: frozen; for models without a classifier. rows: as for :class:`GradedPairs`; a classifier reads the texts.
    """

    def __init__(self, pairs: PairSet, rows: Sequence[Sequence[int]], entailment_head: EntailmentHead | None):
        self.head = "classifier" if entailment_head is None else None
        self.entailment_head = entailment_head
        self.pairs, self.rows = pairs, rows
        self._moved_head: EntailmentHead | None = None
        if entailment_head is not None:
            entailment_head.requires_grad_(False)

    def loss(self, student: PretrainedModel, places: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Mean over the pairs of a batch, in nats."""
        logits = self._logits(student, places)
        gold = torch.from_numpy(self.pairs.gold[list(places)]).to(logits.device)
        return label_loss(logits, gold, len(self.pairs.labels))

    def _head_on(self, device: torch.device) -> EntailmentHead:
        if self._moved_head is None:
            # The head that is given is the one that everybody scores with, on the CPU.
            head = self.entailment_head
            self._moved_head = head if device.type == "cpu" else copy.deepcopy(head).to(device)
        return self._moved_head

    def _logits(self, student: PretrainedModel, places: Sequence[int]) -> torch.Tensor:
        if self.entailment_head is None:
            return ClassifierEngine(student).logits([(self.pairs.first[place], self.pairs.second[place]) for place in places])
        count = len(self.pairs)
        rows = [self.rows[place] for place in places] + [self.rows[count + place] for place in places]
        vectors = student.encode_ids_tensor(rows)
        return self._head_on(vectors.device)(vectors[: len(places)], vectors[len(places) :])


def label_loss(logits: torch.Tensor, gold: torch.Tensor, labels: int) -> torch.Tensor:
    """Mean cross-entropy of (n, k) logits in the order of ``LABELS``, k 2 or 3, and (n,) gold of ``labels`` classes, 2 or 3.

    Where either has two, the log-probability of not_entailment is that of the rest together.
    """
    found = logits.log_softmax(1)
    if min(found.shape[1], labels) < len(LABELS):
        found = torch.stack([found[:, 0], found[:, 1:].logsumexp(1)], 1)
    return F.nll_loss(found, gold.clamp(max=found.shape[1] - 1))
