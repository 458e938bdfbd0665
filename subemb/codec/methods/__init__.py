"""The compression methods, one file each; what they have in common is in base and codebooks.

Reading order: base; arbitrary, codebooks, product, cluster, optimized_product, residual; tiers, tiered, trim; low_rank, integers.
"""

from .arbitrary import Arbitrary, Random
from .base import Method
from .cluster import Cluster
from .integers import Int4, Int8
from .low_rank import LowRank
from .optimized_product import OptimizedProduct
from .product import Product
from .residual import Residual
from .tiered import Tiered
from .trim import Trim

#: Every method by its key, in the order in which they are offered.
METHODS: dict[str, Method] = {
    method.key: method
    for method in (
        Cluster(),
        Arbitrary(),
        Random(),
        Product(),
        OptimizedProduct(),
        Residual(),
        Tiered(),
        Trim(),
        LowRank(),
        Int8(),
        Int4(),
    )
}
DEFAULT_METHOD = Cluster.key


def plain_method(is_additive: bool, is_rotated: bool) -> str:
    """Key of the method whose results have such a form and promise nothing else: for codebooks that came from somewhere else."""
    return next(
        method.key
        for method in METHODS.values()
        if method.stores_codes
        and not method.is_unique
        and method.is_additive == is_additive
        and (is_additive or method.is_rotated == is_rotated)
    )


def with_budget() -> str:
    """Key of the method that chooses what to do at a given number of bytes."""
    return Tiered.key
