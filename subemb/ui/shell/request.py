"""What a visitor is looking at, as a value, and its form in the URL. Pure functions; no Streamlit here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from ...base import plain
from ...base.errors import InputError
from ...codec.settings import CompressionSettings
from ...export.command_lines import compress_command
from ...presets import DEFAULT_PRESET, PRESETS
from ...runs import Run

BUNDLED = "all-MiniLM-L6-v2"

RUN_PARAMETERS = ("model", "revision", *plain.url_names(CompressionSettings))


@dataclass(frozen=True)
class Request:
    """One run as asked for: which model, which settings (automatic values not yet filled in)."""

    model: str = BUNDLED  # its listed name
    revision: str | None = None  # of a hub model: branch, tag or commit; None for its default
    settings: CompressionSettings = field(default_factory=CompressionSettings)  # as given, not resolved

    @classmethod
    def of(cls, model: dict, settings: CompressionSettings) -> "Request":
        """``model``: as ``Run.model``."""
        return cls(model["name"], model["revision"] if model["source"] == "hub" else None, settings)

    @classmethod
    def of_run(cls, run: Run) -> "Request":
        """The request that leads to a finished run: with what it was asked for, which its key was made from."""
        return cls.of(run.model, run.asked)


#: What a first visit sees; it is shipped, see ``subemb.presets``.
EXAMPLE = Request(settings=PRESETS[DEFAULT_PRESET].settings)


def to_query(request: Request) -> dict[str, str]:
    """URL parameters of a request: the model, the method, and whatever differs from the defaults.

    >>> to_query(Request(settings=CompressionSettings("product", subspaces=8, codebook_size=256)))
    {'model': 'all-MiniLM-L6-v2', 'method': 'product', 'f': '8', 'q': '256'}
    """
    query = {"model": request.model}
    if request.revision:
        query["revision"] = request.revision
    always = ("method", "subspaces") if request.settings.about.uses_codebooks else ("method",)
    return query | plain.to_query(request.settings, always)


def from_query(query: Mapping[str, str]) -> Request | None:
    """The request in URL parameters, or None if there is none.

    Raises InputError naming the parameter and its value if one cannot be read.
    """
    if not any(name in query for name in RUN_PARAMETERS):
        return None
    settings = plain.from_query(CompressionSettings, query)
    return Request(query.get("model", BUNDLED)[:400], query.get("revision") or None, settings)


def other_query(settings: CompressionSettings) -> str:
    """The settings of a run that is compared with the one shown, as one parameter of the URL.

    >>> other_query(CompressionSettings("product", subspaces=8, codebook_size=256))
    'method=product&f=8&q=256'
    """
    return urlencode({name: value for name, value in to_query(Request(settings=settings)).items() if name != "model"})


def other_request(query: str, beside: Request) -> Request:
    """The inverse of :func:`other_query`, for the model of the run shown. Raises InputError if it cannot be read."""
    try:
        found = from_query(dict(parse_qsl(query[:2000], keep_blank_values=True, max_num_fields=40)))
    except ValueError as error:
        raise InputError(f"the link's run to compare with cannot be read ({error})") from error
    if found is None:
        raise InputError(f"the link names no run to compare with: b={query[:60]!r}; choose one under Compare with")
    return Request(beside.model, beside.revision, found.settings)


def command_line(request: Request) -> str:
    """The command that computes the same on the command line."""
    return compress_command(request.model, request.revision, request.settings)
