"""Taking a compressed or adapted model away: a compact folder, a dense checkpoint, the table as ONNX, a report."""

from ..base.lazy import lazy_names

#: Public name -> the module that has it.
_EXPORTS = {
    "compact": "compact_folder",
    "model_card": "compact_folder",
    "dense": "dense_checkpoint",
    "masked": "dense_checkpoint",
    "onnx_table": "onnx_file",
    "OnnxCheck": "onnx_file",
    "html_report": "report",
}

__all__ = list(_EXPORTS)
__getattr__, __dir__ = lazy_names(__name__, _EXPORTS)
