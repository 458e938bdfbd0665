"""What an adaptation is told: which objective, what is trained, for how long."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.plain import Settings, setting
from ..codec.methods import METHODS

if TYPE_CHECKING:
    import torch


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
    """One value of a setting."""

    title: str  # for a list
    help: str  # what it means, for a person who has not read the paper


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
#: Objectives without a teacher; the original is trained in the same way. Those in LABELLED read labelled pairs.
FINE_TUNING = ("masked", "similarity", "entailment")
LABELLED = ("similarity", "entailment")
TRAINED = {
    "codebooks": Choice("Codebooks only", "The network stays as it is; nothing but the codebooks (and codes) is stored."),
    "norms": Choice("Codebooks, LayerNorms and biases", "A few thousand numbers of the network more."),
    "last": Choice(
        "Codebooks and the last layers", "The last layers of the network learn too, and take the place of the original's."
    ),
    "everything": Choice(
        "Everything",
        "The whole network learns too, and takes the place of the original's. The model is not larger for it, but a compact folder, which "
        "otherwise leaves the network with the original, is.",
    ),
}
FITTED, DRAWN = "fitted", "drawn"
STARTS = {
    FITTED: Choice("As the compression found them", "The training begins with codebooks that fit the table."),
    DRAWN: Choice(
        "Drawn at random",
        "The codes stay, but the training begins with random codebooks, as wide as the table's numbers: what fitted ones are worth.",
    ),
}
LONGEST_SECONDS = 24 * 3600.0
MOST_STEPS = 10_000_000


@dataclass(frozen=True)
class AdaptationSettings(Settings):
    """Frozen settings of one adaptation; they validate themselves. Raises InputError naming the value and the limit.

    In fine-tuning the original is trained in the same way: its whole table in place of the codebooks, at ``network_rate``. With ``steps``, equal
    settings give equal results on the CPU with equally many threads; with ``seconds``, the number of steps, and of
    sentences a step, follows from their speed, and is planned again on the way. (What did not pay on STS benchmark dev is not here: codes that follow the gradient during the training, the error of
    hidden states beside that of sentence vectors, tokens of the sentences exchanged for others.)
    """

    UNKNOWN = "{name} is {value!r}; it must be one of {choices}"
    GONE = ("hidden_weight", "replaced")

    objective: str = setting(
        "distill",
        choices=OBJECTIVES,
        title="What is learned",
        help="what is learned; in fine-tuning (all but distill) the original is trained alike, to compare",
    )
    train: str = setting(
        "codebooks",
        choices=TRAINED,
        title="What is trained",
        help="what is trained; changed weights of the network take the place of the original's",
    )
    last_layers: int = setting(1, least=1, most=1000, metavar="N", title="Last layers", help="how many, of --train last")
    reassign: bool = setting(
        True,
        title="Codes may change",
        help="Before the training, codes are found anew: tokens count by how often the text has them, and errors by how much the "
        "network's output moves with them, so that subspaces make up for each other. For the methods cluster, product and tiered.",
    )
    start: str = setting(
        FITTED,
        choices=STARTS,
        title="Codebooks begin",
        widget=False,
        help="fitted: as the compression found them; drawn: at random, and codes stay as they are",
    )
    seconds: float | None = setting(
        180.0,
        above=0,
        most=LONGEST_SECONDS,
        title="Time",
        help="For the training, the search for codes included (at most 60 % of it), however fast or busy this computer is; to load, and to "
        "score the pairs, comes on top. Where fewer than some 25 steps would fit, a step looks at fewer sentences.",
    )
    steps: int | None = setting(
        None,
        least=1,
        most=MOST_STEPS,
        metavar="N",
        title="Steps instead of time",
        help="So many steps give the same result every time, but take longer on a slower computer.",
    )
    batch_size: int = setting(
        64,
        least=2,
        most=4096,
        metavar="N",
        title="Sentences a step",
        help="What one step of the training looks at, if the time allows. More make each step better and slower, and need more memory.",
    )
    codebook_rate: float = setting(
        2e-3,
        above=0,
        most=10,
        metavar="RATE",
        decimals=5,
        title="Learning rate of codebooks",
        help="How far a step moves the shared sub-vectors. Too high, and what was learned is lost again; too low, and time is.",
    )
    network_rate: float = setting(
        5e-5,
        above=0,
        most=10,
        metavar="RATE",
        decimals=6,
        title="Learning rate of the network",
        help="How far a step moves the weights of the network, where some are trained; in fine-tuning the original's table too.",
    )
    temperature: float = setting(  # of the softmax in distilling the probabilities of masked words and classifiers
        2.0,
        above=0,
        most=1000,
        metavar="T",
        title="Temperature",
        help="Above 1, what the original holds for less likely is learned too; at 1, above all what it holds for most likely.",
    )
    sample: int = setting(
        20_000, least=2, most=10_000_000, metavar="N", title="Sequences", help="token sequences drawn where there is no text"
    )
    device: str = setting(
        "auto", choices=DEVICES, widget=False, help="auto: CUDA where there is one; what comes back is on the CPU"
    )
    seed: int = setting(
        0,
        least=0,
        most=2**63 - 1,
        title="Seed",
        help="Of everything random. Another one shows how much of a result is chance.",
    )

    def check(self) -> None:
        """Steps take the place of seconds; one of the two is needed."""
        if self.steps is not None:
            object.__setattr__(self, "seconds", None)
        elif self.seconds is None:
            raise InputError("neither seconds nor steps are given; give one of them")

    @property
    def is_fine_tuning(self) -> bool:
        """Whether labels or masked words are learned, by the original too, rather than what the original does."""
        return self.objective in FINE_TUNING

    @property
    def is_labelled(self) -> bool:
        """Whether labelled pairs are learned from, rather than a text."""
        return self.objective in LABELLED

    def reassigns(self, method: str) -> bool:
        """Whether codes are chosen again before training: if asked for, possible with this method of compression, and the
        codebooks are not drawn."""
        return self.reassign and self.start == FITTED and METHODS[method].can_be_reassigned


@dataclass(frozen=True)
class MaskedHeadSettings(Settings):
    """How a masked-word head is trained. Raises InputError for values out of range."""

    steps: int = setting(5000, least=1, most=10_000_000, metavar="N", help="batches to learn from")
    layers: int | None = setting(
        None, least=0, most=1000, metavar="N", help="last layers of the body whose matrices are changed", automatic="all"
    )
    rank: int | None = setting(
        None, least=1, most=1024, metavar="R", help="of the changes as they are saved", automatic="whole, 8 bits a number"
    )
    tokens: int = setting(512, least=32, most=1_000_000, unit="tokens", metavar="N", help="tokens in a batch, padding included")
    share: float = setting(0.2, above=0, most=0.9, metavar="SHARE", help="of the words of a sentence that are masked")
    body_rate: float = setting(5e-4, least=0, most=1, metavar="RATE", help="highest learning rate of the body's changes")
    head_rate: float = setting(1e-3, least=0, most=1, metavar="RATE", help="highest learning rate of the head")
    weight_decay: float = setting(0.01, least=0, most=10, metavar="RATE", help="of AdamW, on the changes")
    bf16: bool = setting(
        False,
        help="matrix products of the training in bfloat16: half the time on processors that multiply such numbers (AVX-512 BF16, AMX), "
        "slower on others",
    )
    seed: int = setting(0, least=0, most=2**32 - 1, metavar="SEED", help="of everything random")
