"""Charts of a run are built once, and everybody who opens the page gets them."""

import plotly.graph_objects as go
from streamlit.testing.v1 import AppTest

from subemb.ui.widgets.charts import LongFigure


def page_with_a_chart(content: str) -> None:
    """A page whose chart counts how often it is built."""
    import pandas as pd
    import plotly.graph_objects as go
    import streamlit as st

    from subemb.ui.widgets import charts

    def built() -> go.Figure:
        charts.times_built = getattr(charts, "times_built", 0) + 1
        return go.Figure(go.Bar(x=[1, 2], y=[3, 4]))

    _, right = st.columns(2)
    with right:
        charts.show(built, "two bars", pd.DataFrame({"x": [1, 2]}), key="bars", content=content)


def test_a_second_visitor_gets_the_chart_and_its_table_without_building_them(monkeypatch):
    from subemb.ui.widgets import charts

    charts.kept_chart.clear()
    monkeypatch.setattr(charts, "times_built", 0, raising=False)
    seen = []
    for content in ("one run", "one run", "another run"):
        visitor = AppTest.from_function(page_with_a_chart, args=(content,)).run()
        assert not visitor.exception
        (chart,) = visitor.columns[1].get("plotly_chart")
        seen.append((chart.proto.spec, chart.proto.alt, len(visitor.columns[1].dataframe)))
    assert len(set(seen)) == 1
    assert '"y":[3,4]' in seen[0][0]
    assert seen[0][1:] == ("two bars", 1)
    assert charts.times_built == 2


def test_long_lists_reach_the_browser_as_plotly_would_send_them():
    names = [f"token {i}" for i in range(50)]
    long = LongFigure()
    long.add_scattergl(x=[0.0] * 50, y=[1.0] * 50, name="first")
    long.put_in(text=names, customdata=list(range(50)))
    long.add_scattergl(x=[1.0], y=[1.0], name="second")
    plain = go.Figure()
    plain.add_scattergl(x=[0.0] * 50, y=[1.0] * 50, name="first", text=names, customdata=list(range(50)))
    plain.add_scattergl(x=[1.0], y=[1.0], name="second")
    assert long.to_dict() == plain.to_dict()
    assert go.Figure(long.to_dict()).to_json() == plain.to_json()
