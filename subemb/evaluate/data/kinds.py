"""The kinds of labelled pairs: what their gold values are, and what is measured on them. All that is only said of a kind stands here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of labelled pairs."""

    key: str  # the ``task`` of a :class:`~.pairs.PairSet`
    title: str  # in words
    gold: str  # what its gold values are, in a sentence that asks for them
    parts: tuple[str, str, str]  # what the columns of a file hold
    metrics: tuple[str, ...]  # names of :data:`subemb.evaluate.report.METRIC_NAMES`; pages show the first one first
    hub_example: str  # data sets of the Hugging Face hub, for a field that asks for one
    demonstration: str = ""  # file in ``assets`` to try the pages with, not a benchmark; "" if there is none
    columns_of: tuple[str, ...] = ()  # other kinds whose columns do where a file has none of its own


_SENTENCES = ("First sentence", "Second sentence", "Score or label")
_SENTENCE_SETS = "For example sentence-transformers/stsb (validation), or nyu-mll/glue with the configuration mrpc."
KINDS = {
    kind.key: kind
    for kind in (
        Kind(
            "similarity",
            "similarity, graded scores",
            "graded scores",
            _SENTENCES,
            ("spearman", "pearson"),
            _SENTENCE_SETS,
            demonstration="demo_similarity.csv",
            columns_of=("paraphrase",),
        ),
        Kind(
            "paraphrase",
            "paraphrase or not",
            "0 and 1",
            _SENTENCES,
            ("best_accuracy", "best_f1", "average_precision"),
            _SENTENCE_SETS,
            columns_of=("similarity",),
        ),
        Kind(
            "entailment",
            "textual entailment",
            "labels of entailment",
            ("Premise", "Hypothesis", "Label"),
            ("accuracy",),
            "For example stanfordnlp/snli (validation), or facebook/xnli with a language as the configuration.",
            demonstration="demo_entailment.csv",
        ),
    )
}
