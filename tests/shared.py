"""Finds development data that is not part of the project; tests that need it skip with a reason where it is absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared_path(name: str) -> Path:
    """A file or folder of the shared development data (``SUBEMB_SHARED``, or ``../shared`` beside the checkout), or skip."""
    path = Path(os.environ.get("SUBEMB_SHARED", ROOT.parent / "shared")) / name
    if not path.exists():
        pytest.skip(f"needs the development data {name}; point SUBEMB_SHARED at its folder to run this test")
    return path
