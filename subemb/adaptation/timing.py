"""How long an adaptation of so many steps will take, told before it is run. Rough: it tells minutes from hours.

Counted are the multiplications of the network, at a speed measured with all-MiniLM-L6-v2 (two threads of ordinary server cores,
where it varied between 0.1 and 0.17 teraflops), and the search for codes as so many compressions. A faster or a busy machine makes it
wrong by a factor of two.
"""

from typing import TYPE_CHECKING

from ..analysis.timing import estimate_seconds as compression_seconds
from .settings import AdaptationSettings

if TYPE_CHECKING:
    from ..codec.settings import CompressionSettings
    from ..models.load import PretrainedModel

FLOPS = 1.3e11  # a second
TOKENS = 16  # of a sentence
COMPRESSIONS = 4  # that choosing codes together takes as long as
#: Multiplications and additions for every weight and token: to read, and to pass a gradient back, to the embeddings or the weights.
_READ, _BACK, _WEIGHTS = 2, 2, 2


def steps_seconds(settings: AdaptationSettings, model: "PretrainedModel", compression: "CompressionSettings") -> float:
    """Seconds that ``settings.steps`` steps take on two cores, roughly, with the search for codes.

    compression: how the table was compressed, resolved.
    """
    from .objectives import distilled_head
    from .sensitivity import ROUNDS, ROWS

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
