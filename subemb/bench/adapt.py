"""What adaptation is worth: scores before and after on several sets, by token frequency too, setting by setting, with the CPU-seconds."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..adaptation.result import Adaptation
from ..adaptation.settings import AdaptationSettings
from ..adaptation.texts import Text
from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of, report
from ..base.text import columns_text, percent_text
from ..codec.settings import CompressionSettings
from ..codec.weights import model_weights
from ..evaluate.data.languages import in_languages
from ..evaluate.data.pairs import PairSet, WordSet
from ..evaluate.data.read import read_pairs
from ..evaluate.data.word_lists import read_words
from ..evaluate.similarity.words import evaluate_words
from ..models.load import load
from ..models.model import PretrainedModel
from .speed import machine
from .tasks import spread_text

ASKED = 250  # tokens of each band whose neighbours are compared
NEIGHBOURS = 10


@dataclass(frozen=True)
class Case:
    """One row: how the table is compressed, and what is trained."""

    compression: CompressionSettings
    train: str = "codebooks"  # as in AdaptationSettings
    reassign: bool = True  # whether codes may change


#: Of all-MiniLM-L6-v2's table, with codebooks of 8 bits: 1.37, 0.60 and 0.226 % of the bytes.
CASES = (
    Case(CompressionSettings("cluster", subspaces=27, codebook_size=61)),
    Case(CompressionSettings("cluster", subspaces=14, codebook_size=32)),
    Case(CompressionSettings("cluster", subspaces=5, codebook_size=28)),
)


def cases_of(train: str) -> tuple[Case, ...]:
    """CASES with something else trained."""
    return tuple(replace(case, train=train) for case in CASES)


@dataclass(frozen=True)
class Sets:
    """What every model is scored on. No sentence of it is learned from."""

    pairs: Sequence[PairSet]
    words: Sequence[WordSet] = ()  # scored by the table alone

    def __post_init__(self):
        if not self.pairs and not self.words:
            raise InputError(
                "bench adapt needs labelled pairs or word lists; give --data sts-dev.csv, or --words SimLex-999.txt"
            )

    def facts(self) -> list[dict[str, Any]]:
        """Names, metrics and sizes, JSON types."""
        from ..adaptation.scoring import scored_facts

        words = [
            {
                "name": words.name,
                "task": "words",
                "pairs": len(words),
                "unit": "word pair",
                "digest": words.digest,
                "metric": "Spearman",
            }
            for words in self.words
        ]
        return [*(scored_facts(pairs) for pairs in self.pairs), *words]

    def scores(self, side: PretrainedModel) -> list[float]:
        """x 100, in the order of :meth:`facts`."""
        from ..adaptation.scoring import score_of

        found = [score_of(side, pairs) for pairs in self.pairs]
        for words in self.words:
            scored = evaluate_words({"side": side}, words, resamples=1).scores["side"]
            found.append(100 * scored.values["spearman"])
        return found

    def taken_from(self, text: Text | None) -> Text | None:
        """A text without any sentence of the sets."""
        for pairs in self.pairs:
            text = text if text is None else text.without(pairs)
        return text


def bands_of(weights: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Tokens of each band of frequency, at most ASKED of each, drawn by ``seed``: band in words -> (n,) ids.

    weights: (V,), how frequent tokens are.

    >>> {name: len(ids) for name, ids in bands_of(np.arange(1200.0)).items()}
    {'1 to 1,000': 250, '1,001 to 1,200': 200}
    """
    from ..analysis.neighbours import frequency_bands

    found, start = {}, 0
    for ranks, ids in frequency_bands(weights).items():
        found[ranks] = np.sort(np.random.default_rng([seed, start]).permutation(ids)[:ASKED])
        start += len(ids)
    return found


def run_adapt_benchmark(
    name: str,
    sets: "Sets",
    text: Text | None,
    settings: AdaptationSettings,
    seeds: int = 3,
    cases: Sequence[Case] = CASES,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Adapt every case with several seeds. Returns JSON types: ``original`` (a score for each set) and ``results``.

    sets: they choose nothing: the weights after the last step are scored once, and their sentences are taken out of the text. Seconds
    are those of training, the search for codes included. ``kept``: of the 10 nearest tokens, the share that is still among them, x 100, by
    frequency. Raises InputError, ModelError, Cancelled.
    """
    from ..adaptation import adapt
    from ..adaptation.session import sizes
    from ..analysis.neighbours import neighbours_kept
    from ..codec import attach, compress

    if seeds < 1:
        raise InputError(f"{seeds} seeds measure nothing; give at least 1")
    text = sets.taken_from(text)
    model = load(name)
    report(progress, "scoring the original", 0.0)
    original = sets.scores(model)
    weights = model_weights(model, CASES[0].compression.weights)
    bands = bands_of(weights)

    def kept(compressed) -> list[float]:
        return [100 * neighbours_kept(model.table, compressed, NEIGHBOURS, ids=ids).mean for ids in bands.values()]

    results = []
    for place, case in enumerate(cases):
        runs = []
        for seed in range(seeds):
            done = (place * seeds + seed) / (len(cases) * seeds)
            part = part_of(progress, done, done + 1 / (len(cases) * seeds))
            compressed = compress(model.table, settings=replace(case.compression, seed=seed), weights=weights)
            own = replace(settings, train=case.train, reassign=case.reassign, seed=seed)
            adapted = adapt(model, compressed, text, settings=own, progress=part)
            facts = Adaptation.from_dict(adapted.facts)
            runs.append(
                {
                    "before": sets.scores(attach(model, compressed)),
                    "after": sets.scores(adapted),
                    "kept_before": kept(compressed),
                    "kept_after": kept(adapted.compressed),
                    "steps": facts.steps,
                    "seconds": facts.seconds,
                    "cpu_seconds": facts.cpu_seconds,
                    "size": sizes(adapted),
                }
            )
        results.append(
            {
                "method": case.compression.method,
                "subspaces": case.compression.subspaces,
                "codebook_size": compressed.settings.codebook_size,
                "train": case.train,
                "reassign": case.reassign,
                "runs": runs,
            }
        )
    return {
        "model": name,
        "scored": sets.facts(),
        "bands": list(bands),
        "text": None if text is None else {"name": text.name, "sentences": len(text), "sources": list(text.sizes)},
        "settings": settings.to_dict(),
        "seeds": seeds,
        "original": original,
        "results": results,
        "machine": machine(),
    }


def read_sets(data: Sequence[Path], words: Sequence[Path] = (), limit: int | None = None) -> Sets:
    """The sets of files, of each at most ``limit`` pairs. Raises InputError as the readers do."""
    pairs = [in_languages(read_pairs(path)) for path in data]
    if limit is not None:
        pairs = [one.sample(limit, 0) if len(one) > limit else one for one in pairs]
    return Sets(tuple(pairs), tuple(read_words(path) for path in words))


def adapt_text(measured: dict[str, Any]) -> str:
    """The report as text: one row a setting and set; means over the seeds, with the sample standard deviation of the score after."""
    scored, original = measured["scored"], measured["original"]
    rows = [["METHOD", "F", "Q", "TRAINED", "CODES", "OF TABLE", "OF MODEL", "SECONDS", "CPU-S", "STEPS"]]
    scores = [["METHOD", "F", "Q", "SET", "ORIGINAL", "BEFORE", "AFTER", "BELOW"]]
    neighbours = [["METHOD", "F", "Q", "NEIGHBOURS KEPT, %, RANK", *measured["bands"]]]
    for result in measured["results"]:
        runs, size = result["runs"], result["runs"][0]["size"]
        name = [result["method"], str(result["subspaces"]), str(result["codebook_size"])]
        whole = size["model_bytes"]
        rows.append(
            [
                *name,
                result["train"],
                "change" if result["reassign"] else "stay",
                percent_text(size["table_bytes"] / size["original_bytes"]),
                "" if whole is None else percent_text(whole / size["original_model_bytes"]),
                *(f"{statistics.mean(run[key] for run in runs):.0f}" for key in ("seconds", "cpu_seconds", "steps")),
            ]
        )
        for place, one in enumerate(scored):
            before = statistics.mean(run["before"][place] for run in runs)
            after = [run["after"][place] for run in runs]
            below = original[place] - statistics.mean(after)
            scores.append([*name, one["name"], f"{original[place]:.1f}", f"{before:.1f}", spread_text(after), f"{below:.1f}"])
        for key, said in (("kept_before", "before"), ("kept_after", "after")):
            means = (statistics.mean(run[key][place] for run in runs) for place in range(len(measured["bands"])))
            neighbours.append([*name, said, *(f"{mean:.0f}" for mean in means)])
    text = measured["text"]
    source = (
        "no text: sequences drawn from the vocabulary"
        if text is None
        else f"{text['sentences']:,} sentences without labels of {text['name']}"
    )
    about = measured["machine"]
    sets = "; ".join(f"{one['name']}: {one['metric']} x 100 of {one['pairs']:,} {one['unit']}s" for one in scored)
    return "\n".join(
        [
            columns_text(rows, right=(1, 2, 5, 6, 7, 8, 9)),
            "",
            columns_text(scores, right=(1, 2, 4, 5, 6, 7)),
            "",
            columns_text(neighbours, right=range(4, 4 + len(measured["bands"]))),
            "",
            f"{measured['model']}; {source}; {measured['seeds']} seed(s), mean and sample standard deviation; the sets choose nothing",
            sets,
            f"{about['cpus']} CPUs, {about['threads']} threads, {about['system']} {about['processor']}; Python {about['python']}, "
            f"subemb {about['subemb']}, torch {about['torch']}",
        ]
    )
