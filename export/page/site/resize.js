/**
 * The bilinear filter of Pillow's `Image.resize`, antialiased where an image becomes smaller.
 *
 * The toolkit's runtime prepares images with Pillow. A network only gives its certified numbers for
 * images that were prepared in the same way, so the same weights and the same rounding are used
 * here: 8-bit levels in fixed point with 22 bits, one direction after the other.
 */

const PRECISION_BITS = 22;
/** @type {[number, number]} */
const ADJACENT = [1, 1];

/**
 * The source pixels of each target pixel, and their weights.
 * @typedef {{first: Int32Array, count: Int32Array, weights: Float64Array, most: number}} Taps
 */

/**
 * Return the weights that bring `from` pixels to `to`.
 * @param {number} from
 * @param {number} to
 * @returns {Taps}
 */
function tapsOf(from, to) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const most = Math.ceil(stretch) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Float64Array(to * most);
  for (let target = 0; target < to; target += 1) {
    const center = (target + 0.5) * scale;
    const low = Math.max(Math.trunc(center - stretch + 0.5), 0);
    const high = Math.min(Math.trunc(center + stretch + 0.5), from);
    let sum = 0;
    for (let source = low; source < high; source += 1) {
      const distance = Math.abs((source - center + 0.5) / stretch);
      const weight = distance < 1 ? 1 - distance : 0;
      weights[target * most + source - low] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < high - low; tap += 1) {
      weights[target * most + tap] = (weights[target * most + tap] ?? 0) / sum;
    }
    first[target] = low;
    count[target] = high - low;
  }
  return { first, count, weights, most };
}

/**
 * Resample one direction of a grid of lines.
 *
 * A value lies at `line * lineStep + position * step`, for `channels` consecutive lines.
 * @template {Uint8Array | Float32Array} Values
 * @param {Values} values
 * @param {Values} result
 * @param {Taps} taps
 * @param {{lines: number, to: number, lineStep: [number, number], step: [number, number]}} grid
 *   steps of the source and of the result
 * @param {(sum: number) => number} round
 * @returns {Values}
 */
function resample(values, result, taps, grid, round) {
  const { first, count, weights, most } = taps;
  for (let line = 0; line < grid.lines; line += 1) {
    const start = line * grid.lineStep[0];
    for (let target = 0; target < grid.to; target += 1) {
      const from = /** @type {number} */ (first[target]);
      const end = /** @type {number} */ (count[target]);
      let sum = 0;
      for (let tap = 0; tap < end; tap += 1) {
        sum +=
          /** @type {number} */ (values[start + (from + tap) * grid.step[0]]) *
          /** @type {number} */ (weights[target * most + tap]);
      }
      result[line * grid.lineStep[1] + target * grid.step[1]] = round(sum);
    }
  }
  return result;
}

/**
 * How to resize one kind of values.
 * @template {Uint8Array | Float32Array} Values
 * @typedef {object} Arithmetic
 * @property {(length: number) => Values} allocate
 * @property {(taps: Taps) => Taps} prepare
 * @property {(sum: number) => number} round
 */

/**
 * Resize the rows of pixels.
 * @template {Uint8Array | Float32Array} Values
 * @param {Values} values [height, width, channels]
 * @param {[number, number]} from (height, width)
 * @param {number} to width
 * @param {number} channels
 * @param {Arithmetic<Values>} arithmetic
 * @returns {Values}
 */
function resizeRows(values, [height, width], to, channels, { allocate, prepare, round }) {
  if (width === to) {
    return values;
  }
  const taps = prepare(tapsOf(width, to));
  const result = allocate(height * to * channels);
  for (let channel = 0; channel < channels; channel += 1) {
    resample(
      values.subarray(channel),
      result.subarray(channel),
      taps,
      {
        lines: height,
        to,
        lineStep: [width * channels, to * channels],
        step: [channels, channels],
      },
      round,
    );
  }
  return result;
}

/**
 * Resize the columns of pixels.
 * @template {Uint8Array | Float32Array} Values
 * @param {Values} values [height, width, channels]
 * @param {[number, number]} from (height, width)
 * @param {number} to height
 * @param {number} channels
 * @param {Arithmetic<Values>} arithmetic
 * @returns {Values}
 */
function resizeColumns(values, [height, width], to, channels, { allocate, prepare, round }) {
  if (height === to) {
    return values;
  }
  const row = width * channels;
  const result = allocate(to * row);
  /** @type {[number, number]} */
  const step = [row, row];
  const grid = { lines: row, to, lineStep: ADJACENT, step };
  resample(values, result, prepare(tapsOf(height, to)), grid, round);
  return result;
}

/**
 * Resize pixels in the order that Pillow takes (since version 12): what leaves fewer pixels first.
 * @template {Uint8Array | Float32Array} Values
 * @param {Values} values [height, width, channels]
 * @param {[number, number]} from (height, width)
 * @param {[number, number]} to (height, width)
 * @param {number} channels
 * @param {Arithmetic<Values>} arithmetic
 * @returns {Values}
 */
function resize(values, from, to, channels, arithmetic) {
  if (to[0] * from[1] < from[0] * to[1]) {
    const shorter = resizeColumns(values, from, to[0], channels, arithmetic);
    return resizeRows(shorter, [to[0], from[1]], to[1], channels, arithmetic);
  }
  const narrower = resizeRows(values, from, to[1], channels, arithmetic);
  return resizeColumns(narrower, [from[0], to[1]], to[0], channels, arithmetic);
}

/**
 * Resize 8-bit pixels.
 * @param {Uint8Array} pixels [height, width, channels]
 * @param {[number, number]} from (height, width)
 * @param {[number, number]} to (height, width)
 * @param {number} channels
 * @returns {Uint8Array} [height, width, channels]
 */
export function resizePixels(pixels, from, to, channels) {
  const unit = 2 ** PRECISION_BITS;
  return resize(pixels, from, to, channels, {
    allocate: (length) => new Uint8Array(length),
    prepare: (taps) => ({
      ...taps,
      weights: taps.weights.map((weight) => Math.trunc(0.5 + weight * unit)),
    }),
    round: (sum) => Math.min(255, Math.floor((sum + unit / 2) / unit)),
  });
}

/**
 * Resize a map of numbers, such as probabilities.
 * @param {Float32Array} values [height, width]
 * @param {[number, number]} from (height, width)
 * @param {[number, number]} to (height, width)
 * @returns {Float32Array} [height, width]
 */
export function resizeMap(values, from, to) {
  return resize(values, from, to, 1, {
    allocate: (length) => new Float32Array(length),
    prepare: (taps) => taps,
    round: (sum) => sum,
  });
}
