"""The parts of a report that say what was done: settings in words, versions, and the commands that do it again."""

import importlib.metadata
import platform

from .. import __version__
from ..adaptation.result import Adaptation
from ..adaptation.settings import LABELLED, OBJECTIVES, TRAINED
from ..adaptation.texts import VOCABULARY
from ..base.text import count_text, percent_text, seconds_text
from ..codec.methods import METHODS
from ..codec.settings import GIVEN, WEIGHT_NAMES, CompressionSettings
from ..runs import Run
from .command_lines import adapt_command, compress_command, given_files
from .report_html import Markup, command, element, facts, joined, section

_PACKAGES = {"PyTorch": "torch", "transformers": "transformers", "safetensors": "safetensors"}


def versions() -> dict[str, str]:
    """Name -> version of what this process works with."""
    found = {"subemb": __version__, "Python": platform.python_version()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def settings_section(model: dict, settings: CompressionSettings, adaptation: Adaptation | None) -> Markup:
    """Model and settings, in words."""
    parts = [element("h3", "Model"), _model(model), element("h3", "Compression"), _compression(settings)]
    if adaptation is not None:
        parts += [element("h3", "Adaptation"), _adaptation(adaptation)]
    return section("Settings", *parts)


def _model(model: dict) -> Markup:
    items = [("Name", model["name"])]
    if model.get("revision"):
        items.append(("Revision", model["revision"]))
    items.append(("Token table", f"{count_text(model['vocabulary'])} tokens × {model['dim']} dimensions"))
    if model.get("parameters"):
        share = model["vocabulary"] * model["dim"] / model["parameters"]
        items.append(
            ("Whole model", f"{count_text(model['parameters'])} parameters; the table is {percent_text(share)} of them")
        )
    return facts(items)


def _compression(settings: CompressionSettings) -> Markup:
    method = METHODS[settings.method]
    items = [("Method", f"{method.title}: {method.summary}")]
    if method.uses_codebooks:
        additive = settings.method == "residual"
        items += [
            (
                "Stages" if additive else "Subspaces f",
                f"{settings.subspaces}: every token is that many small integers, its codes",
            ),
            (
                "Codebook size Q",
                f"{settings.codebook_size} shared {'vectors a stage' if additive else 'sub-vectors a subspace'}",
            ),
            ("Tuples of codes", "distinct: no two tokens have the same" if settings.wants_unique else "tokens may collide"),
            ("Token weights", WEIGHT_NAMES[settings.weights]),
        ]
        if method.is_iterative:
            least = f"or until the error shrinks by less than {settings.tolerance:g} of it"
            items.append(("k-means", f"at most {settings.iterations} iterations, {least}"))
        items.append(("Seed", str(settings.seed)))
    if settings.rank is not None:
        items.append(("Rank", str(settings.rank)))
    return facts(items)


def _adaptation(adaptation: Adaptation) -> Markup:
    settings, text, scored = adaptation.settings, adaptation.text, adaptation.scored
    objective, trained = OBJECTIVES[settings.objective], TRAINED[settings.train]
    layers = f" ({settings.last_layers})" if settings.train == "last" else ""
    source = "no text" if text["name"] == "vocabulary" else text["name"]
    reassigned = f"; {count_text(adaptation.reassigned)} codes changed" if settings.reassign else ""
    rates = f"{settings.codebook_rate:g} of the codebooks"
    if settings.train != "codebooks":
        rates += f", {settings.network_rate:g} of the network"
    items = [
        ("Objective", f"{objective.title}: {objective.help}"),
        ("Trained", f"{trained.title}{layers}: {trained.help}"),
        ("Codes", ("may change" if settings.reassign else "stay as they are") + reassigned),
        ("Learned from", f"{source}: {adaptation.learned_from}"),
        ("Time", _time(adaptation)),
        ("Batch", f"{settings.batch_size} {'pairs' if 'pairs' in text else 'sentences'} a step"),
        ("Learning rates", rates),
        ("Temperature", f"{settings.temperature:g}"),
        ("Seed", str(settings.seed)),
        ("Computed on", adaptation.device + (f", {adaptation.threads} threads" if adaptation.threads else "")),
        ("Ended", _ending(adaptation)),
    ]
    if scored is not None:
        items.insert(4, ("Followed on", f"{scored['name']}: {adaptation.scored_count}"))
    return facts(items)


def _time(adaptation: Adaptation) -> str:
    settings = adaptation.settings
    asked = f"{count_text(settings.steps)} steps" if settings.steps is not None else f"{seconds_text(settings.seconds)}"
    done = f"{count_text(adaptation.steps)} steps in {seconds_text(adaptation.seconds)}"
    return f"asked for {asked}; {done} ({seconds_text(adaptation.cpu_seconds)} of processor time)"


_STATES = {
    "done": "as planned",
    "stopped": "stopped early; the best weights so far were kept",
    "paused": "paused",
    "running": "not ended",
    "failed": "failed",
}


def _ending(adaptation: Adaptation) -> str:
    kept = f"; the weights of step {count_text(adaptation.best_step)} were kept" if adaptation.best_step else ""
    return _STATES.get(adaptation.state, adaptation.state) + kept + (f" ({adaptation.message})" if adaptation.message else "")


def versions_section(run: Run | None, adaptation: Adaptation | None, found: dict[str, str]) -> Markup:
    """With what it was computed, and with what this page was written."""
    items = []
    if run is not None:
        items.append(("Compressed by", f"subemb {run.version}"))
    if adaptation is not None:
        items.append(("Adapted by", f"subemb {adaptation.version}"))
    items.append(("Reported by", ", ".join(f"{name} {version}" for name, version in found.items())))
    return section("Versions", facts(items))


def commands_section(model: dict, settings: CompressionSettings, adaptation: Adaptation | None) -> Markup:
    """What to type to get the same again, and what has to be filled in."""
    revision = model.get("revision") if model.get("source") == "hub" else None
    parts = [command(compress_command(model["name"], revision, settings))]
    notes = []
    if settings.weights.endswith("counts"):
        notes.append("FILE is the text whose tokens were counted; it is not kept with the result.")
    if settings.weights == GIVEN:
        notes.append("The tokens were weighted by numbers given in Python, which the command line cannot be told.")
    if adaptation is not None:
        parts.append(command(_adapt_line(adaptation)))
        notes += _adapt_notes(adaptation)
    return section("The same again", *parts, joined(element("p", note, class_="note") for note in notes))


def _adapt_line(adaptation: Adaptation) -> str:
    learned, scored = _learned_files(adaptation), _scored_files(adaptation)
    return adapt_command(
        adaptation.settings,
        text=None if learned is None else learned[0],
        scored=None if scored is None else scored[0][0],
        steps=adaptation.planned_steps or None,
    )


def _learned_files(adaptation: Adaptation) -> tuple[list[str], str] | None:
    """As :func:`given_files`; None without a text."""
    if adaptation.text["name"] == VOCABULARY:
        return None
    objective = adaptation.settings.objective
    return given_files(adaptation.text["name"], objective if objective in LABELLED else None)


def _scored_files(adaptation: Adaptation) -> tuple[list[str], str] | None:
    """As :func:`given_files`, one file; None without a set of its own."""
    scored = adaptation.scored
    if scored is None or scored.get("held_out"):
        return None
    files, note = given_files(scored["name"], scored["task"])
    return (files, note) if len(files) == 1 else ([scored["name"]], "")


def _adapt_notes(adaptation: Adaptation) -> list[str]:
    settings, notes = adaptation.settings, []
    if settings.steps is None:
        planned = adaptation.planned_steps
        asked = (
            f"came to {count_text(planned)} steps on that computer; the command asks for the steps"
            if planned
            else "is asked for"
        )
        searched = " and the search for codes" if settings.reassigns(adaptation.compression["method"]) else ""
        notes.append(
            f"A time budget of {seconds_text(settings.seconds)} {asked}. With a time budget, the learning-rate schedule{searched} "
            "depended on the speed of that machine, so the command gives nearly, but not exactly, the same. Only a run whose steps "
            "were given from the start comes out the same again."
        )
    given = [found for found in (_learned_files(adaptation), _scored_files(adaptation)) if found is not None]
    if any(not note for _, note in given):
        notes.append("Texts and labelled sets stand under the names they had; give the files where they lie.")
    notes += dict.fromkeys(note for _, note in given if note)
    if adaptation.state == "stopped":
        notes.append("It was stopped early; the command goes on to the end.")
    return notes


def settings_of(run: Run | None, adaptation: Adaptation | None) -> CompressionSettings:
    """How the table was compressed."""
    return run.settings if run is not None else CompressionSettings.from_dict(adaptation.compression)
