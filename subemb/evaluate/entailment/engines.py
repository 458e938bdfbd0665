"""Who judges whether a hypothesis follows from a premise: a model's own NLI classifier, or an entailment head on its sentence
embeddings (:mod:`subemb.evaluate.entailment.head`). Both are an :class:`Engine`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...base.arguments import checked
from ...base.errors import InputError, ModelError
from ...base.progress import ProgressCallback, part_of, report
from ...base.text import visible
from ...models.model import PretrainedModel
from ...models.reading import in_company
from ...models.sentences import check_ids, checked_sentences, longest_input, padded, padding_of, text_config
from ..data.pairs import LABELS, TWO_WAY_LABELS
from .head_files import belongs, cards_for, heads_for, owner

if TYPE_CHECKING:
    import torch

    from .head import EntailmentHead


class Engine(Protocol):
    """Says how probable entailment, neutral and contradiction are."""

    name: str  # in a few words
    description: str  # how it works, for a page
    labels: tuple[str, ...]  # ``LABELS``; ``TWO_WAY_LABELS`` for a two-way classifier

    def probabilities(
        self, premises: Sequence[str], hypotheses: Sequence[str], progress: ProgressCallback | None = None
    ) -> np.ndarray:
        """(n, len(labels)) float32, rows adding up to 1. Raises InputError, ModelError, Cancelled."""
        ...


def check_pairs(premises: Sequence[str], hypotheses: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both as lists. Raises InputError unless they are lists of strings of one length."""
    premises, hypotheses = checked_sentences(premises), checked_sentences(hypotheses)
    if len(premises) != len(hypotheses):
        raise InputError(f"{len(premises)} premises and {len(hypotheses)} hypotheses do not make pairs; give as many of each")
    return premises, hypotheses


# The model's own classifier

_BATCH = 32
_NAMES = {
    "entailment": "entailment",
    "entail": "entailment",
    "entails": "entailment",
    "entailed": "entailment",
    "neutral": "neutral",
    "contradiction": "contradiction",
    "contradict": "contradiction",
    "contradicts": "contradiction",
    "notentailment": "not_entailment",
    "nonentailment": "not_entailment",
    "notentailed": "not_entailment",
    "notentail": "not_entailment",
}


def label_columns(id2label: Mapping[int | str, str]) -> tuple[tuple[str, ...], list[int]]:
    """Labels that a classifier gives, in our order, and the column of its output for each of them.

    id2label: of ``config.json``; only names count, in any case and with or without blanks, hyphens and underscores; their
    order never does.
    Returns ``(LABELS, columns)``, or ``(("entailment", "not_entailment"), columns)`` for a two-way head.
    Raises ModelError (``unsupported``) if the names do not say which column is entailment, or if a label is left over.

    >>> label_columns({0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"})
    (('entailment', 'neutral', 'contradiction'), [2, 1, 0])
    >>> label_columns({"0": "not-entailment", "1": "entailment"})
    (('entailment', 'not_entailment'), [1, 0])
    """
    given = {int(number): str(name) for number, name in id2label.items()}
    found = {number: _NAMES.get("".join(c for c in name.casefold() if c.isalpha())) for number, name in given.items()}
    for labels in (LABELS, TWO_WAY_LABELS):
        columns = {name: number for number, name in found.items()}
        if len(given) == len(labels) and set(columns) == set(labels) and sorted(given) == list(range(len(labels))):
            return labels, [columns[name] for name in labels]
    shown = ", ".join(f"{number}: {visible(name)[:40]}" for number, name in sorted(given.items())[:6])
    if len(given) > 6:
        shown += f", and {len(given) - 6} more"
    raise ModelError(
        f"the labels in config.json ({shown}) do not name entailment, neutral and contradiction, nor entailment and "
        "not_entailment, and their order is not guessed; if this is an NLI classifier, write its label names into id2label of "
        "config.json",
        "unsupported",
    )


class ClassifierEngine:
    """An NLI classifier as an :class:`Engine`.

    model: one whose checkpoint has a classifier. On an attached model the classifier runs on the compressed table.
    Raises ModelError (``unsupported``) if there is no classifier or its labels do not name entailment.
    """

    def __init__(self, model: PretrainedModel):
        if not model.has_head("classifier"):
            raise ModelError(f"{model.name} has no classifier of sentence pairs", "unsupported")
        self.labels, self._columns = label_columns(model.config.get("id2label") or {0: "LABEL_0", 1: "LABEL_1"})
        self.model = model

    @property
    def name(self) -> str:
        return f"classifier of {self.model.name}"

    @property
    def limit(self) -> int:
        """How many tokens of a pair the model reads, special ones included."""
        return longest_input(self.model.config, self.model.tokenizer)

    @property
    def description(self) -> str:
        return (
            "The model's own classifier reads premise and hypothesis together, as its tokenizer joins pairs. Pairs of more than "
            f"{self.limit} tokens are cut, the longer of the two sentences first. The order of its labels "
            f"({', '.join(self.labels)}) is read from its config.json."
        )

    def probabilities(
        self, premises: Sequence[str], hypotheses: Sequence[str], progress: ProgressCallback | None = None
    ) -> np.ndarray:
        """(n, 3) float32 in the order of ``labels``, each row adding up to 1; (n, 2) for a two-way classifier.

        A pair that occurs several times is read once. Raises InputError for lists that do not match, ModelError, Cancelled.
        """
        premises, hypotheses = check_pairs(premises, hypotheses)
        distinct = list(dict.fromkeys(zip(premises, hypotheses, strict=True)))
        # Longest first, in batches of similar length; if memory runs out, it does so at once.
        distinct.sort(key=lambda pair: -len(pair[0]) - len(pair[1]))
        rows: dict[tuple[str, str], np.ndarray] = {}
        network = self.model.network("classifier").eval()
        # GPT-like classifiers find a text's end by the padding id of their config; without one they read pairs one by one.
        size = 1 if padding_of(network.config) is None else _BATCH
        for start in range(0, len(distinct), size):
            report(progress, "classifying pairs", start / len(distinct))
            batch = distinct[start : start + size]
            rows.update(zip(batch, self._classify(batch), strict=True))
        report(progress, "classifying pairs", 1.0)
        if not rows:
            return np.zeros((0, len(self.labels)), np.float32)
        return np.stack([rows[pair] for pair in zip(premises, hypotheses, strict=True)])

    def _classify(self, batch: list[tuple[str, str]]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self.logits(batch).softmax(1).cpu().numpy()

    def logits(self, batch: Sequence[tuple[str, str]]) -> "torch.Tensor":
        """Logits (n, len(labels)) of n pairs in one batch, in the order of ``labels``, with gradients where torch records them.

        Raises ModelError if the classifier gives another number of logits.
        """
        logits = classifier_logits(self.model, batch)
        if logits.shape[1] != len(self.labels):
            raise ModelError(
                f"the classifier of {self.model.name} gives {logits.shape[1]} numbers for {len(self.labels)} labels", "broken"
            )
        return logits[:, self._columns]


def classifier_logits(model: PretrainedModel, pairs: Sequence[tuple[str, str]]) -> "torch.Tensor":
    """(n, classes) float32 of n pairs of texts by a model's classifier of sentences, each as it is read alone, with gradients where
    torch records them."""
    network = model.network("classifier")

    def tokens(limit: int):
        with model.tokenizer_lock:  # fast tokenizers cannot serve two threads at once
            return model.tokenizer(
                [first for first, _ in pairs],
                [second for _, second in pairs],
                truncation="longest_first",
                max_length=limit,
                padding=False,
            )

    read = model.cut_to_fit(tokens, lambda read: max(map(len, read["input_ids"])), "classifier")
    check_ids(model.tokenizer, read["input_ids"], model.num_tokens)
    left = model.tokenizer.padding_side == "left"
    has_types = "token_type_ids" in read and (getattr(text_config(network.config), "type_vocab_size", None) or 0) > 1

    def logits_of(part: list[int]) -> "torch.Tensor":
        rows = [read["input_ids"][place] for place in part]
        ids, mask = padded(rows, padding_of(network.config) or 0, left, model.device)
        inputs = {"input_ids": ids, "attention_mask": mask}
        if has_types:
            types = [read["token_type_ids"][place] for place in part]
            inputs["token_type_ids"] = padded(types, 0, left, model.device)[0]
        return network(**inputs).logits.float()

    lengths = [len(row) for row in read["input_ids"]]
    return in_company(model.habits("classifier", lengths), network, lengths, logits_of)


# An entailment head


class HeadEngine:
    """An entailment head on a model's sentence embeddings, as an :class:`Engine`.

    model: the head's own, or that model with another table. Raises InputError if the head belongs to another model.
    """

    labels = LABELS

    def __init__(self, model: PretrainedModel, head: "EntailmentHead"):
        if not belongs(head.card, model):
            raise InputError(
                f"the entailment head {head.name} was trained on the sentence embeddings of {owner(head.card)}; those of "
                f"{model.name} ({model.revision}) mean something else. Train one for it: subemb train-head"
            )
        self.model = model
        self.head = head

    @property
    def name(self) -> str:
        return f"entailment head {self.head.name}"

    @property
    def description(self) -> str:
        card = self.head.card
        trained = f", trained on {card['pairs']:,} labelled pairs" if isinstance(card.get("pairs"), int) else ""
        return (
            "The model has no classifier of pairs: a small network, the entailment head, compares the sentence embeddings u and "
            f"v of premise and hypothesis, after a linear map, by u, v, |u − v| and u · v, axis by axis{trained}. It was trained on the original "
            "table's embeddings only."
        )

    def probabilities(
        self, premises: Sequence[str], hypotheses: Sequence[str], progress: ProgressCallback | None = None
    ) -> np.ndarray:
        """(n, 3) float32 in the order of LABELS, rows adding up to 1; each distinct sentence is encoded once.

        Raises InputError for lists that do not match, ModelError if sentences cannot be encoded, Cancelled.
        """
        premises, hypotheses = check_pairs(premises, hypotheses)
        sentences = list(dict.fromkeys([*premises, *hypotheses]))
        vectors = self.model.encode(sentences, progress=part_of(progress, 0.0, 0.98))
        if vectors.shape[1] != self.head.dim:
            raise ModelError(
                f"{self.model.name} gives sentence vectors of {vectors.shape[1]} numbers; the head {self.head.name} takes "
                f"{self.head.dim}",
                "unsupported",
            )
        report(progress, "judging pairs", 0.98)
        places = {sentence: place for place, sentence in enumerate(sentences)}
        rows = [vectors[[places[sentence] for sentence in part]] for part in (premises, hypotheses)]
        return self.head.judge(*rows)


# Which one


@checked
def engine_for(model: PretrainedModel, head: "EntailmentHead | str | None" = None) -> Engine:
    """What judges pairs for a model, or for one side of it.

    head: an entailment head, or the name of one from :func:`heads_for`. None takes the model's own NLI classifier, or if
    it has none the first of its heads. An attached model has the heads of its original.
    Raises ModelError (``unsupported``) if there is neither, InputError for a head that is unknown or belongs to another model.
    """
    if head is None and model.has_head("classifier"):
        return ClassifierEngine(model)
    if head is None or isinstance(head, str):
        heads = heads_for(model)
        if head is None and not heads:
            raise ModelError(
                f"{model.name} has no NLI classifier, and there is no entailment head for its sentence embeddings; train one: "
                f"subemb train-head {model.name} --data FILE, or choose an NLI model",
                "unsupported",
            )
        found = heads[0] if head is None else next((one for one in heads if one.name == head), None)
        if found is None:
            known = ", ".join(one.name for one in heads) or "none"
            raise InputError(f"there is no entailment head {head!r} for {model.name}; those there are: {known}")
        head = found
    return HeadEngine(model, head)


@dataclass(frozen=True)
class EngineChoice:
    """Which engine judges, in the form that jobs are given and keys are made of."""

    head: str | None = None  # name of an entailment head; None for the model's own classifier
    digest: str = ""  # of the head's tensors, because a head that is trained again may keep its name

    @property
    def name(self) -> str:
        """Short text for links: ``classifier``, or the head's name."""
        return "classifier" if self.head is None else f"head {self.head}"


@dataclass(frozen=True)
class EngineOption:
    """An engine that a model has."""

    choice: EngineChoice
    labels: tuple[str, ...]  # of its answers
    order: tuple[str, ...] = ()  # labels of the classifier, in the order of ``config.json``
    card: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)  # of an entailment head


def engine_options(model: PretrainedModel) -> tuple[list[EngineOption], str | None]:
    """The engines of a model: its own classifier first, then entailment heads; and why its classifier cannot be used, or None.

    Raises InputError if the card of a shipped head is damaged.
    """
    options, problem = [], None
    if model.has_head("classifier"):
        try:
            labels = ClassifierEngine(model).labels
            given = sorted((int(number), str(name)) for number, name in model.config["id2label"].items())
            options.append(EngineOption(EngineChoice(), labels, tuple(name for _, name in given)))
        except ModelError as error:
            problem = str(error)
    for name, card in cards_for(model):
        options.append(EngineOption(_choice_of(name, card), LABELS, card=card))
    return options, problem


def _choice_of(name: str, card: Mapping[str, Any]) -> EngineChoice:
    return EngineChoice(name, str(card.get("tensors_sha256"))[:16])


def chosen_head(model: PretrainedModel, choice: EngineChoice) -> "EntailmentHead | None":
    """The entailment head of a choice, read from disk; None for the model's own classifier.

    Raises ModelError (``unsupported``) if the model has no classifier, InputError if the head is gone or was trained again.
    """
    if choice.head is None:
        if not model.has_head("classifier"):
            raise ModelError(f"{model.name} has no classifier of sentence pairs; choose an entailment head", "unsupported")
        return None
    found = next((head for head in heads_for(model) if _choice_of(head.name, head.card) == choice), None)
    if found is None:
        raise InputError(f"the entailment head {choice.head!r} is gone, damaged or trained again; reload the page")
    return found
