"""What is known of one adaptation, in JSON types."""

from dataclasses import dataclass, field
from typing import Any

from .. import __version__
from ..base.errors import InputError
from ..base.plain import from_plain, to_plain
from ..base.shown import Card, Shown
from ..base.text import percent_text, seconds_text, size_text
from .settings import AdaptationSettings

FORMAT = 1
ORIGINAL, TUNED, COMPRESSED, ADAPTED = "original", "fine-tuned original", "compressed", "adapted"


@dataclass(frozen=True, repr=False)
class Adaptation(Shown):
    """One finished adaptation, or one under way."""

    key: str  # of what it computes
    model: dict[str, Any]  # as :func:`subemb.models.model.describe`
    compression: dict[str, Any]  # resolved settings of the table, JSON types
    settings: AdaptationSettings
    #: What is learned from: ``name`` (``vocabulary`` for sampled sequences), ``sentences`` (how many), ``digest``, for labelled
    #: pairs ``pairs``, for a text ``sources`` (sentences of each).
    text: dict[str, Any]
    #: What is scored on the way: ``name``, ``task`` (``similarity``, ``paraphrase``, ``entailment``, or ``masked`` for words held out),
    #: ``pairs`` (how many; ``unit`` says of what), ``digest``, ``metric``; or None.
    scored: dict[str, Any] | None = None
    #: Side -> score x 100, of ``original``, ``fine-tuned original`` (after fine-tuning to the end), ``compressed`` and ``adapted``; {}
    #: without a labelled set.
    scores: dict[str, float] = field(default_factory=dict)
    #: ``table_bytes`` (codebooks and codes), ``original_bytes`` (of the dense table); ``model_bytes`` (of the whole model, in which changed
    #: weights take the place of the original's, float32; None for a table without a model), ``original_model_bytes``;
    #: ``changed_parameters`` and ``changed_bytes`` (weights of the network that were trained), ``folder_bytes`` (table and changed
    #: weights: a compact folder, which leaves the other weights with the original).
    size: dict[str, Any] = field(default_factory=dict)
    #: One dict per measured point: ``step``, ``seconds``, ``loss`` (mean since the point before), and ``score`` (x 100) where a
    #: labelled set was scored.
    history: list[dict[str, int | float]] = field(default_factory=list)
    steps: int = 0  # done
    planned_steps: int = 0  # when the schedule ends
    best_step: int = 0  # whose weights were kept
    seconds: float = 0.0  # of training, all sessions together
    cpu_seconds: float = 0.0  # of all processors, for the same work
    sentences_a_step: int = (
        0  # of most steps: fewer than asked for where too few steps would have fitted into the time; 0 if not known
    )
    reassigned: int = 0  # codes that differ from the start
    state: str = "running"  # (or left behind by a crash), paused, done, stopped (by the visitor, with what there was), failed
    message: str = ""  # why it ended early, for a person
    threads: int = 0  # that torch computed with
    device: str = "cpu"
    version: str = __version__  # of subemb
    original_history: list[dict[str, int | float]] = field(default_factory=list)  # in fine-tuning, that of the original

    @property
    def learned_from(self) -> str:
        """What it learned from, in words: ``1,200 sentences without labels``."""
        if self.text["name"] == "vocabulary":
            return f"{self.text['sentences']:,} token sequences drawn from the vocabulary"
        if "pairs" in self.text:
            return f"{self.text['pairs']:,} labelled pairs"
        sources = self.text.get("sources", ())
        evenly = f", equally much from each of {len(sources)} sources" if len(sources) > 1 else ""
        return f"{self.text['sentences']:,} sentences without labels{evenly}"

    @property
    def sizes(self) -> list[tuple[str, str, str]]:
        """Its sizes in words: what of, how much, which share of the original. [] where they are not known."""
        size = self.size
        if "table_bytes" not in size:
            return []
        found = [
            (
                "Token table",
                size_text(size["table_bytes"]),
                f"{percent_text(size['table_bytes'] / size['original_bytes'])} of the original's",
            )
        ]
        if size.get("model_bytes"):
            share = percent_text(size["model_bytes"] / size["original_model_bytes"])
            found.append(("Whole model", size_text(size["model_bytes"]), f"{share} of the original"))
        return found

    @property
    def changed_weights(self) -> str:
        """Which weights of the network changed, and what that means for the sizes, in a sentence; "" if none did."""
        size = self.size
        if not size.get("changed_parameters"):
            return ""
        return (
            f"{size['changed_parameters']:,} weights of the network changed ({size_text(size['changed_bytes'])}). They take the place of "
            "the original's, so the whole model is not larger for them; a compact folder, which leaves all other weights with the "
            f"original, takes {size_text(size['table_bytes'] + size['changed_bytes'])} with them."
        )

    @property
    def hurry(self) -> str:
        """What there was no time for, in a sentence; "" if there was time for everything."""
        asked = self.settings.batch_size
        if not 0 < self.sentences_a_step < asked:
            return ""
        return (
            f"A step looked at {self.sentences_a_step} sentences instead of {asked}, so that enough steps fit into the time: more "
            "seconds, or a free computer, give a better result."
        )

    @property
    def scored_count(self) -> str:
        """How many things were scored: ``1,500 pairs``; "" if nothing was."""
        if self.scored is None:
            return ""
        count, unit = self.scored["pairs"], self.scored.get("unit", "pair")
        return f"{count:,} {unit}{'' if count == 1 else 's'}"

    def described(self) -> Card:
        """What is shown of it."""
        name = str(self.model.get("name"))
        work = f"{self.steps:,} steps in {seconds_text(self.seconds)}"
        scores = [(side, f"{score:.1f}") for side, score in self.scores.items()]
        facts = [("model", name), ("learned from", self.learned_from), ("training", f"{work}, {self.state}")]
        facts += [(name.lower(), value if not share else f"{value}, {share}") for name, value, share in self.sizes]
        header = ["side", f"{self.scored['metric']} x 100"] if self.scored else []
        line = ", ".join([f"of {name}: {self.state}, {work}", *(f"{side} {score}" for side, score in scores)])
        return Card(type(self).__name__, line, facts, header, scores)

    @property
    def is_over(self) -> bool:
        """Whether there is an adapted model. One that is paused or was broken off can go on."""
        return self.state in ("done", "stopped")

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {**to_plain(self), "format": FORMAT}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Adaptation":
        """The inverse of :meth:`to_dict`. Raises InputError for another format or damaged values."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise InputError("this adaptation was written by another version of subemb; run it again")
        values = {name: value for name, value in values.items() if name != "format"}
        try:
            return from_plain(cls, values, "it")
        except InputError as error:
            raise InputError(f"the facts of this adaptation are damaged ({error}); run it again") from error
