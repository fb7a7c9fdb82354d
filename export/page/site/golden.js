/** The golden pair of an ONNX file: a scan, and the probabilities that its network must give. */

import { fromBase64, inflate } from "page/bytes.js";
import { readScan } from "page/scan.js";

/** @typedef {import("page/network.js").Prediction} Prediction */

/**
 * The scan in a file and the probabilities that PyTorch gave for it.
 * @typedef {object} Golden
 * @property {string} scan_png base64
 * @property {number} rows
 * @property {number} columns
 * @property {number} stride
 * @property {string} probabilities_zlib base64, little-endian float32 [rows, columns]
 * @property {{largest: number, mean: number}} tolerance
 */

/**
 * Predict the scan in the file and return the largest difference to its probabilities.
 * @param {Golden} golden
 * @param {[number, number]} size (height, width) of the network
 * @param {(pixels: Uint8Array, size: [number, number]) => Promise<Prediction>} predict
 * @returns {Promise<number>}
 * @throws {Error} where the differences are larger than the file allows
 */
export async function replay(golden, [height, width], predict) {
  const scan = await readScan(new Blob([fromBase64(golden.scan_png)]));
  const packed = fromBase64(golden.probabilities_zlib);
  const bytes = await inflate(packed, 4 * golden.rows * golden.columns);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { values } = await predict(scan.pixels, scan.size);
  let largest = 0;
  let sum = 0;
  let count = 0;
  for (let y = 0; y < height; y += golden.stride) {
    for (let x = 0; x < width; x += golden.stride, count += 1) {
      const expected = view.getFloat32(4 * count, true);
      const difference = Math.abs(/** @type {number} */ (values[y * width + x]) - expected);
      largest = Math.max(largest, difference);
      sum += difference;
    }
  }
  const { tolerance } = golden;
  if (!(largest <= tolerance.largest && sum / count <= tolerance.mean)) {
    throw new Error(
      `this browser gives other numbers than the certified ones: the largest difference is ` +
        `${largest.toExponential(1)}, ${tolerance.largest.toExponential(1)} is allowed`,
    );
  }
  return largest;
}
