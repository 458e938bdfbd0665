export default function ({ data, parentElement, setTriggerValue }) {
  const link = (parentElement.subembLink ??= {
    name: Math.random().toString(36).slice(2), sent: 0, ids: [], plots: new Map(), quiet: new Map(), view: null, axes: null,
  });
  // Charts outlive this call and their listeners are attached once; an older function would send to a fragment that may be gone.
  link.send = (message) => setTriggerValue("selected", message);
  const others = (plot) => [...link.plots.values()].filter((other) => other !== plot && other.isConnected);
  const isQuiet = (plot) => (link.quiet.get(plot) ?? 0) > 0;
  const quietly = (plot, work) => {
    if (!window.Plotly) return;  // without it the maps are not linked, but selections still reach the server
    const count = (step) => link.quiet.set(plot, (link.quiet.get(plot) ?? 0) + step);
    count(1);
    Promise.resolve().then(work).catch(() => {}).finally(() => count(-1));
  };

  // Selection. The outline is removed: plotly would select by it again after every zoom.
  const mark = (plot) => {
    const wanted = new Set(link.ids), traces = [], points = [];
    plot.data.forEach((trace, index) => {
      if (!trace.customdata) return;
      const chosen = [];
      for (let i = 0; i < trace.customdata.length; i++) if (wanted.has(trace.customdata[i])) chosen.push(i);
      traces.push(index);
      points.push(wanted.size ? chosen : null);
    });
    if (traces.length) quietly(plot, () => window.Plotly.update(plot, { selectedpoints: points }, { selections: [] }, traces));
  };
  const same = (a, b) => a.length === b.length && a.every((value, index) => value === b[index]);
  const choose = (name, plot, how, found) => {
    const ids = [...new Set(found)].sort((a, b) => a - b);
    if (!ids.length && !link.ids.length) return;
    link.ids = ids;
    link.sent += 1;
    others(how === "click" && ids.length ? plot : null).forEach(mark);
    link.send({ by: name, how, ids, from: link.name, number: link.sent });
  };
  // plotly also sends selections that nobody made, after zooming or drawing again; those follow no gesture on the map.
  const pressed = (plot) => (event) => {
    if (!event.target.closest || !event.target.closest(".nsewdrag")) return;
    const before = link.gesture, time = Date.now();
    const twice = Boolean(before && before.plot === plot && time - before.time < 700);
    link.gesture = { plot, time, twice, adding: event.shiftKey, released: null };
  };
  const gesture = (plot) => {
    const { gesture } = link;
    return gesture && gesture.plot === plot && Date.now() - (gesture.released ?? Date.now()) < 3000 ? gesture : null;
  };
  const selected = (name, plot) => (event) => {
    const made = gesture(plot);
    if (!event || !made) return;
    const how = event.lassoPoints ? "lasso" : event.range ? "box" : "click";
    if (how === "click" && !event.points.length) return;
    const ids = how !== "click" && made.adding ? [...link.ids] : [];
    for (const trace of plot.data) {
      if (trace.customdata) for (const index of trace.selectedpoints ?? []) ids.push(trace.customdata[index]);
    }
    choose(name, plot, how, ids);
  };
  const deselected = (name, plot) => () => {
    if (gesture(plot)?.twice) choose(name, plot, "click", []);
  };

  // Zoom, pan and the chosen tool.
  const moved = (plot) => (event) => {
    if (isQuiet(plot)) return;
    const changes = {};
    for (const [key, value] of Object.entries(event)) {
      if (/^[xy]axis\.(range|autorange)/.test(key) || key === "dragmode") changes[key] = value;
    }
    if (!Object.keys(changes).length) return;
    if ("dragmode" in changes) link.dragmode = changes.dragmode;
    const { xaxis, yaxis } = plot._fullLayout;
    link.axes = xaxis.autorange && yaxis.autorange ? null : { x: [...xaxis.range], y: [...yaxis.range] };
    others(plot).forEach((other) => quietly(other, () => window.Plotly.relayout(other, changes)));
  };

  // Pointing at a token shows it on the other map too. That hover must not be sent back.
  const pointed = (plot) => (event) => {
    const { curveNumber, pointNumber, customdata } = event.points[0];
    if (!Number.isInteger(customdata)) return;
    if (!window.Plotly) return;
    const echo = link.pointing;
    if (echo && echo.source !== plot && Date.now() - echo.time < 400) {
      if (echo.id !== customdata) window.Plotly.Fx.unhover(plot);  // another token at the same place
      return;
    }
    link.pointing = { source: plot, id: customdata, time: Date.now() };
    others(plot).forEach((other) => {
      const trace = other._fullData[curveNumber];
      if (!trace || !trace.x) return;
      window.Plotly.Fx.hover(other, { xval: trace.x[pointNumber], yval: trace.y[pointNumber] }, "xy");
    });
  };
  const left = (plot) => () => {
    if (link.pointing && link.pointing.source === plot) others(plot).forEach((other) => window.Plotly.Fx.unhover(other));
  };

  // A chart that was built again gets its zoom, tool and selection back.
  const attach = () => {
    for (const [name, place] of Object.entries(data.charts)) {
      const plot = document.querySelector(`.st-key-${place} .js-plotly-plot`);
      if (!plot || !plot.on || !plot._fullLayout) continue;
      const isNew = link.plots.get(name) !== plot, restored = {};
      if (isNew && link.axes) Object.assign(restored, { "xaxis.range": [...link.axes.x], "yaxis.range": [...link.axes.y] });
      // A chart that is drawn again has the tool that its figure names, also where the other map's tool had been taken over.
      if (link.dragmode && plot._fullLayout.dragmode !== link.dragmode && !isQuiet(plot)) restored.dragmode = link.dragmode;
      if (Object.keys(restored).length) quietly(plot, () => window.Plotly.relayout(plot, restored));
      if (!isNew) continue;
      link.plots.set(name, plot);
      if (link.ids.length) mark(plot);
      plot.on("plotly_selected", selected(name, plot));
      plot.on("plotly_deselect", deselected(name, plot));
      plot.on("plotly_relayout", moved(plot));
      plot.on("plotly_hover", pointed(plot));
      plot.on("plotly_unhover", left(plot));
      plot.addEventListener("pointerdown", pressed(plot), true);
    }
  };

  if (link.view !== data.view) { link.view = data.view; link.axes = null; }
  // An answer to an older message must not undo what was selected since.
  const isCurrent = data.heard.from === link.name ? data.heard.number >= link.sent : link.sent === 0;
  if (isCurrent && !same(link.ids, data.ids)) {
    link.ids = data.ids;
    others(null).forEach(mark);
  }
  attach();
  const timer = setInterval(attach, 150);
  const released = () => { if (link.gesture) link.gesture.released = Date.now(); };
  window.addEventListener("pointerup", released, true);
  return () => {
    clearInterval(timer);
    window.removeEventListener("pointerup", released, true);
  };
}
