// The page of a model: a sample, what lies around it, and a grid of others.

import { control, field, get, h, latest, post, problem, slider } from "./dom.js";
import { inputs } from "./inputs.js";
import { address, cells, ending, kind, show } from "./media.js";

const FAR = 6; // standard deviations of a latent that a slider moves
const GRID = 32, FEW = 12; // samples in a grid; of sounds

export async function model(view, parameters, alive) {
  const id = parameters.get("id");
  view.replaceChildren(title(id, "loading ..."), h("div", { className: "card soft" }, "Loading the model. The first one takes some seconds, as PyTorch is loaded with it."));
  const facts = await get("/api/model", { id });
  if (!alive()) return;
  const said = [facts.modality, facts.training.dataset, facts.training.steps && `${facts.training.steps.toLocaleString()} steps`];
  const head = title(id, said.filter(Boolean).join(" · "));
  if (facts.takes_inputs) inputs(view, head, facts);
  else await explore(view, head, facts, parameters, alive);
}

const title = (id, text) => h("div", { className: "head" }, h("h1", {}, id), h("span", { className: "soft" }, text));

async function explore(view, head, facts, parameters, alive) {
  const { id } = facts;
  const given = (name) => Number(parameters.get(name) ?? 0) || 0;
  const asked = { seed: given("seed"), index: given("index"), sliders: Array(facts.directions).fill(0), share: 0, blend_share: 0, other_seed: 0, other_index: given("index") + 1 };
  asked.label = facts.classes.includes(parameters.get("label")) ? parameters.get("label") : null;
  let page = null, first = null;

  const stage = h("div", { className: "shown", id: "sample" });
  const caption = h("div", { className: "caption" });
  const command = h("code");
  const failure = h("div");
  const grid = h("div", { className: "grid", id: "grid" });
  const range = h("span", { className: "soft small" });
  const download = h("a", { className: "button" }, "Download");
  const playing = h("input", { type: "checkbox", checked: true });

  const options = facts.options.map((row) => ({ name: row.name, ...control(row, () => { readOptions(); everything(); }) }));
  const readOptions = () => {
    const found = options.map(({ name, read }) => [name, read()]).filter(([, value]) => value !== undefined);
    asked.options = Object.fromEntries(found);
  };
  readOptions();
  const number = (name, changed) => h("input", { type: "number", min: 0, value: asked[name], oninput: (event) => { asked[name] = Math.max(0, Number(event.target.value) || 0); changed(); } });

  const seed = number("seed", () => { page = null; everything(); });
  const index = number("index", () => everything());
  const choices = (none, changed) => h("select", { onchange: (event) => changed(event.target.value === "" ? null : event.target.value) },
    h("option", { value: "" }, none), facts.classes.map((name) => h("option", { value: name, selected: name === asked.label }, name)));

  const sliders = asked.sliders.map((_, place) => slider(`${place + 1}`, { min: -FAR, max: FAR, step: 0.1, value: 0 }, (value) => { asked.sliders[place] = value; one(); }));
  const reset = () => { asked.sliders.fill(0); sliders.forEach((each) => each.set(0)); one(); };
  const truncation = slider("amount", { min: facts.truncates === "style" ? 0 : 0.1, max: facts.truncates === "style" ? 1 : 3, step: 0.05, value: facts.truncates === "style" ? 0.7 : 1 }, (value) => { asked.truncation = value; everything(); });
  truncation.hidden = true;
  const truncated = h("input", { type: "checkbox", onchange: () => {
    truncation.hidden = !truncated.checked;
    asked.truncation = truncated.checked ? Number(truncation.querySelector("input").value) : null;
    everything();
  } });
  const group = (name, ...children) => h("fieldset", {}, h("legend", {}, name), ...children);
  const directions = facts.directions ? h("fieldset", { id: "directions", disabled: true }, h("legend", {}, "Directions", h("button", { type: "button", onclick: reset }, "Reset")), ...sliders) : null;
  const other = h("div", { className: "pair" }, field("other seed", number("other_seed", () => one())), field("other sample", number("other_index", () => one())));

  const panel = h("aside", { className: "card", "aria-label": "Controls" },
    group("Sample", h("div", { className: "pair" }, field("seed", seed), field("sample", index)),
      h("button", { type: "button", onclick: () => { asked.seed = Math.floor(Math.random() * 1e6); seed.value = asked.seed; page = null; everything(); } }, "Another seed")),
    facts.classes.length ? group("Class", field("class", choices("all in turn", (value) => { asked.label = value; everything(); })),
      ...(facts.blends ? [field("blended with", choices("no other", (value) => { asked.blend = value; blend.hidden = value === null; one(); }))] : [])) : null,
    options.length ? group("Options", options.map(({ element }) => element)) : null,
    facts.moves ? group("Truncation", h("label", { className: "check" }, truncated, "less variety, more typical"), truncation) : null,
    directions,
    facts.moves ? group("Towards another sample", other, slider("way", { min: 0, max: 1, step: 0.01, value: 0 }, (value) => { asked.share = value; one(); })) : null,
    facts.layers ? group("Style mixing", h("p", { className: "soft small" }, `Layers from this one on have the styles of the other sample; ${facts.layers} is none.`),
      slider("from layer", { min: 0, max: facts.layers, step: 1, value: facts.layers }, (value) => { asked.mix = value === facts.layers ? null : value; one(); })) : null,
  );
  const blend = slider("share", { min: 0, max: 1, step: 0.01, value: 0 }, (value) => { asked.blend_share = value; one(); });
  blend.hidden = true;
  if (facts.blends) panel.querySelectorAll("fieldset")[1].append(blend);
  const turn = (by) => { page = Math.max(0, page + by); fill(); };
  view.replaceChildren(head, h("div", { className: "split" },
    h("div", { className: "stack" },
      h("section", { className: "card stage", "aria-label": "The sample" }, stage, caption, command, failure),
      h("section", { className: "card", "aria-label": "Other samples" },
        h("div", { className: "row" }, h("h2", {}, "Samples of this seed"), range, h("span", { className: "grow" }),
          h("button", { type: "button", title: "earlier samples", onclick: () => turn(-1) }, "‹"), h("button", { type: "button", title: "later samples", onclick: () => turn(1) }, "›")), grid)), panel));

  const tell = () => {
    const kept = new URLSearchParams({ id, seed: asked.seed, index: asked.index });
    if (asked.label !== null) kept.set("label", asked.label);
    history.replaceState(null, "", `#/model?${kept}`);
    const changed = asked.share || asked.sliders.some(Boolean) || (asked.mix ?? null) !== null || (asked.blend && asked.blend_share);
    const quoted = (text) => (/^[\w./-]+$/.test(text) ? text : `'${String(text).replaceAll("'", "'\\''")}'`);
    const flags = [asked.seed ? `--seed ${asked.seed}` : "", asked.label !== null ? `--label ${quoted(asked.label)}` : "", asked.truncation ? `--truncation ${asked.truncation}` : "",
      ...Object.entries(asked.options).map(([name, value]) => `--${name} ${quoted(value)}`)];
    command.textContent = changed ? "changed by hand: the file says how" : ["multigan generate --model", quoted(id), `-n ${asked.index + 1}`, ...flags.filter(Boolean)].join(" ");
  };

  const draw = async (request) => {
    try {
      const shown = await post("/api/draw", { id, request });
      failure.replaceChildren();
      return shown;
    } catch (error) {
      failure.replaceChildren(problem(error));
      return null;
    }
  };
  const one = latest(async () => {
    const began = performance.now();
    const found = await draw({ ...asked, count: 1 });
    if (!found || !alive()) return;
    const [sample] = found;
    const play = first !== null && playing.checked && playing.isConnected;
    await show(stage, sample, { loop: asked.options.loop === true, play });
    first ??= sample;
    if (kind(sample) === "audio" && !playing.isConnected) caption.before(h("label", { className: "check" }, playing, "play when it changes"));
    download.href = address(sample);
    download.download = `${id.replaceAll("/", "-")}-${asked.seed}-${asked.index}.${ending(sample)}`;
    caption.replaceChildren(...[`seed ${asked.seed}`, `sample ${asked.index}`, sample.label && `class ${sample.label}`].filter(Boolean).map((text) => h("span", {}, text)), download);
    tell();
    if (directions && wanted !== sample.label) find(sample.label);
    document.dispatchEvent(new CustomEvent("shown", { detail: performance.now() - began }));
  });
  const fill = latest(async () => {
    const count = first && kind(first) === "audio" ? FEW : GRID;
    page ??= Math.floor(asked.index / count);
    grid.classList.add("busy");
    const found = await draw({ seed: asked.seed, index: page * count, count, label: asked.label, truncation: asked.truncation ?? null, options: asked.options });
    if (!found || !alive()) return;
    range.textContent = `${page * count} to ${page * count + count - 1}`;
    if (found.length < count) { await show(grid, found[0]); return; } // one picture of all
    cells(grid, found, asked.index, (sample) => {
      asked.index = index.value = sample.index;
      for (const button of grid.children) button.setAttribute("aria-pressed", button.title === `sample ${sample.label ? `${sample.index} · ${sample.label}` : sample.index}`);
      one();
    });
  });
  let wanted; // the class that the directions are of
  const find = async (label) => {
    wanted = label;
    directions.disabled = true;
    try {
      const { shares } = await get("/api/directions", { id, label });
      if (wanted !== label) return;
      directions.disabled = false;
      shares.forEach((share, place) => { sliders[place].title = `explains ${(100 * share).toFixed(0)} % of how samples differ`; sliders[place].firstChild.textContent = `${place + 1} (${(100 * share).toFixed(0)} %)`; });
    } catch (error) {
      failure.replaceChildren(problem(error));
    }
  };
  const everything = async () => { await one(); await fill(); };
  await everything();
}
