"""What an adaptation is told: which objective, what is trained, for how long."""

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..codec.methods import METHODS
from ..codec.methods import estimate_seconds as compression_seconds

if TYPE_CHECKING:
    import torch

    from ..codec.settings import CompressionSettings
    from ..models.load import PretrainedModel

#: ``auto`` is cuda where torch finds it, else the CPU.
DEVICES = ("auto", "cpu", "cuda")


def device_for(name: str) -> "torch.device":
    """The device of a name of DEVICES. Raises InputError for ``cuda`` where there is none."""
    import torch

    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError(f"device is {name!r}, but torch {torch.__version__} finds no CUDA device here; use cpu or auto")
    return torch.device("cuda")


@dataclass(frozen=True)
class Choice:
    """One value of a setting. title: for a list. help: what it means, for a person who has not read the paper."""

    title: str
    help: str


OBJECTIVES = {
    "distill": Choice(
        "Distillation",
        "The original model is the teacher: on sentences without labels, the compressed model learns to give the same sentence "
        "vectors and the same similarities between sentences; a model with a masked-word head or a classifier learns to give the same "
        "probabilities.",
    ),
    "masked": Choice(
        "Fine-tuning on masked words",
        "15 % of the tokens of a sentence are masked, and the model learns to fill in what stood there. No teacher: the "
        "original is trained alike, for as many steps on the same batches, so that the comparison is fair. For models with a "
        "masked-word head.",
    ),
    "similarity": Choice(
        "Fine-tuning on similarity",
        "Labelled pairs of sentences: the model learns to put them into the order of their scores. No teacher: the original is "
        "trained alike, for as many steps on the same batches, so that the comparison is fair.",
    ),
    "entailment": Choice(
        "Fine-tuning on entailment",
        "Labelled pairs of premise and hypothesis: the model learns their labels, by its own classifier or under the entailment "
        "head that there is for its sentence vectors, which stays as it is. No teacher: the original is trained alike, for as "
        "many steps on the same batches, so that the comparison is fair.",
    ),
}
#: Objectives without a teacher; the original is trained alike. Those of pairs read labels.
FINE_TUNING = ("masked", "similarity", "entailment")
LABELLED = ("similarity", "entailment")
TRAINED = {
    "codebooks": Choice("Codebooks only", "The network stays as it is; nothing but the codebooks (and codes) is stored."),
    "norms": Choice(
        "Codebooks, LayerNorms and biases", "A few thousand numbers of the network more, stored beside the codebooks."
    ),
    "last": Choice("Codebooks and the last layers", "The last layers of the network learn too and have to be stored anew."),
    "everything": Choice(
        "Everything", "The whole network learns too and has to be stored anew: as large as the network itself."
    ),
}
LONGEST_SECONDS = 24 * 3600.0
MOST_STEPS = 10_000_000


@dataclass(frozen=True)
class AdaptationSettings:
    """Frozen settings of one adaptation; they validate themselves. Raises InputError naming the value and the remedy.

    objective: of OBJECTIVES. train: of TRAINED; last_layers: how many of them for ``last``. In fine-tuning the original is trained
    alike: its whole table in place of the codebooks, at ``network_rate``.
    reassign: whether codes are found anew before training; for the methods cluster and product. (That codes follow the gradient
        during training too did not pay: on STS benchmark dev it made f=24 worse, f=8 and f=3 no better.)
    seconds: time budget, loading and the final scoring apart. The number of steps is planned from their speed, again and again;
        in fine-tuning half of it is for the original, which takes as many steps.
    steps: instead of seconds: exactly so many steps; then equal settings give equal results on the CPU with equally many threads.
    batch_size: sentences (or pairs) a step. codebook_rate, network_rate: learning rates of AdamW, at their highest.
    temperature: of the softmax in distilling the probabilities of masked words and classifiers.
    hidden_weight: in distilling sentence vectors, of the relative squared error of the last hidden states beside their loss. It
        did not pay on STS benchmark dev, therefore 0.
    replaced: in distilling sentence vectors, share of the tokens of a sentence in whose place another one of the vocabulary is put,
        anew each time, so that words are learned that the text does not have. On STS benchmark dev it did not pay either, and a
        step takes longer, since the teacher reads along; therefore 0.
    sample: without a text: how many token sequences are drawn from the vocabulary.
    device: where to compute, of :data:`subemb.adaptation.settings.DEVICES`; ``auto`` is CUDA where there is one. What comes back is on the CPU.
    seed: of everything random.
    """

    objective: str = "distill"
    train: str = "codebooks"
    last_layers: int = 1
    reassign: bool = True
    seconds: float | None = 180.0
    steps: int | None = None
    batch_size: int = 64
    codebook_rate: float = 2e-3
    network_rate: float = 5e-5
    temperature: float = 2.0
    hidden_weight: float = 0.0
    replaced: float = 0.0
    sample: int = 20_000
    device: str = "auto"
    seed: int = 0

    def __post_init__(self):
        for name, choices in (("objective", OBJECTIVES), ("train", TRAINED), ("device", DEVICES)):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(choices)}")
        if self.steps is not None:
            object.__setattr__(self, "seconds", None)
        elif self.seconds is None:
            raise InputError("neither seconds nor steps are given; give one of them")
        for name, least, most in (
            ("last_layers", 1, 1000),
            ("steps", 1, MOST_STEPS),
            ("batch_size", 2, 4096),
            ("sample", 2, 10_000_000),
            ("seed", 0, 2**63 - 1),
        ):
            value = getattr(self, name)
            if name == "steps" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise InputError(f"{name} is {value!r}; it must be a whole number from {least} to {most:,}")
        for name, most in (
            ("seconds", LONGEST_SECONDS),
            ("codebook_rate", 10.0),
            ("network_rate", 10.0),
            ("temperature", 1000.0),
        ):
            value = getattr(self, name)
            if name == "seconds" and value is None:
                continue
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not math.isfinite(value)
                or not 0 < value <= most
            ):
                raise InputError(f"{name} is {value!r}; it must be a number above 0 and at most {most:g}")
            object.__setattr__(self, name, float(value))
        weight = self.hidden_weight
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1000:
            raise InputError(f"hidden_weight is {weight!r}; it must be a number from 0 to 1,000")
        object.__setattr__(self, "hidden_weight", float(weight))
        share = self.replaced
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise InputError(f"replaced is {share!r}; it must be a share from 0 to 1")
        object.__setattr__(self, "replaced", float(share))
        if not isinstance(self.reassign, bool):
            raise InputError(f"reassign is {self.reassign!r}; it must be true or false")

    @property
    def is_fine_tuning(self) -> bool:
        """Whether labels or masked words are learned, by the original too, rather than what the original does."""
        return self.objective in FINE_TUNING

    def reassigns(self, method: str) -> bool:
        """Whether codes are found anew before training: asked for, and possible with this method of compression."""
        return self.reassign and METHODS[method].can_be_reassigned

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "AdaptationSettings":
        """The inverse of :meth:`to_dict`. Raises InputError for names it does not know."""
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise InputError(f"unknown settings of an adaptation: {', '.join(sorted(unknown))}; update subemb")
        return cls(**values)


FLOPS = 1.3e11  # a second
TOKENS = 16  # of a sentence
COMPRESSIONS = 4  # that choosing codes together takes as long as
#: Multiplications and additions for every weight and token: to read, and to pass a gradient back, to the embeddings or the weights.
_READ, _BACK, _WEIGHTS = 2, 2, 2


def steps_seconds(settings: AdaptationSettings, model: "PretrainedModel", compression: "CompressionSettings") -> float:
    """Seconds that ``settings.steps`` steps take on two cores, roughly, with the search for codes.

    compression: how the table was compressed, resolved.
    """
    from .codes import ROUNDS, ROWS
    from .objectives import distilled_head

    each = _READ + _BACK + (0 if settings.train == "codebooks" else _WEIGHTS)
    if settings.is_fine_tuning:
        each += _READ + _BACK + _WEIGHTS  # the original, whose whole table is trained
    elif settings.replaced or settings.hidden_weight or distilled_head(model) is not None:
        each += _READ  # the teacher, who else reads a text once
    token = ((model.parameters or 0) - model.num_tokens * model.dim) / FLOPS
    seconds = settings.steps * settings.batch_size * TOKENS * each * token
    if settings.reassigns(compression.method):
        seconds += (ROUNDS + 1) * ROWS * TOKENS * (_READ + _BACK) * token
        seconds += COMPRESSIONS * compression_seconds(compression, model.num_tokens, model.dim)
    return seconds
