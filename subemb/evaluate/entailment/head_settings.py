"""How an entailment head is trained; apart from the training itself, so that a command line can show it without torch."""

from dataclasses import dataclass

from ...base.errors import InputError

_LIMITS = {
    "members": (1, 64, ""),
    "projected": (1, 8192, "axes"),
    "hidden": (1, 8192, "units"),
    "dropout": (0.0, 0.95, ""),
    "feature_dropout": (0.0, 0.95, ""),
    "scale": (0.001, 1000.0, ""),
    "epochs": (1, 1000, ""),
    "batch_size": (1, 100_000, "pairs"),
    "learning_rate": (1e-7, 1.0, ""),
    "projection_rate": (0.0, 10.0, ""),
    "weight_decay": (0.0, 10.0, ""),
    "label_smoothing": (0.0, 0.9, ""),
    "validation_share": (0.02, 0.8, ""),
    "seed": (0, 2**32 - 1, ""),
}


@dataclass(frozen=True)
class HeadSettings:
    """How an entailment head is trained.

    members, projected, hidden: M networks with k axes and H units each (see :class:`subemb.evaluate.entailment.head.HeadShape`); k is at
    most that of the sentence vectors. dropout, feature_dropout: shares of hidden units and of features that are zero in a step.
    scale: of the inputs, in units of their standard deviation. learning_rate: highest of a cosine schedule; projection_rate:
    that of the projections, as a multiple of it. weight_decay: of AdamW. label_smoothing: share of a label that is spread over
    all. validation_share: of every data set, half of it to choose the epoch and half for the accuracy that is reported.
    refit: train the saved head once more, on all pairs. seed: of everything random.
    Raises InputError for values out of range.
    """

    members: int = 3
    projected: int = 256
    hidden: int = 192
    dropout: float = 0.5
    feature_dropout: float = 0.5
    scale: float = 0.3
    epochs: int = 12
    batch_size: int = 128
    learning_rate: float = 1e-3
    projection_rate: float = 2.0
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    validation_share: float = 0.2
    refit: bool = True
    seed: int = 0

    def __post_init__(self):
        for name, (low, high, unit) in _LIMITS.items():
            value, whole = getattr(self, name), isinstance(low, int)
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not low <= value <= high:
                kind = "a whole number" if whole else "a number"
                raise InputError(f"{name} is {value!r}; it must be {kind} from {low:g} to {high:g} {unit}".rstrip())
        if not isinstance(self.refit, bool):
            raise InputError(f"refit is {self.refit!r}; it must be True or False")
