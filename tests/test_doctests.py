"""Examples in docstrings say what the code does."""

import doctest
import importlib.util
import linecache
import pkgutil
from pathlib import Path

import pytest

import subemb

MODULES = {
    module.name: Path(importlib.util.find_spec(module.name).origin).read_text(encoding="utf-8")
    for module in pkgutil.walk_packages(subemb.__path__, "subemb.")
    if not module.name.endswith("__main__") and "._app" not in module.name
}


@pytest.mark.parametrize("name", [name for name, text in MODULES.items() if ">>> " in text])
def test_examples_are_true(name):
    linecache.clearcache()  # a debugger that doctest makes for every example would look whether one of a thousand files has changed
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_module_can_be_imported():
    for name in MODULES:
        importlib.import_module(name)


def test_examples_are_found():
    found = sum(
        len(doctest.DocTestFinder().find(importlib.import_module(name)))
        for name in ("subemb.base.text", "subemb.base.progress")
    )
    assert found > 4
