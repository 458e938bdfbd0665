import inspect
from dataclasses import replace
from typing import get_type_hints

import pytest

from subemb.base.errors import InputError
from subemb.base.plain import declared
from subemb.codec import METHODS, CompressionSettings, compress
from subemb.codec.methods.base import MethodSettings
from subemb.codec.settings import settings_text

#: Of every setting another value than its default, for a method that reads it.
OTHER = {
    "subspaces": 4,
    "codebook_size": 40,
    "codebook_bits": 16,
    "tiers": "5:int8,*:trim",
    "budget": "20 kB",
    "keep": "10",
    "unique": None,  # what the method does not do by itself
    "weights": "zipf",
    "sensitive": True,
    "iterations": 7,
    "tolerance": 0.25,
    "rank": 5,
}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "magic"}, "unknown method 'magic'; choose one of cluster"),
        ({"subspaces": 0}, "subspaces is 0; it must be at least 1"),
        ({"subspaces": 2.5}, "subspaces must be a whole number, not 2.5"),
        ({"subspaces": True}, "subspaces must be a whole number, not True"),
        ({"iterations": 1001}, "iterations is 1001.*at most 1000"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"codebook_size": 0}, "codebook_size must be a whole number of at least 1, not 0"),
        ({"rank": "7"}, "rank must be a whole number"),
        ({"tolerance": 1.0}, "tolerance is 1.0"),
        ({"tolerance": "small"}, "tolerance must be a number, not 'small'"),
        ({"method": "product", "unique": "no"}, "unique must be True, False or None .*, not 'no'"),
        ({"method": "product", "unique": 1}, "unique must be True, False or None .*, not 1"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
        ({"weights": "heavy"}, "unknown weights 'heavy'"),
        ({"method": "residual", "unique": True}, "residual cannot be asked for unique tuples"),
        ({"method": "arbitrary", "unique": False}, "arbitrary has unique tuples by construction"),
    ],
)
def test_bad_values_are_refused_by_name(values, message):
    with pytest.raises(InputError, match=message):
        CompressionSettings(**values)


def test_resolve_fills_in_every_automatic_value():
    resolved = CompressionSettings().resolve(30522, 384)
    assert (resolved.codebook_size, resolved.unique, resolved.rank) == (32, True, None)
    assert CompressionSettings("product").resolve(30522, 384).unique is False
    assert CompressionSettings("low_rank").resolve(30522, 384).rank == 48
    assert CompressionSettings("int8", codebook_size=9).resolve(30522, 384).codebook_size is None
    assert resolved.resolve(30522, 384) == resolved


def test_resolve_checks_what_only_the_table_can_tell():
    with pytest.raises(InputError, match="9 subspaces do not fit a table of 8 dimensions"):
        CompressionSettings(subspaces=9).resolve(100, 8)
    with pytest.raises(InputError, match="rank 9 is more than this table of 100 x 8 allows"):
        CompressionSettings("low_rank", rank=9).resolve(100, 8)
    assert CompressionSettings("residual", subspaces=9, codebook_size=4).resolve(100, 8).subspaces == 9
    with pytest.raises(InputError, match="257 stages are more than the 256"):
        CompressionSettings("residual", subspaces=257, codebook_size=4).resolve(100, 8)


@pytest.mark.parametrize("method", METHODS)
def test_settings_survive_plain_types(method):
    settings = CompressionSettings(method, subspaces=4, seed=7)
    assert CompressionSettings.from_dict(settings.to_dict()) == settings


def test_settings_of_a_newer_version_are_refused():
    with pytest.raises(InputError, match=r"unknown setting.*colour"):
        CompressionSettings.from_dict({"method": "cluster", "colour": "red"})


def test_compress_takes_every_setting_with_its_default():
    """What :func:`compress` is called with is written out, so that editors know it."""
    items = {name: item for name, item in declared(CompressionSettings).items() if name != "text_digest"}
    given = inspect.signature(compress).parameters
    assert set(items) <= set(given)
    assert {name: given[name].default for name in items if name != "weights"} == {
        name: item.default for name, item in items.items() if name != "weights"
    }


def test_methods_are_told_every_setting():
    hints = get_type_hints(CompressionSettings)
    assert get_type_hints(MethodSettings) == {name: hints[name] for name in declared(CompressionSettings)}


@pytest.mark.parametrize(("method", "name"), [(method, name) for method in METHODS for name in METHODS[method].reads])
def test_settings_that_change_a_result_are_told_apart_in_a_line(method, name):
    first = CompressionSettings(method, codebook_size=32 if "codebook_size" in METHODS[method].reads else None)
    value = not first.wants_unique if name == "unique" else OTHER[name]
    if name == "unique" and not METHODS[method].can_be_unique:
        return  # there is no other value
    first = replace(first, budget="30 kB") if name == "keep" and "budget" in METHODS[method].reads else first
    assert settings_text(replace(first, **{name: value})) != settings_text(first)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (method, name)
        for method in METHODS
        for name in ("subspaces", "codebook_size", "codebook_bits", "iterations", "tolerance", "rank")
    ],
)
def test_what_a_method_does_not_read_makes_no_other_run(method, name):
    settings = CompressionSettings(method)
    other = replace(settings, **{name: OTHER[name]})
    assert (other.resolve(1000, 16) == settings.resolve(1000, 16)) == (name not in METHODS[method].reads)
