// Runs model.onnx in the browser, as model.json describes it. One thread, so that any host will do, without headers.
const $ = (id) => document.getElementById(id);
const GALLERY = 12; // samples of a seed
const ROOM = 3; // deviations to either side of a direction

let about, ort, session; // model.json, onnxruntime-web, the model
let chosen = 0; // number of the sample that is shown
let last; // what the model made of it
let asked = 0; // changes so far: only the newest is drawn

// --- chance: the latents of `multigan generate`, where sample i depends on the seed and on i alone ---

const LOW = (1n << 64n) - 1n;

/** Uniform in [0, 1), as numpy's Philox with the key (seed, number): Salmon et al. 2011. */
function* uniform(seed, number) {
  for (let block = 1n; ; block++) {
    let counter = [block, 0n, 0n, 0n];
    let key = [BigInt(seed), BigInt(number)];
    for (let round = 0; round < 10; round++) {
      const first = 0xd2e7470ee14c6c93n * counter[0], second = 0xca5a826395121157n * counter[2];
      counter = [(second >> 64n) ^ counter[1] ^ key[0], second & LOW, (first >> 64n) ^ counter[3] ^ key[1], first & LOW];
      key = [(key[0] + 0x9e3779b97f4a7c15n) & LOW, (key[1] + 0xbb67ae8584caa73bn) & LOW];
    }
    for (const bits of counter) yield Number(bits >> 11n) * 2 ** -53;
  }
}

/** Where the standard normal distribution reaches a share below one half: Newton's method on its series. */
function quantile(share) {
  if (share > 0.5) return -quantile(1 - share);
  for (let x = 0, round = 0; ; round++) {
    const density = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    let sum = x, term = x; // Marsaglia 2004, "Evaluating the normal distribution"
    for (let odd = 3; Math.abs(term) > 1e-17 * Math.abs(sum); odd += 2) sum += term *= x * x / odd;
    const step = (0.5 + density * sum - share) / density;
    x -= step;
    if (Math.abs(step) < 1e-12 || round > 60) return x;
  }
}

/** The latent of a sample, Float32Array. */
function latent(seed, number) {
  const numbers = uniform(seed, number);
  const next = () => quantile(numbers.next().value * (1 - 2 ** -53) + 2 ** -54);
  return Float32Array.from({ length: about.latent_dim }, next);
}

/** The point at a share of the way along the arc between two latents: White 2016, arXiv:1609.04468. */
function between(a, b, share) {
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  const angle = Math.acos(Math.min(1, Math.max(-1, dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)))));
  if (!share || angle < 1e-6) return a;
  return a.map((value, i) => (Math.sin((1 - share) * angle) * value + Math.sin(share * angle) * b[i]) / Math.sin(angle));
}

// --- the model ---

const TYPES = { float32: Float32Array, int64: BigInt64Array, int8: Int8Array };

/** Run the model on one sample: its latent, class, random numbers and temperature, by the names of model.json. */
async function generate({ seed, number, point, label, temperature = 1 }) {
  const feeds = {};
  for (const { name, type, shape, values } of about.inputs) {
    const size = shape.slice(1).reduce((product, side) => product * side, 1);
    let data = point;
    if (name === "label") data = size > 1 ? Array.from({ length: size }, (_, i) => +(i === label)) : [label];
    else if (name === "temperature") data = [temperature];
    else if (values === "uniform") {
      const numbers = uniform(seed, number);
      data = Array.from({ length: size }, () => Math.fround(numbers.next().value * (1 - 2 ** -24)));
    }
    if (type === "int64") data = data.map(BigInt);
    feeds[name] = new ort.Tensor(type, TYPES[type].from(data), [1, ...shape.slice(1)]);
  }
  const output = about.outputs[0].name;
  return (await session.run(feeds))[output].data;
}

/** What the controls ask for, for one sample of the seed. */
function request(number, controlled) {
  const seed = whole("seed");
  const classes = about.classes.length;
  const label = classes ? ($("class").value === "" ? number % classes : +$("class").value) : null;
  const found = { seed, number, label, temperature: +$("temperature").value };
  if (!about.latent_dim) return found;
  found.point = latent(seed, number);
  if (!controlled) return found;
  found.point = between(found.point, latent(whole("other"), number), +$("share").value);
  for (const slider of document.querySelectorAll("#directions input")) {
    const way = about.directions[+slider.dataset.number];
    found.point = found.point.map((value, i) => value + slider.value * way[i]);
  }
  return found;
}

const whole = (id) => Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.floor(+$(id).value || 0)));

// --- showing ---

function picture(canvas, data) {
  const [channels, height, width] = about.outputs[0].shape.slice(1);
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let place = 0; place < height * width; place++)
    for (let part = 0; part < 4; part++) {
      const channel = channels < 3 ? 0 : part;
      const opaque = part === 3 && channels < 4;
      const value = opaque ? 255 : (data[channel * height * width + place] + 1) * 127.5;
      image.data[4 * place + part] = Math.round(value); // which the array clamps
    }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** A curve for each channel, from the least to the largest value. */
function curve(canvas, data) {
  const shape = about.outputs[0].shape.slice(1);
  const length = shape.at(-1), context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [512, 192];
  const bounded = about.outputs[0].range, all = Array.from(data);
  const [low, high] = bounded ?? [Math.min(...all), Math.max(...all)];
  context.lineWidth = 1.5;
  for (let start = 0; start < data.length; start += length) {
    context.strokeStyle = start ? "#e08a3c" : "#5b6ee1";
    context.beginPath();
    for (let place = 0; place < length; place++) {
      const share = (data[start + place] - low) / (high - low || 1);
      context.lineTo(place / Math.max(length - 1, 1) * 512, 188 - 184 * share);
    }
    context.stroke();
  }
}

function sentence(tokens) {
  const words = Array.from(tokens, (token) => Number(token));
  const end = words.indexOf(about.end);
  const parts = (end < 0 ? words : words.slice(0, end)).map((token) => about.tokens[token]);
  if (about.joined !== "bytes") return parts.join(about.joined === "characters" ? "" : " ");
  // GPT-2's letters for bytes: those that print stand for themselves, the others are numbered from 256.
  const plain = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  const others = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !plain(byte));
  const bytes = Array.from(parts.join(""), (letter) => {
    const code = letter.codePointAt(0);
    return code < 256 ? code : others[code - 256];
  });
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

const draw = (canvas, data) => (about.kind === "picture" ? picture : curve)(canvas, data);

async function show() {
  const turn = ++asked;
  for (const output of document.querySelectorAll("output"))
    output.value = output.parentElement.querySelector("input").value;
  const wanted = request(chosen, true);
  const data = await generate(wanted);
  if (turn !== asked) return;
  last = { data, ...wanted };
  if (about.kind === "sentence") $("sentence").textContent = sentence(data);
  else draw($("canvas"), data);
  const kind = wanted.label === null ? "" : `, class ${about.classes[wanted.label]}`;
  $("caption").textContent = `Sample ${chosen} of seed ${wanted.seed}${kind}`;
}

async function showAll() {
  const turn = ++asked;
  const buttons = [];
  for (let number = 0; number < GALLERY; number++) {
    const data = await generate(request(number, false));
    if (turn !== asked) return;
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `Sample ${number}`);
    button.setAttribute("aria-pressed", String(number === chosen));
    if (about.kind === "sentence") button.textContent = sentence(data);
    else draw(button.appendChild(document.createElement("canvas")), data);
    button.onclick = () => {
      chosen = number;
      buttons.forEach((one, place) => one.setAttribute("aria-pressed", String(place === number)));
      show().then(() => about.kind === "sound" && play());
    };
    buttons.push(button);
  }
  $("gallery").replaceChildren(...buttons);
  await show();
}

let player;
function play() {
  player ??= new AudioContext();
  const [channels, length] = about.outputs[0].shape.slice(1);
  const buffer = player.createBuffer(channels, length, about.sampling_rate);
  for (let channel = 0; channel < channels; channel++)
    buffer.copyToChannel(Float32Array.from(last.data.slice(channel * length, (channel + 1) * length)), channel);
  const source = player.createBufferSource();
  source.buffer = buffer;
  source.connect(player.destination);
  source.start();
}

async function walk() {
  for (let step = 0; step <= 80; step++) {
    $("share").value = 1 - Math.abs(step / 40 - 1);
    await show();
    await new Promise(requestAnimationFrame);
  }
}

// --- the page ---

function prepare() {
  document.title = $("title").textContent = about.name;
  const classes = about.classes.map((name, number) => new Option(name, number));
  $("class").replaceChildren(new Option("all in turn", ""), ...classes);
  $("class-label").hidden = !classes.length;
  $("temperature-label").hidden = about.kind !== "sentence";
  $("canvas").hidden = !($("sentence").hidden = about.kind !== "sentence");
  $("gallery").classList.toggle("sentences", about.kind === "sentence");
  $("play").hidden = about.kind !== "sound";
  $("interpolation").hidden = $("directions").hidden = !about.latent_dim;
  (about.directions ?? []).forEach((_, number) => {
    const label = document.createElement("label");
    label.innerHTML = `${number + 1} <input type="range" min="-${ROOM}" max="${ROOM}" step="0.1" value="0">`;
    label.lastChild.dataset.number = number;
    $("directions").insertBefore(label, $("reset"));
  });
  $("footer").textContent = `Model ${about.model}, weights ${about.weights}, exported by multigan ${about.multigan}.`;
  const sliders = [...document.querySelectorAll("input[type=range]")].filter((one) => one.id !== "temperature");
  sliders.forEach((slider) => (slider.oninput = show));
  ["seed", "class", "temperature"].forEach((id) => ($(id).onchange = showAll));
  $("other").onchange = show;
  $("another").onclick = () => {
    $("seed").value = Math.floor(Math.random() * 1e6);
    showAll();
  };
  $("reset").onclick = () => {
    document.querySelectorAll("#directions input").forEach((slider) => (slider.value = 0));
    show();
  };
  $("play").onclick = play;
  $("walk").onclick = walk;
}

async function start() {
  about = await (await fetch("model.json")).json();
  ort = await import(about.runtime);
  ort.env.wasm.numThreads = 1;
  const options = { executionProviders: ["wasm"], logSeverityLevel: 3 }; // errors alone
  session = await ort.InferenceSession.create("model.onnx", options);
  prepare();
  await showAll();
  document.querySelector("main").hidden = false;
  $("status").hidden = true;
  window.multigan = { about, generate, latent, last: () => last }; // for scripts, and tests
}

start().catch((error) => {
  $("status").textContent = `The model cannot be run here: ${error.message ?? error}`;
  $("status").classList.add("error");
});
