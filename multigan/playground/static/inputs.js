// The page of a model that makes something of an input: a file, a brush for its hole, a painter for a label map.

import { base64, colour, control, field, h, post, problem, slider } from "./dom.js";
import { address, ending, picture } from "./media.js";

const OUTPUTS = 4; // of an input, where there are several

// Calls `dab(x, y)` along the way of a pointer over a canvas, in its pixels, and `done()` at the end.
function brush(canvas, dab, done) {
  let before = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
  };
  const stroke = (event) => {
    const now = at(event), from = before ?? now;
    const length = Math.max(1, Math.hypot(now[0] - from[0], now[1] - from[1]));
    for (let way = 0; way <= length; way++) dab(from[0] + ((now[0] - from[0]) * way) / length, from[1] + ((now[1] - from[1]) * way) / length);
    before = now;
  };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); stroke(event); });
  canvas.addEventListener("pointermove", (event) => { if (before) stroke(event); });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { if (before) { before = null; done(); } });
}

function disc(context, x, y, size) {
  context.beginPath();
  context.arc(x, y, size / 2, 0, 7);
  context.fill();
}

// A brush that covers a part of a picture: white on black, as `--mask` takes it.
function masks(layers, sizeOf, done) {
  const canvas = h("canvas", { className: "mask" });
  const context = canvas.getContext("2d");
  let touched = false;
  brush(canvas, (x, y) => { touched = true; context.fillStyle = colour("--accent"); disc(context, x, y, (sizeOf() * canvas.width) / 100); }, done);
  return {
    over(image) {
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      touched = false;
      layers.replaceChildren(image, canvas);
    },
    clear() { context.clearRect(0, 0, canvas.width, canvas.height); touched = false; },
    read() {
      if (!touched) return null;
      const whole = h("canvas", { width: canvas.width, height: canvas.height }), drawing = whole.getContext("2d");
      drawing.drawImage(canvas, 0, 0);
      for (const [where, ink] of [["source-in", "#fff"], ["destination-over", "#000"]]) {
        drawing.globalCompositeOperation = where;
        drawing.fillStyle = ink;
        drawing.fillRect(0, 0, whole.width, whole.height);
      }
      return whole.toDataURL("image/png").split(",")[1];
    },
  };
}

// A label map to paint: `read()` is rows of places in the palette.
function painter(layers, facts, sizeOf, done) {
  const [height, width] = facts.sides;
  const canvas = h("canvas", { width, height, className: "pixels" }), context = canvas.getContext("2d");
  const inks = facts.palette.map((pixel, place) => (pixel.length === 3 ? `rgb(${pixel.join(" ")})` : `hsl(${(place * 137.5) % 360} 60% ${45 + 15 * (place % 3)}%)`));
  const rows = Array.from({ length: height }, () => Array(width).fill(0));
  const set = (x, y, place) => { rows[y][x] = place; context.fillStyle = inks[place]; context.fillRect(x, y, 1, 1); };
  let ink = Math.min(1, inks.length - 1);
  const clear = () => rows.forEach((row, y) => row.forEach((_, x) => set(x, y, 0)));
  clear();
  brush(canvas, (x, y) => {
    const reach = Math.max(0.5, (sizeOf() * width) / 200);
    for (let down = Math.floor(y - reach); down <= y + reach; down++) for (let across = Math.floor(x - reach); across <= x + reach; across++)
      if (rows[down]?.[across] !== undefined && Math.hypot(across + 0.5 - x, down + 0.5 - y) <= reach + 0.25) set(across, down, ink);
  }, done);
  const swatches = h("div", { className: "swatches" }, inks.map((value, place) => {
    const button = h("button", { type: "button", title: `class ${facts.palette[place].join(" ")}`, onclick: () => { ink = place; mark(); } });
    button.style.background = value;
    return button;
  }));
  const mark = () => [...swatches.children].forEach((button, place) => button.setAttribute("aria-pressed", place === ink));
  mark();
  layers.replaceChildren(canvas);
  return { swatches, clear, read: () => rows };
}

export function inputs(view, head, facts) {
  const { id } = facts;
  let file = null, tool = null;
  const failure = h("div"), outputs = h("div", { className: "shown", id: "outputs" });
  const layers = h("div", { className: "layers", id: "input" });
  const size = slider("brush", { min: 2, max: 40, step: 1, value: 12 }, () => {});
  const sizeOf = () => Number(size.querySelector("input").value);
  const seed = h("input", { type: "number", min: 0, value: 0, oninput: () => make() });
  const options = facts.options.map((row) => ({ name: row.name, ...control(row, () => make()) }));
  const canvasOf = facts.mask ? masks(layers, sizeOf, () => make()) : null;

  async function make() {
    const values = tool ? { painted: tool.read() } : file;
    if (!values) return;
    if (canvasOf) values.mask = canvasOf.read();
    const chosen = options.map(({ name, read }) => [name, read()]).filter(([, value]) => value !== undefined);
    outputs.classList.add("busy");
    try {
      const shown = await post("/api/translate", { id, ...values, request: { seed: Number(seed.value) || 0, count: facts.several ? OUTPUTS : 1, options: Object.fromEntries(chosen) } });
      failure.replaceChildren();
      outputs.replaceChildren(...(await Promise.all(shown.map(async (one, place) => h("a", { href: address(one), download: `output-${place}.${ending(one)}`, title: "download" },
        one.type.startsWith("image") ? await picture(address(one)) : h("audio", { controls: true, src: address(one) }))))));
      document.dispatchEvent(new CustomEvent("shown"));
    } catch (error) {
      failure.replaceChildren(problem(error));
      outputs.replaceChildren();
    }
    outputs.classList.remove("busy");
  }
  async function take(chosen) {
    if (!chosen) return;
    tool = null;
    file = { name: chosen.name, file: await base64(chosen) };
    const source = URL.createObjectURL(chosen);
    try {
      const image = await picture(source);
      if (canvasOf) canvasOf.over(image); else layers.replaceChildren(image);
    } catch { layers.replaceChildren(h("p", { className: "soft small" }, `${chosen.name}: the browser does not show such a file`)); }
    make();
  }
  const picker = h("input", { type: "file", id: "file", hidden: true, accept: facts.endings.join(","), onchange: () => take(picker.files[0]) });
  const drop = h("label", { className: "drop", ondragover: (event) => { event.preventDefault(); drop.classList.add("over"); }, ondragleave: () => drop.classList.remove("over"),
    ondrop: (event) => { event.preventDefault(); drop.classList.remove("over"); take(event.dataTransfer.files[0]); } }, picker, "Choose a file, or drop one here");
  drop.htmlFor = "file";
  const group = (name, ...children) => h("fieldset", {}, h("legend", {}, name), ...children);
  const panel = h("aside", { className: "card", "aria-label": "Controls" }, group("Input", drop));
  if (facts.palette.length) {
    const paint = () => { tool = painter(layers, facts, sizeOf, make); swatches.replaceChildren(tool.swatches); make(); };
    const swatches = h("div");
    panel.append(group("Label map", h("button", { type: "button", id: "paint", onclick: paint }, "Paint a new one"), swatches, size));
  }
  if (canvasOf) panel.append(group("Hole", h("p", { className: "soft small" }, "Paint over what is to be filled."), size, h("button", { type: "button", onclick: () => { canvasOf.clear(); make(); } }, "Clear")));
  if (facts.several) panel.append(group("Outputs", field("seed", seed)));
  if (options.length) panel.append(group("Options", options.map(({ element }) => element)));
  view.replaceChildren(head, h("div", { className: "split" },
    h("div", { className: "card" }, h("div", { className: "beside" }, h("section", { className: "shown", "aria-label": "Input" }, h("h2", {}, "Input"), layers), h("section", { className: "shown", "aria-label": "Output" }, h("h2", {}, "Output"), outputs)), failure), panel));
}
