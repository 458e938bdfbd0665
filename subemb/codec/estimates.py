"""What a compression will store and how long it will take, told before it is run."""

from dataclasses import replace

from .methods import METHODS
from .methods.base import MethodSettings
from .sizes import Size

OFTEN = 0.06  # share of alike rows of the bundled model, most of them tokens that it never saw


def predicted_size(settings: MethodSettings, vocabulary: int, dim: int, model_parameters: int | None = None) -> Size:
    """The size that :meth:`Compressed.size` will report, known before anything is computed.

    Raises InputError if the settings do not fit a (V, D) table.

    >>> from subemb.codec.settings import CompressionSettings
    >>> predicted_size(CompressionSettings("cluster", subspaces=3), 30522, 384).total_bytes
    69523
    """
    method = METHODS[settings.method]
    size = method.size(method.resolve(settings, vocabulary, dim), vocabulary, dim)
    return replace(size, model_parameters=model_parameters)


def estimate_seconds(settings: MethodSettings, vocabulary: int, dim: int, alike: float | None = None) -> float:
    """Seconds that compressing a (V, D) table will take on two cores, roughly; see :meth:`Method.seconds`.

    alike: what :func:`subemb.analysis.neighbours.alike_share` says of the table, on which distinct tuples depend; None for as many as the
    bundled model has.

    Raises InputError if the settings do not fit the table.
    """
    method, often = METHODS[settings.method], 1.0 if alike is None else min(1.0, alike / OFTEN)
    return method.seconds(method.resolve(settings, vocabulary, dim), vocabulary, dim, often)
