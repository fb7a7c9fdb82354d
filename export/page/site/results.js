/** A network's results for one scan: a row of pictures, and what they show in numbers. */

import { drawMap, drawOverlay, drawScan, summarize } from "page/draw.js";
import { make, makePairs } from "page/elements.js";
import { atScanSize } from "page/network.js";
import { stretchNote } from "page/text.js";

/** @typedef {import("page/network.js").Network} Network */
/** @typedef {import("page/network.js").Prediction} Prediction */
/** @typedef {import("page/scan.js").Scan} Scan */
/** @typedef {import("page/zoom.js").Zoom} Zoom */
/** @typedef {{opacity: number, threshold: number}} Look */

const PICTURES = /** @type {const} */ ({
  scan: ["Scan", "as the network's runtime reads it"],
  map: ["Probability", "black is 0, white is 1"],
  overlay: ["Overlay", "red is probability, yellow the threshold"],
});

/** The row of one network, whose pictures are drawn anew for each scan. */
export class NetworkRow {
  /**
   * @param {Network} network
   * @param {Zoom} zoom
   * @param {() => void} download called when a person wants to have the map
   */
  constructor(network, zoom, download) {
    const { name } = network.model;
    this.size = network.model.size;
    this.view = network.model.view;
    this.canvases = { scan: make("canvas"), map: make("canvas"), overlay: make("canvas") };
    this.numbers = { label: make("span"), share: make("span"), highest: make("span") };
    this.time = make("span");
    this.note = make("p", { className: "note" });
    const { label, share, highest } = this.numbers;
    const numbers = makePairs("numbers", [
      [label, share],
      ["Highest", highest],
      ["Time", this.time],
    ]);
    const button = make("button", { type: "button" }, "Download map");
    button.setAttribute("aria-label", `Download the map of ${name}`);
    button.addEventListener("click", download);
    const kinds = /** @type {(keyof typeof PICTURES)[]} */ (Object.keys(PICTURES));
    const figures = kinds.map((kind) => figureOf(kind, this.canvases[kind], zoom));
    this.element = make(
      "section",
      { className: "row" },
      make("header", {}, make("h3", {}, name), numbers, button),
      this.note,
      make("div", { className: "pictures" }, ...figures),
    );
    this.element.setAttribute("aria-label", name);
    /** @type {Float32Array} */
    this.map = new Float32Array(0);
    /** @type {Scan} */
    this.scan = { pixels: new Uint8Array(0), size: [0, 0] };
  }

  /**
   * Draw all that does not depend on the sliders.
   * @param {Scan} scan
   * @param {Prediction} prediction
   */
  show(scan, { values, milliseconds }) {
    this.scan = scan;
    this.map = atScanSize(values, this.size, scan.size);
    this.time.textContent = `${milliseconds.toFixed(1)} ms`;
    this.note.textContent = stretchNote(scan.size, this.view);
    drawScan(this.canvases.scan, scan.pixels, scan.size);
    drawMap(this.canvases.map, this.map, scan.size);
  }

  /**
   * Draw what depends on the sliders.
   * @param {Look} look
   */
  redraw(look) {
    const { pixels, size } = this.scan;
    drawOverlay(this.canvases.overlay, pixels, this.map, size, look);
    const { share, highest } = summarize(this.map, look.threshold);
    this.numbers.label.textContent = `Pixels at or above ${look.threshold.toFixed(2)}`;
    this.numbers.share.textContent = `${(100 * share).toFixed(2)} %`;
    this.numbers.highest.textContent = highest.toFixed(3);
  }
}

/**
 * @param {keyof typeof PICTURES} kind
 * @param {HTMLCanvasElement} canvas
 * @param {Zoom} zoom
 * @returns {HTMLElement}
 */
function figureOf(kind, canvas, zoom) {
  const [title, description] = PICTURES[kind];
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${title}: ${description}`);
  const frame = make("div", { className: "frame", tabIndex: 0 }, canvas);
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", `${title}; plus and minus zoom, arrows move, 0 resets`);
  zoom.attach(frame);
  const caption = make("figcaption", {}, title, make("span", {}, description));
  return make("figure", { className: kind }, frame, caption);
}
