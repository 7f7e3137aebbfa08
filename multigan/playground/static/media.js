// Samples on a page: pictures, sounds with their waveform, and texts.

import { colour, h } from "./dom.js";

const SMALL = 128; // pixels up to which a picture is shown pixel by pixel

export const kind = (sample) => sample.type.split("/")[0];
export const address = (sample) => (kind(sample) === "text" ? `data:text/plain;charset=utf-8,${encodeURIComponent(sample.data)}` : `data:${sample.type};base64,${sample.data}`);
const EXTENSIONS = { "image/png": "png", "image/jpeg": "jpg", "audio/wav": "wav", "audio/flac": "flac", "text/plain": "txt" };
export const ending = (sample) => EXTENSIONS[sample.type] ?? sample.type.split("/")[1].split("+")[0];

export async function picture(source) {
  const image = h("img", { src: source, alt: "generated sample" });
  await image.decode();
  image.classList.toggle("pixels", Math.max(image.naturalWidth, image.naturalHeight) <= SMALL);
  return image;
}

export async function waveform(sample, canvas) {
  const bytes = Uint8Array.from(atob(sample.data), (letter) => letter.charCodeAt(0));
  const sound = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(bytes.buffer);
  const numbers = sound.getChannelData(0);
  const width = (canvas.width = Math.max(1, canvas.clientWidth) * devicePixelRatio);
  const height = (canvas.height = Math.max(1, canvas.clientHeight) * devicePixelRatio);
  const context = canvas.getContext("2d");
  context.fillStyle = colour("--accent");
  for (let x = 0; x < width; x++) {
    let low = 1, high = -1;
    const end = Math.max(Math.floor(((x + 1) * numbers.length) / width), Math.floor((x * numbers.length) / width) + 1);
    for (let at = Math.floor((x * numbers.length) / width); at < end; at++) {
      low = Math.min(low, numbers[at]);
      high = Math.max(high, numbers[at]);
    }
    context.fillRect(x, ((1 - high) * height) / 2, 1, Math.max(((high - low) * height) / 2, devicePixelRatio));
  }
  return sound.duration;
}

// The large sample; resolves once it can be seen.
export async function show(place, sample, { loop = false, play = false } = {}) {
  if (kind(sample) === "image") {
    place.replaceChildren(await picture(address(sample)));
  } else if (kind(sample) === "audio") {
    const canvas = place.querySelector("canvas.wave") ?? h("canvas", { className: "wave" });
    const player = place.querySelector("audio") ?? h("audio", { controls: true });
    if (!canvas.isConnected) place.replaceChildren(canvas, player);
    player.src = address(sample);
    player.loop = loop;
    await waveform(sample, canvas);
    if (play) player.play().catch(() => {}); // a browser plays nothing before the first click
  } else {
    place.replaceChildren(h("p", { className: "sentence" }, sample.data || "(an empty sentence)"));
  }
}

// The cells of a grid, each a button that picks its sample.
export function cells(grid, samples, picked, pick) {
  const first = samples[0];
  grid.className = `grid ${{ audio: "wide", text: "lines" }[kind(first)] ?? ""}`;
  grid.replaceChildren(...samples.map((sample) => {
    const name = sample.label ? `${sample.index} · ${sample.label}` : String(sample.index);
    const button = h("button", { type: "button", title: `sample ${name}`, onclick: () => pick(sample) });
    button.setAttribute("aria-pressed", sample.index === picked);
    if (kind(sample) === "image") {
      const image = h("img", { src: address(sample), alt: `sample ${name}` });
      image.onload = () => image.classList.toggle("pixels", image.naturalWidth <= SMALL);
      button.append(image, h("small", {}, name));
    } else if (kind(sample) === "audio") {
      const canvas = h("canvas");
      button.append(canvas, h("small", {}, name));
      requestAnimationFrame(() => waveform(sample, canvas));
    } else {
      button.append(h("small", {}, String(sample.index)), sample.label ? `${sample.data}  (${sample.label})` : sample.data);
    }
    return button;
  }));
}
