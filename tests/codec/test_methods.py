"""What every method says about itself is there, and is true."""

import subprocess
import sys
from dataclasses import fields

import pytest
import torch
from made_results import made_result
from safetensors.torch import load_file

from subemb.codec import compress
from subemb.codec.estimates import estimate_seconds, predicted_size
from subemb.codec.loading import load
from subemb.codec.methods import DEFAULT_METHOD, METHODS, plain_method
from subemb.codec.settings import CompressionSettings
from subemb.codec.storage import TENSORS_FILE, save

SETTINGS = {item.name for item in fields(CompressionSettings)}


@pytest.fixture(scope="module")
def table() -> torch.Tensor:
    return torch.randn(60, 10, generator=torch.Generator().manual_seed(0))


def test_every_key_is_that_of_its_method():
    assert all(key == method.key for key, method in METHODS.items())
    assert DEFAULT_METHOD in METHODS
    assert len({method.title for method in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_tells_what_it_is(method):
    assert method.title
    assert method.summary[0].isupper() or method.summary.startswith("k-means")
    assert method.summary.endswith(".")
    assert type(method).__doc__
    assert set(method.reads) <= SETTINGS - {"method", "seed"}
    assert method.is_baseline != method.uses_codebooks
    assert method.uses_codebooks == ("codebook_size" in method.reads)
    if method.stores_codes or method.can_be_unique or method.can_be_reassigned or method.is_additive or method.is_rotated:
        assert method.uses_codebooks or "tiers" in method.reads  # a tier has codebooks of its own


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_has_suggested_settings(method):
    suggested = {name: value for name, value in method.suggested._asdict().items() if value is not None}
    assert set(suggested) <= set(method.reads)
    assert ("subspaces" in suggested) == method.uses_codebooks
    resolved = CompressionSettings(method.key, **suggested).resolve(30522, 384)
    assert resolved == resolved.resolve(30522, 384)
    assert 0.1 < estimate_seconds(resolved, 30522, 384) < 600


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_stores_what_it_says(method, table, tmp_path):
    settings = CompressionSettings(method.key, subspaces=3, iterations=2, weights="none").resolve(*table.shape)
    result = compress(table, settings=settings)
    assert result.settings.about is method
    save(result, tmp_path)
    stored = load_file(tmp_path / TENSORS_FILE)
    assert {name: (tuple(t.shape), t.dtype) for name, t in stored.items()} == method.expected(settings, *table.shape)
    assert torch.equal(load(tmp_path).reconstruct(), result.reconstruct())
    assert predicted_size(settings, *table.shape, 10**6) == result.size(10**6)
    assert method.widths(settings, 10) == [book.shape[1] for book in getattr(result, "codebooks", ())]


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_reads_no_setting_but_those_it_names(method, table):
    """Another value of a setting that is not read is set aside, or changes nothing."""
    other = {"subspaces": 4, "codebook_size": 50, "weights": "zipf", "iterations": 3, "tolerance": 0.5, "rank": 3}
    unread = {name: value for name, value in other.items() if name not in method.reads}
    base = CompressionSettings(method.key, weights="none", iterations=2)
    changed = CompressionSettings(method.key, **{"weights": "none", "iterations": 2, **unread})
    assert torch.equal(compress(table, settings=base).reconstruct(), compress(table, settings=changed).reconstruct())


@pytest.mark.parametrize(("is_additive", "is_rotated"), [(False, False), (False, True), (True, False)])
def test_codebooks_from_elsewhere_have_a_method(is_additive, is_rotated):
    method = METHODS[plain_method(is_additive, is_rotated)]
    assert (method.is_additive, method.is_rotated, method.is_unique) == (is_additive, is_rotated, False)
    assert made_result(method.key).settings.about is method


def test_the_list_of_methods_imports_nothing_slow():
    code = (
        "import sys, subemb.codec.methods, subemb.codec.settings; print(sorted({'torch', 'numpy', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
