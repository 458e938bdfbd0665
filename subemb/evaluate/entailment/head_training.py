"""Training an entailment head on labelled pairs. The reported accuracy is measured on pairs that were used for no choice."""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ...base.arguments import checked
from ...base.errors import InputError
from ...base.progress import ProgressCallback, part_of, report
from ...models.model import PretrainedModel
from ..data.pairs import LABELS, PairSet
from .head import EntailmentHead, HeadShape, unit_length
from .head_files import HALVES
from .head_settings import HeadSettings


@dataclass(frozen=True)
class Split:
    """Which pairs serve which purpose: (n,) indices into the pairs of all sets in a row."""

    train: np.ndarray  # to train on
    choose: np.ndarray  # to choose the epoch
    report: np.ndarray  # to measure the accuracy


def same_sentence(text: str) -> str:
    """The words of a sentence in lower case, so that two spellings of one sentence are equal.

    >>> same_sentence("A man is asleep .") == same_sentence("a man is asleep")
    True
    """
    return " ".join(re.findall(r"\w+", text.casefold())) or text


def sentence_groups(first: Sequence[str], second: Sequence[str]) -> np.ndarray:
    """(n,) group numbers of n pairs: pairs that share a sentence, directly or through others, are in one group.

    >>> sentence_groups(["a", "b", "c"], ["x", "x", "y"]).tolist()
    [0, 0, 1]
    """
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while parent.setdefault(text, text) != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    keys = [(same_sentence(one), same_sentence(other)) for one, other in zip(first, second, strict=True)]
    for one, other in keys:
        parent[root(other)] = root(one)
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(root(one), len(numbers)) for one, _ in keys], dtype=np.int64)


def split_pairs(sets: Sequence[PairSet], share: float, seed: int) -> Split:
    """Set a ``share`` of every set aside, half to choose and half to report, in whole groups of pairs that share sentences.

    Groups reach over all sets; each counts for the set that most of its pairs are from. They are drawn at random, and a group
    that is larger than what is still to be set aside stays in training. Raises InputError if too little can be set aside.
    """
    source = np.repeat(np.arange(len(sets)), [len(pairs) for pairs in sets])
    groups = sentence_groups(
        [text for pairs in sets for text in pairs.first], [text for pairs in sets for text in pairs.second]
    )
    total = int(groups.max()) + 1 if len(groups) else 0
    # (groups, sets) pairs; the set of a group is where most of them are.
    counts = np.bincount(groups * len(sets) + source, minlength=total * len(sets)).reshape(total, len(sets))
    home, size = counts.argmax(1), counts.sum(1)
    part = np.zeros(total, np.int8)  # 0 train, 1 choose, 2 report
    generator = np.random.default_rng(seed)
    for place, pairs in enumerate(sets):
        wanted = {2: len(pairs) * share / 2, 1: len(pairs) * share / 2}
        for group in generator.permutation(np.flatnonzero(home == place)):
            for number, left in wanted.items():
                if size[group] <= left:
                    part[group] = number
                    wanted[number] -= size[group]
                    break
    found = Split(*(np.flatnonzero(part[groups] == number) for number in range(3)))
    if min(map(len, (found.train, found.choose, found.report))) == 0:
        raise InputError(
            f"{share:.0%} of {len(source):,} pairs that share sentences in {total:,} groups leave a part empty; give more pairs, or "
            "another validation share"
        )
    return found


MOST_PAIRS = 1_000_000
_BATCHES_BETWEEN_MESSAGES = 25


@dataclass(frozen=True)
class Pairs:
    """n pairs as the training reads them."""

    vectors: torch.Tensor  # (s, D) float32 of distinct sentences
    first: torch.Tensor  # (n,) rows of ``vectors``
    second: torch.Tensor  # (n,) rows of ``vectors``
    gold: torch.Tensor  # (n,) labels
    source: np.ndarray  # (n,) number of the data set


@checked
def train_head(
    model: PretrainedModel,
    pair_sets: Sequence[PairSet],
    settings: HeadSettings | None = None,
    progress: ProgressCallback | None = None,
    name: str | None = None,
    facts: dict[str, Any] | None = None,
) -> tuple[EntailmentHead, dict[str, Any]]:
    """Train an entailment head on a model's sentence embeddings; returns it in eval mode, and its card.

    Training uses only the model's own table: a compressed side uses the head of its original. A part of every set is set aside
    (:func:`split_pairs`): half of it chooses the epoch, the other half only gives the accuracy on each data set, which is in
    the card. With ``settings.refit`` a head is then trained on all pairs, for as many epochs, and returned; the accuracy in its
    card is still that of the first one. name: of the head. facts: more for the card.

    Equal arguments give equal heads on one machine. Progress carries ``epoch``, ``loss`` and ``accuracy`` on the choosing half.
    Raises InputError for data that cannot be used, ModelError if sentences cannot be encoded, Cancelled.
    """
    settings = settings or HeadSettings()
    sets = _checked_sets(pair_sets)
    if model.original is not None:
        raise InputError("an entailment head is trained on the original table's embeddings; give the model itself")
    split = split_pairs(sets, settings.validation_share, settings.seed)
    pairs = _encoded(model, sets, part_of(progress, 0.0, 0.4))
    trained_share = 0.7 if settings.refit else 0.99
    head, epoch = fit(pairs, split.train, split.choose, settings, part_of(progress, 0.4, trained_share))
    accuracy = [_accuracies(head, pairs, split, place, pair_set) for place, pair_set in enumerate(sets)]
    if settings.refit:
        everything = np.arange(len(pairs.gold))
        head, _ = fit(pairs, everything, split.choose, settings, part_of(progress, trained_share, 0.99), epoch)
    head.name = name or model.name.rstrip("/").rsplit("/", 1)[-1]
    head.card = {
        "model": {key: getattr(model, key) for key in ("name", "source", "revision", "identity")},
        "data": [_data_facts(pair_set) for pair_set in sets],
        "pairs": len(pairs.gold),
        "sentences": len(pairs.vectors),
        "features": "u, v, |u - v|, u * v of sentence vectors at unit length, minus their mean, scaled",
        "settings": asdict(settings),
        "split": {part: len(getattr(split, part)) for part in ("train", "choose", "report")},
        "epoch": epoch,
        "accuracy": accuracy,
        "trained_on": _TRAINED_ON[settings.refit],
        **(facts or {}),
    }
    if model.source == "folder":  # the path of a folder is private
        head.card["model"]["name"] = model.identity.rsplit("@", 1)[0]
    report(progress, "entailment head trained", 1.0)
    return head, head.card


_TRAINED_ON = {
    True: "all pairs, with the settings and epochs of a head that was trained on the train part only; the accuracy is that head's",
    False: "the train part; the accuracy is on the report part, which was used for nothing else",
}


def fit(
    pairs: Pairs,
    train: np.ndarray,
    choose: np.ndarray,
    settings: HeadSettings,
    progress: ProgressCallback | None = None,
    stop: int | None = None,
) -> tuple[EntailmentHead, int]:
    """Train a head on the pairs ``train``. Returns it in eval mode, and the epoch that it is from.

    That is the epoch with the lowest loss on the pairs ``choose``; with ``stop`` given it is that epoch, and nothing is chosen.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    head = _new_head(pairs, train, settings, generator)
    train, choose = torch.as_tensor(train), torch.as_tensor(choose)
    with torch.no_grad():
        inputs = head.inputs(pairs.vectors)
    optimizer, schedule = _optimizer(head, settings, -(-len(train) // settings.batch_size))
    last, found = stop or settings.epochs, ""
    best = (float("inf"), 0, {})
    for epoch in range(1, last + 1):
        stage = f"training{' on all pairs' if stop else ''}, epoch {epoch} of {last}{found}"
        batches = train[torch.randperm(len(train), generator=generator)].split(settings.batch_size)
        for place, batch in enumerate(batches):
            if place % _BATCHES_BETWEEN_MESSAGES == 0:
                report(progress, stage, (epoch - 1 + place / len(batches)) / last)
            optimizer.zero_grad()
            _loss(head, inputs, pairs, batch, settings, generator).backward()
            optimizer.step()
            schedule.step()
        if stop is None:
            loss, accuracy = _measure(head, inputs, pairs, choose)
            found = f"; set aside: loss {loss:.3f}, accuracy {accuracy * 100:.1f} %"
            report(
                progress,
                f"training, epoch {epoch} of {last}{found}",
                epoch / last,
                epoch=epoch,
                loss=loss,
                accuracy=accuracy,
            )
            if loss < best[0]:
                best = (loss, epoch, {name: tensor.clone() for name, tensor in head.state_dict().items()})
    if stop is None:
        head.load_state_dict(best[2])
    return _rounded(head), stop or best[1]


def _loss(
    head: EntailmentHead, inputs: torch.Tensor, pairs: Pairs, batch: torch.Tensor, settings: HeadSettings, generator
) -> torch.Tensor:
    """Cross-entropy of a batch, summed over the members: each learns independently of the others."""
    shares = {"features": settings.feature_dropout, "hidden": settings.dropout}

    def drop(values: torch.Tensor, of: str) -> torch.Tensor:
        if not shares[of]:
            return values
        return values * (torch.rand(values.shape, generator=generator) >= shares[of]) / (1 - shares[of])

    logits = head.member_logits(inputs[pairs.first[batch]], inputs[pairs.second[batch]], drop)
    gold = pairs.gold[batch].repeat(settings.members)
    mean = torch.nn.functional.cross_entropy(logits.flatten(0, 1), gold, label_smoothing=settings.label_smoothing)
    return mean * settings.members


def _new_head(pairs: Pairs, train: np.ndarray, settings: HeadSettings, generator: torch.Generator) -> EntailmentHead:
    """A head before its first step: with mean and scale of the training sentences, and seeded random weights."""
    dim = pairs.vectors.shape[1]
    head = EntailmentHead(HeadShape(dim, settings.members, min(settings.projected, dim), settings.hidden))
    seen = unit_length(pairs.vectors[torch.unique(torch.cat([pairs.first[train], pairs.second[train]]))])
    with torch.no_grad():
        head.mean.copy_(seen.mean(0))
        spread = (seen - head.mean).square().mean().sqrt().clamp(min=1e-6)
        head.scale.fill_(settings.scale / float(spread))
        # Every member gets k other random directions, at right angles to each other.
        square = torch.randn(settings.members, dim, dim, generator=generator)
        head.projection.copy_(torch.linalg.qr(square).Q[:, : head.shape.projected])
        for name in ("hidden", "output"):
            weight = getattr(head, f"{name}_weight")
            bound = weight.shape[-1] ** -0.5  # as torch.nn.Linear starts
            weight.uniform_(-bound, bound, generator=generator)
            getattr(head, f"{name}_bias").uniform_(-bound, bound, generator=generator)
    return head


def _optimizer(head: EntailmentHead, settings: HeadSettings, batches: int):
    """AdamW and its schedule: a short rise, then half a cosine down to zero over all epochs."""
    rate, steps = settings.learning_rate, settings.epochs * batches
    rest = [tensor for name, tensor in head.named_parameters() if name != "projection"]
    groups = [{"params": [head.projection], "lr": rate * settings.projection_rate, "weight_decay": 0.0}, {"params": rest}]
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=settings.weight_decay)
    rise = min(200, max(1, steps // 10))

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / rise) * 0.5 * (1 + math.cos(math.pi * step / steps))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _measure(head: EntailmentHead, inputs: torch.Tensor, pairs: Pairs, chosen: torch.Tensor) -> tuple[float, float]:
    """Mean loss and accuracy of the averaged members on some pairs."""
    with torch.inference_mode():
        parts = [head.member_logits(inputs[pairs.first[part]], inputs[pairs.second[part]]) for part in chosen.split(4096)]
    logits, gold = torch.cat([part.mean(0) for part in parts]), pairs.gold[chosen]
    return float(torch.nn.functional.cross_entropy(logits, gold)), float((logits.argmax(1) == gold).float().mean())


def _rounded(head: EntailmentHead) -> EntailmentHead:
    """The head as it is stored, so that what is measured is what is saved; in eval mode."""
    with torch.no_grad():
        for name in HALVES:
            tensor = getattr(head, name)
            tensor.copy_(tensor.to(torch.float16))
    return head.eval().requires_grad_(False)


def _checked_sets(pair_sets: Sequence[PairSet]) -> list[PairSet]:
    sets = [pairs for pairs in pair_sets if len(pairs)]
    if not sets:
        raise InputError("there are no pairs to train on; give at least one file of labelled premises and hypotheses")
    for pairs in sets:
        if pairs.task != "entailment" or tuple(pairs.labels) != LABELS:
            what = f"labels {', '.join(pairs.labels)}" if pairs.labels else f"pairs for {pairs.task}"
            raise InputError(f"{pairs.name} has {what}; an entailment head needs the labels {', '.join(LABELS)}")
    total = sum(map(len, sets))
    if total > MOST_PAIRS:
        raise InputError(f"{total:,} pairs are more than the {MOST_PAIRS:,} that a head is trained on; take a sample of them")
    missing = [label for number, label in enumerate(LABELS) if not any((pairs.gold == number).any() for pairs in sets)]
    if missing:
        raise InputError(f"no pair is labelled {' or '.join(missing)}; an entailment head needs all of {', '.join(LABELS)}")
    return sets


def _encoded(model: PretrainedModel, sets: Sequence[PairSet], progress: ProgressCallback | None) -> Pairs:
    sentences = list(dict.fromkeys(text for pairs in sets for part in (pairs.first, pairs.second) for text in part))
    places = {sentence: place for place, sentence in enumerate(sentences)}
    vectors = torch.from_numpy(model.encode(sentences, progress=progress))
    return Pairs(
        vectors,
        torch.tensor([places[text] for pairs in sets for text in pairs.first]),
        torch.tensor([places[text] for pairs in sets for text in pairs.second]),
        torch.from_numpy(np.concatenate([pairs.gold for pairs in sets]).astype(np.int64)),
        np.repeat(np.arange(len(sets)), [len(pairs) for pairs in sets]),
    )


def _accuracies(head: EntailmentHead, pairs: Pairs, split: Split, place: int, pair_set: PairSet) -> dict[str, Any]:
    """Accuracy of a head on the parts of one data set that were set aside."""
    found: dict[str, Any] = {"data": pair_set.name}
    for part in ("report", "choose"):
        chosen = getattr(split, part)
        chosen = torch.as_tensor(chosen[pairs.source[chosen] == place])
        rows = (pairs.vectors[side[chosen]].numpy() for side in (pairs.first, pairs.second))
        right = head.judge(*rows).argmax(1) == pairs.gold[chosen].numpy()
        found |= {f"{part}_pairs": len(chosen), f"{part}_accuracy": round(float(right.mean()), 4) if len(chosen) else None}
    return found


def _data_facts(pairs: PairSet) -> dict[str, Any]:
    counts = np.bincount(pairs.gold, minlength=len(LABELS)).tolist()
    return {
        "file": pairs.name,
        "format": pairs.format,
        "pairs": len(pairs),
        "labels": dict(zip(LABELS, counts, strict=True)),
        "skipped": pairs.skipped_count,
        "digest": pairs.digest,
        **({"notes": [note.to_dict() for note in pairs.notes]} if pairs.notes else {}),
    }
