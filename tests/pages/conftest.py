"""Whose browser a page is opened in."""

import pytest


@pytest.fixture
def browser(monkeypatch):
    """Be in the browser of anna, ben or somebody else: ``browser("anna")``, which gives the visitor's token."""
    from subemb.ui.shell import visit
    from subemb.ui.shell.visitor import new_token

    tokens: dict[str, str] = {}

    def of(name: str) -> str:
        token = tokens.setdefault(name, new_token())
        monkeypatch.setattr(visit, "token_in_browser", lambda: token)
        return token

    return of
