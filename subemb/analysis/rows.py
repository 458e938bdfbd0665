"""Reading a table and its reconstruction piece by piece, whatever they come as."""

from collections.abc import Iterator

import numpy as np
import torch

from ..base.errors import InputError
from ..codec.compressed import Compressed
from ..models.load import opened
from ..models.model import PretrainedModel

CHUNK_FLOATS = 2**22  # 16 MB a piece


def as_table(value: torch.Tensor | np.ndarray | PretrainedModel | str, name: str = "table") -> torch.Tensor:
    """A (V, D) float32 tensor on the CPU, without a copy where that is possible; of a model, or of a model's name, its table.

    Raises InputError for other shapes, ModelError for a model that cannot be opened.
    """
    value = opened(value)
    value = value.table if isinstance(value, PretrainedModel) else value
    if isinstance(value, np.ndarray):
        # torch warns about read-only memory, and takes no reversed or byte-swapped arrays
        value = torch.from_numpy(np.require(value, value.dtype.newbyteorder("="), ["C", "W"]))
    if not isinstance(value, torch.Tensor) or value.ndim != 2 or 0 in value.shape:
        shape = tuple(getattr(value, "shape", ())) or type(value).__name__
        raise InputError(f"the {name} must be a matrix of tokens x dimensions, not {shape}")
    return value.detach().to("cpu", torch.float32)


class Rows:
    """Rows of a reconstruction, from a Compressed (rebuilt piece by piece) or a (V, D) matrix.

    Raises InputError if its shape is not that of the table.
    """

    def __init__(self, source: Compressed | torch.Tensor | np.ndarray, shape: tuple[int, int]):
        self.compressed = source if isinstance(source, Compressed) else None
        self._matrix = None if self.compressed is not None else as_table(source, "reconstruction")
        found = (
            (self.compressed.num_embeddings, self.compressed.embedding_dim)
            if self.compressed is not None
            else tuple(self._matrix.shape)
        )
        if found != tuple(shape):
            raise InputError(
                f"the reconstruction is {found[0]} x {found[1]} but the table is {shape[0]} x {shape[1]}; "
                "compare a table with its own reconstruction"
            )

    def take(self, start: int, end: int) -> torch.Tensor:
        """Rows start..end-1, (n, D) float32."""
        if self.compressed is None:
            return self._matrix[start:end]
        with torch.no_grad():
            return self.compressed.lookup(torch.arange(start, end)).to("cpu", torch.float32)

    def all(self) -> torch.Tensor:
        """All rows, (V, D) float32."""
        if self.compressed is None:
            return self._matrix
        with torch.no_grad():
            return self.compressed.reconstruct().to("cpu", torch.float32)


def pieces(rows: int, width: int, floats: int = CHUNK_FLOATS) -> Iterator[tuple[int, int]]:
    """(start, end) of pieces of ``rows`` rows, each of about ``floats`` numbers when a row has ``width``."""
    step = max(1, floats // max(1, width))
    for start in range(0, rows, step):
        yield start, min(rows, start + step)
