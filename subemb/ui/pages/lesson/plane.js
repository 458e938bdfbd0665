// A plane whose points move from moment to moment, in the browser alone: step, play, or drag.
const SVG = "http://www.w3.org/2000/svg";
const make = (name, attributes, parent) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return parent.appendChild(element);
};
const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");

function component({ data, parentElement }) {
  const root = parentElement.querySelector(".plane"), svg = root.querySelector("svg");
  const button = (name) => root.querySelector(`[data-do=${name}]`), slider = root.querySelector("input");
  const state = (parentElement.subembPlane ??= { moment: 0, of: null });
  if (state.of !== data.name) Object.assign(state, { moment: 0, of: data.name });
  const last = data.frames.length - 1;
  slider.max = last;
  svg.setAttribute("aria-label", data.label);
  root.querySelector(".title").textContent = data.title;
  svg.replaceChildren();

  // What is drawn once: a grid of whole numbers, lines, targets, points, codewords; each moves by its transform.
  const grid = make("g", { class: "grid" }, svg), lines = make("g", { class: "lines" }, svg);
  const links = data.names.map(() => make("line", {}, lines));
  const rings = (data.rings ?? []).map(() => make("circle", { r: 9, class: "ring" }, svg));
  const books = data.frames[0].books.map((_, code) => {
    const group = make("g", { class: "book" }, svg);
    make("rect", { x: -13, y: -13, width: 26, height: 26, rx: 3, transform: "rotate(45)", fill: data.colours[code][0] }, group);
    const number = make("text", { "text-anchor": "middle", dy: "0.35em", fill: data.colours[code][1] }, group);
    number.textContent = code;
    return group;
  });
  const dots = data.names.map((name, n) => {
    const group = make("g", { class: n === data.marked ? "dot me" : "dot" }, svg);
    make("circle", { r: 6.5 }, group);
    make("text", { y: -17, "text-anchor": "middle" }, group).textContent = name;
    return group;
  });

  let width = 0, height = 0;
  const place = ([x, y]) => {
    const [left, bottom] = data.low, [right, top] = data.high;
    const unit = Math.min((width - 60) / (right - left), (height - 8) / (top - bottom));
    return [width / 2 + (x - (left + right) / 2) * unit, height / 2 - (y - (bottom + top) / 2) * unit];
  };
  const move = (element, point) => { const [x, y] = place(point); element.style.transform = `translate(${x}px, ${y}px)`; };
  const drawGrid = () => {
    grid.replaceChildren();
    for (let x = Math.ceil(data.low[0]); x <= data.high[0]; x++) {
      const [[a, top], [, bottom]] = [place([x, data.high[1]]), place([x, data.low[1]])];
      make("line", { x1: a, x2: a, y1: top, y2: bottom, class: x === 0 ? "axis" : "" }, grid);
    }
    for (let y = Math.ceil(data.low[1]); y <= data.high[1]; y++) {
      const [[left, a], [right]] = [place([data.low[0], y]), place([data.high[0], y])];
      make("line", { x1: left, x2: right, y1: a, y2: a, class: y === 0 ? "axis" : "" }, grid);
    }
  };
  const show = () => {
    const frame = data.frames[state.moment];
    frame.books.forEach((point, code) => move(books[code], point));
    (data.rings ?? []).forEach((point, n) => move(rings[n], point));
    frame.dots.forEach((point, n) => {
      move(dots[n], point);
      const code = frame.codes[n], to = data.rings ? data.rings[n] : code >= 0 ? frame.books[code] : point;
      dots[n].querySelector("circle").style.fill = data.rings ? "" : code >= 0 ? data.colours[code][0] : "";
      const [[x1, y1], [x2, y2]] = [place(point), place(to)];
      if (data.rings) dots[n].querySelector("text").setAttribute("y", Math.min(0, y2 - y1) - 17);  // a name covers no ring
      for (const [key, value] of Object.entries({ x1, y1, x2, y2 })) links[n].setAttribute(key, value);
      links[n].style.stroke = data.rings || code < 0 ? "" : data.colours[code][0];
    });
    root.querySelector(".said").textContent = frame.said;
    root.querySelector(".count").textContent = `${state.moment + 1} / ${last + 1}`;
    slider.value = state.moment;
    slider.setAttribute("aria-valuetext", `${state.moment + 1} of ${last + 1}: ${frame.said}`);
    button("back").disabled = state.moment === 0;
    button("on").disabled = state.moment === last;
  };
  const measure = () => {
    const wide = root.clientWidth;
    if (!wide || wide === width) return;
    width = wide;
    height = Math.round(Math.max(260, Math.min(0.85 * width, 0.56 * window.innerHeight)));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.style.height = `${height}px`;
    drawGrid();
    show();
  };
  const watcher = new ResizeObserver(measure);
  watcher.observe(root);

  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button("play").textContent = "▶ Play";
  };
  const go = (moment) => { state.moment = Math.max(0, Math.min(last, moment)); show(); };
  const acts = {
    back: () => { stop(); go(state.moment - 1); },
    on: () => { stop(); go(state.moment + 1); },
    play: () => {
      if (timer) return stop();
      if (state.moment === last) go(0);
      button("play").textContent = "❚❚ Pause";
      timer = setInterval(() => { go(state.moment + 1); if (state.moment === last) stop(); }, 1100);
    },
  };
  const clicked = (event) => { const name = event.target.closest?.("[data-do]")?.dataset.do; if (name) acts[name](); };
  const dragged = () => { stop(); go(Number(slider.value)); };
  root.addEventListener("click", clicked);
  slider.addEventListener("input", dragged);
  root.classList.toggle("still", STILL.matches);
  stop();
  measure();
  if (width) show();
  return () => {
    stop();
    watcher.disconnect();
    root.removeEventListener("click", clicked);
    slider.removeEventListener("input", dragged);
  };
}
