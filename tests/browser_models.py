"""The models that the tests in tests/browser open, and the runs kept of them: made once, for one server that most modules share.

The bundled model and its presets come along, and are not made.
"""

import shutil
from pathlib import Path

import masked_models
import pytest
from checkpoints import HOSTILE, SPECIAL, WORDS, make_bert, make_hostile, make_sentence_model
from entailment_models import make_classifier, make_encoder, train_quick_head
from shared import made_once

from subemb.codec.settings import CompressionSettings
from subemb.runs import run_and_keep

KINGS = ["king", "queen", "kings", *(f"word{number}" for number in range(300))]
RATED = [f"word{number}" for number in range(80)]
MAPPED = [*SPECIAL, "king", "kings", *HOSTILE, *(f"word{number}" for number in range(1500))]
LETTERS = [*"<>=()$:*x", "img", "src", "onerror", "alert", "smile"]
#: Model and settings of every run that is kept before a page is opened.
RUNS = {
    "hostile": [CompressionSettings("product", subspaces=2, codebook_size=3, iterations=2)],  # few tuples: many collisions
    "hostile-few": [CompressionSettings("product", subspaces=2, codebook_size=3, iterations=2)],
    "kings": [
        CompressionSettings("product", subspaces=3, codebook_size=8, iterations=3),
        CompressionSettings("product", subspaces=48, codebook_size=8, iterations=2),
    ],
    "mapped": [CompressionSettings("cluster", subspaces=3, iterations=5)],
    "learner": [CompressionSettings("cluster", subspaces=2, codebook_size=8)],
    "rated": [CompressionSettings("product", subspaces=4, codebook_size=4, iterations=2)],
    "birds": [CompressionSettings("product", subspaces=3, codebook_size=4, iterations=2)],
    "exported": [CompressionSettings("product", subspaces=3, codebook_size=4, iterations=2)],
    "classifier": [CompressionSettings("product", subspaces=2, codebook_size=2, weights="none", iterations=2)],
    "encoder": [CompressionSettings("product", subspaces=2, codebook_size=2, weights="none", iterations=2)],
    "animals": [CompressionSettings("product", subspaces=4, codebook_size=12, iterations=3)],
    "headless": [CompressionSettings("product", subspaces=4, codebook_size=12, iterations=3)],
}


def made() -> dict[str, str]:
    """Where they are, as environment variables."""
    folder = made_once("browser", _make)
    return {"SUBEMB_MODELS": str(folder / "models"), "SUBEMB_CACHE": str(folder / "cache")}


def _make(folder: Path) -> None:
    models = folder / "models"
    make_hostile(models / "hostile", dim=8, ordinary=20)
    make_hostile(models / "hostile-few", dim=8, ordinary=0)  # so few tokens that one drawing holds them all
    make_bert(models / "kings", [*SPECIAL, *KINGS], dim=48)
    make_bert(models / "mapped", MAPPED, dim=16)
    make_sentence_model(make_bert(models / "learner", [*SPECIAL, *WORDS]))
    make_bert(models / "rated", [*SPECIAL, *RATED], dim=16)
    make_bert(models / "birds", [*SPECIAL, *WORDS, *LETTERS], dim=24, initializer_range=0.3)
    make_bert(models / "exported", [*SPECIAL, *WORDS], dim=24, initializer_range=0.3)
    make_classifier(models / "classifier")
    make_encoder(models / "encoder")
    shutil.copytree(masked_models.trained() / "animals", models / "animals")
    make_bert(models / "headless")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_MODELS", str(models))
        patch.setenv("SUBEMB_CACHE", str(folder / "cache"))
        train_quick_head(models / "encoder")
        for model, settings in RUNS.items():
            for one in settings:
                run_and_keep(model, None, one.to_dict())
