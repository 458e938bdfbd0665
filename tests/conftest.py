"""What every test gets: caches of its own, no network; and for tests of pages a server and a real browser.

The environment is set before anything of subemb or Hugging Face is imported, so that worker processes and servers inherit it.
"""

import functools
import gc
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
#: The first that is installed. The shell is Chromium without a window, which costs a third less outside of its pages.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: The last two: pages of one site share a process, which then need not compile the app's scripts for every page anew; and garbage of
#: scripts is looked for when there are 64 MB of it, which takes a tenth less of a core.
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--process-per-site",
    "--js-flags=--min-semi-space-size=64",
]
#: What must never stand in the log of a server under test.
SUSPICIOUS = ("traceback", "deprecat", "warning", "exception", "error")
#: Streamlit 1.67 logs this when a browser leaves while the server is busy; nothing of it is subemb's.
BROWSER_LEFT = re.compile(
    r"^Exception in ASGI application\nTraceback.*\n  File \".*starlette_websocket\.py\".*\n(?:.*\n)*?"
    r"starlette\.websockets\.WebSocketDisconnected: Cannot call .*\n",
    re.MULTILINE,
)
#: How long a server may take to start, and a page to do what a test waits for; generous, for busy machines.
PATIENCE_SECONDS = 90

# Properties say what is computed, not how fast a busy machine does it.
settings.register_profile("subemb", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("everyday", settings.get_profile("subemb"), max_examples=20)
settings.load_profile("subemb")

# pytest rewrites every assertion, which costs ten seconds of a core: kept as bytecode, whatever the environment says.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Collecting makes a million objects that stay: looking for garbage among them takes seconds of a core.
gc.disable()

# Models of tests are so small that threads lose by waiting for each other: up to ten times, on a busy machine.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

_scratch = Path(tempfile.mkdtemp(prefix="subemb-tests-"))
#: What all processes of one session share; see shared.made_once. The first of them, which starts the others, names it.
os.environ.setdefault("SUBEMB_TESTS_MADE", str(_scratch / "made"))
os.environ.update(
    SUBEMB_CACHE=str(_scratch / "cache"),
    HF_HOME=str(_scratch / "huggingface"),
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    TOKENIZERS_PARALLELISM="false",
)
for _name in ("SUBEMB_MODELS", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN"):
    os.environ.pop(_name, None)


def pytest_configure(config) -> None:
    if "not slow" in config.getoption("markexpr"):
        settings.load_profile("everyday")


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marks
def pytest_collection_modifyitems(items) -> None:
    cases = Counter()
    for item in items:
        if after := item.get_closest_marker("slow_after"):
            function = item.nodeid.split("[")[0]
            cases[function] += 1
            if cases[function] > after.args[0]:
                item.add_marker(pytest.mark.slow)
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.flaky(reruns=1))
    # What takes longest begins first, so that no process waits long for the last file of another.
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.parent.name != "browser", item.path not in long))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)  # with 700, the usual one, a page's test looks for garbage a twentieth of its time
    gc.enable()


def pytest_xdist_auto_num_workers() -> int:
    """Three processes on two cores, for the browser's tests are half waiting; and one for each of more, up to six: 1.5 GB each."""
    from subemb.jobs.worker import available_cpus

    return min(max(3, available_cpus()), 6)


_gives_way = False


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item) -> None:
    """The process that has the browser's tests goes before the others: they are half waiting, and would be the last to end."""
    global _gives_way
    is_shared = "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "nice")
    if is_shared and not _gives_way and not item.get_closest_marker("browser"):
        os.nice(5)
        _gives_way = True


_PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    return report


class _BrowserTogether(LoadScopeScheduling):
    """A file at a time for a process, and all browser tests for the first: one server, one browser, compiled scripts kept."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.split("::", 1)[0]
        return "tests/browser" if module.startswith("tests/browser/") else module


def pytest_xdist_make_scheduler(config, log):
    return _BrowserTogether(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_unconfigure() -> None:
    shutil.rmtree(_scratch, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _work_in_threads() -> Iterator[None]:
    """Jobs run in threads of this process (see worker_threads.py), unless a test asks for ``worker_processes``."""
    from worker_threads import WorkerThread

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("subemb.jobs.manager.WorkerProcess", WorkerThread)
        yield


@pytest.fixture(scope="session", autouse=True)
def in_a_process() -> Iterator[Callable[[str, list[str]], dict]]:
    """Networks are built here to be looked at; what a test is given asks the process that does it in the app."""
    from subemb.models import probe, probed

    real = probe.ask
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "ask", probed.answer)
        yield real


@pytest.fixture(scope="session", autouse=True)
def _packages_are_scanned_once() -> Iterator[None]:
    """AppTest makes a runtime for every page, and a runtime reads the metadata of every installed package in search of components."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session", autouse=True)
def _loops_are_compiled_once() -> Iterator[None]:
    from shared import compile_after_others

    with pytest.MonkeyPatch.context() as patch:
        compile_after_others(patch.setattr)
        yield


@pytest.fixture(scope="module", autouse=True)
def _workers_of_its_own() -> Iterator[None]:
    """No job outlives the module that started it, nor what the manager knows of it."""
    yield
    _close_manager()


@pytest.fixture
def worker_processes(monkeypatch) -> Iterator[None]:
    """Jobs run in processes, as in the app, for one test."""
    from subemb.jobs.worker import WorkerProcess

    _close_manager()
    monkeypatch.setattr("subemb.jobs.manager.WorkerProcess", WorkerProcess)
    yield
    _close_manager()


def _close_manager() -> None:
    jobs = sys.modules.get("subemb.jobs.manager")
    if jobs is not None:
        jobs.close_manager()


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Connections of this process stay on this machine; anything else is refused as if the cable were out."""
    original = socket.socket.connect

    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise OSError(101, f"tests use no network, but {address[0]} was asked for")
        return original(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        yield


def _is_local(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


# Servers


class AppServer:
    """``streamlit run app.py`` with its log. Used through the fixture ``start_app``."""

    def __init__(self, log: Path, environment: dict[str, str], command: list[str] | None = None, cwd: Path = ROOT):
        self.port = _free_port()
        self.url = f"http://localhost:{self.port}"
        self.log_file = log
        command = command or [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
        # Every test session binds to a port of its own, whatever a developer's own settings say.
        flags = ["--port"] if "subemb" in command else ["--server.headless=true", "--server.port"]
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [*command, *flags[:-1], f"{flags[-1]}={self.port}"],
                cwd=cwd,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        """Everything the server has written so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def wait_until_healthy(self) -> None:
        """Return when pages can be asked for; fail with the log if that takes too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        pytest.fail(f"the server did not come up; its log:\n{self.log}")

    def stop(self) -> None:
        """End the server as Ctrl-C does, and wait for it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)

    def suspicious_lines(self, allowed: tuple[str, ...] = ()) -> list[str]:
        """Log lines that tell of a defect, except those containing one of ``allowed``."""
        return [
            line
            for line in BROWSER_LEFT.sub("", self.log).splitlines()
            if any(word in line.lower() for word in SUSPICIOUS) and not any(text in line for text in allowed)
        ]


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def start_app(tmp_path_factory):
    """Start servers: ``server = start_app({"SUBEMB_MODELS": ...}, allowed=("text of an expected log line",))``.

    They live until the session ends; then a log line of one that tells of a defect fails the session's last test.
    """
    servers: list[tuple[AppServer, tuple[str, ...]]] = []

    def start(environment: dict[str, str] | None = None, allowed: tuple[str, ...] = (), **how) -> AppServer:
        log = tmp_path_factory.mktemp("server") / "log.txt"
        server = AppServer(log, environment or {}, **how)
        servers.append((server, allowed))
        server.wait_until_healthy()
        return server

    yield start
    for server, _ in servers:
        server.stop()
    complaints = [line for server, allowed in servers for line in server.suspicious_lines(allowed)]
    assert not complaints, "servers wrote:\n" + "\n".join(complaints)


@pytest.fixture(scope="module")
def animals():
    """A masked language model that knows what animals say; see masked_models.py."""
    import masked_models

    import subemb

    return subemb.load(masked_models.trained() / "animals")


# A browser


@pytest.fixture(scope="session")
def chromium() -> str | None:
    """Path of a Chromium: ``SUBEMB_CHROMIUM``, an installed one, or None for Playwright's own. Skips if there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright: pip install playwright")
    given = os.environ.get("SUBEMB_CHROMIUM")
    if given:
        assert Path(given).is_file(), f"SUBEMB_CHROMIUM names {given}, which is not a file"
        return given
    installed = next(filter(None, map(shutil.which, BROWSERS)), None)
    if installed:
        return installed
    with sync_api.sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    if own.is_file():
        return None
    pytest.skip("browser tests need Chromium: install it, run `playwright install chromium`, or set SUBEMB_CHROMIUM")


@pytest.fixture(scope="session")
def browser(chromium):
    """A headless Chromium for the session."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_SECONDS * 1000)  # its own 5 seconds are too few where several servers share a machine
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=BROWSER_ARGUMENTS)
        yield running
        running.close()


def _new_context(browser, **options):
    context = browser.new_context(accept_downloads=True, **options)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    return context


@pytest.fixture(scope="session")
def warm_context(browser):
    """A context with one idle page, that keeps the process of the site running, and with it the compiled scripts."""
    context = _new_context(browser)
    idle = context.new_page()
    idle.route("http://localhost/idle", lambda route: route.fulfill(body="idle"))
    idle.goto("http://localhost/idle")
    yield context
    context.close()


@pytest.fixture(scope="session")
def kept_pages() -> Iterator[dict]:
    """Pages that stay open from one test to the next, by the name that they are kept under."""
    pages = {}
    yield pages
    for page in pages.values():
        page.close()


@pytest.fixture
def new_page(browser, warm_context, kept_pages, request):
    """Open pages, tabs of one visitor: ``page = new_page(width=390, height=844, color_scheme="dark")``.

    keep: a name; the page is that of an earlier test which kept it under the same name and passed, where that left it,
        or a blank one. Opening a page of the app anew takes two to four seconds.
    options: of a context of its own for the page, which is another visitor then.

    At the end of the test they must have raised no error in the browser and asked nothing of any other machine.
    """
    contexts, errors, foreign, names = [], [], [], {}

    def watch(asked) -> None:
        scheme, _, rest = asked.url.partition("://")
        if scheme in ("http", "https", "ws", "wss") and not _is_local(rest.split("/")[0].rsplit(":", 1)[0]):
            foreign.append(asked.url)

    def complain(error) -> None:
        errors.append(str(error))

    def open_page(width: int = 1280, height: int = 900, color_scheme: str = "light", keep: str | None = None, **options):
        context = warm_context
        if options:
            context = _new_context(browser, **options)
            context.on("request", watch)
            contexts.append(context)
        page = kept_pages.pop(keep, None)
        if page is None:
            page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=color_scheme)
        if keep:
            names[page] = keep
        page.on("pageerror", complain)
        return page

    warm_context.on("request", watch)
    yield open_page
    for page in warm_context.pages[1:]:  # the first is the idle one
        if page in kept_pages.values():
            continue
        if page in names and request.node.stash.get(_PASSED, False):
            page.remove_listener("pageerror", complain)
            kept_pages[names[page]] = page
            continue
        page.evaluate("() => { try { localStorage.clear() } catch {} }")  # a blank page has none
        page.close()
    warm_context.clear_cookies()
    warm_context.remove_listener("request", watch)
    for context in contexts:
        context.close()
    assert not errors, f"errors in the browser: {errors}"
    assert not foreign, f"the browser asked other machines: {foreign}"


@pytest.fixture
def page(new_page):
    """One visitor at 1280 x 900 in the light theme."""
    return new_page()
