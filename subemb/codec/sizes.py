"""What a compressed table costs, counted honestly.

The paper counts floats only: codebook parameters against V x D. The codes also have to be kept: f integers of
ceil(log2 Q) bits for every token. Both measures are here, for every method, with everything the method stores.
"""

from dataclasses import dataclass

from ..base.text import percents_text

FLOAT_BYTES = 4  # the original is counted in float32, whatever the checkpoint's own type, and so is what has no bits of its own


def code_bits_each(codebook_size: int) -> int:
    """Bits of one code out of Q: ceil(log2 Q).

    >>> [code_bits_each(q) for q in (1, 2, 32, 33, 256)]
    [0, 1, 5, 6, 8]
    """
    return (codebook_size - 1).bit_length()


@dataclass(frozen=True)
class Size:
    """Everything one compressed table stores."""

    vocabulary: int  # V of the original table
    dim: int  # D
    codebook_parameters: int  # numbers in the codebooks: Q x D; Q x D x f where codewords are added up
    other_parameters: int = 0  # floats besides codebooks: rotation, low-rank factors, means, scales
    code_bits: int = 0  # packed integers: V x f x ceil(log2 Q), 0 for codes that are computed from the id; or rounded numbers
    model_parameters: int | None = None  # floats of the whole model, original table included, if known
    codebook_bytes: int | None = None  # of the codebooks' numbers, with the scales of those in 8 or 16 bits; 4 each if not said

    def __post_init__(self):
        if self.codebook_bytes is None:
            object.__setattr__(self, "codebook_bytes", self.codebook_parameters * FLOAT_BYTES)

    @property
    def bits_of_codebooks(self) -> str:
        """How many bits the numbers of codebooks take each, in words, scales not counted: ``8 bits each``."""
        return f"{8 * self.codebook_bytes / max(1, self.codebook_parameters):.2g} bits each"

    @property
    def original_parameters(self) -> int:
        """V x D."""
        return self.vocabulary * self.dim

    @property
    def original_bytes(self) -> int:
        """V x D x 4: the table in float32."""
        return self.original_parameters * FLOAT_BYTES

    @property
    def parameters(self) -> int:
        """All floats stored."""
        return self.codebook_parameters + self.other_parameters

    @property
    def code_bytes(self) -> int:
        """Packed integers, in whole bytes."""
        return -(-self.code_bits // 8)

    @property
    def other_bytes(self) -> int:
        """Floats besides codebooks, in bytes."""
        return self.other_parameters * FLOAT_BYTES

    @property
    def float_bytes(self) -> int:
        """All numbers stored that are no codes, in bytes."""
        return self.codebook_bytes + self.other_bytes

    @property
    def total_bytes(self) -> int:
        """Floats and packed integers together."""
        return self.float_bytes + self.code_bytes

    @property
    def parameter_share(self) -> float:
        """The paper's measure: floats stored, in however many bits, over V x D."""
        return self.parameters / self.original_parameters

    @property
    def total_share(self) -> float:
        """The honest measure: all bytes stored over the bytes of the table."""
        return self.total_bytes / self.original_bytes

    @property
    def fewer_texts(self) -> tuple[str, str]:
        """How many fewer floats, and how many fewer bytes, in per cent with equal decimals: ``('99.895 %', '99.852 %')``."""
        floats, whole = percents_text(1 - self.parameter_share, 1 - self.total_share)
        return floats, whole

    @property
    def original_share_of_model(self) -> float | None:
        """Share of the whole model's bytes that the original table takes."""
        if self.model_parameters is None:
            return None
        return self.original_parameters / self.model_parameters

    @property
    def model_bytes(self) -> int | None:
        """The whole model in float32, with the original table."""
        return None if self.model_parameters is None else self.model_parameters * FLOAT_BYTES

    @property
    def compressed_model_bytes(self) -> int | None:
        """The whole model in float32, with the compressed table."""
        return None if self.model_bytes is None else self.model_bytes - self.original_bytes + self.total_bytes

    @property
    def share_of_model(self) -> float | None:
        """Share of the compressed model's bytes that the compressed table takes."""
        return None if self.compressed_model_bytes is None else self.total_bytes / self.compressed_model_bytes
