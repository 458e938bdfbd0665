"""How a report looks and moves: its style sheet, and the script that draws its charts in the colours of the reader's theme."""

#: Backgrounds, text and lines of the pages (.streamlit/config.toml), light and dark.
STYLE = """
:root { color-scheme: light dark; --back: #FFFFFF; --soft: #F3F5F9; --text: #1B2330; --quiet: #566072; --line: #D5DBE6;
  --strong: #3550C8; }
@media (prefers-color-scheme: dark) {
  :root { --back: #12161E; --soft: #1B212C; --text: #E6EAF2; --quiet: #A3ADBE; --line: #343D4D; --strong: #8FA6FF; } }
@media print { :root { --back: #FFFFFF; --soft: #F3F5F9; --text: #1B2330; --quiet: #566072; --line: #D5DBE6; --strong: #3550C8;
  color-scheme: light; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif;
  -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.25rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
p { margin: .5rem 0; max-width: 46rem; overflow-wrap: anywhere; }
.lead, .note { color: var(--quiet); } .note { font-size: .875rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .75rem; margin: 0; }
.card { background: var(--soft); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .75rem; break-inside: avoid; }
.card dt { font-size: .875rem; } dd { margin: 0; }
.card .value { font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.card .remark { font-size: .8125rem; color: var(--quiet); }
.facts { margin: 0; } .facts > div { display: grid; grid-template-columns: 11rem 1fr; gap: .25rem 1rem; padding: .3rem 0;
  border-bottom: 1px solid var(--line); }
.facts dt { color: var(--quiet); } .facts dd { overflow-wrap: anywhere; min-width: 0; }
.scroll { overflow-x: auto; max-width: 100%; margin: .75rem 0; } details .scroll { max-height: 24rem; overflow-y: auto; }
table { border-collapse: collapse; min-width: 100%; font-size: .9375rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .25rem 0; } details caption { font-weight: 400; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th:first-child { text-align: left; font-weight: 400; padding-left: 0; min-width: 7.5rem; overflow-wrap: anywhere; }
thead th, thead th:first-child { font-weight: 600; vertical-align: bottom; }
td small { display: block; color: var(--quiet); white-space: nowrap; }
.chart { width: 100%; height: 360px; margin: .75rem 0 0; } .chart:empty::before { content: attr(aria-label); color: var(--quiet); }
details { margin: .25rem 0 1rem; } summary { cursor: pointer; color: var(--strong); font-size: .9375rem; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font: .875rem/1.5 ui-monospace, Consolas, monospace; }
code { font-family: ui-monospace, Consolas, monospace; }
:focus-visible { outline: 2px solid var(--strong); outline-offset: 2px; }
@media (max-width: 36rem) { .facts > div { grid-template-columns: 1fr; } .cards { grid-template-columns: 1fr 1fr; gap: .5rem; }
  .card .value { font-size: 1.25rem; } table { font-size: .8125rem; } th, td { padding: .35rem .3rem; }
  th:first-child { min-width: 5.5rem; } td small { font-size: .6875rem; } }
@media print { @page { margin: 15mm; } body { font-size: 10.5pt; } main { padding: 0; max-width: none; } h2 { break-after: avoid; }
  .chart, tr, .facts > div { break-inside: avoid; } .chart { width: 170mm; } .scroll { overflow: visible; }
  details:not([open]) { display: none; } details .scroll { max-height: none; } }
"""

#: FIGURES: [{id, data, layout}] is put before it.
SCRIPT = """
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = {displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: "", scrollZoom: false,
                  modeBarButtonsToRemove: ["lasso2d", "select2d"]};
  const colours = (isDark) => {
    const [text, line] = isDark ? ["#E6EAF2", "#343D4D"] : ["#1B2330", "#D5DBE6"];
    const axis = {gridcolor: line, zerolinecolor: line, linecolor: line};
    return {"font.color": text, "hoverlabel.bgcolor": isDark ? "#1B212C" : "#F3F5F9", "hoverlabel.font.color": text,
      ...Object.fromEntries(["xaxis", "yaxis"].flatMap((name) => Object.entries(axis).map(([key, value]) => [`${name}.${key}`, value])))};
  };
  const each = (change) => FIGURES.forEach(({id}) => Plotly.relayout(document.getElementById(id), change));
  const drawn = FIGURES.map(({id, data, layout}) => Plotly.newPlot(id, data, layout, config));
  Promise.all(drawn).then(() => { each(colours(dark.matches)); document.documentElement.dataset.drawn = "yes"; });
  dark.addEventListener("change", () => each(colours(dark.matches)));
  addEventListener("beforeprint", () => each({...colours(false), width: 640, autosize: false}));
  addEventListener("afterprint", () => each({...colours(dark.matches), width: null, autosize: true}));
})();
"""
