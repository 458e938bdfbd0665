"""Jobs about masked words: a mask filled by every side, and the pseudo-perplexity of a text."""

from ..base.progress import ProgressCallback, part_of, report
from ..evaluate.masked.fill import Filled, fill
from ..evaluate.masked.network import MaskedSides
from ..evaluate.masked.perplexity import DEFAULT_TOKENS, PseudoPerplexity
from ..evaluate.masked.perplexity import pseudo_perplexity as score
from .recent import Recent
from .sides import Subject, open_sides

FILL = "subemb.tasks.masked:fill_mask"
SCORE = "subemb.tasks.masked:pseudo_perplexity"
KEPT = 4  # sides with their heads that a worker keeps, all of one model: they share its weights

_prepared = Recent(KEPT)


def masked_sides(subject: Subject, input: bool, output: bool, progress: ProgressCallback | None = None) -> MaskedSides:
    """The sides of a subject with their masked-word heads; kept in the process for the next job.

    Raises ModelError if the model has no such head, InputError as :func:`open_sides` and MaskedSides do.
    """
    sides = open_sides(subject, progress)
    report(progress, "reading the masked-word head", 0.5)
    model = next(iter(sides.values()))
    for key in [key for key, kept in _prepared.items() if kept.model is not model]:
        del _prepared[key]
    return _prepared.take((subject.content, input, output), lambda: MaskedSides(sides, input, output))


def fill_mask(
    subject: Subject,
    sentence: str,
    word: int | None = None,
    input: bool = True,
    output: bool = True,
    k: int = 10,
    progress: ProgressCallback | None = None,
) -> Filled:
    """What every side puts in the place of a sentence's masks; see :func:`subemb.evaluate.masked.fill.fill`."""
    sides = masked_sides(subject, input, output, part_of(progress, 0.0, 0.7))
    return fill(sides, sentence, k=k, word=word, progress=part_of(progress, 0.7, 1.0))


def pseudo_perplexity(
    subject: Subject,
    text: str,
    input: bool = True,
    output: bool = True,
    most_tokens: int = DEFAULT_TOKENS,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> PseudoPerplexity:
    """The pseudo-perplexity of a text; see :func:`subemb.evaluate.masked.perplexity.pseudo_perplexity`."""
    sides = masked_sides(subject, input, output, part_of(progress, 0.0, 0.05))
    return score(sides, text, most_tokens=most_tokens, seed=seed, progress=part_of(progress, 0.05, 1.0))
