"""The way through the presets: their tables on the map of the run that is shown, from most bytes to fewest, for the browser to go along."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from ....analysis.layout import UmapSettings
from ....analysis.maps import TokenMap
from ....base.errors import InputError
from ....base.store import content_key
from ....base.text import percent_text
from ....jobs.task import Call
from ....presets import PRESETS
from ....runs import RUNS, Run
from ....tasks.layouts import place
from ...shell.frame import Frame
from ...shell.models import key_of
from ...shell.request import Request
from ...shell.sides import COMPRESSED
from .packing import pack

OWN = "this run"


@dataclass(frozen=True)
class Stop:
    """A compressed table on the way."""

    name: str
    run: Run
    is_shown: bool  # whether the map is that of this run

    @property
    def kept(self) -> str:
        """What stands in the picture."""
        near, dim = self.run.quality["neighbours_kept"], self.run.model["dim"]
        return (
            f"{percent_text(self.run.size.total_share)} of the bytes, neighbours kept: {percent_text(near)} in all {dim} axes"
        )


def stops_of(frame: Frame) -> list[Stop]:
    """The run shown and the presets that are computed, most bytes first; nothing where there is nowhere to go, or two tables are shown."""
    if frame.second is not None or frame.first.name != COMPRESSED:
        return []
    found = {frame.run.key: Stop(OWN, frame.run, True)}
    request = frame.visit.request
    for preset in PRESETS.values():
        try:
            key, _ = key_of(Request(request.model, request.revision, preset.settings))
        except InputError:  # no such budget for a table of this size
            continue
        run = frame.run if key == frame.run.key else RUNS.get(key, is_use=False)
        if run is not None:
            found[key] = Stop(preset.title, run, key == frame.run.key)
    stops = sorted(found.values(), key=lambda stop: -stop.run.size.total_bytes)
    return stops if len(stops) > 1 else []


def way(
    frame: Frame, stops: list[Stop], name: str, umap: UmapSettings, fitted: int, wanted: Callable[[Call, str], Any | None]
) -> bytes | None:
    """Packed places of all stops but the one shown, named by their number; None until they are computed.

    name: of the map's points. wanted: the kept result of a job, or None after it has begun.
    """
    subject = replace(frame.subject, adapted_key=None)
    others = {number: stop for number, stop in enumerate(stops) if not stop.is_shown}
    calls = {
        number: place.call(subject, replace(subject, run_key=stop.run.key), fitted, umap) for number, stop in others.items()
    }
    found = {number: wanted(call, f"Placing {others[number].name} on the map") for number, call in calls.items()}
    if any(each is None for each in found.values()):
        return None
    return _packed(content_key(name, [call.key for call in calls.values()]), found)


@st.cache_resource(max_entries=16, show_spinner=False)
def _packed(name: str, _found: dict[int, TokenMap]) -> bytes:
    return pack(name, {str(number): each.reconstructed.ravel() for number, each in _found.items()})
