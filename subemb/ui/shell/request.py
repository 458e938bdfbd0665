"""What a visitor is looking at, as a value, and its form in the URL. Pure functions; no Streamlit here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from ...base.errors import InputError
from ...codec.methods import METHODS
from ...codec.settings import CompressionSettings
from ...export.command_lines import compress_command

BUNDLED = "all-MiniLM-L6-v2"

#: URL name -> (settings field, reader)
_URL_NAMES = {
    "method": ("method", str),
    "f": ("subspaces", int),
    "q": ("codebook_size", int),
    "unique": ("unique", lambda text: {"1": True, "0": False}[text]),
    "weights": ("weights", str),
    "rank": ("rank", int),
    "seed": ("seed", int),
    "iterations": ("iterations", int),
    "tolerance": ("tolerance", float),
    "text": ("text_digest", str),
}
RUN_PARAMETERS = ("model", "revision", *_URL_NAMES)
_DEFAULTS = {item.name: item.default for item in fields(CompressionSettings)}


@dataclass(frozen=True)
class Request:
    """One run as asked for: which model, which settings (automatic values not yet filled in)."""

    model: str = BUNDLED
    revision: str | None = None
    settings: CompressionSettings = field(default_factory=CompressionSettings)

    @classmethod
    def of(cls, model: dict, settings: CompressionSettings) -> "Request":
        """The request that leads to a finished run; ``model`` is ``Run.model``."""
        return cls(model["name"], model["revision"] if model["source"] == "hub" else None, settings)


EXAMPLE = Request()


def to_query(request: Request) -> dict[str, str]:
    """URL parameters of a request: the model, the method, and whatever differs from the defaults.

    >>> to_query(Request(settings=CompressionSettings("product", subspaces=8, codebook_size=256)))
    {'model': 'all-MiniLM-L6-v2', 'method': 'product', 'f': '8', 'q': '256'}
    """
    query = {"model": request.model}
    if request.revision:
        query["revision"] = request.revision
    for name, (attribute, _) in _URL_NAMES.items():
        value = getattr(request.settings, attribute)
        always = attribute == "method" or (attribute == "subspaces" and METHODS[request.settings.method].uses_codebooks)
        if value is None or (value == _DEFAULTS[attribute] and not always):
            continue
        query[name] = str(int(value)) if isinstance(value, bool) else str(value)
    return query


def from_query(query: Mapping[str, str]) -> Request | None:
    """The request in URL parameters, or None if there is none.

    Raises InputError naming the parameter and its value if one cannot be read.
    """
    if not any(name in query for name in RUN_PARAMETERS):
        return None
    values = {}
    for name, (attribute, read) in _URL_NAMES.items():
        if name not in query:
            continue
        try:
            values[attribute] = read(query[name])
        except (ValueError, KeyError):
            raise InputError(f"the link says {name}={query[name][:80]!r}, which cannot be read; check the link") from None
    try:
        settings = CompressionSettings(**values)
    except InputError as error:
        raise InputError(f"the link asks for something that does not work: {error}") from error
    return Request(query.get("model", BUNDLED)[:400], query.get("revision") or None, settings)


def command_line(request: Request) -> str:
    """The command that computes the same on the command line."""
    return compress_command(request.model, request.revision, request.settings)
