"""What fine-tuning minimises: masked words of a text, or the labels of pairs. No teacher; the original is trained alike."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from ..evaluate.data.pairs import LABELS
from ..models.sentences import padded, padding_id
from .objectives import drawn_masks

if TYPE_CHECKING:
    from ..evaluate.data.pairs import PairSet
    from ..evaluate.entailment.head import EntailmentHead
    from ..models.load import PretrainedModel

SCALE = 20.0  # of cosines in the order loss, as its author has it
AS_MASK, AS_ANOTHER = 0.8, 0.1  # shares of the masked tokens that the network sees as the mask, and as a random token


class _Stateless:
    """An objective without anything of its own to keep."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """Nothing to keep."""
        return {}

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Nothing was kept."""


class MaskedText(_Stateless):
    """Cross-entropy of the words at masks. Of the masked tokens 80 % are the mask, 10 % another token, 10 % stay as they are
    (Devlin et al., NAACL 2019, section 3.1). rows: token ids of the sentences."""

    head = "masked"

    def __init__(self, model: "PretrainedModel", rows: Sequence[Sequence[int]]):
        self.rows, self.tokenizer = rows, model.tokenizer
        self.padding = padding_id(model.tokenizer, model.network(self.head).config)

    def loss(self, student: "PretrainedModel", places: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Mean over the masks of a batch, in nats."""
        ids, mask = padded([self.rows[place] for place in places], self.padding)
        masked = drawn_masks(ids, mask, self.tokenizer.all_special_ids, generator)
        wanted = ids[masked]
        kind = torch.rand(ids.shape, generator=generator)
        others = torch.randint(len(self.tokenizer), ids.shape, generator=generator)
        seen = ids.masked_fill(masked & (kind < AS_MASK), self.tokenizer.mask_token_id)
        seen = torch.where(masked & (kind >= AS_MASK) & (kind < AS_MASK + AS_ANOTHER), others, seen)
        seen, mask, masked, wanted = (part.to(student.device) for part in (seen, mask, masked, wanted))
        return F.cross_entropy(student.network(self.head)(input_ids=seen, attention_mask=mask).logits[masked], wanted)


class GradedPairs(_Stateless):
    """The order of graded pairs by the cosine of their sentence vectors: CoSENT (Su 2022),

    log(1 + sum over pairs i, j with gold_i > gold_j of exp(SCALE (cos_j - cos_i))).

    pairs: for similarity, or paraphrases with gold 0 and 1. rows: token ids of all first sentences, then of all second ones.
    """

    head = None

    def __init__(self, pairs: "PairSet", rows: Sequence[Sequence[int]]):
        self.gold = torch.from_numpy(pairs.gold.copy()).double()
        self.rows = rows

    def loss(self, student: "PretrainedModel", places: Sequence[int], generator: torch.Generator) -> torch.Tensor:
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

    model: the original. pairs: three-way, or two-way: then neutral and contradiction are one label, whatever the engine has.
    entailment_head: frozen; for models without a classifier. rows: as for :class:`GradedPairs`; a classifier reads the texts.
    """

    def __init__(self, pairs: "PairSet", rows: Sequence[Sequence[int]], entailment_head: "EntailmentHead | None"):
        self.head = "classifier" if entailment_head is None else None
        self.entailment_head = entailment_head
        self.pairs, self.rows = pairs, rows
        self._moved_head: EntailmentHead | None = None
        if entailment_head is not None:
            entailment_head.requires_grad_(False)

    def loss(self, student: "PretrainedModel", places: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Mean over the pairs of a batch, in nats."""
        logits = self._logits(student, places)
        gold = torch.from_numpy(self.pairs.gold[list(places)]).to(logits.device)
        return label_loss(logits, gold, len(self.pairs.labels))

    def _head_on(self, device: torch.device) -> "EntailmentHead":
        if self._moved_head is None:
            import copy

            # The head that is given is the one that everybody scores with, on the CPU.
            head = self.entailment_head
            self._moved_head = head if device.type == "cpu" else copy.deepcopy(head).to(device)
        return self._moved_head

    def _logits(self, student: "PretrainedModel", places: Sequence[int]) -> torch.Tensor:
        if self.entailment_head is None:
            from ..evaluate.entailment.classifier import ClassifierEngine

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
