"""What the theme of ``.streamlit/config.toml`` cannot say, as CSS; and how charts answer to a finger."""

import streamlit as st

from .components import component

#: Share of the text colour in names and numbers along axes; Streamlit's own grey is too faint (3.72:1 in the light theme).
AXIS_SHARE = 0.8
#: Where a chart's buttons begin, in pixels: below a title of one line, of two or of three (see ``subemb.ui.widgets.charts.layout``).
BELOW_TITLE = (28, 48, 68)


def themed(name: str, otherwise: str) -> str:
    """A colour of the theme in use, as CSS. name: as in ``.streamlit/config.toml``. otherwise: a colour of the system, without a theme.

    Streamlit says to the browser whether its theme is light or dark, and keeps the theme's colours to itself.
    """
    light, dark = (st.get_option(f"theme.{theme}.{name}") for theme in ("light", "dark"))
    return f"light-dark({light}, {dark})" if light and dark else otherwise


BACKGROUND, SIDEBAR, TEXT, PRIMARY = (
    themed(f"{name}Color", system)
    for name, system in (
        ("background", "Canvas"),
        ("secondaryBackground", "Canvas"),
        ("text", "CanvasText"),
        ("primary", "AccentColor"),
    )
)
STYLE = f"""
/* White on the primary colour of the dark theme is 2.31:1; the page's background can be read on it in both themes. */
[data-testid="stBaseButton-primary"]:enabled, [data-testid="stBaseButton-primaryFormSubmit"]:enabled {{
  color: {BACKGROUND} !important; }}
[data-testid="stBaseButton-primary"]:enabled:is(:hover, :focus-visible, :active),
[data-testid="stBaseButton-primaryFormSubmit"]:enabled:is(:hover, :focus-visible, :active) {{
  background-color: color-mix(in srgb, {PRIMARY} 85%, {TEXT}) !important; }}
[data-testid="stNumberInputStepDown"]:enabled:is(:hover, :focus), [data-testid="stNumberInputStepUp"]:enabled:is(:hover, :focus) {{
  color: {BACKGROUND} !important; }}
/* So have the entries chosen in a list of several. */
[data-testid="stMultiSelect"] span[title], [data-testid="stMultiSelect"] span[title] ~ * {{ color: {BACKGROUND} !important; }}
/* Captions have 60 % of the text colour, 4.1:1 in the sidebar. */
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p {{
  color: color-mix(in srgb, {TEXT} 74%, transparent) !important; opacity: 1 !important; }}
:is(a, button, summary, [role="tab"], [role="slider"]):focus-visible {{ outline: 2px solid {PRIMARY} !important; outline-offset: 2px; }}
/* How many characters a field has left is told below it, not over its text. */
[data-testid="stTextInput"] [data-testid="InputInstructions"] {{ top: 100%; bottom: auto; }}
/* The head of a page is one line, and its title no larger than that. */
.st-key-page_header {{ flex-wrap: nowrap !important; }}
.st-key-page_header h1 {{ font-size: 1.6rem; padding: 0; white-space: nowrap; }}
@media (min-width: 641px) {{
  .st-key-page_header [data-testid="stMarkdownContainer"] p:has(strong) {{ white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }}
  .st-key-page_header > *, .st-key-page_header > * * {{ min-width: 0; }} }}
@media (max-width: 640px) {{
  .st-key-page_header {{ flex-wrap: wrap !important; }}
  .st-key-page_header > :has(h1) {{ flex: 1 0 100% !important; }}
  .st-key-page_header > :has(p strong) {{ flex: 1 1 0 !important; min-width: 0; }}
  [data-testid="stButtonGroup"] > [role] {{ flex-wrap: wrap; }}
  .st-key-page_header [data-testid="stMarkdownContainer"] p:has(strong) {{ display: -webkit-box; -webkit-box-orient: vertical;
    -webkit-line-clamp: 2; overflow: hidden; }} }}
@media (min-width: 641px) {{
  [data-testid="stMainBlockContainer"] {{ padding-left: 2rem; padding-right: 2rem; padding-top: 0.75rem; }}
  /* The head of a page stands where Streamlit has a bar with nothing but its menu. */
  [data-testid="stHeader"] {{ background: transparent !important; pointer-events: none; }}
  [data-testid="stHeader"] :is(button, a) {{ pointer-events: auto; }}
  .st-key-page_header {{ padding-right: 2.25rem; }}
  /* Room for the logo and the button that opens the sidebar. (A rule on what the body has would be computed anew with every change.) */
  [data-testid="stSidebar"][data-collapsed="true"] ~ * .st-key-page_header {{ padding-left: 4.5rem; }}
  .st-key-compared_sides {{ flex-wrap: nowrap !important; }}
  .st-key-compared_sides [data-testid="stMarkdown"] {{ white-space: nowrap; }}
  .st-key-not_run_yet {{ flex-wrap: nowrap !important; }}
  .st-key-not_run_yet button {{ white-space: nowrap; }} }}
.st-key-not_run_yet {{ position: sticky; top: 0.25rem; z-index: 90; padding: 0.4rem 0.75rem !important; background: {BACKGROUND};
  border-color: {PRIMARY} !important; }}
/* Thirteen pages in two columns; and Run in view, however long the form, or in its place how far the run is, and Cancel. */
.st-key-navigation {{ display: grid !important; grid-template: repeat(7, 1.75rem) / max-content 1fr; grid-auto-flow: column;
  column-gap: 0; margin: 0 -0.9rem; width: calc(100% + 1.8rem) !important; max-width: none; }}
.st-key-navigation > * {{ width: auto !important; min-width: 0; }}
.st-key-navigation a {{ padding: 0.1rem 0.3rem !important; height: 1.75rem; min-height: 0; gap: 0.3rem; }}
.st-key-navigation a p {{ font-size: 0.8125rem; white-space: nowrap; }}
[data-testid="stSidebar"] [data-testid="stLayoutWrapper"]:has(> :is(.st-key-run_bar, .st-key-run_now)) {{ position: sticky; bottom: 0; z-index: 5;
  padding: 0.4rem 0 0.6rem; background: {SIDEBAR}; border-top: 1px solid color-mix(in srgb, {TEXT} 15%, transparent); }}
[data-testid="stSidebar"]:has(.st-key-run_now) [data-testid="stLayoutWrapper"]:has(> .st-key-run_bar) {{ position: static; }}
/* What is wrong with the settings is told beside Run, and must not push the field that it is about out of sight. */
.st-key-run_bar [data-testid="stAlertContainer"] {{ max-height: 7rem; overflow-y: auto; padding: 0.4rem 0.6rem; }}
.st-key-run_bar [data-testid="stAlertContainer"] p {{ font-size: 0.8125rem; line-height: 1.3; }}
/* The colours of code are 2.6:1 in the light theme, 3:1 in captions. */
[data-testid="stCode"] code span, [data-testid="stCaptionContainer"] code {{ color: inherit !important; }}
[data-testid="stPlotlyChart"] :is(.xtick, .ytick, .x2tick, .y2tick, .g-xtitle, .g-ytitle, .g-x2title, .g-y2title, .colorbar) text,
[data-testid="stPlotlyChart"] .bartext-outside {{ fill: currentColor !important; fill-opacity: {AXIS_SHARE} !important; }}
/* Where a text stands above a table, the table's buttons have room below it. */
[data-testid="stElementContainer"]:has([data-testid="stMarkdown"]) + [data-testid="stElementContainer"]:has([data-testid="stDataFrame"]) {{
  margin-top: 1.4rem; }}
/* A chart's buttons stand below its title, in the margin above the plot, and cover neither. */
.js-plotly-plot:has(.gtitle) .modebar-container {{ top: {BELOW_TITLE[0]}px !important; }}
.js-plotly-plot:has(.gtitle tspan ~ tspan) .modebar-container {{ top: {BELOW_TITLE[1]}px !important; }}
.js-plotly-plot:has(.gtitle tspan ~ tspan ~ tspan) .modebar-container {{ top: {BELOW_TITLE[2]}px !important; }}
/* What leads somewhere: a token, a block. */
a.lead {{ color: inherit !important; text-decoration: underline dotted color-mix(in srgb, currentColor 55%, transparent) !important;
  text-underline-offset: 0.2em; border-radius: 0.2rem; }}
a.lead:hover {{ text-decoration: underline solid !important; }}
a.lead.sb-b {{ text-decoration: none !important; color: var(--t) !important; cursor: pointer; }}
a.lead.sb-b.sb-own {{ color: inherit !important; }}
a.lead.sb-b:hover {{ outline: 2px solid currentColor; }}
.chips {{ display: flex; flex-wrap: wrap; gap: 0.2rem 0.3rem; }}
a.lead.chip, .chip {{ display: inline-block; padding: 0 0.45rem; border-radius: 0.8rem; max-width: 100%; overflow-wrap: anywhere;
  text-decoration: none !important; border: 1px solid color-mix(in srgb, currentColor 30%, transparent); }}
a.lead.chip:hover {{ border-color: {PRIMARY}; color: {PRIMARY} !important; }}
.lt {{ width: 100%; border-collapse: collapse; font-size: 0.875rem; line-height: 1.5; }}
.lt caption {{ text-align: left; font-weight: 600; font-size: 1.1rem; padding: 0.4rem 0; caption-side: top; }}
.lt th, .lt td {{ text-align: left; vertical-align: top; padding: 0.35rem 0.9rem 0.35rem 0; font-weight: 400; border: 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); overflow-wrap: anywhere; }}
.lt thead th {{ font-size: 0.78rem; opacity: 0.8; white-space: nowrap; }}
.lt tbody th {{ font-weight: 600; min-width: 6rem; }}
.lt .lt-n {{ text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }}
.lt small {{ display: block; font-weight: 400; font-size: 0.74rem; opacity: 0.8; }}
.lt .chip.kept {{ font-weight: 700; border-color: currentColor; }}
@media (max-width: 640px) {{
  .lt thead {{ display: none; }}
  .lt tr {{ display: block; padding: 0.4rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }}
  .lt th, .lt td {{ display: block; border: 0; padding: 0.1rem 0; }}
  .lt .lt-n {{ display: inline-block; margin-right: 1rem; text-align: left; }}
  .lt td[data-of]::before {{ content: attr(data-of) " "; font-size: 0.74rem; opacity: 0.8; }} }}
.st-key-verdict p {{ font-size: 1.2rem; line-height: 1.5; text-wrap: pretty; }}
.st-key-page_touch, [class*="st-key-unseen_"],
[data-testid="stLayoutWrapper"]:has(> .st-key-page_touch, > [class*="st-key-unseen_"]) {{ position: absolute; width: 0; height: 0; overflow: hidden; }}
"""

#: Plotly takes every touch of a chart for itself, so that a page of charts could not be scrolled on a phone. Here touches stay the
#: page's: a tap still points and clicks, because the browser makes a click of it. Who taps the button of a lasso, box, pan or zoom
#: draws with the finger until it is tapped again, or another page opened.
_TOUCH = """function component() {
  if (window.subembTouch) return;
  window.subembTouch = { page: null, tool: null };
  const chosen = window.subembTouch;
  window.addEventListener("touchstart", (event) => {
    const target = event.target;
    if (!target.closest || !target.closest(".js-plotly-plot") || target.closest(".modebar")) return;
    if (chosen.tool && chosen.page === location.pathname) return;
    event.stopImmediatePropagation();
  }, { capture: true, passive: true });
  window.addEventListener("click", (event) => {
    const button = event.target.closest ? event.target.closest('.modebar-btn[data-attr="dragmode"]') : null;
    if (!button) return;
    const again = chosen.page === location.pathname && chosen.tool === button.dataset.val;
    Object.assign(chosen, { page: location.pathname, tool: again ? null : button.dataset.val });
  }, true);
}"""


def draw() -> None:
    """Put both on the page; they take no room."""
    st.html(f"<style>{STYLE}</style>")
    with st.container(key="page_touch"):
        component("subemb_touch", _TOUCH)(key="touch")
