"""The commands that repeat what was done: for pages, reports and model cards."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from ..adaptation.settings import AdaptationSettings
from ..base.plain import declared, to_flags
from ..codec.settings import GIVEN, OF_TEXT, CompressionSettings
from ..evaluate.data.read import DEMO_FILES, DEMO_NAME

#: Names of texts that were not in a file: from the page's text area, and from a list in Python.
_NO_FILES = ("pasted", "the text")
#: What files given on a page are called, whose own names are nobody's business but that of who gave them.
UPLOADED_TEXT, UPLOADED_PAIRS = "an uploaded text", "uploaded pairs"
_FILE = re.compile(r".+\.[A-Za-z0-9]{1,8}")
_SHORTENED = re.compile(r"(.+) and (\d+) more files")


def compress_command(model: str, revision: str | None, settings: CompressionSettings, output: str = "out") -> str:
    """``subemb compress`` with these settings. revision: of a Hugging Face model.

    A text whose tokens were counted is written as FILE. Weights that were given as numbers have no option, and are left out.

    >>> compress_command("all-MiniLM-L6-v2", None, CompressionSettings("product", subspaces=8, codebook_size=61))
    'subemb compress all-MiniLM-L6-v2 --method product -f 8 -q 61 --weights vocabulary --seed 0 -o out'
    """
    method = settings.about
    words = ["subemb", "compress", model, "--method", settings.method]
    if revision:
        words += ["--revision", revision]
    if settings.unique == method.is_unique:
        settings = replace(settings, unique=None)
    names = [name for name in method.reads if name != "weights" or settings.weights != GIVEN]
    words += to_flags(settings, names, always=("subspaces", "weights"))
    if settings.weights in OF_TEXT:
        words += ["--frequency-list" if settings.weights == "list" else "--text", "FILE"]
    if method.uses_codebooks or method.is_iterative:
        words += to_flags(settings, ("seed",), always=("seed",))
    return shlex.join([*words, "-o", output])


def adapt_command(
    settings: AdaptationSettings,
    compressed: str = "out",
    text: str | Sequence[str] | None = None,
    scored: str | None = None,
    steps: int | None = None,
    output: str = "adapted",
) -> str:
    """``subemb adapt`` with these settings. compressed: the folder that ``subemb compress`` wrote.

    text: a file or several, None for none. scored: a file of labelled pairs. steps: instead of the time budget, for the same
    training again.

    >>> from subemb.adaptation.settings import AdaptationSettings
    >>> adapt_command(AdaptationSettings(), text="train.txt", steps=600)
    'subemb adapt out --train-text train.txt --train codebooks --steps 600 --seed 0 -o adapted'
    >>> adapt_command(AdaptationSettings("similarity"), text="sts-train.csv", scored="sts-dev.csv", steps=9).partition(" --train ")[0]
    'subemb adapt out --labelled sts-train.csv'
    >>> adapt_command(AdaptationSettings(), text=["a b.txt", "c.csv"]).partition(" --train ")[0]
    "subemb adapt out --train-text 'a b.txt' c.csv"
    """
    words = ["subemb", "adapt", compressed]
    source = "--labelled" if settings.is_labelled else "--train-text"
    files = [text] if isinstance(text, str) else text
    words += ["--no-text"] if files is None else [source, *files]
    settings = settings if steps is None else replace(settings, steps=steps)
    names = [name for name in dict.fromkeys(("train", *declared(AdaptationSettings))) if name not in ("device", "seed")]
    always = ("train", "seconds", "last_layers") if settings.train == "last" else ("train", "seconds")
    words += to_flags(settings, names, always)
    if scored is not None:
        words += ["--scored", scored]
    return shlex.join([*words, *to_flags(settings, ("seed",), ("seed",)), "-o", output])


def given_files(name: str, task: str | None = None) -> tuple[list[str], str]:
    """What a command says for a text or labelled pairs called ``name``: the files, and a note for the reader, or "".

    task: of labelled pairs, ``similarity`` or another; None for a text. What was not in a file is named as one that has
    to be written.

    >>> given_files("a.csv, b.txt")
    (['a.csv', 'b.txt'], '')
    >>> given_files("mine, and yours")
    (['mine, and yours'], '')
    >>> given_files("Demonstration set", "entailment")[0], given_files("pasted")[0], given_files("the text", "similarity")[0]
    (['assets/demo_entailment.csv'], ['my-sentences.txt'], ['my-pairs.csv'])
    """
    if name in _NO_FILES:
        file, what = ("my-sentences.txt", "the sentences") if task is None else ("my-pairs.csv", "the labelled pairs")
        note = f"{file} is no file that there was: {what} were not read from one. They are not in this report"
        return [file], f"{note}; put them into a file of that name" + (", one sentence a line." if task is None else ".")
    if name in (UPLOADED_TEXT, UPLOADED_PAIRS):
        file = "my-sentences.txt" if task is None else "my-pairs.csv"
        return [file], f"{file} stands for what was uploaded: its name is not part of this report."
    if name == DEMO_NAME:
        # The page offers the sentences of the entailment pairs as a text.
        file = f"assets/{DEMO_FILES.get(task or 'entailment', DEMO_FILES['similarity'])}"
        note = f"The sentences of the demonstration set are not in this report; {file} of subemb is the file that has them."
        return [file], note
    shortened = _SHORTENED.fullmatch(name)
    if shortened:
        files, count = [shortened[1], "more-files.csv"], shortened[2]
        return files, f"more-files.csv stands for {count} more files, whose names are not kept; give all of them in its place."
    parts = name.split(", ")
    return (parts if all(map(_FILE.fullmatch, parts)) else [name]), ""
