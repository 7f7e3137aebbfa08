// Which page is shown: the part of the address after the #.

import { get, h, problem } from "./dom.js";
import { model } from "./model.js";
import { compare, fresh, run, runs } from "./runs.js";

const view = document.querySelector("#view");
let shown = 0;

async function home(view, parameters, alive) {
  const { models } = await get("/api/models");
  if (!alive()) return;
  const card = ({ id, modality, dataset, steps, error }) => error ? h("div", { className: "card" }, h("h2", {}, id), h("p", { className: "problem small" }, error)) :
    h("a", { className: "card", href: `#/model?${new URLSearchParams({ id })}` }, h("h2", {}, id), h("p", { className: "soft" }, [modality, dataset].filter(Boolean).join(" · ")),
      steps ? h("p", { className: "soft small" }, `${steps.toLocaleString()} steps`) : null);
  view.replaceChildren(h("div", { className: "head" }, h("h1", {}, "Models"), h("span", { className: "soft" }, "Pick one to explore what it generates.")),
    models.length ? h("div", { className: "cards" }, models.map(card)) : h("p", { className: "card soft" }, "There is no trained model yet."));
}

const PAGES = { "/": home, "/model": model, "/runs": runs, "/run": run, "/compare": compare, "/new": fresh };

async function route() {
  const [path, search] = (location.hash.slice(1) || "/").split("?");
  const mine = ++shown;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${{ "/model": "/", "/run": "/runs", "/compare": "/runs" }[path] ?? path}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    await (PAGES[path] ?? home)(view, new URLSearchParams(search), () => shown === mine);
  } catch (error) {
    if (shown === mine) view.replaceChildren(h("div", { className: "card" }, problem(error)));
  }
}

addEventListener("hashchange", route);
route();
