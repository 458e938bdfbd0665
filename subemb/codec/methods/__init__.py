"""The compression methods, one file each; what they have in common is in base and codebooks.

Reading order: base; arbitrary, codebooks, product, cluster, optimized_product, residual; low_rank, integers.
"""

from dataclasses import replace

from ..sizes import Size
from .arbitrary import Arbitrary, Random
from .base import Method, MethodSettings
from .cluster import Cluster
from .integers import Int4, Int8
from .low_rank import LowRank
from .optimized_product import OptimizedProduct
from .product import Product
from .residual import Residual

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
        LowRank(),
        Int8(),
        Int4(),
    )
}
DEFAULT_METHOD = Cluster.key


def predicted_size(settings: MethodSettings, vocabulary: int, dim: int, model_parameters: int | None = None) -> Size:
    """The size that :meth:`Compressed.size` will report, known before anything is computed.

    Raises InputError if the settings do not fit a (V, D) table.

    >>> from subemb.codec.settings import CompressionSettings
    >>> predicted_size(CompressionSettings("cluster", subspaces=3), 30522, 384).total_bytes
    106381
    """
    method = METHODS[settings.method]
    size = method.size(method.resolve(settings, vocabulary, dim), vocabulary, dim)
    return replace(size, model_parameters=model_parameters)


def estimate_seconds(settings: MethodSettings, vocabulary: int, dim: int) -> float:
    """Seconds that compressing a (V, D) table will take on two cores, roughly; see :meth:`Method.seconds`.

    Raises InputError if the settings do not fit the table.
    """
    method = METHODS[settings.method]
    return method.seconds(method.resolve(settings, vocabulary, dim), vocabulary, dim)


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
