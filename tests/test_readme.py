"""The Python example of the README runs, and gives what it says."""

import re

import numpy as np
from shared import ROOT


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
