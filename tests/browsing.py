"""What several browser tests do: wait, read what a map shows, draw a lasso, take a table's download."""

import csv
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

LEFT, RIGHT = 0, 1  # the two maps

#: What the map says of itself, see map.js; null while it is not there. Open shadow roots have to be looked into one by one.
_MAP = """(what) => {
  for (const node of document.querySelectorAll("*")) {
    const map = node.shadowRoot?.querySelector(".map")?.subembMap;
    if (map) return map[what]();
  }
  return null;
}"""

#: As a link of the page does, see subemb/ui/widgets/leads.py.
_FOLLOW = """(address) => {
  history.pushState({}, "", address);
  window.dispatchEvent(new PopStateEvent("popstate", { state: {} }));
}"""

#: Five looks in a row at which the script did not run.
_IS_AT_REST = """() => {
  const state = document.querySelector("[data-testid=stApp]")?.getAttribute("data-test-script-state");
  const parts = [...document.querySelectorAll(".stBidiComponent")], waits = document.querySelector("[data-testid=stSkeleton]");
  const rests = state === "notRunning" && !waits && parts.every((part) => part.querySelector("[data-listens]"));
  window.looksAtRest = rests ? (window.looksAtRest || 0) + 1 : 0;
  return window.looksAtRest >= 5;
}"""

_IN_A_FRESH_PROCESS = """
import json, sys
import numpy as np
import subemb
one, other = np.asarray(subemb.load(sys.argv[1]).encode(json.loads(sys.argv[2])), np.float64)
print(float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)), "streamlit" in sys.modules)
"""


def wait_for(page, condition, seconds: float = 60):
    """Wait until ``condition()`` is true, and return what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        page.wait_for_timeout(50)
    raise AssertionError(f"not within {seconds} s: {condition}")


def go(page, address: str) -> None:
    """Go to an address of the app: where it is open already as along a link of a page, which takes a tenth of loading it.

    The page is at rest before: what a run of the script still writes into the address would take the place of the new one.
    """
    server = "/".join(address.split("/")[:3])
    if page.url.startswith(f"{server}/"):
        settled(page)
        page.evaluate(_FOLLOW, address)
        settled(page)
    else:
        page.goto(address)


def map_state(page) -> dict | None:
    """What the token maps show, or None while they are not there."""
    return page.evaluate(_MAP, "state")


def map_pixels(page) -> list[tuple[int, int]]:
    """(colour as 0xRRGGBB, pixels) of the maps, the most frequent first."""
    return [tuple(entry) for entry in page.evaluate(_MAP, "pixels")]


def maps_are_drawn(page, seconds: float = 90) -> dict:
    """Wait until both maps are drawn in their colours; returns their state."""

    def drawn():
        state = map_state(page)
        return state if state and state["frames"] and state["coloured"] and state["arrived"] == 1 else None

    return wait_for(page, drawn, seconds)


def map_box(page, side) -> dict:
    """Where a map is on the page, in pixels, scrolled into view."""
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()
    box, panel = stage.bounding_box(), map_state(page)["panels"][side]
    return {**panel, "x": box["x"] + panel["x"], "y": box["y"] + panel["y"]}


def choose_tool(page, name: str) -> None:
    """Press a button of the maps; name: its beginning, such as ``Select with a lasso``."""
    page.get_by_role("button", name=name).click()


def lasso(page, side, radius: float = 60, keys: str = "") -> None:
    """Draw a closed line around the middle of a map with the mouse."""
    choose_tool(page, "Select with a lasso")
    box = map_box(page, side)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    if keys:
        page.keyboard.down(keys)
    page.mouse.move(x - radius, y - radius)
    page.mouse.down()
    for right, down in ((radius, -radius), (radius, radius), (-radius, radius), (-radius, -radius)):
        page.mouse.move(x + right, y + down, steps=5)
    page.mouse.up()
    if keys:
        page.keyboard.up(keys)


def settled(page, seconds: float = 60) -> None:
    """Wait until all is there and listens, and the script has not run for a quarter of a second: whatever runs again gives new files to
    its download buttons."""
    # Before its title there is nothing that could rest. By tag: an open list hides all else from those who ask by role.
    page.locator("h1").first.wait_for(timeout=1000 * seconds)
    page.evaluate("() => { window.looksAtRest = 0 }")
    in_page(page, _IS_AT_REST, seconds)


def in_page(page, condition: str, seconds: float = 60) -> None:
    """Wait for a condition in JavaScript. The page looks by itself: to be asked every 50 ms takes a tenth of a core."""
    page.wait_for_function(condition, polling=50, timeout=1000 * seconds)


def nothing_is_computed(page) -> None:
    """Wait until the page shows no sign that something is being computed."""
    in_page(page, "() => !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSpinner]')", 90)


def downloaded_rows(page, button: str, folder: Path) -> list[dict]:
    """The rows of the CSV that a button saves; ``button`` is its key."""
    with downloaded(page, button, folder).open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def is_wider_than_its_place(page, seconds: float = 5) -> bool:
    """Whether anything makes the main part of the page scroll sideways, for longer than a chart takes to fit in."""
    deadline = time.monotonic() + seconds
    while page.evaluate(
        """() => [...document.querySelectorAll('[data-testid=stMain]')]
        .some((part) => part.scrollWidth > part.clientWidth + 1)"""
    ):
        if time.monotonic() > deadline:
            return True
        page.wait_for_timeout(100)
    return False


def changed_to(page, width: int, scheme: str) -> None:
    """Make the window of an open page another one: width in pixels, ``light`` or ``dark``; and let it draw itself anew."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(400)
    settled(page)


def downloaded(page, key: str, folder: Path) -> Path:
    """Press a download button and save what comes."""
    settled(page)
    with page.expect_download() as download:
        page.locator(f".st-key-{key} button").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def unpacked(archive: Path) -> Path:
    """The folder of a compact folder's archive, unpacked beside it."""
    with zipfile.ZipFile(archive) as file:
        file.extractall(archive.parent)
    return archive.parent / archive.stem


def cosine_in_a_fresh_process(folder: Path, pair: tuple[str, str], environment: dict[str, str]) -> float:
    """Cosine of two sentences by a compact folder, in a process that has never seen the app, nor its cache."""
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_FRESH_PROCESS, folder.name, json.dumps(pair)],
        cwd=folder.parent,
        env={**os.environ, **environment, "SUBEMB_CACHE": str(folder.parent / "another cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    cosine, with_streamlit = done.stdout.split()
    assert with_streamlit == "False"
    return float(cosine)
