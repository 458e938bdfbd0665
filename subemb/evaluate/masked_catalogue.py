"""Which models have a masked-word head: among those that are here, and well-known ones that can be downloaded."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..catalogue import ModelEntry


@dataclass(frozen=True)
class HubModel:
    """A model on the hub. name: its id. languages: in words."""

    name: str
    languages: str


#: All of them are there with safetensors and their masked-word head. ELECTRA's generators and MPNet work too, once they are
#: saved with safetensors.
HUB_MODELS = (
    HubModel("distilbert/distilbert-base-uncased", "English"),
    HubModel("google-bert/bert-base-uncased", "English"),
    HubModel("FacebookAI/roberta-base", "English"),
    HubModel("google-bert/bert-base-multilingual-cased", "104 languages"),
    HubModel("FacebookAI/xlm-roberta-base", "100 languages"),
)


def models_with_masked_head(entries: Sequence[ModelEntry]) -> list[ModelEntry]:
    """Of listed models those that can be used and whose ``config.json`` names a masked-word head; no weights are read."""
    return [entry for entry in entries if not entry.error and "masked" in entry.heads]
