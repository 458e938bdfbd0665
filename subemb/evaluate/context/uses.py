"""Where a compressed table hurts: at the input, at the output that shares it, or at both; and what adapting it wins back."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...base.arguments import checked
from ...base.errors import InputError
from ...base.progress import ProgressCallback, part_of, report
from ...models.model import PretrainedModel
from .fill import Filled, FilledMask, fill
from .network import ContextSides, Use
from .perplexity import TextPerplexity, text_perplexity

ORIGINAL, INPUT, OUTPUT, BOTH, ADAPTED = "original", "input only", "output only", "both", "adapted"
TOKENS = 200  # of the text, which every one of up to five sides scores


@dataclass(frozen=True)
class TableUses:
    """The same sentence and text on the original, and with the input, the output, or both compressed, and adapted."""

    filled: Filled | None  # the gaps of the sentence, None without a sentence
    scored: TextPerplexity | None  # the text, None without one
    is_tied: bool  # whether the output shares the table; if not, only the input is compressed
    sentence: str = ""  # as it was given
    word: int | None = None  # that was asked for
    most_tokens: int = TOKENS  # of the text

    @property
    def sides(self) -> tuple[str, ...]:
        """Names of what was compared, ORIGINAL first."""
        return (self.filled or self.scored).sides

    @property
    def mask(self) -> FilledMask | None:
        """The first gap of the sentence."""
        return None if self.filled is None else self.filled.masks[0]

    @property
    def costs(self) -> dict[str, float]:
        """Side -> how much mean log probability of a token it loses, in nats; exp of it is the factor of the perplexity."""
        if self.scored is None:
            return {}
        return {side: self.scored.mean(ORIGINAL) - self.scored.mean(side) for side in self.sides}


def sides_of_uses(model: PretrainedModel, compressed: PretrainedModel, adapted: PretrainedModel | None = None) -> ContextSides:
    """The sides of the comparison: those that the model can have. Raises InputError, ModelError as ContextSides does."""
    found = {ORIGINAL: Use(model), BOTH: Use(compressed)}
    if ContextSides(found).tables[1].head == "compressed":
        found = {
            ORIGINAL: Use(model),
            INPUT: Use(compressed, True, False),
            OUTPUT: Use(compressed, False, True),
            BOTH: Use(compressed),
        }
    else:
        found = {ORIGINAL: Use(model), INPUT: Use(compressed, True, False)}
    return ContextSides(found | ({} if adapted is None else {ADAPTED: Use(adapted)}))


@checked
def compare_uses(
    sides: Mapping[str, PretrainedModel] | ContextSides,
    sentence: str = "",
    text: str = "",
    word: int | None = None,
    most_tokens: int = TOKENS,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> TableUses:
    """Fill a sentence, score a text, or both, with every use of the table compressed on its own.

    sides: what :func:`sides_of_uses` gives; or the original, a compressed and perhaps an adapted side, in this order.
    Raises InputError without sentence and text, and as :func:`~.fill.fill` and :func:`~.perplexity.text_perplexity` do; Cancelled.
    """
    if not sentence.strip() and not text.strip():
        raise InputError("there is neither a sentence nor a text; give one")
    report(progress, "reading the model", 0.0)
    if not isinstance(sides, ContextSides):
        models = list(sides.values())
        if len(models) < 2:
            raise InputError("there is no compressed table to compare; compress the model first")
        sides = sides_of_uses(*models[:3])
    filled = fill(sides, sentence, word=word, progress=part_of(progress, 0.05, 0.2)) if sentence.strip() else None
    scored = None
    if text.strip():
        scored = text_perplexity(sides, text, most_tokens=most_tokens, seed=seed, progress=part_of(progress, 0.2, 1.0))
    return TableUses(filled, scored, OUTPUT in sides.names, sentence, word, most_tokens)
