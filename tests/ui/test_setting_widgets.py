"""Widgets made from declarations: one for each type, and a flag, a name and a help for every setting that people meet."""

from dataclasses import fields

import pytest
from streamlit.testing.v1 import AppTest

from subemb.adaptation.settings import AdaptationSettings
from subemb.base.plain import bounds, declared
from subemb.codec.methods import METHODS
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.entailment.head_settings import HeadSettings


def everything():
    from dataclasses import dataclass

    import streamlit as st

    from subemb.base.plain import Settings, setting
    from subemb.ui.widgets.settings import has_widget, setting_input

    @dataclass(frozen=True)
    class Oven(Settings):
        mode: str = setting("grill", choices=("grill", "fan"), title="Mode")
        degrees: int = setting(180, least=50, most=250, title="Heat", help="How hot.")
        rate: float = setting(0.002, least=0, most=1, decimals=4)
        minutes: int | None = setting(None, least=1, automatic="until it smells")
        light: bool = setting(True)
        note: str = setting("none")
        secret: int = setting(3, widget=False)

    names = has_widget(Oven, list(Oven.__dataclass_fields__))
    values = {name: setting_input(Oven, name, f"oven_{name}") for name in names if name != "rate"}
    values["rate"] = setting_input(Oven, "rate", "oven_rate", value=0.002, label="Speed")
    st.session_state["made"] = Oven(**values).to_dict()


def test_every_type_has_its_widget():
    test = AppTest.from_function(everything).run()
    assert not test.exception
    assert test.session_state["made"] == {
        **{"mode": "grill", "degrees": 50, "rate": 0.002, "minutes": None, "light": False, "note": "none", "secret": 3}
    }
    heat, minutes, rate = (test.number_input(key=f"oven_{name}") for name in ("degrees", "minutes", "rate"))
    assert (heat.label, heat.min, heat.max, heat.help) == ("Heat", 50, 250, "How hot.")
    assert (minutes.label, minutes.placeholder, minutes.value) == ("Minutes", "automatic: until it smells", None)
    assert (rate.label, rate.proto.format) == ("Speed", "%.4f")
    heat.set_value(60)
    minutes.set_value(7)
    test.selectbox(key="oven_mode").set_value("fan")
    test.toggle(key="oven_light").set_value(True)
    test.text_input(key="oven_note").set_value("hot").run()
    assert test.session_state["made"] == {
        **{"mode": "fan", "degrees": 60, "rate": 0.002, "minutes": 7, "light": True, "note": "hot", "secret": 3}
    }


@pytest.mark.parametrize("cls", [CompressionSettings, AdaptationSettings, HeadSettings])
def test_every_setting_has_a_flag_and_is_explained(cls):
    made_from_a_text = {"text_digest"}
    names = {item.name for item in fields(cls)} - made_from_a_text
    assert set(declared(cls)) - made_from_a_text == names
    for name in names:
        assert declared(cls)[name].flags, name
        assert declared(cls)[name].url_name, name
        assert declared(cls)[name].help, name


def test_the_methods_read_settings_that_there_are():
    known = set(declared(CompressionSettings))
    for method in METHODS.values():
        assert set(method.reads) <= known, method.key
    read = {name for method in METHODS.values() for name in method.reads}
    assert known - read == {"method", "seed", "text_digest"}
    without = {name for name in known if not declared(CompressionSettings)[name].widget}
    assert without == {"tolerance", "text_digest"}, "pages offer every other setting"


def test_limits_of_widgets_are_those_of_the_settings():
    for cls in (CompressionSettings, AdaptationSettings):
        for name, item in declared(cls).items():
            found = bounds(cls, name)
            for limit in (found.get("min_value"), found.get("max_value")):
                if limit is not None and item.above is None and item.below is None:
                    cls(**{name: limit})
