"""What the README says of the code is true: its Python example, its table of methods, and that it names every flag."""

import argparse
import re

import numpy as np
import pytest
from shared import ROOT

from subemb.cli import parser as parser_of_all
from subemb.codec.methods import METHODS


@pytest.mark.slow
def test_the_python_example_gives_what_it_says(tmp_path, monkeypatch):
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Python")[2]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for slow, quick in (
        ("seconds=20", "steps=2, batch_size=8, reassign=False"),
        ('method="cluster"', 'method="arbitrary"'),
        ('demo_pairs("similarity")', 'demo_pairs("similarity").sample(30)'),
        ("small}, pairs)", "small}, pairs, resamples=20)"),
    ):
        assert slow in code
        code = code.replace(slow, quick)
    exec(compile(code, "README.md", "exec"), names)
    vectors = names["again"].encode(["a sentence"])
    assert np.abs(names["vector"].numpy() - vectors).max() < 1e-6
    assert names["vector"].shape == (1, 384)
    assert np.abs(names["adapted"].encode(["a sentence"]) - vectors).max() < 1e-6
    assert names["layer"].weight.shape == names["model"].table.shape


def test_the_table_of_methods_is_that_of_the_code():
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("### Methods")[2].partition("\n### ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [_row(method) for method in METHODS.values()], "write the rows anew as _row has them"


def _row(method) -> str:
    offered = []
    if method.suggested.subspaces is not None:
        offered.append(f"{method.subspaces_letter} = {method.suggested.subspaces}")
        offered.append(f"Q = {method.suggested.codebook_size or 'automatic'}")
    elif "rank" in method.reads:
        offered.append(f"rank {method.suggested.rank or 'automatic'}")
    return f"| `{method.key}` | {method.summary} | {', '.join(offered)} |".replace("  ", " ")


def test_every_flag_of_the_command_line_is_named():
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", (ROOT / "README.md").read_text(encoding="utf-8")))
    missing = {}
    for command, parser in _commands(parser_of_all(), "subemb"):
        for action in parser._actions:
            long = {flag for flag in action.option_strings if flag.startswith("--")} - {"--help", "--version"}
            if long and action.help != argparse.SUPPRESS and not long & named:
                missing.setdefault(command, []).append(sorted(long))
    assert not missing


def _commands(parser, name: str):
    """(words, parser) of every command."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, command in action.choices.items():
                yield from _commands(command, f"{name} {word}")
