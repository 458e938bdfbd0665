"""One server for the modules of this folder, and the folders it works in."""

import sys

import browser_models
import pytest
from shared import ROOT


@pytest.fixture(scope="session")
def places() -> dict[str, str]:
    """Where the server finds models and kept runs, as environment variables."""
    return browser_models.made()


@pytest.fixture(scope="session")
def server(start_app, places):
    """A server with the models and runs of browser_models.py; its jobs run in threads (the journey has worker processes)."""
    return start_app(places, command=[sys.executable, str(ROOT / "tests/server_with_threads.py"), "run", str(ROOT / "app.py")])


@pytest.fixture
def in_places(places, monkeypatch) -> dict[str, str]:
    """The test itself works in the server's folders."""
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    return places
