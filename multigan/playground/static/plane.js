// Points in the plane: real and generated ones, the discriminator's field, and the mesh of latents, by checkpoint.

import { colour, get, h, slider } from "./dom.js";

const EVERY = 1000; // milliseconds between two looks
const REAL = [79, 91, 213], GENERATED = [224, 116, 60]; // colours of the field

export async function plane(place, id, alive) {
  let facts = await get("/api/plane", { id });
  if (!facts.steps || !alive()) return; // its samples are something else
  const canvas = h("canvas", { className: "plane", width: 720, height: 720, role: "img", "aria-label": "real and generated points" });
  const seen = new Map();
  let at = null, playing = false;
  const parts = Object.fromEntries(["real", "generated", "field", "manifold"].map((name) => [name, h("input", { type: "checkbox", checked: true, onchange: () => draw() })]));
  const bar = h("div"), play = h("button", { type: "button", onclick: () => { playing = !playing; play.textContent = playing ? "Pause" : "Play"; if (playing) walk(); } }, "Play");
  place.replaceChildren(h("div", { className: "card" }, h("h2", {}, "Points in the plane"), h("div", { className: "split" }, canvas,
    h("div", { className: "previews" }, bar, play, ...Object.entries(parts).map(([name, box]) => h("label", { className: "check" }, box, name)),
      h("p", { className: "soft small" }, "The field is what the discriminator says: blue where it takes points for real, orange where it takes them for generated. Each checkpoint that is written while this page is open stays in the slider.")))));

  const step = () => facts.steps[Math.min(at ?? facts.steps.length - 1, facts.steps.length - 1)];
  async function draw() {
    const number = step();
    if (number === undefined) return;
    if (!seen.has(number)) seen.set(number, await get("/api/plane", { id, step: number }));
    if (!alive()) return;
    const { fake, field, mesh } = seen.get(number);
    const [[left, bottom], [right, top]] = facts.bounds;
    const context = canvas.getContext("2d"), side = canvas.width, unit = side / Math.max(right - left, top - bottom);
    const to = ([x, y]) => [side / 2 + (x - (left + right) / 2) * unit, side / 2 - (y - (bottom + top) / 2) * unit];
    context.clearRect(0, 0, side, side);
    if (parts.field.checked && field.length) {
      const small = h("canvas", { width: field.length, height: field.length });
      const pixels = new ImageData(field.length, field.length);
      [...field].reverse().forEach((row, down) => row.forEach((value, across) => {
        pixels.data.set([...(value > 0 ? REAL : GENERATED), 150 * Math.sqrt(Math.abs(value))], 4 * (down * field.length + across));
      }));
      small.getContext("2d").putImageData(pixels, 0, 0);
      context.drawImage(small, ...to([left, top]), (right - left) * unit, (top - bottom) * unit);
    }
    if (parts.manifold.checked) {
      context.strokeStyle = colour("--text");
      context.globalAlpha = 0.45;
      for (const line of mesh) {
        context.beginPath();
        line.forEach((point, place) => (place ? context.lineTo(...to(point)) : context.moveTo(...to(point))));
        context.stroke();
      }
      context.globalAlpha = 1;
    }
    const dots = (points, ink) => {
      context.fillStyle = ink;
      context.strokeStyle = colour("--card");
      for (const point of points) { context.beginPath(); context.arc(...to(point), 4.2, 0, 7); context.fill(); context.stroke(); }
    };
    if (parts.real.checked) dots(facts.real, colour("--a"));
    if (parts.generated.checked) dots(fake, colour("--b"));
    canvas.dataset.step = number;
  }
  const show = () => {
    const last = facts.steps.length - 1;
    const move = slider("step", { min: 0, max: Math.max(last, 0), step: 1, value: at ?? last }, (value) => { at = value === last ? null : value; name(); draw(); });
    const name = () => { move.lastChild.textContent = step() ?? ""; };
    name();
    bar.replaceChildren(move);
    return draw();
  };
  async function walk() {
    for (at = at ?? 0; playing && alive(); at = (at + 1) % facts.steps.length) { await show(); await new Promise((done) => setTimeout(done, 500)); }
  }
  await show();
  while (alive()) {
    await new Promise((done) => setTimeout(done, EVERY));
    const found = await get("/api/plane", { id }).catch(() => facts);
    if (found.steps.length !== facts.steps.length && alive()) { facts = found; await show(); }
  }
}
