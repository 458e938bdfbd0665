"""One server for the modules of this folder, and the folders it works in."""

import browser_models
import pytest


@pytest.fixture(scope="session")
def places() -> dict[str, str]:
    """Where the server finds models and kept runs, as environment variables."""
    return browser_models.made()


@pytest.fixture(scope="session")
def server(start_app, places):
    """A server with the models and runs of browser_models.py."""
    return start_app(places)


@pytest.fixture
def in_places(places, monkeypatch) -> dict[str, str]:
    """The test itself works in the server's folders."""
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    return places
