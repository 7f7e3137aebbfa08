// The pages of runs: the list, one of them live, two side by side, and a new one.

import { chart } from "./charts.js";
import { control, field, get, h, post, problem, slider, words } from "./dom.js";
import { plane } from "./plane.js";

const EVERY = 1000; // milliseconds between two looks at a run
const FIRST = ["dataset", "steps", "pretraining_steps", "batch_size", "seed", "sample_every", "checkpoint_every", "evaluate_every"];

const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const link = (page, values, text) => h("a", { href: `#/${page}?${new URLSearchParams(values)}` }, text);
const tag = (state) => h("span", { className: `tag ${state.split(" ")[0]}` }, state);
const steps = (row) => `step ${row.step.toLocaleString()} of ${row.total.toLocaleString()}`;

export async function runs(view, parameters, alive) {
  const chosen = new Set();
  const button = h("button", { type: "button", disabled: true, onclick: () => { const [a, b] = chosen; location.hash = `#/compare?${new URLSearchParams({ a, b })}`; } }, "Compare two");
  const head = h("div", { className: "head" }, h("h1", {}, "Runs"), h("div", { className: "right" }, button, h("a", { className: "button", href: "#/new" }, "Train a new one")));
  const list = h("div", { className: "cards" });
  view.replaceChildren(head, list);
  while (alive()) {
    const rows = await get("/api/runs");
    if (!alive()) return;
    list.replaceChildren(...rows.map((row) => {
      const box = h("input", { type: "checkbox", checked: chosen.has(row.id), "aria-label": `compare ${row.id}`, onchange: () => {
        if (box.checked) chosen.add(row.id); else chosen.delete(row.id);
        button.disabled = chosen.size !== 2;
      } });
      return h("div", { className: "card" }, h("div", { className: "row" }, h("h2", { className: "grow" }, link("run", { id: row.id }, row.id)), box),
        h("p", { className: "soft small" }, [row.modality, row.dataset].filter(Boolean).join(" · ")),
        h("progress", { max: row.total || 1, value: row.step }), h("div", { className: "row soft small" }, h("span", { className: "grow" }, steps(row)), tag(row.state)));
    }));
    if (!rows.length) list.replaceChildren(h("p", { className: "card soft" }, "There is no run yet under runs/."));
    await wait(3 * EVERY);
  }
}

function previewed(run, entry) {
  const address = (file) => `/preview?${new URLSearchParams({ run, file })}`;
  const place = h("div", { className: "previews" });
  for (const file of entry.files) {
    if (/\.(png|jpe?g|gif|webp|svg)$/.test(file)) place.append(h("img", { src: address(file), alt: `preview at step ${entry.step}` }));
    else if (/\.(wav|flac|mp3|ogg)$/.test(file)) place.append(h("audio", { controls: true, src: address(file) }));
    else {
      const text = h("pre");
      fetch(address(file)).then((answer) => answer.text()).then((words) => { text.textContent = words; });
      place.append(text);
    }
  }
  return place;
}

// Previews by step, the newest unless an earlier one is chosen.
function browser(run) {
  let entries = [], at = null, drawn = null;
  const place = h("div"), bar = h("div");
  const draw = () => {
    const entry = entries[at ?? entries.length - 1];
    if (!entry || drawn === entry.step) return;
    drawn = entry.step;
    place.replaceChildren(previewed(run, entry));
  };
  return {
    element: h("div", { className: "previews" }, bar, place),
    update(found) {
      if (found.length !== entries.length) {
        entries = found;
        const last = entries.length - 1;
        const move = slider("preview", { min: 0, max: Math.max(last, 0), step: 1, value: at ?? last }, (value) => { at = value === last ? null : value; name(); draw(); });
        const name = () => { move.lastChild.textContent = entries[at ?? last]?.step ?? ""; };
        name();
        bar.replaceChildren(move);
      }
      draw();
    },
  };
}

const charts = (place, rows, alarms) => {
  const panels = new Map();
  rows.forEach((row, number) => row.curves.forEach((curve) => {
    const panel = panels.get(curve.title) ?? { ...curve, lines: [] };
    panel.lines.push(...curve.lines.map((line) => ({ ...line, dashed: number > 0 })));
    panels.set(curve.title, panel);
  }));
  place.replaceChildren(...[...panels.values()].map((panel) => chart(panel.title, panel.lines, { log: panel.log, alarms })));
};

const table = (rows) => h("div", { className: "scroll" }, h("table", {}, rows.map((row, place) => h("tr", {}, row.map((cell) => h(place ? "td" : "th", {}, cell))))));

export async function run(view, parameters, alive) {
  const id = parameters.get("id");
  const parts = Object.fromEntries(["head", "state", "actions", "charts", "log"].map((name) => [name, h("div")]));
  parts.state.className = "card";
  parts.charts.className = "charts";
  const failure = h("div"), evaluation = h("div"), settings = h("div", { className: "scroll" }), warned = h("div");
  const shown = browser(id);
  const act = (action, values = {}) => async () => {
    try {
      await post(`/api/runs/${action}`, { id, ...values });
      failure.replaceChildren();
    } catch (error) { failure.replaceChildren(problem(error)); }
  };
  const total = h("input", { type: "number", min: 1, "aria-label": "steps in all" });
  const stop = h("button", { type: "button", onclick: act("stop") }, "Stop and save");
  const resume = h("button", { type: "button", className: "main", onclick: () => act("resume", { steps: total.value ? Number(total.value) : null })() }, "Resume");
  const resuming = h("div", { className: "row" }, h("span", { className: "soft small" }, "steps in all"), h("span", {}, total), resume);
  const models = h("span", { className: "row" });
  view.replaceChildren(parts.head, parts.state, failure,
    h("div", { className: "watched" }, h("div", { className: "card" }, h("h2", {}, "Previews"), shown.element), h("div", { className: "card" }, h("h2", {}, "Curves"), parts.charts)));
  const points = h("div");
  view.append(points, evaluation, h("details", { className: "card" }, h("summary", {}, "Settings"), settings), parts.log);
  let before = "", drawn = false;
  while (alive()) {
    const row = await get("/api/run", { id });
    if (!alive()) return;
    const training = row.state.startsWith("training");
    parts.head.className = "head";
    parts.head.replaceChildren(h("h1", {}, id), h("span", { className: "soft" }, [row.modality, row.dataset].filter(Boolean).join(" · ")), tag(row.state));
    if (document.activeElement !== total) total.value ||= row.total || "";
    stop.hidden = !(training && row.mine);
    resuming.hidden = training || !row.step;
    models.replaceChildren(...row.models.map((model) => link("model", { id: model }, model === id ? "Explore the model" : "Explore the best")));
    const time = [steps(row), row.left && `about ${row.left} left`, row.rate && training && `${Math.round(row.rate).toLocaleString()} samples/s`];
    parts.state.replaceChildren(h("progress", { max: row.total || 1, value: row.step, id: "progress" }),
      h("div", { className: "row" }, h("span", { className: "grow soft", id: "left" }, time.filter(Boolean).join(" · ")), models, stop, resuming), warned);
    warned.replaceChildren(...row.warnings.slice(-6).map((one) => h("p", { className: `small ${one.alarm ? "problem" : "note"}` }, `step ${one.step}: ${one.text}`)));
    const now = JSON.stringify(row.curves);
    if (now !== before) charts(parts.charts, [row], row.warnings.filter((one) => one.alarm).map((one) => one.step));
    before = now;
    shown.update(row.previews);
    evaluation.replaceChildren(...(row.evaluation.length ? [h("div", { className: "card" }, h("h2", {}, "Evaluation"), table(row.evaluation))] : []));
    if (!settings.childElementCount && Object.keys(row.settings).length) settings.append(table([["setting", "value"], ...Object.entries(row.settings).map(([name, value]) => [name, value.slice(0, 60)])]));
    const log = h("code", { className: "log" }, row.log.trim());
    parts.log.replaceChildren(...(row.log.trim() ? [h("details", { className: "card", open: row.state === "failed" || parts.log.querySelector("details")?.open }, h("summary", {}, "What it printed"), log)] : []));
    if (!drawn && row.models.length) { drawn = true; plane(points, id, alive).catch((error) => points.replaceChildren(problem(error))); }
    await wait(training ? EVERY : 3 * EVERY);
  }
}

export async function compare(view, parameters, alive) {
  const names = [parameters.get("a"), parameters.get("b")];
  const drawn = h("div", { className: "charts" }), browsers = names.map((name) => browser(name));
  const tables = h("div", { className: "two" }), different = h("div");
  view.replaceChildren(h("div", { className: "head" }, h("h1", {}, "Two runs")),
    h("div", { className: "two" }, names.map((name, place) => h("div", { className: "card" }, h("h2", {}, `${"AB"[place]} `, link("run", { id: name }, name)), browsers[place].element))),
    h("div", { className: "card" }, h("h2", {}, "Curves"), h("p", { className: "soft small" }, "A is drawn through, B dotted."), drawn), tables, different);
  let before = "";
  while (alive()) {
    const rows = await Promise.all(names.map((id) => get("/api/run", { id })));
    if (!alive()) return;
    const now = JSON.stringify(rows.map((row) => [row.curves, row.evaluation]));
    if (now !== before) {
      before = now;
      charts(drawn, rows, []);
      tables.replaceChildren(...rows.filter((row) => row.evaluation.length).map((row) => h("div", { className: "card" }, h("h2", {}, row.id), table(row.evaluation))));
      const [a, b] = rows.map((row) => row.settings);
      const changed = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => a[name] !== b[name]);
      different.replaceChildren(h("div", { className: "card" }, h("h2", {}, "What differs in their settings"),
        changed.length ? table([["setting", "A", "B"], ...changed.map((name) => [words(name), a[name] ?? "", b[name] ?? ""])]) : h("p", { className: "soft" }, "Nothing.")));
    }
    rows.forEach((row, place) => browsers[place].update(row.previews));
    await wait(3 * EVERY);
  }
}

export async function fresh(view, parameters, alive) {
  const modality = parameters.get("modality") ?? "image";
  const found = await get("/api/form", { modality });
  if (!alive()) return;
  const settings = [...found.training, ...found.model].map((row) => ({ row, ...control(row, () => {}) }));
  const dataset = settings.find(({ row }) => row.name === "dataset");
  dataset.input.setAttribute("list", "datasets");
  dataset.element.append(h("datalist", { id: "datasets" }, found.datasets.map((name) => h("option", { value: name }))));
  const now = new Date().toISOString().slice(0, 16).replace(/[-:]/g, "").replace("T", "-");
  const name = h("input", { type: "text", value: `${modality}-${now}` });
  const choice = h("select", { onchange: () => { location.hash = `#/new?${new URLSearchParams({ modality: choice.value })}`; } },
    found.modalities.map((one) => h("option", { value: one, selected: one === modality }, one)));
  const failure = h("div");
  const start = async (event) => {
    event.preventDefault();
    const chosen = settings.map(({ row, read }) => [row.name, read()]).filter(([, value]) => value !== undefined);
    try {
      const { id } = await post("/api/runs/start", { modality, name: name.value, settings: Object.fromEntries(chosen.map(([key, value]) => [key, value === null ? "null" : value])) });
      location.hash = `#/run?${new URLSearchParams({ id })}`;
    } catch (error) { failure.replaceChildren(problem(error)); }
  };
  const some = (wanted) => h("div", { className: "cards" }, settings.filter(({ row }) => wanted(row.name)).map(({ element }) => element));
  view.replaceChildren(h("form", { className: "card", onsubmit: start }, h("h1", {}, "Train"),
    h("div", { className: "cards" }, field("modality", choice), field("name, under runs/", name)), some((key) => FIRST.includes(key)),
    h("details", {}, h("summary", {}, "The model"), some((key) => key.startsWith("model."))),
    h("details", {}, h("summary", {}, "Everything else"), some((key) => !key.startsWith("model.") && !FIRST.includes(key))),
    failure, h("div", { className: "row" }, h("button", { type: "submit", className: "main" }, "Start"), h("span", { className: "soft small" }, "Point at a field for what it means. The run stops, and is saved, when the playground ends."))));
}
