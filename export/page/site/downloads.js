/** Probability maps as files: one, or all of them in an archive. */

import { forEachInTurn } from "page/batch.js";
import { make } from "page/elements.js";
import { atScanSize } from "page/network.js";
import { encodeMap } from "page/png.js";
import { zip } from "page/zip.js";

/** @typedef {import("page/network.js").Network} Network */
/** @typedef {import("page/scan_list.js").Entry} Entry */

/**
 * Return the name of a map's file.
 * @param {Entry} entry
 * @param {Network[]} networks
 * @param {number} index of the network
 * @returns {string}
 */
export function mapName(entry, networks, index) {
  const stem = entry.file.name.replace(/\.[^.]*$/, "");
  const network = networks.length === 1 ? "" : `.${networks[index]?.model.name}`;
  return `${stem}${network}.probability.png`;
}

/**
 * Return the map of a scan as a 16-bit gray PNG of the scan's size.
 * @param {Entry} entry
 * @param {Network[]} networks
 * @param {number} index of the network
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export function encodedMap(entry, networks, index) {
  const { model } = /** @type {Network} */ (networks[index]);
  const { values } = /** @type {import("page/network.js").Prediction} */ (entry.predictions[index]);
  return encodeMap(atScanSize(values, model.size, entry.size), entry.size);
}

/**
 * Pack the maps of scans into an archive.
 * @param {Entry[]} entries
 * @param {Network[]} networks
 * @param {(done: number) => void} onProgress
 * @returns {Promise<{archive: Blob, count: number, failures: string[]}>} count: maps in the archive
 */
export async function packMaps(entries, networks, onProgress) {
  /** @type {Map<string, number>} */
  const used = new Map();
  /** @type {{name: string, content: Uint8Array<ArrayBuffer>}[]} */
  const files = [];
  /** @param {Entry} entry */
  const pack = async (entry) => {
    for (const index of networks.keys()) {
      const name = mapName(entry, networks, index);
      const times = (used.get(name) ?? 0) + 1;
      used.set(name, times);
      const content = await encodedMap(entry, networks, index);
      files.push({ name: times === 1 ? name : `${times}-${name}`, content });
    }
  };
  const failures = await forEachInTurn(entries, pack, (entry) => entry.file.name, onProgress);
  return { archive: zip(files), count: files.length, failures };
}

/**
 * Let the browser save a file.
 * @param {string} name
 * @param {Blob} blob
 */
export function save(name, blob) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
