"""A table in chunks of rows, so that memory stays bounded whatever its length."""

from collections.abc import Iterator

import torch

CHUNK_ROWS = 8192


def row_slices(vocabulary: int) -> Iterator[tuple[slice, float]]:
    """Slices of ids that cover 0..V-1 in order, each with the share of all rows that is done after it."""
    for start in range(0, vocabulary, CHUNK_ROWS):
        end = start + CHUNK_ROWS
        yield slice(start, min(end, vocabulary)), min(1.0, end / vocabulary)


def rebuilt_rows(compressed, device: torch.device) -> Iterator[tuple[slice, torch.Tensor]]:
    """Every reconstructed row of a Compressed, in order: pairs of a slice of ids and the (n, D) rows there."""
    for part, _ in row_slices(compressed.num_embeddings):
        yield part, compressed.lookup(torch.arange(part.start, part.stop, device=device))


class ChunkedProduct(torch.autograd.Function):
    """hidden @ reconstruction.T, a chunk of rows at a time; autograd by itself would keep every chunk for the way back."""

    @staticmethod
    def forward(ctx, hidden: torch.Tensor, compressed) -> torch.Tensor:
        ctx.compressed = compressed
        return torch.cat([hidden @ rows.to(hidden).T for _, rows in rebuilt_rows(compressed, hidden.device)], dim=1)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        pieces = (gradient[:, part] @ rows.to(gradient) for part, rows in rebuilt_rows(ctx.compressed, gradient.device))
        return sum(pieces), None
