"""Settings declared as data, and JSON types: every form of a declaration, and round trips of anything."""

import argparse
import json
import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subemb.base import plain
from subemb.base.errors import InputError
from subemb.base.plain import Settings, bounds, from_plain, from_query, setting, to_flags, to_plain, to_query


@dataclass(frozen=True)
class Oven(Settings):
    GONE = ("turbo",)

    mode: str = setting("grill", choices=("grill", "fan"), also=("given",), help="how it heats")
    degrees: int = setting(180, least=50, most=250, short="-d", url="t", title="Heat", help="50 % more is too hot")
    minutes: float | None = setting(None, above=0, most=1e6, unit="minutes")
    share: float = setting(0.5, least=0, below=1)
    seed: int = setting(0, least=0, most=2**63 - 1)
    light: bool = setting(True, title="Light", help="So that one sees the cake.")
    door: bool | None = setting(None, fault="{name} must be open or not, not {value!r}")
    weight: float = setting(1.0, least=0, fault="{name} must be {needed}, {sides}, not {value}")
    note: str | None = setting(None, flag="")
    colour: str = setting("red", url="", flag="--paint")

    def check(self):
        if self.mode == "fan" and self.degrees > 200:
            raise InputError("a fan stands 200 degrees at most; lower degrees")


OVENS = st.builds(
    Oven,
    mode=st.sampled_from(["grill", "given"]),
    degrees=st.integers(50, 250),
    minutes=st.none() | st.floats(0, 1e6, exclude_min=True),
    share=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 2**63 - 1),
    light=st.booleans(),
    door=st.none() | st.booleans(),
)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mode": "steam"}, "unknown mode 'steam'; choose one of grill, fan"),
        ({"mode": 3}, "unknown mode 3; choose one of grill, fan"),
        ({"degrees": 49}, "degrees is 49; it must be from 50 to 250"),
        ({"degrees": 251}, "degrees is 251; it must be from 50 to 250"),
        ({"degrees": 60.0}, "degrees is 60.0; it must be a whole number from 50 to 250"),
        ({"degrees": True}, "degrees is True; it must be a whole number from 50 to 250"),
        ({"degrees": None}, "degrees is None; it must be a whole number from 50 to 250"),
        ({"minutes": 0}, "minutes is 0; it must be above 0 and at most 1e+06 minutes"),
        ({"minutes": "long"}, "minutes is 'long'; it must be a number above 0 and at most 1e+06 minutes"),
        ({"minutes": math.nan}, "minutes is nan; it must be above 0 and at most 1e+06 minutes"),
        ({"share": 1}, "share is 1; it must be at least 0 and below 1"),
        ({"share": -math.inf}, "share is -inf; it must be at least 0 and below 1"),
        ({"share": 10**400}, f"share is {10**400}; it must be at least 0 and below 1"),
        ({"seed": 2**63}, "seed is 9223372036854775808; it must be from 0 to 9,223,372,036,854,775,807"),
        ({"light": 1}, "light is 1; it must be True or False"),
        ({"door": 0}, "door must be open or not, not 0"),
        ({"weight": -1}, "weight must be a number of at least 0, at least 0, not -1"),
        ({"note": 5}, "note is 5; it must be text"),
        ({"mode": "fan", "degrees": 201}, "a fan stands 200 degrees at most; lower degrees"),
    ],
)
def test_a_bad_value_is_said_with_its_limit(values, message):
    with pytest.raises(InputError) as caught:
        Oven(**values)
    assert str(caught.value) == message


def test_limits_are_exact_at_the_border():
    assert (Oven(degrees=50).degrees, Oven(degrees=250).degrees, Oven(minutes=1e6).minutes, Oven(share=0).share) == (
        50,
        250,
        1e6,
        0,
    )
    smallest, largest = math.nextafter(0, 1), math.nextafter(1, 0)
    assert Oven(minutes=smallest, share=largest) == replace(Oven(share=largest), minutes=smallest)
    for values in ({"minutes": math.nextafter(1e6, 2e6)}, {"share": -smallest}, {"share": 1.0}, {"minutes": 0.0}):
        with pytest.raises(InputError, match=next(iter(values))):
            Oven(**values)


def test_a_whole_number_stands_for_a_float():
    assert [type(value) for value in (Oven(minutes=3).minutes, Oven(share=0).share)] == [float, float]
    assert Oven(mode="given").mode == "given"
    with pytest.raises(InputError, match="degrees is 9"):
        replace(Oven(), degrees=9)


@given(OVENS)
def test_settings_survive_every_form(oven):
    assert Oven.from_dict(json.loads(json.dumps(oven.to_dict()))) == oven
    assert from_query(Oven, to_query(oven)) == oven
    parser = argparse.ArgumentParser()
    plain.add_flags(parser, Oven)
    if oven.mode != "given":  # accepted, not offered
        assert Oven(**plain.given_flags(parser.parse_args(to_flags(oven)), Oven)) == oven


def test_names_of_other_versions():
    with pytest.raises(InputError, match=r"unknown setting.* colours, size; written by a newer version of subemb"):
        Oven.from_dict({"size": 3, "colours": 1})
    assert Oven.from_dict({"turbo": 3, "degrees": 60}) == Oven(degrees=60)


def test_what_came_later_is_in_json_only_where_it_is_set():
    @dataclass(frozen=True)
    class Newer(Settings):
        old: int = setting(1)
        new: int = setting(0, later=True)

    assert Newer().to_dict() == {"old": 1}
    assert Newer(new=2).to_dict() == {"old": 1, "new": 2}
    assert Newer.from_dict({"old": 1}) == Newer()


def test_flags_say_what_is_declared(capsys):
    parser = argparse.ArgumentParser(prog="bake")
    plain.add_flags(parser, Oven, ("mode", "degrees", "light", "note", "colour", "seed", "weight"))
    text = " ".join(parser.format_help().split())
    assert "-d DEGREES, --degrees DEGREES 50 % more is too hot (default 180)" in text
    assert "--mode {grill,fan} how it heats (default grill)" in text
    assert "--light, --no-light light: So that one sees the cake. (default yes)" in text
    assert "--seed SEED (default 0)" in text  # not "no", though 0 == False
    assert "--weight WEIGHT (default 1)" in text
    assert "--paint" in text
    assert "note" not in text
    found = parser.parse_args(["--no-light", "-d", "60", "--paint", "blue"])
    assert plain.given_flags(found, Oven) == {"light": False, "degrees": 60, "colour": "blue"}
    assert plain.given_flags(parser.parse_args([]), Oven) == {}
    with pytest.raises(SystemExit):
        parser.parse_args(["--mode", "given"])


def test_what_differs_from_the_defaults_is_written():
    assert to_flags(Oven()) == []
    assert to_flags(Oven(), always=("degrees", "light")) == ["-d", "180", "--light"]
    assert to_flags(Oven(light=False, share=0.25, minutes=90, colour="blue"), ("minutes", "light", "colour")) == [
        *("--minutes", "90", "--no-light", "--paint", "blue")
    ]
    assert to_query(Oven()) == {}
    assert to_query(Oven(degrees=60, door=False, colour="blue", note="x"), ("mode",)) == {
        **{"mode": "grill", "t": "60", "door": "0", "note": "x"}
    }


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"t": "hot"}, "the link says t='hot', which cannot be read; give a whole number"),
        ({"door": "yes"}, "the link says door='yes', which cannot be read; give 1 for yes or 0 for no"),
        ({"t": "9"}, "the link asks for something that does not work: degrees is 9"),
    ],
)
def test_a_link_that_cannot_be_read(query, message):
    with pytest.raises(InputError, match=message):
        from_query(Oven, query)


def test_a_link_holds_other_things_too():
    assert from_query(Oven, {"t": "60", "degrees": "70", "colour": "blue", "model": "x"}) == Oven(degrees=60)
    assert plain.url_names(Oven) == ("mode", "t", "minutes", "share", "seed", "light", "door", "weight", "note")


def test_bounds_of_widgets():
    assert bounds(Oven, "degrees") == {"label": "Heat", "help": "50 % more is too hot", "min_value": 50, "max_value": 250}
    assert bounds(Oven, "seed") == {"label": "Seed", "help": None, "min_value": 0, "max_value": 2**53 - 1}
    found = bounds(Oven, "minutes")
    assert [type(found[name]) for name in ("min_value", "max_value")] == [float, float]
    assert bounds(Oven, "light") == {"label": "Light", "help": "So that one sees the cake."}


@dataclass(frozen=True)
class Point:
    step: int
    loss: float = 0.0


@dataclass(frozen=True)
class Curve:
    name: str
    points: tuple[Point, ...]
    settings: Oven = field(default_factory=Oven)
    scores: dict[str, float] = field(default_factory=dict)
    by_step: dict[int, list[Point]] = field(default_factory=dict)
    pair: tuple[int, str] = (0, "")
    best: Point | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    count: int | str = 0
    size: int = field(default=0, init=False)


POINTS = st.builds(Point, st.integers(), st.floats(allow_nan=False))
CURVES = st.builds(
    Curve,
    name=st.text(),
    points=st.lists(POINTS, max_size=3).map(tuple),
    settings=OVENS,
    scores=st.dictionaries(st.text(), st.floats(allow_nan=False), max_size=3),
    by_step=st.dictionaries(st.integers(), st.lists(POINTS, max_size=2), max_size=2),
    pair=st.tuples(st.integers(), st.text()),
    best=st.none() | POINTS,
    facts=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=3),
    count=st.integers() | st.text(),
)


@given(CURVES)
def test_nested_dataclasses_survive_json(curve):
    assert from_plain(Curve, json.loads(json.dumps(to_plain(curve)))) == curve


def test_numpy_and_nan_become_json():
    curve = Curve(np.str_("a"), (Point(np.int64(3), np.float32(0.5)),), scores={"f1": math.nan, "accuracy": np.float64(1)})
    written = to_plain(curve) | {"settings": None}
    assert written["points"] == [{"step": 3, "loss": 0.5}]
    assert written["scores"] == {"f1": None, "accuracy": 1.0}
    assert "size" not in written
    json.dumps(written, allow_nan=False)
    assert to_plain({"codes": np.arange(4).reshape(2, 2), 3: {1}}) == {"codes": [[0, 1], [2, 3]], "3": [1]}
    read = from_plain(Curve, to_plain(curve))
    assert math.isnan(read.scores["f1"])
    assert read.points == (Point(3, 0.5),)
    assert type(from_plain(Point, {"step": 1, "loss": 2}).loss) is float


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "Curve lacks 'name'; it is damaged"),
        ({"name": "a", "points": [], "colour": 1}, "Curve has 'colour', which is unknown"),
        ({"name": 3, "points": []}, r"Curve\.name is 3; it must be text"),
        ({"name": "a", "points": [{"step": "x"}]}, r"Curve\.points\[0\]\.step is 'x'; it must be a whole number"),
        ({"name": "a", "points": [{"step": True}]}, r"step is True; it must be a whole number"),
        ({"name": "a", "points": [{"step": 1, "loss": "low"}]}, r"loss is 'low'; it must be a number"),
        ({"name": "a", "points": {}}, r"Curve\.points is \{\}; it must be tuple"),
        ({"name": "a", "points": [3]}, r"points\[0\] is 3; it must be the values of a Point"),
        ({"name": "a", "points": [], "pair": [1]}, r"pair is \[1\]"),
        ({"name": "a", "points": [], "best": {"step": 1.5}}, r"best\.step is 1\.5"),
        ({"name": "a", "points": [], "settings": {"degrees": 9}}, "degrees is 9; it must be from 50 to 250"),
        ([], "Curve is"),
    ],
)
def test_what_is_damaged_is_said_with_its_place(values, message):
    with pytest.raises(InputError, match=message):
        from_plain(Curve, values)
