// Draws FIGURES, a list of {id, data, layout}, in the colours of the reader's theme.
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
