"""What a compression will store and how long it will take, told before it is run."""

from dataclasses import replace

from .methods import METHODS
from .methods.base import MethodSettings
from .sizes import Size


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


def estimate_seconds(settings: MethodSettings, vocabulary: int, dim: int) -> float:
    """Seconds that compressing a (V, D) table will take on two cores, roughly; see :meth:`Method.seconds`.

    Raises InputError if the settings do not fit the table.
    """
    method = METHODS[settings.method]
    return method.seconds(method.resolve(settings, vocabulary, dim), vocabulary, dim)
