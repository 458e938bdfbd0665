"""The training loop: steps, checkpoints, scores on the way, the best weights kept. It can stop anywhere and go on as if it had never stopped.

A checkpoint is one safetensors file whose header holds the facts (step, history, best score). Nothing is ever pickled.
"""

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..base.deadline import Clock
from ..base.errors import Cancelled, InputError
from ..base.paths import write_files
from ..base.progress import ProgressCallback, report
from ..models.model import PretrainedModel
from .mixing import Mixture
from .objectives import Objective
from .plan import FIRST_BATCH, Segment, is_spent, place_of, planned_size
from .settings import AdaptationSettings
from .students import OriginalStudent, Student

POINTS = 100  # of the curve
SCORINGS = 6  # of the labelled set on the way
TIMED_STEPS = 4  # the latest ones, whose mean is the speed
WARM_UP = 0.05  # of the training
_ROUNDING = 1e-9
POOL = 20  # batches that are sorted by length together
FIRST_CHECKPOINT = 1.0  # seconds after the start, so that an adaptation can soon be stopped and kept
CHECKPOINT_SECONDS = 15.0  # the interval between two doubles until it is this long
SAVING_SHARE = 10.0  # least seconds between two checkpoints, for each second that writing one takes
STATE_FILE = "state.safetensors"
FORMAT = 3  # of checkpoints

Score = Callable[["PretrainedModel"], float]


class Trainer:
    """One adaptation in memory.

    student: what is trained; its network has the head of the ``objective``. lengths: (n,) tokens of each sentence or pair that
    the objective reads, so that batches hold those of similar length.
    score: a model's score x 100 on a labelled set; higher is better, and the weights that score best are kept. None: the last.
    table_rate: highest learning rate of the table. spent: seconds, and CPU-seconds, of the budget that are used up already.
    schedule: sentences a step, of a training that this one is to be like; None plans it. mixture: of the sources of the sentences;
    None: there is one source.
    series: put in front of the names of the values that are reported, to tell two trainings apart.
    """

    def __init__(
        self,
        objective: Objective,
        student: Student | OriginalStudent,
        lengths: np.ndarray,
        settings: AdaptationSettings,
        score: Score | None = None,
        table_rate: float | None = None,
        spent: tuple[float, float] = (0.0, 0.0),
        series: str = "",
        schedule: list[Segment] | None = None,
        mixture: Mixture | None = None,
        clock: Clock = time.perf_counter,
    ):
        self.settings, self.score, self.series = settings, score, series
        self.objective, self.student = objective, student
        groups = [{"params": student.codebooks, "lr": settings.codebook_rate if table_rate is None else table_rate}]
        if student.weights:
            groups.append({"params": list(student.weights.values()), "lr": settings.network_rate})
        self.rates = [group["lr"] for group in groups]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
        self.step, self.planned = 0, settings.steps or 0
        self.seconds, self.cpu_seconds = spent
        self.begun = self.seconds  # when training began
        first = settings.batch_size if settings.seconds is None else min(FIRST_BATCH, settings.batch_size)
        self.schedule = schedule or [Segment(0, first)]
        self._clock = clock
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, torch.Tensor] | None = None
        self.best_step, self.best_score = 0, -math.inf
        self._losses: list[float] = []
        self._order: tuple[tuple[int, int], list[np.ndarray]] | None = None
        self._lengths, self._mixture = lengths, mixture or Mixture((len(lengths),))
        self._timed: list[tuple[float, int]] = []  # seconds and sentences of the latest steps

    @property
    def is_over(self) -> bool:
        """Whether every planned step is done, or another one does not fit into the time."""
        if self.settings.seconds is None:
            return self.step >= self.planned
        return self.step > 0 and is_spent(self.settings.seconds - self.seconds, self._row_seconds * self.sentences_a_step)

    @property
    def sentences_a_step(self) -> int:
        """Of the latest steps: those asked for, or all there are, or as many as leave time for enough steps."""
        return min(self.schedule[-1].size, self._most)

    @property
    def is_hurried(self) -> bool:
        """Whether a step looks at fewer sentences than asked for, so that enough steps fit into the time."""
        return self.sentences_a_step < self._most

    @property
    def _most(self) -> int:
        return min(self.settings.batch_size, self._mixture.rows)

    @property
    def _row_seconds(self) -> float:
        """Seconds of a step for each of its sentences."""
        return sum(seconds for seconds, _ in self._timed) / max(1, sum(rows for _, rows in self._timed))

    def run(self, save: Callable[[], None], progress: ProgressCallback | None = None) -> None:
        """Train to the end. save: called about every CHECKPOINT_SECONDS, and when asked to stop.

        Raises Cancelled when the callback says so, after saving; InputError if the loss is no longer a number.
        """
        if self.step == 0 and not self.history:
            self._point(None, self._scored(progress))
        stage = f"training the {self.series}" if self.series else "training"
        saved, interval = time.perf_counter(), FIRST_CHECKPOINT
        while not self.is_over:
            # A step or score is finished before it stops, so that going on gives the same as never stopping.
            self._one_step()
            values = {}
            if self._is_point() or self.is_over:
                scoring = self.score is not None and (self._is_scoring_point() or self.is_over)
                values = self._point(float(np.mean(self._losses)), self._scored(progress) if scoring else None)
                self._losses = []
            try:
                named = {f"{self.series}_{name}" if self.series else name: value for name, value in values.items()}
                report(progress, stage, self._share(), **named)
            except Cancelled:
                save()
                raise
            if time.perf_counter() - saved > interval:
                saving = time.perf_counter()
                save()
                saved = time.perf_counter()
                # A large table on a slow disk is not saved all the time.
                interval = max(min(2 * interval, CHECKPOINT_SECONDS), SAVING_SHARE * (saved - saving))
        if self.score is None:
            self._keep_best(0.0)
        save()

    def _share(self, seconds: float | None = None, step: int | None = None) -> float:
        """Share of the training that is done, 0 to 1: now, or after so many seconds or steps."""
        if self.settings.seconds is None:
            return min(1.0, (self.step if step is None else step) / self.planned)
        whole = self.settings.seconds - self.begun
        done = (self.seconds if seconds is None else seconds) - self.begun
        return min(1.0, done / whole) if whole > 0 else 1.0

    def _since(self, name: str) -> float:
        """Share of the training since the last point of the curve that has a value of this name."""
        last = next((point for point in reversed(self.history) if name in point), {"step": 0, "seconds": self.begun})
        return self._share() - self._share(last["seconds"], last["step"])

    def _is_point(self) -> bool:
        return self._since("loss") >= 1 / POINTS - _ROUNDING

    def _is_scoring_point(self) -> bool:
        return self._since("score") >= 1 / SCORINGS - _ROUNDING

    def _one_step(self) -> None:
        started, cpu = self._clock(), time.process_time()
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * self._factor()
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.step)
        self.optimizer.zero_grad()
        batch = self._batch(self.step)
        loss = self.objective.loss(self.student.model, batch, generator)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(
                f"the loss is {value} after {self.step} steps: the learning rate ({self.settings.codebook_rate:g} for codebooks, "
                f"{self.settings.network_rate:g} for the network) is too high; use a tenth of it. What was saved before is still there"
            )
        if loss.requires_grad:  # in tiers a batch may have none of the tokens whose rows are trained
            loss.backward()
        if self.student.weights:
            torch.nn.utils.clip_grad_norm_(list(self.student.weights.values()), 1.0)
        self.optimizer.step()
        self.step += 1
        self._losses.append(value)
        elapsed = self._clock() - started
        self.seconds += elapsed
        self.cpu_seconds += time.process_time() - cpu
        if self.settings.seconds is not None:
            self._timed = [*self._timed, (elapsed, len(batch))][-TIMED_STEPS:]
            self._plan(self.settings.seconds - self.seconds)

    def _plan(self, seconds_left: float) -> None:
        """Plan, after every step, how many there will be and how many sentences each looks at: others use the machine too."""
        size = self.sentences_a_step
        wanted = planned_size(self.step, size, self._most, seconds_left, self._row_seconds)
        if wanted != size:
            self.schedule = [*self.schedule, Segment(self.step, wanted)]
        each = self._row_seconds * wanted
        self.planned = self.step if is_spent(seconds_left, each) else self.step + max(1, round(seconds_left / each))

    def _factor(self) -> float:
        """Factor on the learning rates: up over the first steps, then down along a cosine."""
        done = self._share()
        return max(1e-3, min(1.0, done / WARM_UP) * 0.5 * (1 + math.cos(math.pi * done)))

    def _batch(self, step: int) -> list[int]:
        """Places of the rows of a step: a new order in each pass, sentences of similar length together."""
        segment, round_number, place, size = place_of(step, self.schedule, self._mixture.rows)
        each = self._mixture.rows // size
        if self._order is None or self._order[0] != (segment, round_number):
            seeds = [self.settings.seed, round_number, *([segment] if segment else [])]
            order, generator = self._mixture.order(round_number, seeds), np.random.default_rng([*seeds, 0xBA7C])
            batches = []
            for start in range(0, each * size, size * POOL):
                pool = order[start : min(start + size * POOL, each * size)]
                pool = pool[np.argsort(self._lengths[pool], kind="stable")]
                batches += [pool[i : i + size] for i in range(0, len(pool), size)]
            generator.shuffle(batches)
            self._order = (segment, round_number), batches
        return self._order[1][place].tolist()

    def _scored(self, progress: ProgressCallback | None) -> float | None:
        if self.score is None:
            return None
        with suppress(Cancelled):  # the next message, after the score, asks again
            report(progress, "scoring the labelled set", self._share())
        value = self.score(self.student.as_model())
        if value > self.best_score:
            self._keep_best(value)
        return value

    def _keep_best(self, value: float) -> None:
        self.best = {name: tensor.detach().clone() for name, tensor in self.student.tensors().items()}
        self.best_step, self.best_score = self.step, value

    def _point(self, loss: float | None, score: float | None) -> dict[str, Any]:
        point: dict[str, Any] = {"step": self.step, "seconds": self.seconds}
        point |= {} if loss is None else {"loss": loss}
        point |= {} if score is None else {"score": score}
        self.history.append(point)
        return point

    def checkpoint(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Tensors and facts from which :meth:`restore` goes on exactly; once it is over, only what was learned.

        Raises InputError if a number is not finite.
        """
        tensors = {f"student.{name}": value for name, value in self.student.tensors().items()}
        for name, value in tensors.items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise InputError(
                    f"{name} holds NaN or infinity after {self.step} steps; use a lower learning rate. What was saved before is "
                    "still there"
                )
        tensors |= {f"best.{name}": value for name, value in (self.best or {}).items()}
        if not self.is_over:
            tensors |= {f"objective.{name}": value for name, value in self.objective.tensors().items()}
            for number, values in self.optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in values.items()}
        facts = {
            "step": self.step,
            "planned": self.planned,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "begun": self.begun,
            "schedule": self.schedule,
            "history": self.history,
            "best_step": self.best_step,
            "best_score": None if self.best is None else self.best_score,
            "losses": self._losses,
            "timed": self._timed,
        }
        return tensors, facts

    def restore(self, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Go on from a checkpoint of the same inputs and settings."""
        parts: dict[str, dict[str, torch.Tensor]] = {"student": {}, "best": {}, "objective": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        self.student.load(parts["student"])
        self.best = parts["best"] or None
        self.objective.load(parts["objective"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in parts["optimizer"].items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = value.clone()
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.step, self.planned = facts["step"], facts["planned"]
        self.seconds, self.cpu_seconds = facts["seconds"], facts["cpu_seconds"]
        self.begun, self.schedule = facts["begun"], [Segment(*segment) for segment in facts["schedule"]]
        self.history, self._losses = facts["history"], facts["losses"]
        self._timed = [(seconds, rows) for seconds, rows in facts["timed"]]
        self.best_step = facts["best_step"]
        self.best_score = -math.inf if facts["best_score"] is None else facts["best_score"]


def write_state(folder: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Replace the checkpoint in one step: a reader, or a crash, finds the old one or the new one whole.

    Raises InputError if the disk is full or cannot be written; the old checkpoint is still there then.
    """
    content = save(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()},
        {"facts": json.dumps({"format": FORMAT, **facts})},
    )
    try:
        write_files(folder, {STATE_FILE: content})
    except OSError as error:
        raise InputError(
            f"the checkpoint ({len(content):,} bytes) could not be written to {folder} ({error.strerror}): free some space, or set "
            "SUBEMB_CACHE to a folder on another disk; what was saved before is still there"
        ) from error


def read_state(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """The checkpoint, or None if there is none. Raises InputError if it is damaged."""
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if facts.pop("format") != FORMAT:
            raise InputError(f"the checkpoint in {folder} was written by another version of subemb; start again")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"the checkpoint in {folder} is damaged ({error}); start again") from error
    return tensors, facts
