"""How long a compression will take, told before it is run. Rough: it tells seconds from minutes.

The terms of each model are what the algorithm does; the nanoseconds in front of them were fitted to runs on
all-MiniLM-L6-v2 (30,522 x 384) with f from 1 to 184 and Q from 4 to 256, one thread of an ordinary server core. There the
models come within 40 % of most runs. Two threads take about two thirds of it, which is what is told. A faster or a
busy machine, and k-means that stops early, make it wrong by a factor of two or three.
"""

from typing import NamedTuple

from ..codec.settings import CompressionSettings

SHORTEST = 0.1  # seconds: starting, checking the table
TWO_THREADS = 0.65  # of the time of one


class _Cost(NamedTuple):
    """Nanoseconds of one thread. once: for each number of the table. The rest, for each round of k-means or of codes and
    codebooks: multiply (V x D x Q), compare (V x f x Q), read (V x D), gather (V x f).

    extra_rounds: those after the iterations asked for, which make tuples distinct or turn the axes.
    """

    once: float
    multiply: float = 0.0
    compare: float = 0.0
    read: float = 0.0
    gather: float = 0.0
    extra_rounds: int = 0


EXCHANGES = 80_000.0  # nanoseconds a token: making tuples distinct
_PRODUCT = _Cost(once=50, multiply=0.011, compare=1.15, read=2.8, gather=52)
_UNIQUE = _Cost(once=46, multiply=0.028, compare=1.5, read=3.2, gather=203, extra_rounds=8)
_ROTATED = _Cost(once=40, multiply=0.011, compare=0.9, gather=31, extra_rounds=8)
_ROTATION = 0.05  # a turned axis of a row: V x D x D of them every round
_STAGE = _Cost(once=43, multiply=0.012)
_PLAIN = {"arbitrary": 75.0, "random": 75.0, "int8": 10.0, "int4": 16.0}
_GRAM = 0.08  # V x D x D


def estimate_seconds(settings: CompressionSettings, vocabulary: int, dim: int) -> float:
    """Seconds that compressing a (V, D) table will take on two cores, roughly; see the module's text.

    Raises InputError if the settings do not fit the table.
    """
    settings = settings.resolve(vocabulary, dim)
    numbers = vocabulary * dim
    if settings.method in _PLAIN:
        nanoseconds = _PLAIN[settings.method] * numbers
    elif settings.method == "low_rank":
        nanoseconds = _GRAM * numbers * dim
    elif settings.method == "residual":
        stage = _STAGE.once + settings.iterations * _STAGE.multiply * settings.codebook_size
        nanoseconds = numbers * (_PRODUCT.once + settings.subspaces * stage)
    else:
        nanoseconds = _k_means(settings, vocabulary, dim)
    return SHORTEST + TWO_THREADS * nanoseconds * 1e-9


def _k_means(settings: CompressionSettings, vocabulary: int, dim: int) -> float:
    """Nanoseconds of product, optimized product and cluster."""
    is_rotated = settings.method == "optimized_product"
    cost = _ROTATED if is_rotated else _UNIQUE if settings.wants_unique else _PRODUCT
    numbers, codes = vocabulary * dim, vocabulary * settings.subspaces
    one_round = (
        numbers * (cost.multiply * settings.codebook_size + cost.read)
        + codes * (cost.compare * settings.codebook_size + cost.gather)
        + (_ROTATION * numbers * dim if is_rotated else 0)
    )
    exchanges = EXCHANGES * vocabulary if settings.wants_unique else 0.0
    return cost.once * numbers + (settings.iterations + cost.extra_rounds) * one_round + exchanges
