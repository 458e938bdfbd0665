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

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import nn

from ...base.errors import InputError, ModelError
from ...base.progress import ProgressCallback, part_of, report
from ...codec.compressed import Compressed, SubspaceCompressed
from ...codec.subspaces import subspace_widths
from ...models.model import PretrainedModel
from ...models.reading import groups
from ...models.sentences import checked_rows
from .effects import RUNS_OF_AXES, Attribution, AttributionSettings, Integral, SentenceEffects, cosines

STEPS = (12, 36)  # points of the integral; the second number is tried if the first leaves too large a gap
LARGEST_GAP = 0.01  # as a share of the change
SMALLEST_GAP = 1e-4  # in cosine; smaller gaps are always accepted

#: (n,) token ids, (n, D) original embeddings, (n, D) displacements.
Sentence = tuple[Sequence[int], torch.Tensor, torch.Tensor]


@dataclass(frozen=True, eq=False)
class AxisBlocks:
    """How D axes are divided into b blocks."""

    widths: tuple[int, ...]  # number of axes of each of the b blocks, in order
    kind: str = "subspace"  # what a block is called: ``subspace`` or ``run of axes``
    rotation: torch.Tensor | None = None  # (D, D) orthogonal R: blocks are runs of the axes of ``vector @ R`` (optimized PQ)

    @classmethod
    def of(cls, compressed: Compressed | None, dim: int) -> "AxisBlocks":
        """The blocks of a compressed table: its subspaces, or runs of axes for residual, the baselines and None."""
        if isinstance(compressed, SubspaceCompressed) and not compressed.is_additive:
            return cls(tuple(compressed.widths), "subspace", compressed.rotation)
        return cls(tuple(subspace_widths(dim, min(RUNS_OF_AXES, dim))), "run of axes")

    def __len__(self) -> int:
        return len(self.widths)

    @property
    def axes(self) -> list[tuple[int, int]]:
        """First and last axis of every block."""
        ends = list(accumulate(self.widths))
        return [(end - width, end - 1) for end, width in zip(ends, self.widths, strict=True)]

    def turned(self, vectors: torch.Tensor) -> torch.Tensor:
        """(..., D) vectors, rotated so that every block is a run of axes."""
        return vectors if self.rotation is None else vectors @ self.rotation.to(vectors)

    def keep(self, turned: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Keep the chosen blocks (..., b) bool of :meth:`turned` displacements (..., D), with zeros elsewhere.

        Returns (..., D) in the model's own axes.
        """
        axes = chosen.repeat_interleave(torch.tensor(self.widths), dim=-1)
        kept = turned * axes
        return kept if self.rotation is None else kept @ self.rotation.to(kept).T

    def sums(self, products: torch.Tensor) -> torch.Tensor:
        """(..., D) numbers per axis added up by block: (..., b)."""
        # naive: for i, (first, last) in enumerate(axes): out[..., i] = products[..., first : last + 1].sum(-1)
        return torch.stack([part.sum(-1) for part in products.split(list(self.widths), dim=-1)], dim=-1)


class GivenEncoder:
    """Computes a model's sentence vectors from given embeddings instead of token ids. The model itself is not changed."""

    def __init__(self, model: PretrainedModel):
        self._given = GivenEmbeddings(model.network().get_input_embeddings())
        self._model = model.with_embeddings(self._given)

    def __call__(self, ids: Sequence[int], vectors: torch.Tensor) -> torch.Tensor:
        """(m, width) sentence vectors of one sentence with m different sets of embeddings (m, n, D), each as it is read alone.

        ids: (n,) the sentence's tokens. vectors: as the input table gives them out, including its output scale.
        """
        # Equally long rows go together, unless this network reads every sentence one by one.
        lengths = [len(ids)] * len(vectors)
        parts = groups(self._model.habits(lengths=lengths), lengths)
        try:
            found = []
            for part in parts:
                self._given.vectors = vectors[part]
                found.append(self._model.encode_ids_tensor([list(ids)] * len(part)))
            return torch.cat(found)
        finally:
            self._given.vectors = None


def integrated_gradients(
    encoder: GivenEncoder, first: Sentence, second: Sentence, progress: ProgressCallback | None = None
) -> tuple[Integral, list[torch.Tensor]]:
    """Integrate the cosine's gradients from the original embeddings straight to the displaced ones, all positions together.

    first, second: (n,) ids, (n, D) original embeddings, (n, D) displacements.
    Returns the integral, and for each sentence the mean gradient along the line, (n, D) float64; its products with the
    displacements are the attributions. Raises Cancelled.
    """
    start = 0.0
    for steps in STEPS:
        end = start + steps / sum(STEPS)
        result, gradients = _integral(encoder, (first, second), steps, part_of(progress, start, end))
        start = end
        if abs(result.gap) <= max(SMALLEST_GAP, LARGEST_GAP * abs(result.change)):
            break
    return result, gradients


def _integral(
    encoder: GivenEncoder, sentences: tuple[Sentence, Sentence], steps: int, progress: ProgressCallback | None
) -> tuple[Integral, list[torch.Tensor]]:
    points, weights = np.polynomial.legendre.leggauss(steps)  # on -1..1; Gauss-Legendre needs few points for a smooth function
    points = torch.tensor(np.concatenate([[0.0], (points + 1) / 2, [1.0]]), dtype=torch.float32)
    weights = torch.tensor(np.concatenate([[0.0], weights / 2, [0.0]]))  # the two ends only give the true change
    gradients = [torch.zeros_like(original, dtype=torch.float64) for _, original, _ in sentences]
    ends = []
    at_once = max(1, rows_at_once(sum(len(ids) for ids, _, _ in sentences)))
    for start in range(0, len(points), at_once):
        report(progress, f"integrated gradients at {steps} points", start / len(points))
        part = slice(start, start + at_once)
        values, found = _gradients(encoder, sentences, points[part], weights[part])
        ends.append(values)
        for total, gradient in zip(gradients, found, strict=True):
            total += gradient.double()
    values = torch.cat(ends)
    total = sum(
        float((gradient * displacement.double()).sum())
        for gradient, (_, _, displacement) in zip(gradients, sentences, strict=True)
    )
    return Integral(total, float(values[-1] - values[0]), steps), gradients


def _gradients(
    encoder: GivenEncoder, sentences: tuple[Sentence, Sentence], points: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Cosines (m,) at m points of the line, and for each sentence the weighted sum (n, D) of the gradients there."""
    with torch.enable_grad():
        given, vectors = [], []
        for ids, original, displacement in sentences:
            rows = (original + points[:, None, None] * displacement).requires_grad_(True)
            given.append(rows)
            vectors.append(encoder(ids, rows).double())
        values = torch.nn.functional.cosine_similarity(*vectors, dim=-1, eps=1e-12)
        # Not backward(): that would leave gradients on the weights, which everybody shares.
        found = torch.autograd.grad((values * weights).sum(), given)
    return values.detach(), [gradient.sum(0) for gradient in found]


TOKENS_AT_ONCE = 2048  # positions in one batch: a dozen layers then need a few hundred MB with gradients


class GivenEmbeddings(nn.Module):
    """Stands in for the input table and returns ``vectors`` (m, n, D) whatever ids it is asked for.

    Raises ModelError (``unsupported``) if the network asks for another number of rows or positions.
    """

    def __init__(self, table: nn.Module):
        super().__init__()
        self.table = table
        self.vectors: torch.Tensor | None = None

    @property
    def weight(self) -> torch.Tensor:
        """The weight of the table that it stands for; some networks ask its type."""
        return self.table.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        if self.vectors is None or ids.shape != self.vectors.shape[:-1]:
            raise ModelError("this network does not look its tokens up one by one, so they cannot be swapped", "unsupported")
        return self.vectors.clone()  # some networks scale what they are given in place


def rows_at_once(length: int) -> int:
    """How many sentences of ``length`` tokens go into one batch."""
    return max(1, TOKENS_AT_ONCE // max(1, length))


def embed(model: PretrainedModel, ids: Sequence[int]) -> torch.Tensor:
    """What a model's input table gives for (n,) ids: (n, D) float32."""
    with torch.no_grad():
        return model.network().get_input_embeddings()(torch.tensor([list(ids)]))[0].float()


def encode_variants(
    encoder: GivenEncoder, ids: Sequence[int], count: int, make, progress: ProgressCallback | None = None, what: str = ""
) -> np.ndarray:
    """Sentence vectors (count, width) float64 of ``count`` variants; ``make(start, end)`` gives their embeddings (m, n, D)."""
    parts = []
    step = rows_at_once(len(ids))
    for start in range(0, count, step):
        report(progress, what, start / count)
        with torch.inference_mode():
            parts.append(encoder(ids, make(start, min(count, start + step))).double().numpy())
    return np.concatenate(parts)


def attribute(
    reference: PretrainedModel,
    other: PretrainedModel,
    first: Sequence[int],
    second: Sequence[int],
    settings: AttributionSettings | None = None,
    progress: ProgressCallback | None = None,
) -> Attribution:
    """Effects of the tokens of two sentences, given by their ids (special tokens included), on their cosine.

    reference: the original model, which encodes. other: the model whose table gives the replacements; only that
    table is used.
    Raises InputError for a sentence without tokens, ModelError if there is no network, Cancelled.
    """
    settings = settings or AttributionSettings()
    for ids, name in ((first, "first"), (second, "second")):
        if not len(ids):
            raise InputError(f"the {name} sentence has no tokens; write something that the model can read")
    tokens = getattr(reference.network().get_input_embeddings(), "num_embeddings", sys.maxsize)
    first, second = checked_rows([first, second], tokens)
    blocks = AxisBlocks.of(other.compressed, reference.dim)
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

    def __init__(self, reference: PretrainedModel, other: PretrainedModel, ids: list[int], blocks: AxisBlocks):
        self.ids, self.cut = ids, blocks
        self.original = embed(reference, ids)
        self.displacement = embed(other, ids) - self.original
        self.turned = blocks.turned(self.displacement)

    def variants(self, tokens: bool, together: bool, blocks: bool) -> torch.Tensor:
        """Which blocks of which positions are replaced in each of m variants, (m, n, b) bool.

        In this order: nothing; everything; then, where asked for, each position; each block; each block of each position.
        """
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
        """(n,) length of each displacement over that of the original embedding."""
        return (self.displacement.norm(dim=1) / self.original.norm(dim=1).clamp(min=1e-12)).double().numpy()


def _assembled(
    sentences: list[_Sentence],
    encoded: list[np.ndarray],
    blocks: AxisBlocks,
    integral: Integral | None,
    gradients: list[torch.Tensor] | None,
    exact: tuple[bool, bool, bool],
) -> Attribution:
    """Turn the encoded variants, in the order of :meth:`_Sentence.variants`, into effects on the cosine."""
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
