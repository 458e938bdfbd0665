"""Using a compressed model: labelled sets, sentence similarity, textual entailment, masked words. Every name is imported on
first use."""

from ..base.lazy import lazy_names

#: Public name -> the module that has it.
_EXPORTS = {
    "LABELS": "data.pairs",
    "TWO_WAY_LABELS": "data.pairs",
    "PairSet": "data.pairs",
    "Skipped": "data.pairs",
    "WordSet": "data.pairs",
    "combine": "data.pairs",
    "skipped_text": "data.pairs",
    "Columns": "data.pairs",
    "Note": "data.pairs",
    "Reading": "data.pairs",
    "Preview": "data.read",
    "preview": "data.read",
    "read_pairs": "data.read",
    "read_words": "data.word_lists",
    "read_hub_pairs": "data.hub",
    "demo_pairs": "data.read",
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
    "cosines": "similarity.pairs",
    "evaluate_pairs": "similarity.pairs",
    "SimilarityReport": "similarity.pairs",
    "attribute": "similarity.attribution",
    "Attribution": "similarity.effects",
    "AttributionSettings": "similarity.effects",
    "evaluate_words": "similarity.words",
    "WordReport": "similarity.words",
    "fill": "context.fill",
    "Filled": "context.fill",
    "mask_word": "context.words",
    "PseudoPerplexity": "context.perplexity",
    "engine_for": "entailment.engines",
    "evaluate_entailment": "entailment.pairs",
    "EntailmentReport": "entailment.pairs",
    "EntailmentHead": "entailment.head",
    "heads_for": "entailment.head_files",
    "load_head": "entailment.head_files",
    "save_head": "entailment.head_files",
    "HeadSettings": "entailment.head_settings",
    "train_head": "entailment.head_training",
}

__all__ = list(_EXPORTS)
__getattr__, __dir__ = lazy_names(__name__, _EXPORTS)
