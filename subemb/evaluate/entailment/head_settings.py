"""How an entailment head is trained; apart from the training itself, so that a command line can show it without torch."""

from dataclasses import dataclass

from ...base.plain import Settings, setting


@dataclass(frozen=True)
class HeadSettings(Settings):
    """How an entailment head is trained: M networks with k axes and H units each (:class:`subemb.evaluate.entailment.head.HeadShape`).

    Raises InputError for values out of range.
    """

    members: int = setting(3, least=1, most=64, metavar="M", help="networks that are averaged")
    projected: int = setting(  # at most D, that of the sentence vectors
        256, least=1, most=8192, unit="axes", metavar="K", help="axes that each of them compares by"
    )
    hidden: int = setting(192, least=1, most=8192, unit="units", metavar="H", help="hidden units of each of them")
    dropout: float = setting(0.5, least=0, most=0.95, metavar="SHARE", help="of hidden units that are zero in a step")
    feature_dropout: float = setting(0.5, least=0, most=0.95, metavar="SHARE", help="of features that are zero in a step")
    scale: float = setting(0.3, least=1e-3, most=1000, metavar="S", help="of the inputs, in units of their standard deviation")
    epochs: int = setting(12, least=1, most=1000, metavar="E", help="at most")
    batch_size: int = setting(128, least=1, most=100_000, unit="pairs", metavar="PAIRS", help="in a step")
    learning_rate: float = setting(1e-3, least=1e-7, most=1, metavar="RATE", help="at its highest, of a cosine schedule")
    projection_rate: float = setting(
        2.0, least=0, most=10, metavar="TIMES", help="learning rate of the projections, as a multiple of the other"
    )
    weight_decay: float = setting(0.01, least=0, most=10, metavar="RATE", help="of AdamW")
    label_smoothing: float = setting(0.1, least=0, most=0.9, metavar="SHARE", help="of a label that is spread over all")
    validation_share: float = setting(
        0.2, least=0.02, most=0.8, metavar="SHARE", help="of every file, half to choose the epoch and half to report on"
    )
    refit: bool = setting(True, help="train the saved head once more on all pairs, with the part set aside")
    seed: int = setting(0, least=0, most=2**32 - 1, metavar="SEED", help="of everything random")
