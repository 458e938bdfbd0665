"""What several browser tests do: wait, read what a map shows, draw a lasso, take a table's download."""

import csv
import time

LEFT, RIGHT = "map_original", "map_reconstructed"

#: Ids selected on one map, over all its traces.
_SELECTED = """(place) => {
  const plot = document.querySelector(`.st-key-${place} .js-plotly-plot`);
  if (!plot || !plot._fullLayout || !plot._fullLayout.xaxis) return null;
  const traces = plot.data.filter((trace) => trace.customdata);
  return traces.flatMap((t) => (t.selectedpoints || []).map((i) => t.customdata[i])).sort((a, b) => a - b);
}"""


def wait_for(page, condition, seconds: float = 60):
    """Wait until ``condition()`` is true, and return what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        page.wait_for_timeout(50)
    raise AssertionError(f"not within {seconds} s: {condition}")


def selected_ids(page, place) -> list[int] | None:
    """Token ids selected on a map, or None while it is not drawn."""
    return page.evaluate(_SELECTED, place)


def maps_are_drawn(page, seconds: float = 90) -> None:
    """Wait until both maps are there and linked to each other."""
    wait_for(page, lambda: selected_ids(page, LEFT) is not None and selected_ids(page, RIGHT) is not None, seconds)
    page.wait_for_timeout(700)  # for the link to attach to both


def lasso(page, place, radius: float = 60, keys: str = "") -> None:
    """Draw a closed line around the middle of a map with the mouse."""
    page.locator(f".st-key-{place}").scroll_into_view_if_needed()
    box = page.locator(f".st-key-{place} .nsewdrag").first.bounding_box()
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
    """Wait until the script has not run for half a second: whatever runs again gives new files to its download buttons."""
    script = page.locator("[data-testid=stApp]")
    deadline, quiet = time.monotonic() + seconds, 0
    while quiet < 5:
        assert time.monotonic() < deadline, f"the page was not at rest within {seconds} s"
        quiet = quiet + 1 if script.get_attribute("data-test-script-state") == "notRunning" else 0
        page.wait_for_timeout(100)


def downloaded_rows(page, button: str, path) -> list[dict]:
    """The rows of the CSV that a button saves; ``button`` is its key."""
    settled(page)
    with page.expect_download() as download:
        page.locator(f".st-key-{button} button").click()
    download.value.save_as(path)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def is_wider_than_its_place(page) -> bool:
    """Whether anything makes the main part of the page scroll sideways."""
    return page.evaluate(
        """() => [...document.querySelectorAll('[data-testid=stMain]')]
        .some((part) => part.scrollWidth > part.clientWidth + 1)"""
    )
