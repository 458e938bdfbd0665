"""The compressed tables on a page: that of the run, or of its adaptation, alone or beside another one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...base.text import escape_markdown
from ...codec.compressed import Compressed
from ...runs import Run, reconstruction_of
from ...tasks.sides import ADAPTED, COMPRESSED, RUN_A, RUN_B, Subject, compressed_side

if TYPE_CHECKING:
    import torch

__all__ = ["ADAPTED", "COMPRESSED", "RUN_A", "RUN_B", "Side"]


@dataclass(frozen=True)
class Side:
    """One compressed table on a page."""

    name: str  # COMPRESSED where it stands alone beside the original, else RUN_A or RUN_B; or ADAPTED
    run: Run  # of an adaptation the run that it began with
    subject: Subject  # for jobs about this table

    @property
    def key(self) -> str:
        """What the table follows from."""
        return self.subject.adapted_key or self.run.key

    @property
    def words(self) -> str:
        """Its settings, in markdown."""
        settings = escape_markdown(self.run.settings.in_words)
        return f"adapted, {settings}" if self.subject.adapted_key else settings

    @property
    def compressed(self) -> Compressed:
        """Codes and codebooks; shared, not to be changed. Raises InputError if they are gone."""
        return compressed_side(self.subject)

    @property
    def reconstruction(self) -> "torch.Tensor":
        """The whole table (V, D) float32; shared, not to be changed. Raises InputError if it is gone."""
        return self.compressed.reconstruct() if self.subject.adapted_key else reconstruction_of(self.run.key)
