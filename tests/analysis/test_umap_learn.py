"""umap-learn is imported without its search for neighbours, and whoever searches gets it."""

import json
import os
import subprocess
import sys

SEARCHES = """
import json, sys
import numpy as np
from subemb.analysis.umap_learn import umap_learn
names = umap_learn().umap_
before = "pynndescent" in sys.modules

def refused(search):
    try:
        search(np.zeros((40, 3)), metric="nonsense")
    except ValueError as error:
        return str(error)

found = refused(names.NNDescent), [metric in names.pynn_named_distances for metric in ("manhattan", "nonsense")]
import pynndescent, pynndescent.sparse
print(json.dumps([
    before,
    found == (refused(pynndescent.NNDescent), [True, False]),
    [isinstance(value, names.NNDescent) for value in (object.__new__(pynndescent.NNDescent), 0)],
    dict(names.pynn_named_distances) == pynndescent.distances.named_distances,
    dict(names.pynn_sparse_named_distances) == pynndescent.sparse.sparse_named_distances,
    found[0],
]))
"""


def test_who_searches_finds_what_umap_learn_would():
    # Without its compiler numba takes a second for what it would compile for half a minute.
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    ended = subprocess.run([sys.executable, "-c", SEARCHES], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    before, *same, refusal = json.loads(ended.stdout)
    assert not before
    assert same == [True, [True, False], True, True]
    assert "metric" in refusal.lower()
