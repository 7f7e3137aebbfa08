// Elements, form controls and requests.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

async function answered(response) {
  const values = await response.json().catch(() => ({ error: `the playground answered ${response.status}` }));
  if (!response.ok) throw new Error(values.error);
  return values;
}

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined && value !== null));

export const get = async (path, values = {}) => answered(await fetch(`${path}?${query(values)}`));
export const post = async (path, values) =>
  answered(await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values) }));

export const field = (label, control) => h("label", { className: "field" }, label, control);

export function slider(label, { min, max, step, value, title = "" }, changed) {
  const output = h("output", {}, String(value));
  const input = h("input", { type: "range", min, max, step, value, title, "aria-label": label });
  input.addEventListener("input", () => { output.textContent = input.value; changed(Number(input.value)); });
  const element = h("label", { className: "slider", title }, h("span", {}, label), input, output);
  element.set = (number) => { input.value = number; output.textContent = input.value; };
  return element;
}

// A control for a field that the server describes, and `read()` for its value: undefined where it is the default.
export function control(row, changed) {
  const { kind, optional } = row;
  const initial = row.default;
  let element, read;
  if (kind === "boolean") {
    const box = h("input", { type: "checkbox", checked: initial, onchange: changed });
    element = h("label", { className: "check", title: row.help }, box, words(row.name));
    return { element, read: () => (box.checked === initial ? undefined : box.checked) };
  }
  if (kind === "choice") {
    element = h("select", { onchange: changed }, row.choices.map((choice) => h("option", { value: String(choice), selected: choice === initial }, String(choice))));
    read = () => row.choices.find((choice) => String(choice) === element.value);
  } else if (kind === "text") {
    const shown = initial === null ? "" : Array.isArray(initial) ? `[${initial.join(", ")}]` : String(initial);
    element = h("input", { type: "text", value: shown, placeholder: optional ? "as the data says" : "", oninput: changed });
    read = () => (element.value === shown ? initial : element.value);
  } else {
    element = h("input", { type: "number", step: "any", value: initial ?? "", placeholder: optional ? "default" : "", oninput: changed });
    read = () => (element.value === "" ? initial : Number(element.value));
  }
  element.title = row.help;
  return { element: field(words(row.name), element), input: element, read: () => (read() === initial ? undefined : read()) };
}

export const words = (name) => name.replace("model.", "").replaceAll("_", " ");

export const problem = (error) => h("p", { className: "problem", role: "alert" }, error.message);

export const base64 = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Runs the newest of the calls that come while one is under way, and leaves out those between.
export function latest(work) {
  let busy = false, waiting = false;
  return async function call() {
    if (busy) { waiting = true; return; }
    busy = true;
    do { waiting = false; await work(); } while (waiting);
    busy = false;
  };
}
