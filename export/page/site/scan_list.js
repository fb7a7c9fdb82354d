/** The scans that were predicted, as a list to choose from and to remove from. */

import { make } from "page/elements.js";

/** @typedef {import("page/network.js").Prediction} Prediction */

/**
 * A predicted scan. Maps are kept at the networks' sizes, and the scan is read again when it is
 * shown, so that hundreds of scans need little memory.
 * @typedef {object} Entry
 * @property {File} file
 * @property {[number, number]} size (height, width) of the scan
 * @property {Prediction[]} predictions one of each network
 */

/** The list, in the order in which scans were added. */
export class ScanList {
  /**
   * @param {HTMLUListElement} element
   * @param {(entry: Entry) => void} choose called with the scan that a person wants to see
   * @param {(next: Entry | null) => void} removed called after a removal, with the neighbor of the
   *   removed scan; null where none is left
   */
  constructor(element, choose, removed) {
    this.element = element;
    this.choose = choose;
    this.removed = removed;
    /** @type {Map<Entry, HTMLButtonElement>} */
    this.buttons = new Map();
  }

  /** @returns {Entry[]} */
  get entries() {
    return [...this.buttons.keys()];
  }

  /**
   * @param {Entry} entry
   * @returns {boolean}
   */
  has(entry) {
    return this.buttons.has(entry);
  }

  /** @param {Entry} entry */
  add(entry) {
    const { name } = entry.file;
    const button = make("button", { type: "button", className: "name" }, name);
    const remove = make("button", { type: "button", className: "remove" }, "×");
    remove.setAttribute("aria-label", `Remove ${name}`);
    button.addEventListener("click", () => this.choose(entry));
    remove.addEventListener("click", () => this.remove(entry));
    this.buttons.set(entry, button);
    this.element.append(make("li", {}, button, remove));
  }

  /** @param {Entry} entry */
  remove(entry) {
    const { entries } = this;
    const at = entries.indexOf(entry);
    const next = entries[at + 1] ?? entries[at - 1] ?? null;
    this.buttons.get(entry)?.parentElement?.remove();
    this.buttons.delete(entry);
    // The focus would be lost with the button that had it.
    (next === null ? null : this.buttons.get(next))?.focus();
    this.removed(next);
  }

  clear() {
    this.buttons.clear();
    this.element.replaceChildren();
    this.removed(null);
  }

  /** @param {Entry} shown the scan whose results are in view */
  mark(shown) {
    for (const [entry, button] of this.buttons) {
      button.setAttribute("aria-current", String(entry === shown));
    }
  }
}
