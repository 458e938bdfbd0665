"""The score that an adaptation is followed by: of labelled pairs, or of words masked in a part of the text that is held out."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from ..evaluate.data.pairs import PairSet
from ..evaluate.entailment.engines import engine_for
from ..evaluate.entailment.pairs import judged
from ..evaluate.similarity.pairs import cosines
from ..evaluate.statistics import accuracy, average_precision, spearman
from ..models.model import PretrainedModel
from ..models.sentences import padded, padding_id
from .objectives import drawn_masks

_BATCH = 64


class Scorer(Protocol):
    """Something that models are scored on."""

    facts: dict[str, Any]  # JSON types; see :attr:`Adaptation.scored`

    def score(self, side: PretrainedModel) -> float:
        """x 100; higher is better."""
        ...


class PairScore:
    """The score of labelled pairs; see :func:`score_of`."""

    def __init__(self, pairs: PairSet):
        self.pairs, self.facts = pairs, scored_facts(pairs)

    def score(self, side: PretrainedModel) -> float:
        """x 100; higher is better."""
        return score_of(side, self.pairs)


class MaskedWordScore:
    """The share of masked tokens that are guessed right, x 100; the masks are the same for every model.

    rows: token ids of sentences that nobody learns from. name: what they are, in words. digest: of their text.
    """

    head = "masked"

    def __init__(self, model: PretrainedModel, rows: Sequence[Sequence[int]], name: str, digest: str | None, seed: int):
        self._mask = model.tokenizer.mask_token_id
        padding = padding_id(model.tokenizer, model.network(self.head).config)
        generator = torch.Generator().manual_seed(seed)
        chosen: list[torch.Tensor] = []  # (length,) of each row
        for start in range(0, len(rows), _BATCH):
            part = [list(row) for row in rows[start : start + _BATCH]]
            masked = drawn_masks(*padded(part, padding), model.tokenizer.all_special_ids, generator)
            chosen += [masks[: len(row)] for masks, row in zip(masked, part, strict=True)]
        # Read in batches of similar length; what is found is put back in the order of the rows.
        order = sorted(range(len(rows)), key=lambda place: -len(rows[place]))
        self._back = np.argsort(np.repeat(order, [int(chosen[place].sum()) for place in order]), kind="stable")
        self._batches = []
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            ids, mask = padded([list(rows[place]) for place in part], padding)
            masked, _ = padded([chosen[place].tolist() for place in part], 0)
            self._batches.append((ids, mask, masked.bool()))
        self.facts = {
            "name": name,
            "task": "masked",
            "pairs": len(self._back),
            "unit": "masked token",
            "digest": digest,
            "metric": "masked tokens right",
            "held_out": True,
        }

    @property
    def gold(self) -> np.ndarray:
        """(m,) int64, the tokens that stand at the masks."""
        return torch.cat([ids[chosen] for ids, _, chosen in self._batches]).numpy()[self._back]

    @torch.no_grad()
    def answers(self, side: PretrainedModel) -> tuple[np.ndarray, np.ndarray]:
        """(m,) the token that a model holds for most likely at each mask, and (m,) the log probability of the right one, in nats."""
        guessed, right = [], []
        for ids, mask, chosen in self._batches:
            seen = ids.masked_fill(chosen, self._mask).to(side.device)
            logits = side.logits_at(self.head, seen, mask.to(side.device), chosen.to(side.device)).cpu().float()
            guessed.append(logits.argmax(-1))
            right.append(logits.log_softmax(-1).gather(1, ids[chosen][:, None])[:, 0])
        return torch.cat(guessed).numpy()[self._back], torch.cat(right).numpy()[self._back]

    def score(self, side: PretrainedModel) -> float:
        """x 100; higher is better."""
        right = int((self.answers(side)[0] == self.gold).sum())
        return 100 * right / max(1, self.facts["pairs"])


def score_of(side: PretrainedModel, pairs: PairSet) -> float:
    """A labelled set's score x 100: Spearman for graded similarity, average precision for paraphrases, accuracy for entailment."""
    if pairs.task == "entailment":
        found = engine_for(side).probabilities(pairs.first, pairs.second)
        labels = min(found.shape[1], len(pairs.labels))
        return 100 * accuracy(np.minimum(pairs.gold, labels - 1), judged(found, labels))
    measure = spearman if pairs.task == "similarity" else average_precision
    return 100 * measure(pairs.gold, cosines(side, pairs.first, pairs.second))


def scored_facts(pairs: PairSet) -> dict[str, Any]:
    """What is kept of a labelled set: JSON types."""
    metric = {"similarity": "Spearman", "paraphrase": "average precision", "entailment": "accuracy"}[pairs.task]
    return {
        "name": pairs.name,
        "task": pairs.task,
        "pairs": len(pairs),
        "unit": "pair",
        "digest": pairs.digest,
        "metric": metric,
    }
