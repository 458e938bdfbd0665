"""The settings of an entailment head's training, in a separate module so that a command line can show them without torch."""

from dataclasses import dataclass

from ...base.plain import Settings, setting


@dataclass(frozen=True)
class HeadSettings(Settings):
    """How an entailment head is trained: M networks with k axes and H units each; see
    :class:`subemb.evaluate.entailment.head.HeadShape`.

    Raises InputError for values out of range.
    """

    members: int = setting(3, least=1, most=64, metavar="M", help="networks that are averaged")
    projected: int = setting(  # at most D, that of the sentence vectors
        256, least=1, most=8192, unit="axes", metavar="K", help="axes that each of them compares by"
    )
    hidden: int = setting(192, least=1, most=8192, unit="units", metavar="H", help="hidden units of each of them")
    dropout: float = setting(0.5, least=0, most=0.95, metavar="SHARE", help="of the hidden units that a step sets to zero")
    feature_dropout: float = setting(0.5, least=0, most=0.95, metavar="SHARE", help="of the features that a step sets to zero")
    scale: float = setting(0.3, least=1e-3, most=1000, metavar="S", help="of the inputs, in units of their standard deviation")
    epochs: int = setting(12, least=1, most=1000, metavar="E", help="most passes over the pairs")
    batch_size: int = setting(128, least=1, most=100_000, unit="pairs", metavar="PAIRS", help="pairs in a step")
    learning_rate: float = setting(1e-3, least=1e-7, most=1, metavar="RATE", help="highest value of a cosine schedule")
    projection_rate: float = setting(
        2.0, least=0, most=10, metavar="TIMES", help="learning rate of the projections, as a multiple of --learning-rate"
    )
    weight_decay: float = setting(0.01, least=0, most=10, metavar="RATE", help="of AdamW")
    label_smoothing: float = setting(0.1, least=0, most=0.9, metavar="SHARE", help="of each label, spread over all labels")
    validation_share: float = setting(
        0.2, least=0.02, most=0.8, metavar="SHARE", help="of every file, half to choose the epoch and half to report on"
    )
    refit: bool = setting(True, help="train the saved head once more on all pairs, including the part set aside")
    seed: int = setting(0, least=0, most=2**32 - 1, metavar="SEED", help="of everything random")
