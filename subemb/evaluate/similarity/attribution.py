"""Which tokens of two sentences moved their cosine when the token table was compressed, and which blocks of their embeddings.

With the original model, the cosine of two sentences is a function of the embeddings of their tokens. Compression replaces the
embedding of every token by its reconstruction; the difference is the token's displacement.

- Effect of a position: the cosine with only that position's embedding replaced, minus the original cosine. Exact, by encoding the
  sentence once more for each position. Effects of several positions need not add up to their effect together.
- Effect of a block (a subspace) of a position: the same with only those axes of the displacement.
- For long sentences: integrated gradients (Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", ICML 2017) along
  the straight line from the original embeddings to the reconstructed ones, all positions of both sentences together. The parts
  add up to the whole change (completeness), up to the error of the numerical integral, which is reported as the gap.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...base.errors import InputError
from ...base.progress import ProgressCallback, part_of, report
from ..blocks import Blocks
from ..effects import Attribution, AttributionSettings, Integral, SentenceEffects, cosines
from ..given_embeddings import GivenEncoder, embed, encode_variants
from ..integrated import integrated_gradients

if TYPE_CHECKING:
    from ...models.model import PretrainedModel


def attribute(
    reference: "PretrainedModel",
    other: "PretrainedModel",
    first: Sequence[int],
    second: Sequence[int],
    settings: AttributionSettings | None = None,
    progress: ProgressCallback | None = None,
) -> Attribution:
    """Effects of the tokens of two sentences, given by their ids (special tokens included), on their cosine.

    reference: the original model, which encodes. other: whose table replaces its embeddings; nothing else of it is used.
    Raises InputError for a sentence without tokens, ModelError if there is no network, Cancelled.
    """
    settings = settings or AttributionSettings()
    for ids, name in ((first, "first"), (second, "second")):
        if not len(ids):
            raise InputError(f"the {name} sentence has no tokens; write something that the model can read")
    compressed = getattr(other, "compressed", None)
    blocks = Blocks.of(compressed, reference.dim)
    sentences = [_Sentence(reference, other, list(ids), blocks) for ids in (first, second)]
    encoder = GivenEncoder(reference)

    positions = sum(len(sentence.ids) for sentence in sentences)
    tokens_exact = max(len(sentence.ids) for sentence in sentences) <= settings.exact_tokens
    blocks_exact = tokens_exact and positions * len(blocks) <= settings.exact_swaps
    together_exact = tokens_exact and len(sentences) * len(blocks) <= settings.exact_swaps
    integral, gradients = None, None
    share = 1.0 if blocks_exact else 0.3
    encoded = []
    for number, sentence in enumerate(sentences):
        variants = sentence.variants(tokens_exact, together_exact, blocks_exact)
        part = part_of(progress, share * number / 2, share * (number + 1) / 2)
        encoded.append(sentence.encode(encoder, variants, part))
    if not blocks_exact:
        given = [(sentence.ids, sentence.original, sentence.displacement) for sentence in sentences]
        integral, gradients = integrated_gradients(encoder, *given, progress=part_of(progress, share, 1.0))
    report(progress, "swapping tokens", 1.0)
    return _assembled(sentences, encoded, blocks, integral, gradients, (tokens_exact, together_exact, blocks_exact))


class _Sentence:
    """One sentence as the network reads it: (n, D) original embeddings and displacements, and variants of them."""

    def __init__(self, reference: "PretrainedModel", other: "PretrainedModel", ids: list[int], blocks: Blocks):
        self.ids, self.cut = ids, blocks
        self.original = embed(reference, ids)
        self.displacement = embed(other, ids) - self.original
        self.turned = blocks.turned(self.displacement)

    def variants(self, tokens: bool, together: bool, blocks: bool) -> torch.Tensor:
        """Which blocks of which positions are replaced, (m, n, b) bool: none; all; each position; each block; each of both."""
        n, b = len(self.ids), len(self.cut)
        chosen = [torch.zeros(1, n, b, dtype=torch.bool), torch.ones(1, n, b, dtype=torch.bool)]
        if tokens:
            chosen.append(torch.eye(n, dtype=torch.bool)[:, :, None].expand(n, n, b))
        if together:
            chosen.append(torch.eye(b, dtype=torch.bool)[:, None, :].expand(b, n, b))
        if blocks:
            chosen.append(torch.eye(n * b, dtype=torch.bool).view(n * b, n, b))
        return torch.cat(chosen)

    def encode(self, encoder: GivenEncoder, variants: torch.Tensor, progress: ProgressCallback | None) -> np.ndarray:
        """(m, width) sentence vectors of the variants."""

        def make(start: int, end: int) -> torch.Tensor:
            return self.original + self.cut.keep(self.turned, variants[start:end])

        return encode_variants(encoder, self.ids, len(variants), make, progress, "swapping tokens")

    def moved(self) -> np.ndarray:
        """(n,) relative length of the displacements."""
        return (self.displacement.norm(dim=1) / self.original.norm(dim=1).clamp(min=1e-12)).double().numpy()


def _assembled(
    sentences: list[_Sentence],
    encoded: list[np.ndarray],
    blocks: Blocks,
    integral: Integral | None,
    gradients: list[torch.Tensor] | None,
    exact: tuple[bool, bool, bool],
) -> Attribution:
    """Cosines of the encoded variants, in the order of :meth:`_Sentence.variants`, as effects."""
    tokens_exact, together_exact, blocks_exact = exact
    first, second = encoded
    before, after = (float(cosines(first[i], second[i])) for i in (0, 1))
    effects = []
    for number, sentence in enumerate(sentences):
        n, b = len(sentence.ids), len(blocks)
        alone = cosines(encoded[number], encoded[1 - number][0]) - before
        parts = None
        if gradients is not None:
            products = blocks.turned(gradients[number]) * sentence.turned.double()
            parts = blocks.sums(products).numpy()
        per_token = alone[2 : 2 + n] if tokens_exact else parts.sum(1)
        start = 2 + n
        per_block = alone[start : start + b] if together_exact else parts.sum(0)
        start += b if together_exact else 0
        each = alone[start : start + n * b].reshape(n, b) if blocks_exact else parts
        effects.append(SentenceEffects(np.array(sentence.ids), float(alone[1]), per_token, each, per_block, sentence.moved()))
    if together_exact:
        starts = [2 + len(sentence.ids) for sentence in sentences]
        chosen = [part[start : start + len(blocks)] for part, start in zip(encoded, starts, strict=True)]
        per_block = cosines(*chosen) - before
    else:
        per_block = effects[0].per_block + effects[1].per_block
    return Attribution(
        before, after, *effects, per_block, blocks.widths, blocks.kind, blocks.rotation is not None,
        tokens_exact, blocks_exact, together_exact, integral,
    )  # fmt: skip
