// Two linked maps of the same tokens in one picture: original on the left, reconstructed on the right, one zoom for both.
//
// Points are drawn with WebGL 2 where graphics hardware does it. Where WebGL is only imitated by software, or missing, the loop of
// `drawPlain` draws them: it takes a tenth of the time of an imitation.
//
// Places come once as 16-bit integers, colours as one byte a token; both in the form of packing.py. Everything that a visitor does here
// (zoom, select, colour, highlight, morph) is answered here, and the server is told afterwards. What the server has to say comes through
// messages.js. Token text is data from a stranger: it is drawn on a canvas or set as textContent, never parsed.
//
// For tests: `.map` has `subembMap.state()`, a plain description of what is drawn, and `subembMap.draw()`, which draws at once.

const RIM = 0.94, CLOSEST = 400, WIDEST = 0.5;  // zoom: 1 shows the whole map
const NEAR = 9;  // pixels from a pointer within which a token is pointed at
const NAMED = 12, RINGED = 200;  // tokens that get a name, and a ring, besides those named because there is room
const WORDS_FROM = 2.2;  // zoom from which on single tokens are named
const HIDDEN_BY = 3, FEWEST = 6000;  // tokens in one place from which on they hide each other, and tokens of a map that can have such places
const MISSING = 255;  // the byte of a token without a value

const VERTEX = `#version 300 es
in vec2 a_old_from, a_old_to, a_from, a_to;
in float a_value, a_flag;
uniform vec2 u_centre, u_zoom;
uniform float u_arrived, u_morph, u_size, u_pass, u_picked, u_highlight, u_alpha;
uniform vec4 u_faint;
uniform sampler2D u_palette;
flat out vec4 v_colour;
void main() {
  bool strong = (u_picked < 0.5 || a_flag > 0.5) && (u_highlight < 0.0 || a_value == u_highlight);
  if ((u_pass == 1.0 && strong) || (u_pass == 2.0 && !strong)) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); return; }
  vec2 place = mix(mix(a_old_from, a_old_to, u_morph), mix(a_from, a_to, u_morph), u_arrived);
  gl_Position = vec4((place - u_centre) * u_zoom * 2.0, 0.0, 1.0);
  gl_PointSize = u_pass == 2.0 ? u_size * 1.35 : u_size;
  v_colour = u_pass == 1.0 ? u_faint : vec4(texelFetch(u_palette, ivec2(int(a_value), 0), 0).rgb, u_alpha);
}`;
const FRAGMENT = `#version 300 es
precision highp float;
flat in vec4 v_colour;
uniform float u_size;
out vec4 colour;
void main() {
  float alpha = v_colour.a;
  if (u_size > 2.5) alpha *= clamp((0.5 - distance(gl_PointCoord, vec2(0.5))) * u_size + 0.5, 0.0, 1.0);
  colour = vec4(v_colour.rgb, alpha);
}`;
const ATTRIBUTES = ["a_old_from", "a_old_to", "a_from", "a_to", "a_value", "a_flag"];
const UNIFORMS = ["u_centre", "u_zoom", "u_arrived", "u_morph", "u_size", "u_pass", "u_picked", "u_highlight", "u_alpha", "u_faint", "u_palette"];
const FIELD = ".st-key-map_find";
const ICONS = {
  move: "M8 1v14M1 8h14M8 1 6 3M8 1l2 2M8 15l-2-2M8 15l2-2M1 8l2-2M1 8l2 2M15 8l-2-2M15 8l-2 2",
  lasso: "M8 2C4 2 1.5 4 1.5 6.500S4 11 8 11s6.500-2 6.500-4.500S12 2 8 2M5 10.500c-1.500.5-1.500 2.500 0 2.500s1.500 1 1 2",
  box: "M2 4V2h2M7 2h2M12 2h2v2M14 7v2M14 12v2h-2M9 14H7M4 14H2v-2M2 9V7",
  closer: "M8 3v10M3 8h10", wider: "M3 8h10", whole: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
  play: "M4 2.500v11l9-5.500z", names: "M2 3h12M8 3v11M5 14h6",
};

function component({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".map");
  if (!root) return;
  root.subembMap ??= new TokenMap(root);
  root.subembMap.send = (message) => setTriggerValue("said", message);
  root.subembMap.receive(data);
  return () => { if (!root.isConnected) root.subembMap.leave(); };
}

async function unpack(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const stream = new Blob([bytes.subarray(4 + length)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const body = await new Response(stream).arrayBuffer();
  const kinds = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array };
  const arrays = Object.fromEntries(header.arrays.map((entry) => [entry.name, new kinds[entry.type](body, entry.offset, entry.length)]));
  return { ...header, arrays };
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const lerp = (a, b, t) => a + (b - a) * t;
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

class TokenMap {
  constructor(root) {
    Object.assign(this, {
      root, name: Math.random().toString(36).slice(2), sent: 0, send: () => {}, told: {}, points: null, old: null, arrived: 1,
      view: { x: 0.5, y: 0.5, zoom: RIM }, morph: 1, colour: null, highlight: -1, ids: [], how: null, by: null, flags: null, tool: "move",
      columns: new Map(), unpacked: new Map(), names: new Map(), asked: new Set(), pointed: null, fingers: new Map(),
      outline: null, showNames: true, share: 1, frames: 0, frameMilliseconds: 0, labels: [], centres: null, changed: false, through: false, way: null,
      search: null, shaded: [0, 0],
    });
    this.inbox = (window.subembMapInbox ??= { arrays: new Map(), told: null, listeners: new Set() });
    this.listen = () => this.hear();
    this.inbox.listeners.add(this.listen);
    // The search field is Streamlit's and tells the server when Enter is pressed; what it finds is ringed while one types.
    this.type = ({ target }) => { if (target.closest?.(FIELD)) { this.paint(); this.tellFound(); } };
    document.addEventListener("input", this.type, true);
    this.build();
    this.watchSize = new ResizeObserver(() => this.resize());
    this.watchSize.observe(this.stage);
    this.start();
    this.hear();
  }

  leave() {
    clearTimeout(this.later);
    clearTimeout(this.asking);
    this.inbox.listeners.delete(this.listen);
    document.removeEventListener("input", this.type, true);
    this.watchSize.disconnect();
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext();
    delete this.root.subembMap;
  }

  // The elements around the picture

  build() {
    const button = (name, title, act) => element("button", { type: "button", title, "aria-label": title, onclick: act }, icon(name));
    this.tools = {};
    for (const [name, title] of [["move", "Move the map: drag"], ["lasso", "Select with a lasso"], ["box", "Select with a box"]]) {
      this.tools[name] = button(name, title, () => this.choose(name));
    }
    this.colours = element("select", { onchange: () => this.pickColour(this.colours.value) });
    this.slider = element("input", { type: "range", min: 0, max: 100, value: 100, "aria-label": "From original to reconstructed",
      oninput: () => { this.morph = this.slider.value / 100; this.nameStop(); this.paint(true); } });
    this.presets = element("button", { type: "button", text: "Presets", title: "Move on through the presets, from most bytes to fewest", hidden: "",
      onclick: () => { this.through = !this.through; this.press(); this.findWay(); this.paint(); this.say(); } });
    this.player = button("play", "Play: move from original to reconstructed", () => this.play());
    this.namer = button("names", "Show names", () => { this.showNames = !this.showNames; this.press(); this.paint(); });
    this.ends = [element("span", { text: "original" }), element("span", { text: "reconstructed" })];
    this.bar = element("div", { class: "bar", role: "toolbar", "aria-label": "Tools of the map" },
      element("span", { class: "group" }, ...Object.values(this.tools)),
      element("span", { class: "group" }, button("closer", "Zoom in", () => this.closer()), button("wider", "Zoom out", () => this.zoomBy(1 / 1.6)),
        button("whole", "Show the whole map", () => this.home())),
      this.namer,
      element("label", {}, element("span", { text: "Colour" }), this.colours),
      element("span", { class: "morph" }, this.presets, this.player, this.ends[0], this.slider, this.ends[1]));
    this.heads = [element("div"), element("div")];
    this.picture = element("canvas", { "aria-hidden": "true" });
    this.overlay = element("canvas", { "aria-hidden": "true" });
    this.tip = element("div", { class: "tip", hidden: "" });
    this.lost = element("div", { class: "lost", hidden: "" });
    this.stage = element("div", { class: "stage", tabindex: 0, role: "img" }, this.picture, this.overlay, this.tip, this.lost);
    this.legend = element("div", { class: "legend", role: "group", "aria-label": "What the colours mean" });
    this.status = element("div", { class: "unseen", "aria-live": "polite" });
    this.root.replaceChildren(this.bar, element("div", { class: "heads" }, ...this.heads), this.stage, this.legend, this.status);
    this.listenToStage();
    this.press();
  }

  press() {
    for (const [name, button] of Object.entries(this.tools)) button.setAttribute("aria-pressed", name === this.tool);
    this.namer.setAttribute("aria-pressed", this.showNames);
    this.presets.setAttribute("aria-pressed", this.through);
    this.stage.classList.toggle("picks", this.tool !== "move");
    this.stage.classList.toggle("holds", this.tool !== "move");
  }

  choose(tool) {
    this.tool = tool;
    this.press();
  }

  // What comes from the server

  async receive(bytes) {
    this.theme();
    if (!(bytes instanceof Uint8Array) || bytes === this.received) return this.paint();
    this.received = bytes;
    const found = await unpack(bytes);
    if (bytes !== this.received || found.name === this.points?.name) return;
    const { from, to } = found.arrays, first = !this.points;
    this.old = !first && this.points.count === found.count ? this.points : null;
    this.points = { name: found.name, count: found.count, from, to };
    if (!this.flags || this.flags.length !== found.count) this.flags = new Uint8Array(found.count);
    this.mark();
    this.centres = null;
    this.way = null;
    this.findWay();
    if (!first) this.view = { x: 0.5, y: 0.5, zoom: RIM };
    this.upload();
    if (this.old) this.animate("arrived", 0, 1, 900); else this.paint();
  }

  async hear() {
    for (const [name, bytes] of this.inbox.arrays) {
      if (this.unpacked.has(name)) continue;
      this.unpacked.set(name, null);
      const found = await unpack(bytes);
      this.unpacked.set(name, found);
      this.refreshed = true;
    }
    const { told } = this.inbox;  // the newest: more may have come while arrays were unpacked
    if (!told || !this.root.isConnected) return;
    const isNew = told !== this.told || this.refreshed;
    this.refreshed = false;
    if (!isNew) return;
    const before = this.told;
    this.told = told;
    for (const [id, text] of told.names ?? []) this.names.set(id, text);
    if (told.vocabulary !== before.vocabulary) { this.asked.clear(); this.names = new Map(told.names ?? []); }
    const texts = this.unpacked.get(told.texts);
    this.texts = texts ? (texts.lines ??= new TextDecoder().decode(texts.arrays.texts).split("\n")) : null;
    const fresh = this.sent === 0 || told.heard.from !== this.name;
    if (fresh || told.heard.number >= this.sent) this.adopt(told, told.led !== before.led);
    this.presets.hidden = !told.stops.length;
    this.findWay();
    this.stage.setAttribute("aria-label", told.alt);
    this.drawLegend();
    this.paint();
    if (told.query !== before.query) setTimeout(() => this.paint(), 300);  // a link's text may come into the field later than this
  }

  // Where the slider leads: from the original to the table shown, or on through the presets as soon as their places are here.
  // `morph` counts its stretches: 1.5 is half way from the first table to the second.

  findWay() {
    const { points, told } = this, { stops = [] } = told;
    if (!points || !told.heads) return;
    const found = this.through && stops.length ? this.unpacked.get(told.through)?.arrays : null;
    const tables = found ? stops.map(([, , isShown], at) => (isShown ? points.to : found[at])) : [points.to];
    const fits = tables.every((table) => table?.length === 2 * points.count);
    const way = [points.from, ...(fits ? tables : [points.to])];
    if (!this.way || way.length !== this.way.length || way.some((table, at) => table !== this.way[at])) {
      const isLong = way.length > 2;
      if (isLong || this.way?.length > 2 || this.morph > 1) this.morph = isLong ? 1 + stops.findIndex(([, , isShown]) => isShown) : 1;
      this.way = way;
      this.centres = null;
      this.slider.max = 100 * (way.length - 1);
      this.slider.value = Math.round(100 * this.morph);
    }
    this.nameStop();
  }

  // The two tables that the morph is between, and how far it has come from one to the other
  between(side) {
    const first = side ? Math.min(Math.floor(this.morph), this.way.length - 2) : 0;
    return { from: this.way[first], to: this.way[first + 1], t: side ? this.morph - first : 0 };
  }

  // The stop that the morph stands at: a number of the way; null between two
  get stop() {
    const nearest = Math.round(this.morph);
    return Math.abs(this.morph - nearest) < 0.02 ? nearest : null;
  }

  get isLong() {
    return this.way?.length > 2;
  }

  // Whether the right map shows the table that colours and tips are about
  get isOwn() {
    return !this.isLong || this.told.stops[this.stop - 1]?.[2] === true;
  }

  nameStop() {
    const { told, stop, isLong } = this, names = [told.ends[0], ...told.stops.map(([name]) => name)];
    const end = isLong ? told.stops.at(-1)[0] : told.ends[1];
    const first = Math.floor(this.morph), here = stop === null ? `${names[first]} → ${names[first + 1]}` : names[stop];
    this.ends[0].textContent = told.ends[0];
    this.ends[1].textContent = end;
    this.slider.setAttribute("aria-label", `From ${told.ends[0]} to ${end}`);
    if (isLong) this.slider.setAttribute("aria-valuetext", here); else this.slider.removeAttribute("aria-valuetext");
    this.rightName = isLong ? here : told.heads[1][0];
    const heads = [told.heads[0], [this.rightName, told.heads[1][1]]];
    this.heads.forEach((head, side) => head.replaceChildren(element("b", { text: heads[side][0] }), " ", element("span", { text: heads[side][1] })));
  }

  // How far two dimensions flatter, of the table on the right
  get keptText() {
    if (!this.isLong || this.isOwn) return this.told.kept;
    return this.stop ? this.told.stops[this.stop - 1][1] : "";
  }

  adopt(told, isLed) {
    const ids = told.ids ?? this.inbox.ids ?? [];  // null: those that the browser said last
    if (ids.length !== this.ids.length || ids.some((id, at) => id !== this.ids[at])) {
      this.ids = ids;
      this.mark();
    }
    this.colour = told.colour;
    this.highlight = told.highlight ?? -1;
    if (this.through !== told.presets) { this.through = told.presets; this.press(); }
    if (!isLed) return;
    const [x, y, zoom] = told.view ?? [0.5, 0.5, RIM];
    this.view = { x, y, zoom };
  }

  // What goes to the server: always everything that it keeps, so that the last message is enough

  say(more = {}) {
    clearTimeout(this.later);
    this.sent += 1;
    const { x, y, zoom } = this.view, home = x === 0.5 && y === 0.5 && zoom === RIM;
    const round = (value) => Number(value.toPrecision(4));
    this.send({ from: this.name, number: this.sent, vocabulary: this.told.vocabulary, colour: this.colour, presets: this.through, highlight: this.highlight < 0 ? null : this.highlight,
      view: home ? null : [x, y, zoom].map(round), have: [...this.inbox.arrays.keys()], ids: this.changed ? this.ids : null, by: this.by, how: this.how, ...more });
  }

  sayLater(wait = 700) {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.say(), wait);
  }

  // What stands in the search field, sent or not; null while there is none
  get typed() {
    return document.querySelector(`${FIELD} input`)?.value ?? null;
  }

  // What is searched for: ids, best first. The server's answer counts as soon as it is about the text in the field.
  get found() {
    const { told, texts, typed } = this, server = told.found ?? [];
    if (typed === null || typed.trim() === (told.query ?? "").trim() || !texts) return server;
    if (this.search?.typed !== typed || this.search.texts !== texts) this.search = { typed, texts, ids: searched(texts, typed.trim()) };
    return this.search.ids;
  }

  tellFound() {
    const count = this.found.length;
    this.status.textContent = this.typed?.trim() ? `${count === RINGED ? `${count} or more` : count} tokens found` : "";
  }

  // Names that the browser does not have are asked for in batches

  textOf(id) {
    return this.texts?.[id] ?? this.names.get(id);
  }

  ask(ids) {
    const wanted = ids.filter((id) => this.textOf(id) === undefined && !this.asked.has(id)).slice(0, 200);
    if (!wanted.length || this.texts || (this.told.texts && !this.texts)) return;
    wanted.forEach((id) => this.asked.add(id));
    clearTimeout(this.asking);
    this.wanted = [...(this.wanted ?? []), ...wanted];
    this.asking = setTimeout(() => { const all = this.wanted; this.wanted = null; this.say({ wanted: all }); }, 60);
  }

  // Drawing: points with WebGL, everything else on a canvas above

  theme() {
    const style = getComputedStyle(this.root), value = (name) => style.getPropertyValue(name).trim();
    const probe = document.createElement("canvas").getContext("2d");
    const channels = (colour) => { probe.fillStyle = colour || "#888888"; probe.fillRect(0, 0, 1, 1); return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)]; };
    this.paper = channels(value("--st-background-color"));
    this.ink = channels(value("--st-text-color"));
    this.accent = value("--st-primary-color") || "#0b6bcb";
    this.dark = this.paper[0] + this.paper[1] + this.paper[2] < 384;
    this.font = value("--st-font") || "sans-serif";
  }

  start() {
    this.theme();
    const gl = hasHardware() ? this.picture.getContext("webgl2", { alpha: false, antialias: false, depth: false }) : null;
    if (!gl) {
      this.plain = this.picture.getContext("2d", { alpha: false });
      return;
    }
    this.gl = gl;
    this.picture.addEventListener("webglcontextlost", (event) => { event.preventDefault(); this.program = null; this.complain("The graphics were lost for a moment."); });
    this.picture.addEventListener("webglcontextrestored", () => { this.lost.hidden = true; this.prepare(); this.upload(); this.paint(); });
    this.prepare();
  }

  complain(text) {
    this.lost.textContent = text;
    this.lost.hidden = false;
  }

  prepare() {
    const { gl } = this, program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    ATTRIBUTES.forEach((name, at) => gl.bindAttribLocation(program, at, name));
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
      return this.complain("The graphics of this browser cannot draw the maps. The table below has every token.");
    }
    gl.useProgram(program);
    this.program = program;
    this.uniforms = Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)]));
    this.buffers = { oldFrom: gl.createBuffer(), oldTo: gl.createBuffer(), flags: gl.createBuffer(), none: gl.createBuffer(), order: gl.createBuffer(),
      values: new Map(), places: new Map() };
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const [what, how] of [[gl.TEXTURE_MIN_FILTER, gl.NEAREST], [gl.TEXTURE_MAG_FILTER, gl.NEAREST], [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE], [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE]]) {
      gl.texParameteri(gl.TEXTURE_2D, what, how);
    }
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.enable(gl.SCISSOR_TEST);
    this.shownPalette = null;
  }

  fill(buffer, array) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
  }

  upload() {
    if (!this.program || !this.points) return;
    const { buffers, points } = this;
    buffers.places.clear();
    this.fill(buffers.oldFrom, (this.old ?? points).from);
    this.fill(buffers.oldTo, (this.old ?? points).to);
    this.fill(buffers.flags, this.flags);
    this.fill(buffers.none, new Uint8Array(points.count));
    buffers.values.clear();
    // Any first part of a random order is a fair sample, for machines that cannot draw everything while the map moves.
    const order = Uint32Array.from({ length: points.count }, (_, at) => at);
    let seed = 1;
    for (let at = points.count - 1; at > 0; at--) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const other = Math.floor(seed / 4294967296 * (at + 1));
      [order[at], order[other]] = [order[other], order[at]];
    }
    this.gl.bindBuffer(this.gl.ELEMENT_ARRAY_BUFFER, buffers.order);
    this.gl.bufferData(this.gl.ELEMENT_ARRAY_BUFFER, order, this.gl.STATIC_DRAW);
  }

  mark() {
    if (!this.flags) return;
    this.flags.fill(0);
    for (const id of this.ids) if (id < this.flags.length) this.flags[id] = 1;
    if (this.program) this.fill(this.buffers.flags, this.flags);
  }

  // A few selected tokens have a ring and a name; many are told from the others, which turn grey.
  get manyPicked() {
    return this.ids.length > NAMED;
  }

  // Colours and their key come together, under the name of run and colour.
  get column() {
    return this.unpacked.get(`${this.told.run}/${this.colour}`);
  }

  get shown() {
    return this.column?.legend;
  }

  values(side) {
    const found = this.column?.arrays;
    return found ? (side && this.isOwn && found.value_after) || found.value : null;
  }

  valueBuffer(side) {
    const array = this.values(side);
    return array?.length === this.points.count ? this.buffered(array, this.buffers.values) : this.buffers.none;
  }

  // The buffer of an array, filled when it is first needed
  buffered(array, buffers) {
    if (!buffers.has(array)) {
      const buffer = this.gl.createBuffer();
      this.fill(buffer, array);
      buffers.set(array, buffer);
    }
    return buffers.get(array);
  }

  // What each byte stands for, as red, green and blue
  colourTable() {
    const shown = this.values(0) ? this.shown : null, neutral = this.dark ? [150, 155, 165] : [120, 125, 135];
    return Array.from({ length: 256 }, (_, value) => {
      if (!shown || value === MISSING) return neutral;
      return shown.stops ? slope(shown.stops, value / 254) : rgb(shown.colours[value] ?? shown.colours[0]);
    });
  }

  palette() {
    const { gl } = this, key = `${this.told.run}/${this.values(0) ? this.colour : ""}/${this.dark}`;
    if (this.shownPalette === key) return;
    this.shownPalette = key;
    const texels = new Uint8Array(256 * 4).fill(255);
    this.colourTable().forEach((colour, value) => texels.set(colour, 4 * value));
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.stage, ratio = Math.min(2, window.devicePixelRatio || 1);
    this.stacked = width < 560;
    this.root.style.setProperty("--map-height", this.stacked ? "640px" : `${this.told.height ?? 460}px`);
    for (const canvas of [this.picture, this.overlay]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.ratio = ratio;
    this.draw();
  }

  panels() {
    const width = this.stage.clientWidth, height = this.stage.clientHeight, gap = 12;
    if (this.stacked) {
      const each = (height - gap) / 2;
      return [{ x: 0, y: 0, width, height: each }, { x: 0, y: each + gap, width, height: each }];
    }
    const each = (width - gap) / 2;
    return [{ x: 0, y: 0, width: each, height }, { x: each + gap, y: 0, width: each, height }];
  }

  size() {
    const count = this.points.count, base = count <= 1000 ? 8 : count <= 6000 ? 6 : count <= 40000 ? 3.4 : 2;
    return Math.min(11, base * clamp(this.view.zoom ** 0.4, 0.9, 3));
  }

  paint(moving = false) {
    if (moving) { this.movingUntil = performance.now() + 160; this.labelsLater(); }
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.draw(); });
  }

  labelsLater() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => { this.movingUntil = 0; this.paint(); }, 180);
  }

  draw() {
    if (!this.way || !(this.program || this.plain) || !this.told.heads) return;
    // On a page that is being replaced they have no size, or get it a moment after each other
    if (![this.stage.clientWidth, this.stage.clientHeight, this.picture.width, this.picture.height].every(Boolean)) return;
    const now = performance.now(), moving = now < (this.movingUntil ?? 0);
    if (moving && this.lastFrame && now - this.lastFrame < 400) {
      // A machine that cannot keep up draws a fair sample while the map moves, and everything once it rests.
      this.frameMilliseconds = lerp(this.frameMilliseconds || 25, now - this.lastFrame, 0.25);
      if (this.frameMilliseconds > 36) this.share = Math.max(0.1, this.share * 0.85);
      else if (this.frameMilliseconds < 24) this.share = Math.min(1, this.share * 1.1);
    }
    this.lastFrame = moving ? now : 0;
    this.frames += 1;
    this.drawPoints(moving ? this.share : 1);
    this.drawOverlay(moving);
  }

  drawPoints(share) {
    if (this.plain) return this.drawPlain(Math.round(1 / share));
    const { gl, uniforms, buffers, ratio, view } = this, size = this.size() * ratio, paper = this.paper.map((value) => value / 255);
    gl.viewport(0, 0, this.picture.width, this.picture.height);
    gl.scissor(0, 0, this.picture.width, this.picture.height);
    gl.clearColor(...paper, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.palette();
    const values = this.values(0), highlight = values ? this.highlight : -1, chosen = this.manyPicked || highlight >= 0;
    const grey = this.dark ? 0.45 : 0.55, room = paper.map((value) => lerp(value, this.dark ? 1 : 0, 0.03));
    this.panels().forEach((panel, side) => {
      const box = [panel.x, this.stage.clientHeight - panel.y - panel.height, panel.width, panel.height].map((value) => Math.round(value * ratio));
      gl.viewport(...box);
      gl.scissor(...box);
      gl.clearColor(...room, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
      const bind = (at, buffer, width, kind, scaled) => {
        gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
        gl.enableVertexAttribArray(at);
        gl.vertexAttribPointer(at, width, kind, scaled, 0, 0);
      };
      const { from, to, t } = this.between(side), places = [from, to].map((array) => this.buffered(array, buffers.places));
      [buffers.oldFrom, buffers.oldTo, ...places].forEach((buffer, at) => bind(at, buffer, 2, gl.UNSIGNED_SHORT, true));
      bind(4, this.valueBuffer(side), 1, gl.UNSIGNED_BYTE, false);
      bind(5, buffers.flags, 1, gl.UNSIGNED_BYTE, false);
      gl.uniform2f(uniforms.u_centre, view.x, view.y);
      gl.uniform2f(uniforms.u_zoom, view.zoom, view.zoom);
      gl.uniform1f(uniforms.u_arrived, this.arrived);
      gl.uniform1f(uniforms.u_morph, t);
      gl.uniform1f(uniforms.u_size, size);
      gl.uniform1f(uniforms.u_picked, this.manyPicked ? 1 : 0);
      gl.uniform1f(uniforms.u_highlight, highlight);
      gl.uniform1f(uniforms.u_alpha, this.points.count > 40000 ? 0.55 : 0.8);
      gl.uniform4f(uniforms.u_faint, grey, grey, grey, this.points.count > 40000 ? 0.12 : 0.2);
      for (const pass of chosen ? [1, 2] : [0]) {
        gl.uniform1f(uniforms.u_pass, pass);
        if (share < 1) gl.drawElements(gl.POINTS, Math.ceil(share * this.points.count), gl.UNSIGNED_INT, 0);
        else gl.drawArrays(gl.POINTS, 0, this.points.count);
      }
    });
  }

  // The same with a plain loop over the pixels of the picture. every: one token of so many is drawn
  drawPlain(every = 1) {
    const { width, height } = this.picture, { ratio, view, flags, highlight } = this;
    if (this.image?.width !== width || this.image?.height !== height) this.image = this.plain.createImageData(width, height);
    const pixels = new Uint32Array(this.image.data.buffer), word = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    const room = this.paper.map((value) => Math.round(lerp(value, this.dark ? 255 : 0, 0.03)));
    const grey = word(room.map((value) => Math.round(lerp(value, this.dark ? 255 : 0, 0.16))));
    const values = [0, 1].map((side) => this.values(side)), old = this.arrived < 1 ? this.old : null, { arrived } = this, tokens = this.points.count;
    // Three quarters of a point's colour and one of what is there, four bytes at once: half of it twice
    const halves = Uint32Array.from(this.colourTable(), (colour) => (word(colour) >>> 1) & 0x7f7f7f7f), faint = (grey >>> 1) & 0x7f7f7f7f;
    const only = values[0] ? highlight : -1, picked = this.manyPicked, passes = picked || only >= 0 ? [1, 2] : [0];
    pixels.fill(word(this.paper));
    this.panels().forEach((panel, side) => {
      const [left, top, right, bottom] = [panel.x, panel.y, panel.x + panel.width, panel.y + panel.height].map((value) => Math.round(value * ratio));
      for (let y = top; y < bottom; y++) pixels.fill(word(room), y * width + left, y * width + right);
      const own = values[side] ?? new Uint8Array(tokens).fill(MISSING), { from, to, t } = this.between(side);
      const scaleX = view.zoom * (right - left) / 65535, scaleY = -view.zoom * (bottom - top) / 65535;
      for (const pass of passes) {
        const size = Math.max(1, Math.round(this.size() * ratio * (pass === 2 ? 1.35 : 1))), half = size / 2, disc = [];
        for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) if (Math.hypot(x + 0.5 - half, y + 0.5 - half) <= half + 0.2) disc.push(y * width + x);
        const steps = Int32Array.from(disc), count = steps.length;
        const beginX = left + (right - left) * (0.5 - view.x * view.zoom) - half + 0.5, beginY = top + (bottom - top) * (0.5 + view.y * view.zoom) - half + 0.5;
        const lastColumn = right - size, lastRow = bottom - size;
        for (let id = 0; id < tokens; id += every) {
          if (pass !== 0) {
            const strong = (!picked || flags[id] === 1) && (only < 0 || own[id] === only);
            if (strong === (pass === 1)) continue;
          }
          const at = 2 * id;
          let x = from[at], y = from[at + 1];
          if (t !== 0) {
            x += (to[at] - x) * t;
            y += (to[at + 1] - y) * t;
          }
          if (old !== null) {
            x = lerp(old.from[at] + (old.to[at] - old.from[at]) * t, x, arrived);
            y = lerp(old.from[at + 1] + (old.to[at + 1] - old.from[at + 1]) * t, y, arrived);
          }
          x = beginX + x * scaleX;
          y = beginY + y * scaleY;
          if (!(x >= left && y >= top && x <= lastColumn && y <= lastRow)) continue;
          const share = pass === 1 ? faint : halves[own[id]], begin = (y | 0) * width + (x | 0);
          for (let step = 0; step < count; step++) {
            const place = begin + steps[step];
            pixels[place] = ((((share + ((pixels[place] >>> 1) & 0x7f7f7f7f)) >>> 1) & 0x7f7f7f7f) + share) | 0xff000000;
          }
        }
      }
    });
    this.plain.putImageData(this.image, 0, 0);
  }

  // Where a token is, in pixels of the stage

  at(id, side, panel) {
    const ends = this.between(side), place = (points, axis) => lerp(points.from[2 * id + axis], points.to[2 * id + axis], ends.t) / 65535;
    const axis = (number) => (this.arrived < 1 && this.old ? lerp(place(this.old, number), place(ends, number), this.arrived) : place(ends, number));
    return this.pixel(axis(0), axis(1), panel);
  }

  pixel(x, y, panel) {
    const { view } = this;
    return [panel.x + ((x - view.x) * view.zoom + 0.5) * panel.width, panel.y + (0.5 - (y - view.y) * view.zoom) * panel.height];
  }

  drawOverlay(moving) {
    const context = this.overlay.getContext("2d"), panels = this.panels();
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.stage.clientWidth, this.stage.clientHeight);
    const taken = [[], []];
    this.labels = [];
    const named = this.named();
    panels.forEach((panel, side) => {
      context.save();
      context.beginPath();
      context.rect(panel.x, panel.y, panel.width, panel.height);
      context.clip();
      this.drawDensity(context, panel, side, moving ? this.share : 1);
      this.drawHead(context, panel, side, taken[side]);
      this.drawJourneys(context, panel, side, named, taken[side]);
      if (this.showNames && (!moving || this.points.count < 60000)) this.drawNames(context, panel, side, taken[side], moving);
      context.restore();
    });
    if (this.outline) {
      context.beginPath();
      this.outline.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.closePath();
      context.fillStyle = this.accent + "22";
      context.strokeStyle = this.accent;
      context.lineWidth = 1.5;
      context.fill();
      context.stroke();
    }
  }

  // Where points hide each other, shades take their place: the mean of their colours, so that mixed groups look mixed, stronger the
  // more there are.
  drawDensity(context, panel, side, share) {
    this.shaded[side] = 0;
    if (this.manyPicked || this.highlight >= 0 || this.points.count < FEWEST || this.arrived < 1) return;
    const cell = Math.max(3, Math.round(this.size())), columns = Math.ceil(panel.width / cell), rows = Math.ceil(panel.height / cell), every = Math.round(1 / share);
    const counts = new Uint32Array(columns * rows), sums = new Uint32Array(3 * columns * rows), colours = Uint8Array.from(this.colourTable().flat());
    const { from, to, t } = this.between(side), own = this.values(side), { view } = this;
    const scaleX = view.zoom * panel.width / 65535 / cell, scaleY = -view.zoom * panel.height / 65535 / cell;
    const beginX = panel.width * (0.5 - view.x * view.zoom) / cell, beginY = panel.height * (0.5 + view.y * view.zoom) / cell;
    let most = 0;
    for (let id = 0, at = 0; id < this.points.count; id += every, at += 2 * every) {
      const x = beginX + scaleX * (from[at] + (to[at] - from[at]) * t), y = beginY + scaleY * (from[at + 1] + (to[at + 1] - from[at + 1]) * t);
      if (!(x >= 0 && y >= 0 && x < columns && y < rows)) continue;
      const place = (y | 0) * columns + (x | 0), colour = 3 * (own ? own[id] : MISSING);
      if (++counts[place] > most) most = counts[place];
      for (let channel = 0; channel < 3; channel++) sums[3 * place + channel] += colours[colour + channel];
    }
    if (most * every < 2 * HIDDEN_BY) return;
    this.shades ??= document.createElement("canvas");
    Object.assign(this.shades, { width: columns, height: rows });
    const shades = this.shades.getContext("2d"), image = shades.createImageData(columns, rows), deep = Math.log(most * every / HIDDEN_BY);
    for (let place = 0; place < counts.length; place++) {
      const count = counts[place] * every;
      if (count < HIDDEN_BY) continue;
      this.shaded[side] += 1;
      const strength = Math.log(count / HIDDEN_BY) / deep;
      for (let channel = 0; channel < 3; channel++) image.data[4 * place + channel] = lerp(sums[3 * place + channel] / counts[place], this.ink[channel], 0.45 * strength);
      image.data[4 * place + 3] = 215;
    }
    shades.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.shades, panel.x, panel.y, columns * cell, rows * cell);
  }

  // Stacked maps have their names inside; and how far two dimensions flatter stands in the picture.
  drawHead(context, panel, side, taken) {
    const lines = [...(this.stacked ? [side ? this.rightName : this.told.heads[0][0]] : []), ...(side && this.keptText ? [this.keptText] : [])];
    lines.forEach((text, at) => {
      context.font = `600 12px ${this.font}`;
      const width = context.measureText(text).width, x = panel.x + 8, y = panel.y + 8 + 20 * at;
      this.plate(context, x - 3, y - 1, width + 6, 18, 0.85);
      context.fillStyle = this.css(this.ink);
      context.textBaseline = "top";
      context.fillText(text, x, y + 2);
      taken.push([x - 3, y - 1, width + 6, 18]);
    });
  }

  css(colour, alpha = 1) {
    return `rgba(${colour.join(",")},${alpha})`;
  }

  plate(context, x, y, width, height, alpha) {
    context.fillStyle = this.css(this.paper, alpha);
    context.beginPath();
    context.roundRect(x, y, width, height, 4);
    context.fill();
  }

  named() {
    const { found } = this, selected = this.ids.length <= NAMED ? this.ids : [];
    return [...new Set([...(this.pointed === null ? [] : [this.pointed]), ...selected, ...found])];
  }

  drawJourneys(context, panel, side, named, taken) {
    const ink = this.css(this.ink), halo = this.css(this.paper, 0.9);
    named.slice(0, RINGED).reverse().forEach((id) => {
      if (id >= this.points.count) return;
      const [x, y] = this.at(id, side, panel);
      if (side && named.indexOf(id) < NAMED) {
        const [fromX, fromY] = this.at(id, 0, panel);
        for (const [colour, width] of [[halo, 4], [ink, 1.5]]) {
          context.beginPath();
          context.moveTo(fromX, fromY);
          context.lineTo(x, y);
          context.strokeStyle = colour;
          context.lineWidth = width;
          context.stroke();
        }
        context.beginPath();
        context.arc(fromX, fromY, 2.5, 0, 7);
        context.fillStyle = ink;
        context.fill();
      }
      for (const [colour, width] of [[halo, 4.5], [ink, 2]]) {
        context.beginPath();
        context.arc(x, y, 6.5, 0, 7);
        context.strokeStyle = colour;
        context.lineWidth = width;
        context.stroke();
      }
    });
    const wanted = named.slice(0, NAMED);
    this.ask(wanted);
    for (const id of wanted) {
      const text = this.textOf(id);
      if (text !== undefined && id < this.points.count) this.label(context, text, ...this.at(id, side, panel), side, panel, taken, { bold: true, must: true, id });
    }
  }

  drawNames(context, panel, side, taken, moving) {
    const { view } = this, shown = this.shown, values = this.values(0);
    if (shown?.places && values && view.zoom < 6) {
      if (this.centres?.values !== values) this.centres = this.middles(values, shown.colours.length);
      const order = shown.places.map((_, at) => at).sort((a, b) => this.centres.sizes[b] - this.centres.sizes[a]);
      for (const group of order) {
        if (this.highlight >= 0 && group !== this.highlight) continue;
        const { from: first, to: last, t } = this.between(side), [from, to] = [first, last].map((table) => this.centres.of.get(table)[group]);
        if (!from) continue;
        const [x, y] = this.pixel(lerp(from[0], to[0], t), lerp(from[1], to[1], t), panel);
        this.label(context, shown.places[group], x, y, side, panel, taken, { group, bold: true, middle: true });
      }
    }
    if (view.zoom >= WORDS_FROM && !moving) this.drawWords(context, panel, side, taken);
  }

  drawWords(context, panel, side, taken) {
    const words = this.unpacked.get(this.told.kinds)?.arrays.value, wanted = this.told.words, ids = [], named = new Set(this.named().slice(0, NAMED));
    let placed = 0, looked = 0;
    for (let id = 0; id < this.points.count && placed < 30 && looked < 600; id++) {
      if (words && words[id] !== wanted) continue;
      if ((this.manyPicked && !this.flags[id]) || named.has(id)) continue;
      const [x, y] = this.at(id, side, panel);
      if (x < panel.x + 4 || x > panel.x + panel.width - 4 || y < panel.y + 4 || y > panel.y + panel.height - 4) continue;
      looked += 1;
      const text = this.textOf(id);
      if (text === undefined) { ids.push(id); placed += 1; continue; }
      if (this.label(context, text, x, y, side, panel, taken, { id })) placed += 1;
    }
    this.ask(ids);
  }

  // The member of each group that is nearest to the middle of its members, in every table of the way, as shares of the map
  middles(values, groups) {
    const members = Array.from({ length: groups }, () => []);
    for (let id = 0; id < values.length; id++) if (values[id] < groups) members[values[id]].push(id);
    const middle = (array) => members.map((own) => {
      if (!own.length) return null;
      const [x, y] = [0, 1].map((axis) => Uint16Array.from(own, (id) => array[2 * id + axis]).sort()[own.length >> 1]);
      let best = own[0], least = Infinity;
      for (const id of own) {
        const away = (array[2 * id] - x) ** 2 + (array[2 * id + 1] - y) ** 2;
        if (away < least) { least = away; best = id; }
      }
      return [array[2 * best] / 65535, array[2 * best + 1] / 65535];
    });
    return { values, of: new Map(this.way.map((table) => [table, middle(table)])), sizes: members.map((own) => own.length) };
  }

  // A name beside its point, where no other name is; whether there was room
  label(context, text, x, y, side, panel, taken, { bold = false, must = false, middle = false, id = null, group = null }) {
    const shown = [...text].length > 28 ? [...text].slice(0, 27).join("") + "…" : text;
    context.font = `${bold ? "600 " : ""}12px ${this.font}`;
    const width = Math.ceil(context.measureText(shown).width) + 6, height = 17;
    const spots = middle ? [[-width / 2, -height / 2], [-width / 2, -height * 1.4], [-width / 2, height * 0.4], [-width / 2, -height * 2.3], [-width / 2, height * 1.3]]
      : [[-width / 2, -height - 8], [-width / 2, 8], [9, -height / 2], [-width - 9, -height / 2], [9, -height - 6], [-width - 9, 6], [-width / 2, -2 * height - 8], [-width / 2, height + 8]];
    const inside = (box) => [clamp(box[0], panel.x + 2, panel.x + panel.width - width - 2), clamp(box[1], panel.y + 2, panel.y + panel.height - height - 2)];
    const free = ([left, top]) => taken.every(([a, b, c, d]) => left >= a + c || left + width <= a || top >= b + d || top + height <= b);
    if (x < panel.x - 20 || x > panel.x + panel.width + 20 || y < panel.y - 20 || y > panel.y + panel.height + 20) return false;
    const places = spots.map(([right, down]) => inside([x + right, y + down]));
    const chosen = places.find(free) ?? (must && taken.length < 4 ? places[0] : null);
    if (!chosen) return false;
    taken.push([...chosen, width, height]);
    this.labels.push({ side, text: shown, id, group, box: [...chosen, width, height] });
    this.plate(context, ...chosen, width, height, bold ? 0.84 : 0.62);
    context.fillStyle = this.css(this.ink);
    context.textBaseline = "middle";
    context.fillText(shown, chosen[0] + 3, chosen[1] + height / 2 + 0.5);
    return true;
  }

  // Motion

  animate(what, from, to, milliseconds) {
    const begun = performance.now();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) milliseconds = 1;
    const step = (now) => {
      const t = clamp((now - begun) / milliseconds, 0, 1);
      const smooth = (share) => share * share * (3 - 2 * share), even = lerp(from, to, t), whole = Math.floor(even);
      this[what] = what === "morph" && this.isLong ? whole + smooth(even - whole) : lerp(from, to, smooth(t));  // it slows down at every stop
      if (what === "morph") { this.slider.value = Math.round(100 * this.morph); this.nameStop(); }
      this.movingUntil = now + 100;
      this.draw();
      if (t < 1) this.animation = requestAnimationFrame(step);
      else { if (what === "arrived") this.old = null; this.labelsLater(); }
    };
    cancelAnimationFrame(this.animation);
    this.animation = requestAnimationFrame(step);
  }

  play() {
    const end = this.way.length - 1, from = this.isLong || this.morph > 0.95 ? 0 : this.morph;
    this.animate("morph", from, end, 2200 * end);
  }

  home() {
    this.view = { x: 0.5, y: 0.5, zoom: RIM };
    this.paint(true);
    this.sayLater();
  }

  // From the whole map to where most tokens are: its middle may be empty
  closer() {
    const { view, points } = this;
    if (view.x === 0.5 && view.y === 0.5 && view.zoom === RIM && points) {
      [view.x, view.y] = [0, 1].map((axis) => Uint16Array.from({ length: points.count }, (_, id) => points.from[2 * id + axis]).sort()[points.count >> 1] / 65535);
    }
    this.zoomBy(1.6);
  }

  zoomBy(factor, x = null, y = null) {
    const { view } = this, zoom = clamp(view.zoom * factor, WIDEST, CLOSEST);
    if (x !== null) {
      view.x = x - (x - view.x) * view.zoom / zoom;
      view.y = y - (y - view.y) * view.zoom / zoom;
    }
    view.zoom = zoom;
    this.paint(true);
    this.sayLater();
  }

  panBy(right, down) {
    const panel = this.panels()[0], { view } = this;
    view.x = clamp(view.x - right / panel.width / view.zoom, -0.2, 1.2);
    view.y = clamp(view.y + down / panel.height / view.zoom, -0.2, 1.2);
    this.paint(true);
    this.sayLater();
  }

  // Pointer, touch and keyboard

  place(event) {
    const box = this.stage.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top, panels = this.panels();
    const side = this.stacked ? (y < panels[1].y ? 0 : 1) : (x < panels[1].x ? 0 : 1), panel = panels[side];
    return { x, y, side, panel, mapX: this.view.x + ((x - panel.x) / panel.width - 0.5) / this.view.zoom, mapY: this.view.y - ((y - panel.y) / panel.height - 0.5) / this.view.zoom };
  }

  listenToStage() {
    const { stage } = this;
    stage.addEventListener("pointerdown", (event) => this.pressed(event));
    stage.addEventListener("pointermove", (event) => this.moved(event));
    stage.addEventListener("pointerup", (event) => this.released(event));
    stage.addEventListener("pointercancel", (event) => { this.fingers.delete(event.pointerId); this.gesture = null; this.outline = null; this.paint(); });
    stage.addEventListener("pointerleave", () => { if (!this.gesture) this.point(null); });
    stage.addEventListener("dblclick", () => (this.ids.length ? this.select([], "click", null) : this.home()));
    // The page scrolls past the map until somebody has clicked into it.
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && this.root.getRootNode().activeElement !== stage) return;
      event.preventDefault();
      const { mapX, mapY } = this.place(event);
      this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), mapX, mapY);
    }, { passive: false });
    stage.addEventListener("touchmove", (event) => { if (event.touches.length > 1 || this.tool !== "move") event.preventDefault(); }, { passive: false });
    stage.addEventListener("keydown", (event) => {
      const acts = { ArrowLeft: () => this.panBy(50, 0), ArrowRight: () => this.panBy(-50, 0), ArrowUp: () => this.panBy(0, 50), ArrowDown: () => this.panBy(0, -50),
        "+": () => this.zoomBy(1.3), "=": () => this.zoomBy(1.3), "-": () => this.zoomBy(1 / 1.3), 0: () => this.home(), Escape: () => this.select([], "click", null) };
      if (event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
      event.preventDefault();
      acts[event.key]();
    });
  }

  pressed(event) {
    if (event.button > 1) return;
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (event.pointerType !== "touch" || this.tool !== "move") {
      try { this.stage.setPointerCapture(event.pointerId); } catch { /* a pointer that is gone already, or one of a test */ }
    }
    const place = this.place(event), picks = this.tool !== "move" && event.button === 0;
    this.gesture = { begun: place, last: [event.clientX, event.clientY], travelled: 0, adding: event.shiftKey, picks, touch: event.pointerType === "touch" };
    if (picks) this.outline = [[place.x, place.y]];
  }

  moved(event) {
    const { gesture } = this;
    if (!gesture || !this.fingers.has(event.pointerId)) {
      if (event.pointerType === "touch") return;
      const on = this.under(this.place(event));
      this.stage.classList.toggle("leads", on.box !== undefined);
      return this.point(on.id, event);
    }
    const before = this.fingers.get(event.pointerId), right = event.clientX - before[0], down = event.clientY - before[1];
    if (this.fingers.size > 1) {
      const [other] = [...this.fingers].filter(([id]) => id !== event.pointerId).map(([, where]) => where);
      const apart = (where) => Math.hypot(where[0] - other[0], where[1] - other[1]);
      this.outline = null;
      gesture.picks = false;
      gesture.travelled = 100;
      const { mapX, mapY } = this.place({ clientX: (event.clientX + other[0]) / 2, clientY: (event.clientY + other[1]) / 2 });
      this.zoomBy(apart([event.clientX, event.clientY]) / Math.max(1, apart(before)), mapX, mapY);
      this.panBy(right / 2, down / 2);
    } else if (gesture.picks) {
      const place = this.place(event), { begun } = gesture;
      const x = clamp(place.x, begun.panel.x, begun.panel.x + begun.panel.width), y = clamp(place.y, begun.panel.y, begun.panel.y + begun.panel.height);
      if (this.tool === "box") this.outline = [[begun.x, begun.y], [x, begun.y], [x, y], [begun.x, y]];
      else {
        const [lastX, lastY] = this.outline.at(-1);
        if (Math.hypot(x - lastX, y - lastY) > 3) this.outline.push([x, y]);
      }
      this.paint();
    } else if (!gesture.touch) this.panBy(right, down);
    gesture.travelled += Math.abs(right) + Math.abs(down);
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  released(event) {
    const { gesture, outline } = this;
    this.fingers.delete(event.pointerId);
    if (!gesture || this.fingers.size) return;
    this.gesture = null;
    this.outline = null;
    const place = this.place(event);
    if (gesture.travelled < 5) {
      const { id, box, group } = this.under(place, gesture.touch);
      if (id !== null) this.select(gesture.adding ? [...this.ids, id] : [id], "click", gesture.begun.side);
      else if (box) this.setHighlight(group);
    } else if (gesture.picks && outline.length > 2) {
      const found = this.inside(outline, gesture.begun.side);
      this.select(gesture.adding ? [...this.ids, ...found] : found, this.tool, gesture.begun.side);
    }
    this.paint();
  }

  // What a pointer is on: a name, else a token or nothing. A token that it is on already stays: its name pushes others under the pointer
  under(place, touch = false) {
    const id = this.nearest(place, touch ? 2 * NEAR : NEAR);
    if (id !== null && id === this.pointed) return { id };
    return this.labelAt(place, touch ? NEAR : 0) ?? { id };
  }

  // The name at a place of the stage, or so many pixels from it: a token's, or a cluster's
  labelAt({ x, y }, within = 0) {
    return this.labels.find(({ box: [left, top, width, height] }) => x >= left - within && x <= left + width + within && y >= top - within && y <= top + height + within);
  }

  nearest(place, within = NEAR) {
    if (!this.way) return null;
    let best = null, least = within * within;
    const { from, to, t } = this.between(place.side), scaleX = this.view.zoom * place.panel.width, scaleY = this.view.zoom * place.panel.height;
    const values = this.values(0), only = values ? this.highlight : -1;
    for (let id = 0, at = 0; id < this.points.count; id++, at += 2) {
      const x = ((from[at] + (to[at] - from[at]) * t) / 65535 - place.mapX) * scaleX;
      if (x > within || x < -within) continue;
      const y = ((from[at + 1] + (to[at + 1] - from[at + 1]) * t) / 65535 - place.mapY) * scaleY;
      const away = x * x + y * y + (only >= 0 && values[id] !== only ? 20 : 0);
      if (away < least) { least = away; best = id; }
    }
    return best;
  }

  inside(outline, side) {
    const panel = this.panels()[side], { view } = this, { from, to, t } = this.between(side), found = [];
    const step = Math.max(1, Math.floor(outline.length / 120));
    const corners = outline.filter((_, at) => at % step === 0).map(([x, y]) => [
      65535 * (view.x + ((x - panel.x) / panel.width - 0.5) / view.zoom), 65535 * (view.y - ((y - panel.y) / panel.height - 0.5) / view.zoom)]);
    const [left, right] = [Math.min(...corners.map(([x]) => x)), Math.max(...corners.map(([x]) => x))];
    const [low, high] = [Math.min(...corners.map(([, y]) => y)), Math.max(...corners.map(([, y]) => y))];
    for (let id = 0, at = 0; id < this.points.count; id++, at += 2) {
      const x = from[at] + (to[at] - from[at]) * t, y = from[at + 1] + (to[at + 1] - from[at + 1]) * t;
      if (x < left || x > right || y < low || y > high) continue;
      let within = false;
      for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
        const [ax, ay] = corners[i], [bx, by] = corners[j];
        if (ay > y !== by > y && x < (bx - ax) * (y - ay) / (by - ay) + ax) within = !within;
      }
      if (within) found.push(id);
    }
    return found;
  }

  select(ids, how, side) {
    this.ids = [...new Set(ids)].sort((a, b) => a - b);
    this.how = how;
    this.by = side === null ? null : ["original", "reconstructed"][side];
    this.changed = true;
    this.inbox.ids = this.ids;
    this.mark();
    this.paint();
    this.status.textContent = `${this.ids.length} tokens selected`;
    this.say();
    this.changed = false;
  }

  point(id, event = null) {
    if (id !== this.pointed) { this.pointed = id; this.paint(); }
    this.tip.hidden = id === null;
    if (id === null) return;
    const place = this.place(event);
    if (this.textOf(id) === undefined) this.ask(this.around(place, id));
    this.tip.replaceChildren(element("b", { text: this.textOf(id) ?? `token ${id}` }), element("small", { text: this.about(id, place.side) }));
    const x = clamp(place.x + 14, 4, this.stage.clientWidth - this.tip.offsetWidth - 4), below = place.y + 16;
    this.tip.style.left = `${x}px`;
    this.tip.style.top = `${below + this.tip.offsetHeight > this.stage.clientHeight ? place.y - this.tip.offsetHeight - 10 : below}px`;
  }

  // The tokens nearest to a pointer: their names are wanted next
  around(place, id) {
    const found = [id];
    for (let other = 0; other < this.points.count && found.length < 60; other++) {
      const [x, y] = this.at(other, place.side, place.panel);
      if (Math.abs(x - place.x) < 20 && Math.abs(y - place.y) < 20) found.push(other);
    }
    return found;
  }

  about(id, side) {
    const shown = this.shown, value = this.values(side)?.[id], parts = [`id ${id}`];
    if (shown && value !== undefined && value !== MISSING) {
      if (shown.stops) parts.push(`${shown.name.toLowerCase()} ${Number(lerp(shown.low, shown.high, value / 254).toPrecision(3))}`);
      else parts.push(shown.labels[value]);
      const after = this.column.arrays.after;
      const where = this.told.ends[1] === "reconstructed" ? "after compression" : `in ${this.told.ends[1]}`;
      if (after && this.isOwn && after[id] !== value) parts.push(`${where} with ${shown.labels[after[id]]}`);
    }
    return parts.join(" · ");
  }

  // Colours and their key

  pickColour(name) {
    this.colour = name;
    this.highlight = -1;
    this.drawLegend();
    this.paint();
    this.say();
  }

  setHighlight(value) {
    this.highlight = this.highlight === value ? -1 : value;
    this.drawLegend();
    this.paint();
    this.say();
  }

  drawLegend() {
    const { told } = this;
    this.colours.replaceChildren(...told.colours.map((name) => { const option = element("option", { value: name, text: name }); option.selected = name === this.colour; return option; }));
    const shown = this.shown;
    if (!shown) return this.legend.replaceChildren(element("small", { text: "The colours are on their way …" }));
    const title = element("strong", { text: shown.title });
    if (shown.stops) {
      const bar = element("span", { class: "scale", "aria-hidden": "true" });
      bar.style.background = `linear-gradient(90deg,${shown.stops.join(",")})`;
      const ends = shown.low === undefined ? [] : [shown.low, shown.high].map((value) => element("small", { text: Number(value.toPrecision(3)).toLocaleString("en") }));
      this.legend.replaceChildren(title, ...ends.slice(0, 1), bar, ...ends.slice(1), ...(shown.note ? [element("small", { text: shown.note })] : []));
      return;
    }
    const focused = this.root.getRootNode().activeElement?.dataset?.group;
    const chips = shown.labels.map((label, group) => {
      const dot = element("i", { "aria-hidden": "true" });
      dot.style.background = shown.colours[group];
      return element("button", { type: "button", "aria-pressed": group === this.highlight, "data-group": group, title: shown.tips?.[group] ?? "", onclick: () => this.setHighlight(group) },
        dot, element("bdi", { text: label }), element("small", { text: shown.numbers[group] }));
    }).filter((_, group) => shown.numbers[group] !== "");
    this.legend.classList.toggle("long", chips.length > 24);
    this.legend.replaceChildren(title, ...chips, ...(shown.note ? [element("small", { text: shown.note })] : []));
    if (focused !== undefined) this.legend.querySelector(`[data-group="${focused}"]`)?.focus();
  }

  // For tests

  state() {
    return { points: this.points?.count ?? 0, layout: this.points?.name, ids: [...this.ids], view: { ...this.view }, morph: this.morph, colour: this.colour,
      coloured: Boolean(this.points && this.values(0)?.length === this.points.count), highlight: this.highlight, tool: this.tool, found: this.found,
      labels: this.labels, legend: this.legend.innerText, pointed: this.pointed, tip: this.tip.hidden ? "" : this.tip.textContent, frames: this.frames, share: this.share,
      arrived: this.arrived, panels: this.panels(), stops: this.way ? this.way.length - 1 : 0, right: this.rightName, shaded: [...this.shaded] };
  }

  // A pixel of every colour that is drawn, and how often, as drawn
  pixels() {
    this.drawPoints(1);
    const { gl } = this, { width, height } = this.picture, counts = new Map();
    const found = this.plain ? this.image.data : new Uint8Array(4 * width * height);
    if (!this.plain) gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, found);
    for (let at = 0; at < found.length; at += 4) {
      const key = (found[at] << 16) | (found[at + 1] << 8) | found[at + 2];
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1]).slice(0, 200);
  }
}

// Whether WebGL 2 is there and drawn by hardware
function hasHardware() {
  const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!gl) return false;
  const about = gl.getExtension("WEBGL_debug_renderer_info"), name = about ? gl.getParameter(about.UNMASKED_RENDERER_WEBGL) : "";
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|software|basic render/i.test(name);
}

// Ids of the tokens that are the query, or else begin with it, short ones and small ids first, as the server finds them
function searched(texts, query) {
  const wanted = query.toLowerCase(), number = /^#?(\d{1,12})$/.exec(query), row = number && Number(number[1]) < texts.length ? [Number(number[1])] : [];
  if (!wanted) return [];
  const equal = [], begin = [];
  texts.forEach((text, id) => {
    const drawn = text.toLowerCase(), word = drawn.replace(/^(##|␣)/, "");
    if (word === wanted || drawn === wanted) equal.push(id);
    else if (word.startsWith(wanted) || drawn.startsWith(wanted)) begin.push(id);
  });
  const best = equal.length ? equal : begin.sort((a, b) => texts[a].length - texts[b].length || a - b);
  return [...new Set(query.startsWith("#") ? [...row, ...best] : [...best, ...row])].slice(0, RINGED);
}

function slope(stops, share) {
  const at = share * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(at));
  const [a, b] = [rgb(stops[low]), rgb(stops[low + 1])];
  return a.map((value, channel) => Math.round(lerp(value, b[channel], at - low)));
}
