"""Using a compressed model: labelled sets, sentence similarity, textual entailment, masked words. Every name is imported on
first use."""

from ..lazy import lazy_names

#: Public name -> the module that has it.
_EXPORTS = {
    "LABELS": "pairs",
    "TWO_WAY_LABELS": "pairs",
    "PairSet": "pairs",
    "Skipped": "pairs",
    "WordSet": "pairs",
    "combine": "pairs",
    "skipped_text": "pairs",
    "Columns": "formats",
    "Preview": "readers",
    "preview": "readers",
    "read_pairs": "readers",
    "read_words": "word_lists",
    "read_hub_pairs": "hub_data",
    "demo_pairs": "readers",
    "spearman": "statistics",
    "pearson": "statistics",
    "accuracy": "statistics",
    "f1": "statistics",
    "average_precision": "statistics",
    "best_threshold": "statistics",
    "Interval": "statistics",
    "paired_bootstrap": "statistics",
    "McNemar": "statistics",
    "mcnemar": "statistics",
    "confusion": "statistics",
    "cosines": "similarity",
    "evaluate_pairs": "similarity",
    "SimilarityReport": "similarity_report",
    "attribute": "attribution",
    "Attribution": "effects",
    "AttributionSettings": "effects",
    "evaluate_words": "words",
    "WordReport": "words",
    "fill": "masked",
    "Filled": "masked",
    "mask_word": "mask_text",
    "PseudoPerplexity": "pseudo_perplexity",
    "engine_for": "entailment",
    "evaluate_entailment": "entailment",
    "EntailmentReport": "entailment_report",
    "EntailmentHead": "head",
    "heads_for": "head_files",
    "load_head": "head_files",
    "save_head": "head_files",
    "HeadSettings": "head_settings",
    "train_head": "head_training",
}

__all__ = list(_EXPORTS)
__getattr__, __dir__ = lazy_names(__name__, _EXPORTS)
