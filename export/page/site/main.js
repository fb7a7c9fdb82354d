/** The page: files go in, pictures and numbers come out; nothing leaves the browser. */

import { drawMap, drawOverlay, drawScan, summarize } from "page/draw.js";
import { atScanSize, counted, messageOf, openNetwork } from "page/network.js";
import { encodeMap } from "page/png.js";
import { readScan } from "page/scan.js";
import { zip } from "page/zip.js";
import { Zoom } from "page/zoom.js";

/**
 * @typedef {import("page/network.js").Model} Model
 * @typedef {import("page/network.js").Network} Network
 * @typedef {import("page/network.js").Engines} Engines
 * @typedef {import("page/network.js").Prediction} Prediction
 * @typedef {import("page/scan.js").Scan} Scan
 */

/**
 * A file that was added, and its predictions by each network. Maps are kept at the networks' sizes
 * and scans are read again when they are shown, so that hundreds of files need little memory.
 * @typedef {object} Entry
 * @property {string} name
 * @property {File} file
 * @property {Prediction[]} predictions
 * @property {HTMLLIElement} item
 */

/** @type {{engines: Engines, models: Model[]}} */
const content = JSON.parse(find("#content", HTMLScriptElement).textContent ?? "");
/** @type {Network[]} */
const networks = [];
/** @type {Entry[]} */
const entries = [];
/** @type {{entry: Entry, scan: Scan, maps: Float32Array[]} | null} */
let shown = null;
let work = Promise.resolve();
const zoom = new Zoom(applyZoom);

/**
 * @template {Element} Kind
 * @param {string} selector
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
function find(selector, kind) {
  const element = document.querySelector(selector);
  if (!(element instanceof kind)) {
    throw new Error(`${selector} is missing`);
  }
  return element;
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Partial<HTMLElementTagNameMap[Name]>} properties
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  Object.assign(element, properties);
  element.append(...children);
  return element;
}

const picker = find("#picker", HTMLInputElement);
const drop = find("#drop", HTMLElement);
const list = find("#files", HTMLUListElement);
const status = find("#status", HTMLElement);
const opacity = find("#opacity", HTMLInputElement);
const threshold = find("#threshold", HTMLInputElement);
const pictures = find("#pictures", HTMLElement);
const downloadAll = find("#download-all", HTMLButtonElement);

/** @param {string} text */
function tell(text) {
  status.textContent = text;
}

async function start() {
  for (const model of content.models) {
    const state = make("p", { className: "state" });
    find("#models", HTMLElement).append(cardOf(model, state));
    try {
      const network = await openNetwork(model, content.engines, (text) => {
        state.textContent = text;
      });
      networks.push(network);
      state.textContent =
        `This browser gives the certified numbers (largest difference ` +
        `${network.largest.toExponential(1)}; ${network.provider}).`;
      state.classList.add("good");
    } catch (error) {
      state.textContent = `Not used: ${messageOf(error)}.`;
      state.classList.add("bad");
    }
  }
  const isReady = networks.length > 0;
  picker.disabled = !isReady;
  document.body.dataset["ready"] = String(isReady);
  tell(isReady ? "Ready." : "No network can be used in this browser.");
}

/**
 * @param {Model} model
 * @param {HTMLElement} state
 * @returns {HTMLElement}
 */
function cardOf(model, state) {
  const facts = make("dl");
  for (const [label, text] of model.facts) {
    facts.append(make("div", {}, make("dt", {}, label), make("dd", {}, text)));
  }
  const details = make("details", {}, make("summary", {}, "Model card"), facts);
  return make("article", { className: "model" }, make("h3", {}, model.name), state, details);
}

/** @param {Iterable<File>} files */
function add(files) {
  const added = [...files];
  if (added.length === 0) {
    tell("No files were dropped: drop images, or choose them.");
    return;
  }
  work = work.then(() => predictAll(added));
}

/** @param {File[]} files */
async function predictAll(files) {
  const failures = [];
  for (const [index, file] of files.entries()) {
    tell(`Predicting ${index + 1} of ${files.length}: ${file.name}`);
    try {
      await predict(file);
    } catch (error) {
      failures.push(`${file.name}: ${messageOf(error)}`);
    }
    await new Promise((resume) => {
      setTimeout(resume);
    });
  }
  const done = `${counted(files.length - failures.length, "image")} predicted.`;
  tell([done, ...failures].join("\n"));
}

/** @param {File} file */
async function predict(file) {
  const scan = await readScan(file);
  const predictions = [];
  for (const network of networks) {
    predictions.push(await network.predict(scan.pixels, scan.size));
  }
  const button = make("button", { type: "button" }, file.name);
  const entry = { name: file.name, file, predictions, item: make("li", {}, button) };
  button.addEventListener("click", () => {
    work = work.then(() => show(entry)).catch((error) => tell(messageOf(error)));
  });
  entries.push(entry);
  list.append(entry.item);
  find("#results", HTMLElement).hidden = false;
  downloadAll.disabled = false;
  if (shown === null) {
    await show(entry, scan);
  }
}

/**
 * @param {Entry} entry
 * @param {Scan} [known]
 */
async function show(entry, known) {
  const scan = known ?? (await readScan(entry.file));
  const maps = entry.predictions.map(({ values }, index) =>
    atScanSize(values, sizeOf(index), scan.size),
  );
  shown = { entry, scan, maps };
  for (const { item } of entries) {
    item.firstElementChild?.setAttribute("aria-current", String(item === entry.item));
  }
  pictures.replaceChildren(
    frame("scan", "Scan", "The scan as the network's runtime reads it"),
    ...networks.flatMap(({ model }, index) => [
      frame(`map-${index}`, `Probability, ${model.name}`, "Black is 0, white is 1"),
      frame(`overlay-${index}`, `Overlay, ${model.name}`, "Red grows with the probability"),
    ]),
  );
  drawScan(canvasOf("scan"), scan.pixels, scan.size);
  maps.forEach((map, index) => drawMap(canvasOf(`map-${index}`), map, scan.size));
  redraw();
  applyZoom();
}

/** @param {number} index */
function sizeOf(index) {
  return /** @type {Network} */ (networks[index]).model.size;
}

/**
 * @param {string} id
 * @param {string} title
 * @param {string} description
 * @returns {HTMLElement}
 */
function frame(id, title, description) {
  const canvas = make("canvas", { id });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${title}. ${description}.`);
  const window = make("div", { className: "window", tabIndex: 0 }, canvas);
  window.setAttribute("role", "group");
  window.setAttribute("aria-label", `${title}: plus and minus zoom, arrows move, 0 resets`);
  zoom.attach(window);
  return make("figure", {}, window, make("figcaption", {}, title));
}

/** @param {string} id */
function canvasOf(id) {
  return find(`#${id}`, HTMLCanvasElement);
}

function applyZoom() {
  for (const canvas of pictures.querySelectorAll("canvas")) {
    zoom.apply(canvas);
  }
}

/** Draw what depends on the sliders. */
function redraw() {
  const look = { opacity: Number(opacity.value), threshold: Number(threshold.value) };
  find("#opacity-value", HTMLOutputElement).value = look.opacity.toFixed(2);
  find("#threshold-value", HTMLOutputElement).value = look.threshold.toFixed(2);
  if (shown === null) {
    return;
  }
  const { entry, scan, maps } = shown;
  const rows = maps.map((map, index) => {
    drawOverlay(canvasOf(`overlay-${index}`), scan.pixels, map, scan.size, look);
    const { share, highest } = summarize(map, look.threshold);
    const { model, provider } = /** @type {Network} */ (networks[index]);
    const button = make("button", { type: "button" }, "Download map");
    button.setAttribute("aria-label", `Download the map of ${model.name}`);
    button.addEventListener("click", async () => {
      save(mapName(entry, index), new Blob([await encodeMap(map, scan.size)]));
    });
    const milliseconds = entry.predictions[index]?.milliseconds.toFixed(1);
    const cells = [
      highest.toFixed(3),
      `${(100 * share).toFixed(2)} %`,
      `${milliseconds} ms, ${provider}`,
    ];
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, model.name),
      ...cells.map((cell) => make("td", {}, cell)),
      make("td", {}, button),
    );
  });
  find("#numbers", HTMLTableSectionElement).replaceChildren(...rows);
  find("#shown", HTMLElement).textContent = `${entry.name}, ${scan.size[1]}x${scan.size[0]} pixels`;
}

/**
 * @param {Entry} entry
 * @param {number} index of the network
 */
function mapName(entry, index) {
  const stem = entry.name.replace(/\.[^.]*$/, "");
  const { name } = /** @type {Network} */ (networks[index]).model;
  return networks.length === 1 ? `${stem}.probability.png` : `${stem}.${name}.probability.png`;
}

async function saveAll() {
  /** @type {Map<string, number>} */
  const used = new Map();
  const files = [];
  for (const [done, entry] of entries.entries()) {
    tell(`Packing ${done + 1} of ${entries.length} …`);
    const { size } = await readScan(entry.file);
    for (const [index, { values }] of entry.predictions.entries()) {
      const name = mapName(entry, index);
      const times = used.get(name) ?? 0;
      used.set(name, times + 1);
      const map = await encodeMap(atScanSize(values, sizeOf(index), size), size);
      files.push({ name: times === 0 ? name : `${times + 1}-${name}`, content: map });
    }
  }
  save("probability-maps.zip", zip(files));
  tell(`${counted(files.length, "map")} packed.`);
}

/**
 * @param {string} name
 * @param {Blob} blob
 */
function save(name, blob) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

picker.addEventListener("change", () => {
  add(picker.files ?? []);
  picker.value = "";
});
drop.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (networks.length > 0) {
    add(event.dataTransfer?.files ?? []);
  }
});
opacity.addEventListener("input", redraw);
threshold.addEventListener("input", redraw);
find("#zoom-in", HTMLButtonElement).addEventListener("click", () => zoom.zoom(1.25));
find("#zoom-out", HTMLButtonElement).addEventListener("click", () => zoom.zoom(0.8));
find("#zoom-reset", HTMLButtonElement).addEventListener("click", () => zoom.reset());
downloadAll.addEventListener("click", () => {
  work = work.then(saveAll).catch((error) => tell(messageOf(error)));
});
await start();
