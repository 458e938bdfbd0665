"""``subemb.compress`` and ``subemb.attach``: those of the codec, for models by their names too."""

from functools import wraps

from .. import codec
from .load import opened


@wraps(codec.compress)
def compress(table, *args, **kwargs):
    """See :func:`subemb.codec.compress`; ``table`` may also be a model's name, as :func:`subemb.load` takes it."""
    return codec.compress(opened(table), *args, **kwargs)


@wraps(codec.attach)
def attach(model, *args, **kwargs):
    """See :func:`subemb.codec.attach`; ``model`` may also be a model's name, as :func:`subemb.load` takes it."""
    return codec.attach(opened(model), *args, **kwargs)
