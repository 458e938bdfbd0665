"""Examples in docstrings say what the code does."""

import doctest
import importlib
import pkgutil

import pytest

import subemb

MODULES = [
    module.name
    for module in pkgutil.walk_packages(subemb.__path__, "subemb.")
    if not module.name.endswith("__main__") and "._app" not in module.name
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_examples_are_found():
    found = sum(
        len(doctest.DocTestFinder().find(importlib.import_module(name)))
        for name in ("subemb.base.text", "subemb.base.progress")
    )
    assert found > 4
