"""One row of the claims' table: compress, train, score; or time a layer."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..adaptation.session import Session
from ..adaptation.settings import DRAWN, FITTED, AdaptationSettings
from ..adaptation.students import OriginalStudent, Student
from ..base.progress import ProgressCallback, part_of, report
from ..base.store import content_key
from ..bench.speed import Benchmark, compare
from ..codec.compressed import Compressed
from ..codec.sizes import FLOAT_BYTES
from ..codec.weights import model_weights
from ..evaluate.context.perplexity import text_perplexity
from ..evaluate.report import score_sides
from ..models.model import PretrainedModel
from ..runs import run_key
from ..sweep.table import SetScore
from .rows import MASKED, SEARCHED, SPEED, TUNED, UNTRAINED, Cell, ClaimRow
from .sets import Material

FORMAT = 1  # of rows: a number that changes with what they say
BATCH = 32  # sentences of a step of training
_STEPS_TIMED, _ROWS_TIMED, _TOKENS_TIMED = 7, 32, 16
Answers = dict[str, np.ndarray]  # name of a set -> (n,) what a table's model finds for it


def row_key(identity: str, cell: Cell, material: Material, tokens: int) -> str:
    """Key of a row: of the model, what is measured, and what it is measured on and learns from. tokens: that are masked."""
    return content_key(
        "claim row", FORMAT, identity, cell.content(), material.digests(cell), tokens if cell.on == MASKED else 0
    )


@dataclass
class Bench:
    """What all rows of a model are measured with. Raises what compressing, training and scoring raise."""

    model: PretrainedModel
    material: Material
    tokens: int  # that are masked for a pseudo-perplexity

    def measure(self, cell: Cell, progress: ProgressCallback | None = None) -> tuple[dict[str, Any], Answers]:
        """The fields of a row, and what its model found for the sets."""
        began, used = time.perf_counter(), time.process_time()
        found, answers = (self._speed if cell.kind == SPEED else self._scores)(cell, progress)

        found |= {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - used,
            "threads": torch.get_num_threads(),
        }
        return found, answers

    def _compressed(self, cell: Cell, progress: ProgressCallback | None) -> Compressed:
        from ..codec import compress

        weights = model_weights(self.model, cell.settings.weights)
        return compress(self.model.table, settings=cell.settings, weights=weights, progress=progress)

    def _scores(self, cell: Cell, progress: ProgressCallback | None) -> tuple[dict[str, Any], Answers]:
        from ..codec import attach

        compressed = self._compressed(cell, part_of(progress, 0.0, 0.1 if cell.training != UNTRAINED else 0.5))
        side, tuned, more = None, None, {}
        if cell.training != UNTRAINED:
            side, tuned, more = self._trained(cell, compressed, part_of(progress, 0.1, 0.8))
            compressed = side.compressed
        elif self.model.has_network and self.model.has_tokenizer:
            side = attach(self.model, compressed)
        scores, values, answers = self._scored(cell, side, tuned, part_of(progress, 0.8, 1.0))
        return {**sizes_of(compressed), "scores": scores, "values": values, **more}, answers

    def _trained(
        self, cell: Cell, compressed: Compressed, progress: ProgressCallback | None
    ) -> tuple[PretrainedModel, PretrainedModel | None, dict[str, Any]]:
        """The adapted model, the original that was trained alike, if it was, and how it was trained."""
        settings = AdaptationSettings(
            objective=cell.task or "distill",
            train="everything" if cell.training == TUNED else "codebooks",
            reassign=cell.training == SEARCHED,
            start=DRAWN if cell.drawn else FITTED,
            seconds=cell.seconds,
            steps=cell.steps,
            batch_size=BATCH,
            seed=cell.settings.seed,
        )
        learned = self.material.learned(cell)
        text, labelled = (learned, None) if cell.task not in self.material.labelled else (None, learned)
        session = Session(self.model, compressed, text, settings, labelled=labelled)
        session.run(progress)
        adapted = session.result("done")
        facts = adapted.facts
        return adapted, session.tuned_original, {"steps": facts["steps"], "budget_seconds": cell.seconds}

    def _scored(
        self, cell: Cell, side: PretrainedModel | None, tuned: PretrainedModel | None, progress: ProgressCallback | None
    ) -> tuple[dict[str, SetScore], dict[str, float], Answers]:
        """Scores against the original, or in fine-tuning against the one that was trained alike, on the sets of what was learned."""
        scores: dict[str, SetScore] = {}
        values: dict[str, float] = {}
        answers: Answers = {}
        if side is None:
            return scores, values, answers
        if cell.on == MASKED:
            self._masked(side, tuned, scores, values, answers, progress)
            return scores, values, answers
        asked = [one for one in self.material.sets if not cell.task or _teaches(cell.task, one.ready.task)]
        before: Answers = {}
        for number, one in enumerate(asked):
            report(progress, f"scoring {one.name}", number / (len(asked)))
            ready = one.ready
            answers[one.name] = answers[one.of] if one.of in answers else ready.found(side)
            if tuned is not None:
                before[one.name] = before[one.of] if one.of in before else ready.found(tuned)
                values[f"original: {one.name}"] = _value(ready.gold, before[one.name], ready.metric)
                ready = replace(ready, before=before[one.name])
            scores[one.name] = ready.score(answers[one.name])
        return scores, values, answers

    def _masked(self, side, tuned, scores, values, answers, progress: ProgressCallback | None) -> None:
        """Masked words right, and the pseudo-perplexity with input table, output table or both compressed; added to what is there."""
        masked = self.material.masked
        guessed, right = masked.answers(side)
        before = masked.before if tuned is None else masked.answers(tuned)
        answers[masked.name] = guessed
        scores[masked.name] = masked.score(guessed, before[0])
        if tuned is not None:
            values[f"original: {masked.name}"] = 100 * float((before[0] == masked.gold).mean())
        values |= {"masked loss": -float(right.mean()), "masked loss of the original": -float(before[1].mean())}
        sides = {"original": self.model if tuned is None else tuned, "compressed": side}
        ways = {"both": (True, True)}
        if self.model.has_tied_head and tuned is None:
            ways |= {"input only": (True, False), "output only": (False, True)}
        for name, (on_input, on_output) in ways.items():
            which = sides if name == "both" else {"original": self.model, "compressed": side}
            if name == "both" and tuned is not None:
                # the two networks differ in all weights: each is read by itself
                for label, one in which.items():
                    found = text_perplexity({label: one}, masked.text, most_tokens=self.tokens, progress=progress)
                    values["perplexity, original" if label == "original" else "perplexity, both"] = found.perplexity(label)
                continue
            found = text_perplexity(which, masked.text, on_input, on_output, self.tokens, progress=progress)
            values[f"perplexity, {name}"] = found.perplexity("compressed")
            values["perplexity, original"] = found.perplexity("original")

    def _speed(self, cell: Cell, progress: ProgressCallback | None) -> tuple[dict[str, Any], Answers]:
        """Seconds of looking rows up and of a step of training, beside those of the dense table; the sides alternate."""
        settings = cell.settings
        report(progress, "timing the lookup", 0.0)
        values: dict[str, float] = {}
        for kind, what in (("lookup", "lookup"), *((("head", "logits"),) if self.model.has_tied_head else ())):
            case = Benchmark(what, kind, "torch", settings.subspaces, settings.codebook_size, positions=32)
            found = compare(case, self.model.table.float(), torch, 5, lambda turn: None)
            pairs = [mine / theirs for mine, theirs in zip(found["all_seconds"], found["all_peer_seconds"], strict=True)]
            values |= _ratio(what, found["seconds"], found["peer_seconds"], pairs)
        compressed = self._compressed(cell, part_of(progress, 0.2, 0.5))
        if self.model.has_network:
            values |= self._step_times(compressed, progress)
        return {**sizes_of(compressed), "values": values}, {}

    def _step_times(self, compressed: Compressed, progress: ProgressCallback | None) -> dict[str, float]:
        """Of a step that trains the table: vectors of some rows, and the gradient back to the table."""
        settings = AdaptationSettings(steps=1)
        sides = Student(self.model, compressed, None, settings), OriginalStudent(self.model, None, settings)
        draw = torch.Generator().manual_seed(0)
        shape = (_ROWS_TIMED, _TOKENS_TIMED)
        rows = torch.randint(compressed.num_embeddings, shape, generator=draw).tolist()
        seconds: tuple[list[float], list[float]] = ([], [])
        for turn in range(2 * (_STEPS_TIMED + 1)):
            report(progress, "timing a step of training", 0.5 + 0.5 * turn / (2 * (_STEPS_TIMED + 1)))
            side = sides[turn % 2]
            began = time.perf_counter()
            torch.autograd.grad(side.model.encode_ids_tensor(rows).float().sum(), side.codebooks)
            if turn >= 2:  # the first of each warms up
                seconds[turn % 2].append(time.perf_counter() - began)
        pairs = [mine / theirs for mine, theirs in zip(*seconds, strict=True)]
        return _ratio("step", *(statistics.median(times) for times in seconds), pairs)


def _ratio(what: str, seconds: float, dense: float, pairs: list[float]) -> dict[str, float]:
    """Of two sides that alternate: seconds of both, the median of their ratios and its quartiles."""
    low, middle, high = np.quantile(pairs, [0.25, 0.5, 0.75])
    return {
        f"{what}, seconds": seconds, f"{what}, seconds dense": dense, f"{what}, ratio": float(middle),
        f"{what}, ratio low": float(low), f"{what}, ratio high": float(high),
    }  # fmt: skip


def _teaches(task: str, of_set: str) -> bool:
    """Whether a set is about what was learned."""
    return of_set in (("similarity", "paraphrase") if task == "similarity" else (task,))


def _value(gold: np.ndarray, found: np.ndarray, metric: str) -> float:
    return 100 * score_sides(gold, {"side": found}, (metric,))["side"].values[metric]


def sizes_of(compressed: Compressed) -> dict[str, Any]:
    """What a table stores, every byte, beside the floats alone."""
    size = compressed.size()
    distinct = getattr(compressed, "distinct_tuples", None)
    in_floats = FLOAT_BYTES * size.parameters + size.code_bytes
    return {
        "total_bytes": size.total_bytes,
        "share": size.total_share,
        "floats": size.parameter_share if compressed.coded else None,
        "code_bytes": size.code_bytes,
        "share_of_floats_in_32_bits": in_floats / size.original_bytes if compressed.coded else None,
        "distinct_tuples": distinct,
        "colliding_tokens": getattr(compressed, "colliding_tokens", None) if distinct is not None else None,
    }


def versus(material: Material, mine: Answers, others: Mapping[str, Answers]) -> dict[str, dict[str, SetScore]]:
    """Key of another row -> by set, the score of one row and its difference to the other, with the interval of a paired bootstrap.

    Sets that only one of the two was asked are left out.
    """
    found: dict[str, dict[str, SetScore]] = {}
    for key, theirs in others.items():
        found[key] = {}
        for one in material.sets:
            if one.name in mine and one.name in theirs:
                found[key][one.name] = replace(one.ready, before=theirs[one.name]).score(mine[one.name])
        masked = material.masked
        if masked is not None and masked.name in mine and masked.name in theirs:
            found[key][masked.name] = masked.score(mine[masked.name], theirs[masked.name])
    return found


def row_of(key: str, cell: Cell, name: str, identity: str, digests: Sequence[str], found: Mapping[str, Any]) -> ClaimRow:
    """A row of what was measured."""
    base = ClaimRow(
        key, cell.settings, name, tuple(digests), run_key=run_key(identity, cell.settings), kind=cell.kind, on=cell.on, training=cell.training,
        task=cell.task, drawn=cell.drawn, steps=cell.steps, budget_seconds=cell.seconds,
    )  # fmt: skip
    return replace(base, **found)
