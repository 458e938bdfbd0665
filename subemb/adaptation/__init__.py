"""Training a compressed table until the model does again what the original does."""

from ..base.lazy import lazy_names

_EXPORTS = {
    "adapt": "session",
    "Adaptation": "result",
    "AdaptationSettings": "settings",
    "Text": "texts",
    "read_text": "texts",
    "text_of": "texts",
    "text_of_pairs": "texts",
}

__getattr__, __dir__ = lazy_names(__name__, _EXPORTS)
__all__ = sorted(_EXPORTS)
