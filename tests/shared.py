"""What tests share: things made once for all processes of a session, waiting, and development data that is not part of the project."""

import ast
import os
import shutil
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent


def shared_path(name: str) -> Path:
    """A file or folder of the shared development data (``SUBEMB_SHARED``, or ``../shared`` beside the checkout), or skip."""
    path = Path(os.environ.get("SUBEMB_SHARED", ROOT.parent / "shared")) / name
    if not path.exists():
        pytest.skip(f"needs the development data {name}; point SUBEMB_SHARED at its folder to run this test")
    return path


def session_folder() -> Path:
    """The folder that all processes of a test session share."""
    place = Path(os.environ["SUBEMB_TESTS_MADE"])
    place.mkdir(parents=True, exist_ok=True)
    return place


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """A folder that ``make(folder)`` filled, once for all processes of a test session. Copy what a test will change."""
    place = session_folder()
    folder = place / name
    with FileLock(place / f"{name}.lock"):
        if not (place / f"{name}.done").exists():
            shutil.rmtree(folder, ignore_errors=True)  # half of it, where an earlier try failed
            folder.mkdir()
            make(folder)
            (place / f"{name}.done").touch()
    return folder


def compile_after_others(replace: Callable[[type, str, Callable], object]) -> None:
    """Have one process of a session compile loops, and the others take what numba has kept of it.

    On a new checkout that is twelve seconds of a core for each. replace: ``setattr``, or a monkeypatch's, which is undone.
    """
    from numba.core.dispatcher import Dispatcher

    real, lock = Dispatcher.compile, FileLock(session_folder() / "compiling.lock")

    def compile_or_wait(self, signature):
        with lock:
            return real(self, signature)

    replace(Dispatcher, "compile", compile_or_wait)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something that another process or thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


@cache
def parsed(path: Path) -> ast.Module:
    """A file of Python, read and parsed once."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_and_texts(path: Path) -> tuple[list[ast.Import | ast.ImportFrom], set[str]]:
    """All imports in a file of Python, wherever they stand, and every string in its code, docstrings aside."""
    imports, strings, said = [], [], set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        elif isinstance(node, ast.Expr):
            said.add(id(node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.append(node)
    return imports, {node.value for node in strings if id(node) not in said}


def packages_imported(path: Path) -> list[tuple[str, int]]:
    """Top-level names of the absolute imports in a file, wherever they stand, each with its line."""
    found = []
    for node in imports_and_texts(path)[0]:
        if isinstance(node, ast.Import):
            found += [(alias.name.split(".")[0], node.lineno) for alias in node.names]
        elif not node.level:
            found.append((node.module.split(".")[0], node.lineno))
    return found
