"""Widgets of settings, made from their declarations (:mod:`subemb.base.plain`)."""

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import streamlit as st

from ...base.plain import Settings, bounds, declared


def setting_input(cls: type[Settings], name: str, key: str, place=st, **instead: Any) -> Any:
    """The widget that suits a setting's type; returns a value that the setting takes, its default for an empty field.

    key: of the session state. place: a column, for example. instead: arguments of the widget in place of those that follow from the
    declaration, such as ``help=None``.
    """
    item, arguments = declared(cls)[name], bounds(cls, name)
    if item.choices is not None:
        titles = item.choices if isinstance(item.choices, Mapping) else {}
        options = [*([None] if item.optional else []), *item.choices]

        def shown(value: Any) -> str:
            return "automatic" if value is None else getattr(titles.get(value), "title", str(value))

        # Streamlit takes a None in its session for an empty field, not for the option None: both read alike
        arguments |= {"options": options, "format_func": shown, "placeholder": shown(None)}
        return place.selectbox(**arguments | instead, key=key)
    if item.kind is bool and item.optional and not item.of_method:
        words = {None: f"automatic: {item.automatic}", True: "yes", False: "no"}
        arguments |= {"options": list(words), "format_func": words.get, "placeholder": words[None]}
        return place.selectbox(**arguments | instead, key=key)
    if item.kind is bool:
        return place.toggle(**arguments | instead, key=key)
    if item.kind is str:
        empty = f"such as {item.example}" if item.example else f"automatic: {item.automatic}" if item.automatic else None
        arguments |= {"placeholder": empty}
        return place.text_input(**arguments | instead, key=key) or item.default
    if item.optional:  # an empty field is None: the automatic value
        arguments |= {"value": None, "placeholder": f"automatic: {item.automatic}" if item.automatic else "automatic"}
    found = place.number_input(**arguments | instead, key=key)
    return item.default if found is None else item.kind(found)


def linked_number(*args: Any, key: str, place=st, **options: Any) -> Any:
    """``place.number_input``, linked to the parameter ``key`` of the URL. Streamlit fails on one that is not finite, so it is taken out."""
    with suppress(ValueError):
        if key not in st.session_state and math.isinf(float(st.query_params.get(key, "none"))):
            del st.query_params[key]  # what the page began with stays known until it runs again
            return place.number_input(*args, key=key, **options)
    return place.number_input(*args, key=key, bind="query-params", **options)


def has_widget(cls: type[Settings], names: Iterable[str]) -> list[str]:
    """Those of the settings that pages offer, in the same order."""
    return [name for name in names if declared(cls)[name].widget]
