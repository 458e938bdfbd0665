"""The compression methods, one file each."""

from .base import Method

DEFAULT_METHOD = "cluster"

METHODS: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "cluster",
            "Cluster (unique)",
            "k-means decides the codes, then tuples are made distinct with the least added error (the paper's Algorithm 2).",
            can_be_unique=True,
            is_unique=True,
        ),
        Method(
            "arbitrary",
            "Arbitrary",
            "The digits of the token id in base Q are the codes: distinct for free, blind to meaning (Algorithm 1).",
            is_iterative=False,
            is_unique=True,
        ),
        Method(
            "random",
            "Random",
            "Arbitrary codes dealt out in a seeded random order: the control for arbitrary.",
            is_iterative=False,
            is_unique=True,
        ),
        Method(
            "product",
            "Product quantization",
            "k-means in every subspace on its own; tokens may collide unless unique tuples are asked for.",
            can_be_unique=True,
        ),
        Method(
            "optimized_product",
            "Optimized PQ",
            "Product quantization after a learned rotation of the axes.",
            can_be_unique=True,
        ),
        Method("residual", "Residual", "Each stage quantizes what the stages before left over; codewords are added up."),
        Method(
            "low_rank",
            "Low rank (SVD)",
            "The table as a product of two thin matrices about its mean.",
            uses_codebooks=False,
            is_iterative=False,
            is_baseline=True,
        ),
        Method(
            "int8",
            "int8",
            "Every number rounded to 8 bits, one scale a row.",
            uses_codebooks=False,
            is_iterative=False,
            is_baseline=True,
        ),
        Method(
            "int4",
            "int4",
            "Every number rounded to 4 bits, one scale for each group of 32.",
            uses_codebooks=False,
            is_iterative=False,
            is_baseline=True,
        ),
    )
}
