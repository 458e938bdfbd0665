"""Textual entailment of sentence pairs: one interface over two engines, and the comparison of a model's sides.

Does the hypothesis follow from the premise? Either the model's own NLI classifier says so, or an entailment head does that was
trained on the model's sentence embeddings (:mod:`subemb.evaluate.entailment.head`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ...base.errors import InputError, ModelError
from ...base.progress import ProgressCallback, part_of, report
from ..data.pairs import LABELS, PairSet

if TYPE_CHECKING:
    import numpy as np

    from ...models.model import PretrainedModel
    from .head import EntailmentHead
    from .report import EntailmentReport

MOST_PAIRS = 100_000


class Engine(Protocol):
    """Says how probable entailment, neutral and contradiction are.

    name: in a few words. description: how it works, for a page. labels: ``LABELS``; for a two-way classifier
    ``("entailment", "not_entailment")``.
    """

    name: str
    description: str
    labels: tuple[str, ...]

    def probabilities(
        self, premises: Sequence[str], hypotheses: Sequence[str], progress: ProgressCallback | None = None
    ) -> "np.ndarray":
        """(n, len(labels)) float32, rows adding up to 1. Raises InputError, ModelError, Cancelled."""
        ...


def engine_for(model: "PretrainedModel", head: "EntailmentHead | str | None" = None) -> Engine:
    """What judges pairs for a model, or for one side of it.

    head: an entailment head, or the name of one from :func:`heads_for`. None takes the model's own NLI classifier, or else the
    first head there is for it. An attached model has the heads of its original.
    Raises ModelError (``unsupported``) if there is neither, InputError for a head that is unknown or belongs to another model.
    """
    from .classifier import ClassifierEngine
    from .head import HeadEngine
    from .head_files import heads_for

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


def evaluate_entailment(
    sides: "Mapping[str, PretrainedModel]",
    pairs: PairSet,
    head: "EntailmentHead | str | None" = None,
    resamples: int = 2000,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> "EntailmentReport":
    """Judge every pair with every side, and compare the sides with the first.

    sides: name -> model, the first is the reference. pairs: a three-way set, or a two-way one (RTE), in which entailment
    counts against the rest: a pair is called entailment if that is more probable than neutral and contradiction together.
    head: as in :func:`engine_for`, the same for all sides. resamples, seed: of the bootstrap.
    Raises InputError for a set that is none or empty, ModelError as the engines do, Cancelled.
    """
    from .report import make_report

    if not sides:
        raise InputError("there is no side to evaluate; give at least one model")
    if pairs.task != "entailment":
        raise InputError(f"{pairs.name} is a set for {pairs.task}; give pairs labelled {', '.join(LABELS)}")
    if not 1 <= len(pairs) <= MOST_PAIRS:
        raise InputError(f"{pairs.name} has {len(pairs):,} pairs; 1 to {MOST_PAIRS:,} can be evaluated, take a sample of it")
    engines = {name: engine_for(model, head) for name, model in sides.items()}
    found = {}
    for place, (name, engine) in enumerate(engines.items()):
        part = part_of(progress, 0.9 * place / len(engines), 0.9 * (place + 1) / len(engines))
        found[name] = engine.probabilities(pairs.first, pairs.second, _named(part, name))
    report(progress, "comparing the sides", 0.9)
    made = make_report(next(iter(engines.values())), pairs, found, resamples, seed, part_of(progress, 0.9, 1.0))
    report(progress, "comparing the sides", 1.0)
    return made


def _named(progress: ProgressCallback | None, side: str) -> ProgressCallback | None:
    """The callback with the side's name in its stages."""
    if progress is None:
        return None
    from dataclasses import replace

    return lambda message: progress(replace(message, stage=f"{side}: {message.stage}"))
