"""Training a masked-word head for an encoder that has none: words of sentences without labels are hidden, and guessed.

Whole words are masked, all their tokens at once, so that the rest of a word does not give it away. Nothing of what scores the head is
learned from. See :mod:`subemb.models.masked_head` for what such a head is.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..base.arguments import checked
from ..base.errors import InputError, ModelError
from ..base.progress import ProgressCallback, part_of, report
from ..models.masked_head import MaskedHead, read_change, stored_change
from ..models.masked_network import changeable, network_around, network_with, outside_names, set_change
from ..models.model import PretrainedModel
from ..models.network import freeze
from ..models.places import AtPlaces
from ..models.sentences import padded, padding_id
from .settings import MaskedHeadSettings
from .students import LAYER
from .texts import Text, facts_of, plain

LONGEST = 96  # tokens of a sentence that are read; the rest is cut off
LONGEST_SCORED = 128  # the same of a sentence that is scored
MOST_SCORED = 4000  # sentences of each text
SCORED_SHARE = 0.15  # of the tokens of a sentence that is scored, masked at once, as Devlin et al. 2019 do
POINTS = 60  # losses that are kept
RESAMPLES = 1000  # of the sentences, for intervals
_POOL = 2048  # sentences that are sorted by length together
_SCORED_AT_ONCE = 4096  # tokens

Row = tuple[np.ndarray, np.ndarray]  # ids of a sentence, and the numbers of their words


@dataclass(frozen=True)
class MaskedScore:
    """How well masked tokens of a text are guessed."""

    name: str  # of the text
    sentences: int
    masked: int  # tokens
    top1: float  # share of them that are the first guess
    top10: float  # share of them that are among the ten first
    nats: float  # mean of -log p
    top1_interval: tuple[float, float]  # 95 %, from resampled sentences
    top10_interval: tuple[float, float]


@checked
def train_masked_head(
    model: PretrainedModel,
    text: Text,
    settings: MaskedHeadSettings | None = None,
    scored: Sequence[Text] = (),
    progress: ProgressCallback | None = None,
    facts: dict[str, Any] | None = None,
) -> MaskedHead:
    """Train a masked-word head for a model, and score it.

    text: sentences to learn from; those that are in ``scored`` are left out. scored: texts that the head is scored on, once, as it is
    saved. facts: more for the card. Equal arguments give equal heads on one machine. Progress carries ``step`` and ``loss`` (nats).

    Raises InputError for a model with a head of its own, a side, or too few sentences; ModelError for an architecture that has no
    such head, Cancelled.
    """
    settings = settings or MaskedHeadSettings()
    check_trainable(model)
    taken = {plain(sentence) for each in scored for sentence in each.sentences}
    text = text.select([plain(sentence) not in taken for sentence in text.sentences])
    report(progress, "reading the text", 0.0)
    tokens = _Tokens(model)
    read = tokens.rows(text.sentences, LONGEST)
    ends = [0, *itertools.accumulate(text.sizes)]
    sources = [[row for row in read[start:end] if row is not None] for start, end in itertools.pairwise(ends)]
    sources = [rows for rows in sources if rows]
    if not sources:
        raise InputError(f"no sentence of {text.name} has a word of this model; give another text")
    head, changes, losses = _trained(model, tokens, sources, settings, part_of(progress, 0.02, 0.95))
    # As they are read from their files.
    found = MaskedHead(
        {name: tensor.half().float() for name, tensor in head.items()},
        {name: read_change(stored_change(change)) for name, change in changes.items()},
        {},
    )
    network = network_with(model, found)
    scores = []
    for place, each in enumerate(scored):
        part = part_of(progress, 0.95 + 0.05 * place / len(scored), 0.95 + 0.05 * (place + 1) / len(scored))
        scores.append(score_masked(model, network, each, settings.seed, part))
    card = {
        "model": {name: getattr(model, name) for name in ("name", "source", "revision", "identity")},
        "about": "a small head to see the effects of compression with, not a language model to be used for its own sake",
        "text": facts_of(text, 0),
        "settings": asdict(settings),
        "parameters": found.parameters,
        "loss": losses,
        "scores": [asdict(score) for score in scores],
        **(facts or {}),
    }
    return replace(found, card=card)


def check_trainable(model: PretrainedModel) -> None:
    """Raises InputError for a model that needs no head or cannot have one."""
    if model.original is not None:
        raise InputError("a masked-word head is trained on the original; give the model itself")
    if not model.has_network:
        raise InputError(f"{model.name} is a table without a network, which can guess no word from others; give an encoder")
    if model.has_head("masked") and not model.head_note("masked"):
        raise InputError(f"{model.name} has a masked-word head of its authors already; use it as it is")
    if model.tokenizer.mask_token_id is None:
        raise InputError(f"the tokenizer of {model.name} has no mask, so no word can be hidden; give an encoder like BERT")


class _Tokens:
    """How a model reads sentences, with the words that its tokens belong to."""

    def __init__(self, model: PretrainedModel):
        self.tokenizer, self.lock = model.tokenizer, model.tokenizer_lock
        self.mask: int = self.tokenizer.mask_token_id
        self.special = self.tokenizer.all_special_ids

    def rows(self, sentences: Sequence[str], longest: int) -> "list[Row | None]":
        """Of every sentence: ids (n,), and the number of each token's word (n,), -1 for special tokens; None if it has no words."""
        found: list[Row | None] = []
        with self.lock:
            for start in range(0, len(sentences), 1000):
                part = list(sentences[start : start + 1000])
                read = self.tokenizer(part, truncation=True, max_length=longest, verbose=False)
                for place, row in enumerate(read["input_ids"]):
                    ids = np.array(row)
                    words = read.word_ids(place) if self.tokenizer.is_fast else range(len(row))
                    words = np.array([-1 if word is None else word for word in words])
                    words[np.isin(ids, self.special)] = -1
                    found.append((ids, words) if (words >= 0).any() else None)
        return found


def _answers(
    network: AtPlaces, tokens: _Tokens, padding: int, rows: "Sequence[Row]", masked: Sequence[np.ndarray]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (k, V) at the k masked tokens of all rows, and their ids (k,). masked: bool, one array a row."""
    ids, mask = padded([ids.tolist() for ids, _ in rows], padding)
    chosen = torch.zeros(ids.shape, dtype=torch.bool)
    for place, own in enumerate(masked):
        chosen[place, : len(own)] = torch.from_numpy(own)
    places = (index[None] for index in chosen.nonzero(as_tuple=True))
    return network.logits(ids.masked_fill(chosen, tokens.mask), mask, *places)[0], ids[chosen]


def _trained(
    model: PretrainedModel,
    tokens: _Tokens,
    sources: "list[list[Row]]",
    settings: MaskedHeadSettings,
    progress: ProgressCallback | None,
) -> tuple[dict[str, torch.Tensor], dict[str, tuple[torch.Tensor, ...]], list[dict[str, float]]]:
    """Weights outside the body and changes of the body after training, as :class:`MaskedHead` holds them, and the losses on the way."""
    generator = np.random.default_rng(settings.seed)
    network = network_around(model, model.network())
    freeze(network)
    outside = outside_names(network)
    head = [network.get_parameter(name).requires_grad_(True) for name in outside]
    body = network.base_model
    layers = {
        name: set_change(body, name, nn.Parameter(torch.zeros_like(body.get_submodule(name).weight)))
        for name in changed_names(body, settings.layers)
    }
    changes = [layer.change_out for layer in layers.values()]
    groups = [
        {"params": changes, "lr": settings.body_rate, "weight_decay": settings.weight_decay},
        {"params": head, "lr": settings.head_rate, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    highest = [group["lr"] for group in groups]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    pointed, padding = AtPlaces(network), padding_id(model.tokenizer, network.config)
    batches = _batches(sources, settings.tokens, generator)
    losses, recent = [], []
    for step in range(settings.steps):
        share = step / settings.steps
        for group, rate in zip(optimizer.param_groups, highest, strict=True):
            group["lr"] = rate * min(1.0, (step + 1) / max(1.0, 0.05 * settings.steps)) * (1 - share)
        batch = next(batches)
        masked = [_masked_words(words, settings.share, generator) for _, words in batch]
        with torch.autocast("cpu", torch.bfloat16, settings.bf16):
            logits, wanted = _answers(pointed, tokens, padding, batch, masked)
        loss = F.cross_entropy(logits.float(), wanted)
        if not torch.isfinite(loss):
            raise InputError(f"the loss is no longer a number after {step:,} steps; use lower learning rates")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*head, *changes], 1.0)
        optimizer.step()
        recent.append(loss.item())
        if (step + 1) % max(1, settings.steps // POINTS) == 0 or step + 1 == settings.steps:
            losses.append({"step": step + 1, "loss": round(float(np.mean(recent)), 4)})
            recent = []
        report(
            progress, f"step {step + 1:,} of {settings.steps:,}", (step + 1) / settings.steps, step=step + 1, loss=loss.item()
        )
    return (
        {name: parameter.detach().clone() for name, parameter in zip(outside, head, strict=True)},
        {f"{name}.weight": of_rank(layer.change_out.detach().clone(), settings.rank) for name, layer in layers.items()},
        losses,
    )


def changed_names(body: nn.Module, layers: int | None) -> list[str]:
    """Names of the matrices that are changed: those of the last ``layers`` layers, or of all. Raises InputError for more than there are."""
    numbers = {name: int(match[1]) for name in changeable(body) if (match := LAYER.search(f"{name}."))}
    count = max(numbers.values(), default=-1) + 1
    if layers is not None and layers > count:
        raise InputError(f"layers is {layers}; this network has {count} layers")
    return [name for name, number in numbers.items() if layers is None or number >= count - layers]


def of_rank(change: torch.Tensor, rank: int | None) -> tuple[torch.Tensor, ...]:
    """The nearest matrix of that rank as two factors (o, r) and (r, i), by its singular values (Eckart and Young 1936); all of it
    for None."""
    if rank is None:
        return (change,)
    left, values, right = torch.linalg.svd(change, full_matrices=False)
    roots = values[:rank].sqrt()
    return left[:, :rank] * roots, roots[:, None] * right[:rank]


def _batches(sources: "list[list[Row]]", tokens: int, generator: np.random.Generator) -> "Iterator[list[Row]]":
    """Sentences of similar length, without end: as many as fill ``tokens`` with their padding, at least one.

    A source is read in proportion to the square root of its size, so that a long one does not drown a short one, nor a short one is read
    over and over; each of its sentences comes once before any comes again.
    """
    shares = np.sqrt([len(rows) for rows in sources])
    endless = [_again_and_again(rows, generator) for rows in sources]
    while True:
        counts = generator.multinomial(_POOL, shares / shares.sum())
        pool = [row for rows, count in zip(endless, counts, strict=True) for row in itertools.islice(rows, int(count))]
        found: list[list[Row]] = [[]]
        for row in sorted(pool, key=lambda row: len(row[0])):  # the longest of a batch comes last
            if found[-1] and len(row[0]) * (len(found[-1]) + 1) > tokens:
                found.append([])
            found[-1].append(row)
        for number in generator.permutation(len(found)):
            yield found[number]


def _again_and_again(rows: "list[Row]", generator: np.random.Generator) -> "Iterator[Row]":
    while True:
        yield from (rows[place] for place in generator.permutation(len(rows)))


def _masked_words(words: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Which tokens of a sentence are masked, bool: about a ``share`` of its words with all their tokens, at least one word.

    >>> masked = _masked_words(np.array([-1, 0, 0, 1, 2, -1]), 0.3, np.random.default_rng(0))
    >>> bool(masked[1] == masked[2]), bool(masked.any()), bool(masked[0] or masked[-1])
    (True, True, False)
    """
    own = np.unique(words[words >= 0])
    count = max(1, int(share * len(own) + generator.random()))
    return np.isin(words, generator.choice(own, min(count, len(own)), replace=False))


@torch.no_grad()
def score_masked(
    model: PretrainedModel, network: nn.Module, text: Text, seed: int = 0, progress: ProgressCallback | None = None
) -> MaskedScore:
    """How well a network with a masked-word head guesses tokens of a text, SCORED_SHARE of each sentence masked at once.

    Of more than MOST_SCORED sentences as many are drawn; equal seeds mask the same tokens for every network.
    """
    generator = np.random.default_rng([seed, 0x5C])
    tokens = _Tokens(model)
    sentences = list(text.sentences)
    if len(sentences) > MOST_SCORED:
        sentences = [sentences[place] for place in sorted(generator.choice(len(sentences), MOST_SCORED, replace=False))]
    unknown = model.tokenizer.unk_token_id
    read = filter(None, tokens.rows(sentences, LONGEST_SCORED))
    rows = [row for row in read if ((row[1] >= 0) & (row[0] != unknown)).any()]
    if not rows:
        raise ModelError(f"no sentence of {text.name} has a token of this model that could be guessed", "unsupported")
    masked = []
    for ids, words in rows:
        may = np.flatnonzero((words >= 0) & (ids != unknown))
        chosen = np.zeros(len(ids), dtype=bool)
        chosen[generator.choice(may, max(1, round(SCORED_SHARE * len(may))), replace=False)] = True
        masked.append(chosen)
    pointed, padding = AtPlaces(network), padding_id(model.tokenizer, network.config)
    order = np.argsort([len(ids) for ids, _ in rows], kind="stable")
    ranks: list[np.ndarray] = [np.empty(0)] * len(rows)
    nats, start = 0.0, 0
    while start < len(order):
        size = max(1, _SCORED_AT_ONCE // len(rows[order[min(start + 100, len(order) - 1)]][0]))
        part = order[start : start + size]
        logits, wanted = _answers(pointed, tokens, padding, [rows[place] for place in part], [masked[place] for place in part])
        own = logits.gather(1, wanted[:, None])
        found = (logits > own).sum(1).numpy()
        nats += float(F.cross_entropy(logits, wanted, reduction="sum"))
        for place, piece in zip(part, np.split(found, np.cumsum([masked[place].sum() for place in part])[:-1]), strict=True):
            ranks[place] = piece
        start += size
        report(progress, f"scoring on {text.name}", min(1.0, start / len(order)))
    every = np.concatenate(ranks)
    first, ten = ([(part < most).sum() for part in ranks] for most in (1, 10))
    counts = [len(part) for part in ranks]
    return MaskedScore(
        text.name, len(rows), len(every), float((every < 1).mean()), float((every < 10).mean()), nats / len(every),
        _interval(first, counts, seed), _interval(ten, counts, seed),
    )  # fmt: skip


def _interval(right: Sequence[int], counts: Sequence[int], seed: int) -> tuple[float, float]:
    """95 % percentile interval of a share, of RESAMPLES times as many sentences drawn again. right: of each sentence's ``counts``."""
    right, counts = np.array(right), np.array(counts)
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(len(counts), size=len(counts)) for _ in range(RESAMPLES))
    low, high = np.percentile([right[places].sum() / counts[places].sum() for places in drawn], [2.5, 97.5])
    return float(low), float(high)
