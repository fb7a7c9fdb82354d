/** The page: scans go in, pictures and numbers come out; nothing leaves the browser. */

import { forEachInTurn } from "page/batch.js";
import { NetworkCard } from "page/cards.js";
import { encodedMap, mapName, packMaps, save } from "page/downloads.js";
import { find } from "page/elements.js";
import { openNetwork } from "page/network.js";
import { NetworkRow } from "page/results.js";
import { ScanList } from "page/scan_list.js";
import { readScan } from "page/scan.js";
import { advance, tell } from "page/status.js";
import { counted, messageOf } from "page/text.js";
import { Zoom } from "page/zoom.js";

/** @typedef {import("page/engine.js").Engines} Engines */
/** @typedef {import("page/network.js").Model} Model */
/** @typedef {import("page/network.js").Network} Network */
/** @typedef {import("page/scan_list.js").Entry} Entry */
/** @typedef {import("page/scan.js").Scan} Scan */

/** @type {{engines: Engines, models: Model[]}} */
const content = JSON.parse(find("#content", HTMLScriptElement).textContent ?? "");
const picker = find("#picker", HTMLInputElement);
const results = find("#results", HTMLElement);
const pictures = find("#rows", HTMLElement);
const opacity = find("#opacity", HTMLInputElement);
const threshold = find("#threshold", HTMLInputElement);
const whenScans = find("#when-scans", HTMLElement);

/** @type {Network[]} */
const networks = [];
/** @type {NetworkRow[]} */
const rows = [];
/** @type {Entry | null} */
let shown = null;
/** @type {Entry | null} */
let wanted = null;
const list = new ScanList(find("#files", HTMLUListElement), (entry) => show(entry), whenRemoved);
const zoom = new Zoom(applyZoom);
/** What was asked for is done in this order, after the networks are open. */
let work = start();

async function start() {
  for (const model of content.models) {
    const card = new NetworkCard(model);
    find("#models", HTMLElement).append(card.element);
    try {
      const network = await openNetwork(model, content.engines, (text) => card.wait(text));
      card.accept(network);
      const index = networks.push(network) - 1;
      const row = new NetworkRow(network, zoom, () => saveMap(index));
      rows.push(row);
      pictures.append(row.element);
    } catch (error) {
      card.refuse(messageOf(error));
    }
  }
  const isReady = networks.length > 0;
  picker.disabled = !isReady;
  document.body.dataset["ready"] = String(isReady);
  tell(isReady ? "Ready." : "No network can be used in this browser.");
}

/**
 * Do something after what was asked for before.
 * @param {() => Promise<void>} act
 */
function enqueue(act) {
  work = work.then(act).catch((error) => tell(messageOf(error)));
}

/** @param {Iterable<File>} files */
function add(files) {
  const added = [...files];
  if (added.length === 0) {
    tell("No files were dropped: drop images, or choose them.");
    return;
  }
  enqueue(() => predictAll(added));
}

/** @param {File[]} files */
async function predictAll(files) {
  if (networks.length === 0) {
    return;
  }
  tell(`Predicting ${counted(files.length, "image")} …`);
  let predicted = 0;
  const failures = await forEachInTurn(
    files,
    async (file) => {
      const scan = await readScan(file);
      const entry = await predict(file, scan);
      predicted += 1;
      if (predicted === 1 || shown === null) {
        await show(entry, scan);
      }
    },
    (file) => file.name,
    (done) => advance(done, files.length),
  );
  tell(`${counted(predicted, "image")} predicted.`, failures);
}

/**
 * @param {File} file
 * @param {Scan} scan
 * @returns {Promise<Entry>}
 */
async function predict(file, scan) {
  const predictions = [];
  for (const network of networks) {
    predictions.push(await network.predict(scan.pixels, scan.size));
  }
  const entry = { file, size: scan.size, predictions };
  list.add(entry);
  whenScans.hidden = false;
  return entry;
}

/**
 * Show a scan, which is read again unless it is given.
 * @param {Entry} entry
 * @param {Scan} [known]
 */
async function show(entry, known) {
  wanted = entry;
  try {
    const scan = known ?? (await readScan(entry.file));
    // Another scan may have been chosen meanwhile, or this one removed.
    if (wanted === entry && list.has(entry)) {
      draw(entry, scan);
    }
  } catch (error) {
    wanted = wanted === entry ? shown : wanted;
    tell(`${entry.file.name}: ${messageOf(error)}.`);
  }
}

/**
 * @param {Entry} entry
 * @param {Scan} scan
 */
function draw(entry, scan) {
  for (const [index, prediction] of entry.predictions.entries()) {
    rows[index]?.show(scan, prediction);
  }
  const [height, width] = scan.size;
  find("#shown", HTMLElement).textContent = `${entry.file.name} (${width}x${height})`;
  shown = entry;
  list.mark(entry);
  redraw();
  applyZoom();
  results.hidden = false;
}

/** @param {Entry | null} next */
function whenRemoved(next) {
  if (shown !== null && list.has(shown)) {
    return;
  }
  results.hidden = true;
  shown = wanted = null;
  if (next !== null) {
    show(next);
    return;
  }
  whenScans.hidden = true;
  tell("The list is empty.");
  picker.focus();
}

/** Draw what depends on the sliders. */
function redraw() {
  const look = { opacity: Number(opacity.value), threshold: Number(threshold.value) };
  find("#opacity-value", HTMLOutputElement).value = look.opacity.toFixed(2);
  find("#threshold-value", HTMLOutputElement).value = look.threshold.toFixed(2);
  rows.forEach((row) => row.redraw(look));
}

function applyZoom() {
  pictures.classList.toggle("zoomed", zoom.isZoomed);
  for (const canvas of pictures.querySelectorAll("canvas")) {
    zoom.apply(canvas);
  }
}

/** @param {number} index of the network */
function saveMap(index) {
  const entry = shown;
  if (entry !== null) {
    enqueue(async () => {
      const map = await encodedMap(entry, networks, index);
      save(mapName(entry, networks, index), new Blob([map]));
    });
  }
}

async function saveAll() {
  const { entries } = list;
  tell("Packing maps …");
  const packed = await packMaps(entries, networks, (done) => advance(done, entries.length));
  save("probability-maps.zip", packed.archive);
  tell(`${counted(packed.count, "map")} packed.`, packed.failures);
}

picker.addEventListener("change", () => {
  add(picker.files ?? []);
  picker.value = "";
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  document.body.classList.toggle("over", event.relatedTarget !== null);
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  add(event.dataTransfer?.files ?? []);
});
opacity.addEventListener("input", redraw);
threshold.addEventListener("input", redraw);
find("#zoom-in", HTMLButtonElement).addEventListener("click", () => zoom.zoom(1.25));
find("#zoom-out", HTMLButtonElement).addEventListener("click", () => zoom.zoom(0.8));
find("#zoom-reset", HTMLButtonElement).addEventListener("click", () => zoom.reset());
find("#remove-all", HTMLButtonElement).addEventListener("click", () => list.clear());
find("#download-all", HTMLButtonElement).addEventListener("click", () => enqueue(saveAll));
await work;
