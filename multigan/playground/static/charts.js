// Curves as SVG: lines of one or two runs over their steps.

const WIDTH = 360, HEIGHT = 190, LEFT = 44, RIGHT = 8, TOP = 8, BOTTOM = 22;

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const short = (value) => (Math.abs(value) >= 10000 || (value !== 0 && Math.abs(value) < 0.01) ? value.toExponential(0) : String(Number(value.toPrecision(3))));
const steps = (value) => (value >= 10000 ? `${short(value / 1000)}k` : String(Math.round(value)));

// Round numbers between two, about so many.
function ticks(low, high, count) {
  const raw = (high - low) / count, size = 10 ** Math.floor(Math.log10(raw));
  const step = size * [1, 2, 5, 10].find((factor) => factor * size >= raw);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(at);
  return found;
}

// `lines`: {name, points: [[step, value]], dashed}; `alarms`: steps that are marked.
export function chart(title, lines, { log = false, alarms = [] } = {}) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const heading = document.createElement("b");
  heading.textContent = title;
  caption.append(heading);
  const names = [...new Set(lines.map((line) => line.name))];
  if (names.length > 1) for (const line of names.map((name) => lines.find((one) => one.name === name))) {
    const key = document.createElement("span");
    key.className = `key soft ink${names.indexOf(line.name) % 3}`;
    key.textContent = line.name;
    caption.append(key);
  }
  const scale = (value) => (log ? Math.log10(Math.max(value, 1e-6)) : value);
  const all = lines.flatMap((line) => line.points);
  const last = Math.max(...all.map(([step]) => step), 1);
  const values = all.map(([, value]) => scale(value));
  let low = Math.min(...values), high = Math.max(...values);
  if (high - low < 1e-9) { low -= 0.5; high += 0.5; }
  const x = (step) => LEFT + ((WIDTH - LEFT - RIGHT) * step) / last;
  const y = (value) => TOP + ((HEIGHT - TOP - BOTTOM) * (high - value)) / (high - low);
  const svg = element("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title} by step` });
  for (const at of ticks(low, high, 4)) {
    svg.append(element("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: y(at), y2: y(at) }));
    svg.append(element("text", { x: LEFT - 6, y: y(at) + 4, "text-anchor": "end" }, short(log ? 10 ** at : at)));
  }
  for (const at of ticks(0, last, 4)) svg.append(element("text", { x: x(at), y: HEIGHT - 6, "text-anchor": at > last * 0.95 ? "end" : "middle" }, steps(at)));
  for (const step of alarms) svg.append(element("line", { class: "alarm", x1: x(step), x2: x(step), y1: TOP, y2: HEIGHT - BOTTOM }));
  for (const line of lines) {
    const ink = `ink${names.indexOf(line.name) % 3}`;
    if (line.points.length === 1) svg.append(element("circle", { class: ink, cx: x(line.points[0][0]), cy: y(scale(line.points[0][1])), r: 3 }));
    else svg.append(element("path", { class: `${ink} ${line.dashed ? "dashed" : ""}`, d: line.points.map(([step, value], place) => `${place ? "L" : "M"}${x(step).toFixed(1)} ${y(scale(value)).toFixed(1)}`).join("") }));
  }
  figure.append(caption, svg);
  return figure;
}
