"""What tests of pages without a browser share: folders of their own, opening a page by its address, reading what it shows."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from subemb.ui.shell.request import Request, to_query

APP = Path(__file__).resolve().parent.parent / "app.py"
PAGES = ["app.py", *sorted(f"pages/{path.name}" for path in (APP.parent / "pages").glob("*.py"))]


@contextmanager
def own_folders(tmp_path_factory) -> Iterator[Path]:
    """A new folder that SUBEMB_MODELS names, and a new cache; to be used in a fixture of module scope."""
    models = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_MODELS", str(models))
        patch.setenv("SUBEMB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield models


def open_app(page: str, request: Request | None = None, timeout: int = 60, **query: str) -> AppTest:
    """A page after its first run. request: the run that its address names."""
    test = AppTest.from_file(str(APP), default_timeout=timeout)
    test.switch_page(page)
    test.query_params.update((to_query(request) if request else {}) | query)
    return test.run()


def checked(test: AppTest) -> AppTest:
    """Fails if the page shows an error."""
    assert not test.exception
    assert not test.error, [box.value for box in test.error]
    return test


def rerun_until(test: AppTest, done: Callable[[AppTest], bool], seconds: float = 90) -> AppTest:
    """Run a page again, as its polling fragment does in a browser, until ``done(test)``."""
    end = time.monotonic() + seconds
    while not done(test):
        assert not test.exception
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
        test.run()
    return test


def bound_parameters(test: AppTest) -> set[str]:
    """Names of the address that widgets and tabs of a page are bound to."""

    def named(proto) -> Iterator[str]:
        if getattr(proto, "query_param_key", ""):
            yield proto.query_param_key
        for field, value in proto.ListFields():
            if field.type == field.TYPE_MESSAGE and not field.is_repeated:
                yield from named(value)

    def below(block) -> Iterator[str]:
        for child in getattr(block, "children", {}).values():
            yield from named(child.proto) if getattr(child, "proto", None) is not None else ()
            yield from below(child)

    return set(below(test._tree))


def html_of(test: AppTest) -> str:
    """What st.html drew."""
    return " ".join(element.proto.body for element in test.get("html"))


def texts(test: AppTest) -> str:
    """Texts and boxes, errors aside."""
    return " ".join(str(element.value) for element in [*test.markdown, *test.caption, *test.info, *test.success, *test.warning])


def frame_with(test: AppTest, *columns: str):
    """The element of the first table with these columns; AppTest knows keys of widgets only."""
    return next(element for element in test.dataframe if set(columns) <= set(element.value.columns))


def table_with(test: AppTest, *columns: str):
    """The first table with these columns."""
    return frame_with(test, *columns).value


def metrics(test: AppTest) -> dict[str, str]:
    """Label and value of every metric."""
    return {metric.label: metric.value for metric in test.metric}
