"""Results of every method with random content, made without running the method: for tests of what comes after it."""

import torch
from hypothesis import strategies as st

from subemb.codec.compressed import Compressed, SubspaceCompressed
from subemb.codec.methods import METHODS
from subemb.codec.methods.arbitrary import arbitrary_codes
from subemb.codec.settings import CompressionSettings
from subemb.codec.subspaces import subspace_widths

BASELINE_FUNCTIONS = {key: method.fit for key, method in METHODS.items() if method.is_baseline}


def made_result(
    method: str,
    vocabulary: int = 50,
    dim: int = 12,
    subspaces: int = 3,
    codebook_size: int | None = None,
    seed: int = 0,
    **more,
) -> Compressed:
    """A consistent result of a method, not a good one. Baselines are real, of a random table."""
    settings = CompressionSettings(method, subspaces, codebook_size, seed=seed, **more).resolve(vocabulary, dim)
    generator = torch.Generator().manual_seed(seed)
    if METHODS[method].is_baseline:
        return BASELINE_FUNCTIONS[method](torch.randn(vocabulary, dim, generator=generator), settings)
    size = settings.codebook_size
    widths = [dim] * subspaces if method == "residual" else subspace_widths(dim, subspaces)
    codes = torch.randint(size, (vocabulary, subspaces), generator=generator)
    if method == "arbitrary":
        codes = arbitrary_codes(vocabulary, subspaces, size)
    rotation = None
    if method == "optimized_product":
        rotation = torch.linalg.qr(torch.randn(dim, dim, generator=generator))[0].contiguous()
    return SubspaceCompressed(
        settings,
        vocabulary,
        dim,
        codes.to(torch.uint8 if size <= 256 else torch.int32),
        [torch.randn(size, width, generator=generator) for width in widths],
        rotation,
        history=[{"iteration": 1, "error": 0.1 + 0.2, "per_subspace": [1 / 3] * subspaces}],
        info={"seconds": 0.7, "error": 1e-17},
    )


@st.composite
def any_results(draw, methods=tuple(METHODS)) -> Compressed:
    """Results of any method and small sizes, with Q on both sides of 256."""
    method = draw(st.sampled_from(methods))
    vocabulary, dim = draw(st.integers(2, 400)), draw(st.integers(1, 70))
    subspaces = draw(st.integers(1, min(dim, 6)))
    size, rank = draw(st.integers(1, vocabulary)), draw(st.integers(1, min(vocabulary, dim)))
    if method == "arbitrary":  # needs a tuple for every token
        size = None
    return made_result(method, vocabulary, dim, subspaces, size, seed=draw(st.integers(0, 3)), rank=rank)
