/** Pictures of scans and probability maps, in the colors of `seg-predict`. */

const HEAT = [255, 48, 32];
const CONTOUR = [255, 224, 64];

/**
 * Draw a scan.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} pixels RGB [height, width, 3]
 * @param {[number, number]} size (height, width)
 */
export function drawScan(canvas, pixels, size) {
  paint(canvas, size, (at, rgb) => {
    for (let channel = 0; channel < 3; channel += 1) {
      rgb[channel] = /** @type {number} */ (pixels[at * 3 + channel]);
    }
  });
}

/**
 * Draw a probability map: black is 0, white is 1.
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} values [height, width] in [0, 1]
 * @param {[number, number]} size (height, width)
 */
export function drawMap(canvas, values, size) {
  paint(canvas, size, (at, rgb) => {
    rgb.fill(Math.round(/** @type {number} */ (values[at]) * 255));
  });
}

/**
 * Lay a map over a scan: red grows with the probability, a yellow line surrounds what reaches the
 * threshold.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} pixels RGB [height, width, 3]
 * @param {Float32Array} values [height, width] in [0, 1]
 * @param {[number, number]} size (height, width)
 * @param {{opacity: number, threshold: number}} look
 */
export function drawOverlay(canvas, pixels, values, size, { opacity, threshold }) {
  const [height, width] = size;
  /** @param {number} at */
  const reaches = (at) => /** @type {number} */ (values[at]) >= threshold;
  paint(canvas, size, (at, rgb) => {
    const x = at % width;
    const y = (at - x) / width;
    const isEdge =
      reaches(at) &&
      (x === 0 ||
        y === 0 ||
        x === width - 1 ||
        y === height - 1 ||
        !(reaches(at - 1) && reaches(at + 1) && reaches(at - width) && reaches(at + width)));
    const share = opacity * /** @type {number} */ (values[at]);
    for (let channel = 0; channel < 3; channel += 1) {
      const level = /** @type {number} */ (pixels[at * 3 + channel]);
      const heat = /** @type {number} */ (HEAT[channel]);
      const contour = /** @type {number} */ (CONTOUR[channel]);
      rgb[channel] = isEdge ? contour : Math.round(level * (1 - share) + heat * share);
    }
  });
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {[number, number]} size
 * @param {(at: number, rgb: Uint8ClampedArray) => void} color sets the color of a pixel
 */
function paint(canvas, [height, width], color) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (context === null) {
    throw new Error("the browser has no memory for this image");
  }
  const image = context.createImageData(width, height);
  const rgb = new Uint8ClampedArray(3);
  for (let at = 0; at < width * height; at += 1) {
    color(at, rgb);
    image.data.set(rgb, at * 4);
    image.data[at * 4 + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/**
 * Return the share of values that reach a threshold, and the highest value.
 * @param {Float32Array} values
 * @param {number} threshold
 * @returns {{share: number, highest: number}}
 */
export function summarize(values, threshold) {
  let count = 0;
  let highest = 0;
  for (const value of values) {
    count += value >= threshold ? 1 : 0;
    highest = Math.max(highest, value);
  }
  return { share: count / values.length, highest };
}
