"""Two compressed tables side by side: what each is, and where they differ. The page Runs and ``subemb compare`` both say this."""

from dataclasses import dataclass
from typing import Any

from ..base.plain import declared
from ..base.text import count_text, percent_text, size_text
from ..codec.compressed import Compressed
from ..codec.settings import CompressionSettings, settings_text
from ..runs import Run

QUALITY = {
    "relative_error": "relative error",
    "weighted_error": "weighted error",
    "sensitive_error": "error as the output notices",
    "mean_cosine": "mean cosine",
    "neighbours_kept": "neighbours kept",
    "distinct_tuples": "distinct tuples",
    "colliding_tokens": "colliding tokens",
}
_SHARES, _COUNTS = ("neighbours_kept",), ("distinct_tuples", "colliding_tokens")


@dataclass
class Side:
    """One of the two."""

    label: str  # A or B
    what: str  # where it comes from, in words
    model: dict[str, Any]  # as describe; of a sweep's row only the name
    settings: CompressionSettings
    total_bytes: int
    share: float
    quality: dict[str, Any]
    compressed: Compressed | None = None  # read already

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "label": self.label,
            "from": self.what,
            "model": self.model,
            "settings": self.settings.to_dict(),
            "total_bytes": self.total_bytes,
            "share": self.share,
            "quality": {name: self.quality.get(name) for name in QUALITY} | {"kept_by_frequency": self.kept_by_frequency},
        }

    @property
    def kept_by_frequency(self) -> dict[str, float]:
        """Neighbours kept of the tokens of some ranks of frequency; {} where a run or row is of an older subemb."""
        return self.quality.get("kept_by_frequency") or {}

    @classmethod
    def of_run(cls, label: str, run: Run) -> "Side":
        """A finished run."""
        size = run.size
        return cls(label, f"run {run.key[:8]}", run.model, run.settings, size.total_bytes, size.total_share, run.quality)


@dataclass(frozen=True)
class Fact:
    """One line of two sides."""

    title: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Whether the two sides have not the same."""
        return self.first != self.second


def facts_of(first: Side, second: Side) -> list[Fact]:
    """What is known of both, a line each: where they come from, model, settings, bytes, quality."""
    found = [
        Fact("from", first.what, second.what),
        Fact("model", str(first.model.get("name")), str(second.model.get("name"))),
        Fact("settings", settings_text(first.settings), settings_text(second.settings)),
        Fact("bytes", size_text(first.total_bytes), size_text(second.total_bytes)),
        Fact("of the table", percent_text(first.share), percent_text(second.share)),
    ]
    for name, title in QUALITY.items():
        values = [side.quality.get(name) for side in (first, second)]
        if values != [None, None]:
            found.append(Fact(title, *(_number(name, value) for value in values)))
        if name == "neighbours_kept":
            bands = [side.kept_by_frequency for side in (first, second)]
            for ranks in dict.fromkeys([*bands[0], *bands[1]]):
                found.append(Fact(f"of ranks {ranks}", *(_number(name, band.get(ranks)) for band in bands)))
    return found


def settings_that_differ(first: CompressionSettings, second: CompressionSettings) -> list[Fact]:
    """The settings in which two runs are not the same, those that neither method reads left out.

    >>> [fact.title for fact in settings_that_differ(CompressionSettings(subspaces=3), CompressionSettings(subspaces=8))]
    ['Subspaces f']
    """
    read = {"method", *first.about.reads, *second.about.reads}
    return [
        Fact(one.title or name.replace("_", " "), *(_setting(side, name) for side in (first, second)))
        for name, one in declared(CompressionSettings).items()
        if name in read and getattr(first, name) != getattr(second, name)
    ]


def _setting(settings: CompressionSettings, name: str) -> str:
    """A setting in words; a dash where the method has none such."""
    value = getattr(settings, name)
    if name == "method":
        return settings.about.title
    if name not in settings.about.reads:
        return "–"
    return "automatic" if value is None else str(value) if not isinstance(value, bool) else "yes" if value else "no"


def size_verdict(first: Side, second: Side) -> str:
    """How large B is against A, as the beginning of a sentence."""
    ratio = second.total_bytes / first.total_bytes
    size = (
        "is as large as A" if ratio == 1 else f"is {ratio:.3g} times as large as A" if ratio > 1
        else f"takes {percent_text(ratio, 2)} of A's bytes"
    )  # fmt: skip
    return f"B {size} ({size_text(second.total_bytes)} against {size_text(first.total_bytes)})"


def error_verdict(first: Side, second: Side) -> str:
    """Size and error of B against A, in a sentence."""
    errors = [side.quality["relative_error"] for side in (first, second)]
    return f"{size_verdict(first, second)}, with an error of {errors[1]:.3f} against {errors[0]:.3f}."


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return percent_text(value) if name in _SHARES else count_text(value) if name in _COUNTS else f"{value:.4f}"
