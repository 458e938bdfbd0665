"""Three settings to begin with, for any model: the paper's own, a balanced one, and one that loses next to nothing.

Of the bundled model they are shipped as finished runs in ``assets/runs``, which ``subemb presets --write assets/runs`` makes.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from .base.errors import InputError
from .base.progress import ProgressCallback, part_of
from .codec.methods import DEFAULT_METHOD, with_budget
from .codec.methods.budgets import budget_bytes
from .codec.settings import CompressionSettings
from .models.model import PretrainedModel
from .runs import RUNS, filmed_run


@dataclass(frozen=True)
class Preset:
    """key: as links and commands name it. title, line: what people read. settings: not yet resolved."""

    key: str
    title: str
    line: str
    settings: CompressionSettings


PRESETS = {
    preset.key: preset
    for preset in (
        Preset(
            "paper",
            "The paper's",
            "Three codes a token, as in the paper. It is meant for a model that is trained on with its new table: press Adapt.",
            CompressionSettings(DEFAULT_METHOD, subspaces=3),
        ),
        Preset(
            "balanced",
            "Balanced",
            "Frequent tokens get more codes than rare ones, chosen so that the model's output changes least. Nothing is trained.",
            CompressionSettings(with_budget(), budget="0.5%", sensitive=True),
        ),
        Preset(
            "nearly-lossless",
            "Closer",
            "The same with three times the bytes. Nothing is trained.",
            CompressionSettings(with_budget(), budget="1.4%", sensitive=True),
        ),
    )
}
DEFAULT_PRESET = "balanced"


def as_preset(settings: CompressionSettings, vocabulary: int, dim: int) -> CompressionSettings:
    """Resolved settings, spelled as the preset that is the same, if there is one: a budget can be written in bytes or as a share."""
    for preset in PRESETS.values() if settings.budget is not None else ():
        try:
            own = preset.settings.resolve(vocabulary, dim)
        except InputError:  # no preset for so small a table
            continue
        if own.budget is None or replace(own, budget=settings.budget) != settings:
            continue
        if budget_bytes(own.budget, vocabulary, dim) == budget_bytes(settings.budget, vocabulary, dim):
            return own
    return settings


def write_presets(model: PretrainedModel, folder: Path, progress: ProgressCallback | None = None) -> list[str]:
    """Compute all presets and write them into a folder of assets; returns their keys. Raises as :func:`subemb.runs.run`, and OSError."""
    keys = []
    for number, preset in enumerate(PRESETS.values()):
        part = part_of(progress, number / len(PRESETS), (number + 1) / len(PRESETS))
        finished = filmed_run(model, preset.settings, progress=part)
        RUNS.write_in(folder / finished[0].key, finished)
        keys.append(finished[0].key)
    return keys
