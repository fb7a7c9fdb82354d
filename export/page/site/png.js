/** PNG files (ISO/IEC 15948): reading levels exactly, and writing 16-bit gray. */

import { crc32, deflate, inflate } from "page/bytes.js";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const GRAY = 0;
const RGB = 2;

/**
 * Return whether bytes begin as a PNG file does.
 * @param {Uint8Array} bytes
 * @returns {boolean}
 */
export function isPng(bytes) {
  return SIGNATURE.every((byte, index) => bytes[index] === byte);
}

/**
 * @typedef {object} Header
 * @property {number} width
 * @property {number} height
 * @property {number} depth bits of a level
 * @property {number} kind color type
 * @property {boolean} interlaced
 */

/**
 * Return the header of a PNG file.
 * @param {Uint8Array} bytes
 * @returns {Header}
 */
export function readHeader(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33 || view.getUint32(12) !== 0x49484452) {
    throw new Error("the PNG file is damaged");
  }
  return {
    width: view.getUint32(16),
    height: view.getUint32(20),
    depth: view.getUint8(24),
    kind: view.getUint8(25),
    interlaced: view.getUint8(28) !== 0,
  };
}

/**
 * Return the number of images in a PNG file: more than 1 in an animated one.
 * @param {Uint8Array} bytes
 * @returns {number}
 */
export function countPngImages(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 16 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = view.getUint32(at + 4);
    if (name === 0x6163544c) {
      return view.getUint32(at + 8);
    }
    if (name === 0x49444154) {
      break;
    }
  }
  return 1;
}

/**
 * Decode gray or RGB levels of 8 or 16 bits, as the toolkit's runtime does.
 *
 * A browser would turn 16-bit gray into 8 bits in its own way, and apply color profiles.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<Uint8Array | null>} RGB [height, width, 3]; null for other kinds of PNG, which
 *   are left to the browser
 */
export async function decodePng(bytes) {
  const header = readHeader(bytes);
  const { width, height, depth, kind, interlaced } = header;
  const parts = chunksOf(bytes);
  const channels = kind === GRAY ? 1 : 3;
  const isPlain = (kind === GRAY || kind === RGB) && (depth === 8 || depth === 16);
  if (!isPlain || interlaced || parts.hasTransparency) {
    return null;
  }
  const size = (channels * depth) / 8;
  const row = width * size;
  const data = await inflate(parts.data, height * (row + 1)).catch(() => new Uint8Array(0));
  if (data.length !== height * (row + 1)) {
    throw new Error("the PNG file is damaged");
  }
  unfilter(data, height, row, size);
  const white = depth === 16 && kind === GRAY ? whiteLevel(data, row, parts.significant) : 65535;
  return toRgb(data, header, row, size, white);
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {{data: Uint8Array<ArrayBuffer>, hasTransparency: boolean, significant: number}}
 *   significant: bits that the chunk sBIT states for the first channel; 0 without one
 */
function chunksOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts = [];
  let hasTransparency = false;
  let significant = 0;
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const name = view.getUint32(at + 4);
    const end = at + 12 + length;
    if (end > bytes.length) {
      break;
    }
    if (crc32(bytes.subarray(at + 4, end - 4)) !== view.getUint32(end - 4)) {
      throw new Error("the PNG file is damaged");
    }
    if (name === 0x49444154) {
      parts.push(bytes.subarray(at + 8, end - 4));
    }
    hasTransparency ||= name === 0x74524e53;
    if (name === 0x73424954 && length > 0) {
      significant = /** @type {number} */ (bytes[at + 8]);
    }
    at = end;
  }
  const data = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { data, hasTransparency, significant };
}

/**
 * Undo the filters of all rows, in place.
 * @param {Uint8Array} data rows, each behind the number of its filter
 * @param {number} height
 * @param {number} row bytes of a row
 * @param {number} size bytes of a pixel
 */
function unfilter(data, height, row, size) {
  /** @param {number} at */
  const value = (at) => /** @type {number} */ (data[at]);
  for (let y = 0; y < height; y += 1) {
    const start = y * (row + 1) + 1;
    const filter = value(start - 1);
    if (filter > 4) {
      throw new Error("the PNG file is damaged");
    }
    for (let x = 0; x < row && filter > 0; x += 1) {
      const at = start + x;
      const left = x >= size ? value(at - size) : 0;
      const above = y > 0 ? value(at - row - 1) : 0;
      const corner = x >= size && y > 0 ? value(at - row - 1 - size) : 0;
      const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter];
      data[at] = value(at) + /** @type {number} */ (predicted);
    }
  }
}

/**
 * @param {number} left
 * @param {number} above
 * @param {number} corner
 * @returns {number}
 */
function paeth(left, above, corner) {
  const guess = left + above - corner;
  const [toLeft, toAbove] = [Math.abs(guess - left), Math.abs(guess - above)];
  const toCorner = Math.abs(guess - corner);
  if (toLeft <= toAbove && toLeft <= toCorner) {
    return left;
  }
  return toAbove <= toCorner ? above : corner;
}

/**
 * Return the level of 16-bit gray that is white, as the runtime does: fewer significant bits count
 * where the levels are not scaled to 16 bits.
 * @param {Uint8Array} data rows, each behind the number of its filter
 * @param {number} row bytes of a row
 * @param {number} significant bits
 * @returns {number}
 */
function whiteLevel(data, row, significant) {
  if (significant <= 0 || significant >= 16) {
    return 65535;
  }
  const white = 2 ** significant - 1;
  let lowBits = 0;
  for (let start = 1; start < data.length; start += row + 1) {
    for (let at = start; at < start + row; at += 2) {
      const level = /** @type {number} */ (data[at]) * 256 + /** @type {number} */ (data[at + 1]);
      if (level > white) {
        return 65535;
      }
      lowBits |= level;
    }
  }
  return (lowBits & (2 ** (16 - significant) - 1)) === 0 ? 65535 : white;
}

/**
 * @param {Uint8Array} data
 * @param {Header} header
 * @param {number} row
 * @param {number} size
 * @param {number} white the level of 16-bit gray that becomes 255
 * @returns {Uint8Array} [height, width, 3]
 */
function toRgb(data, header, row, size, white) {
  const { width, height, depth, kind } = header;
  const pixels = new Uint8Array(width * height * 3);
  const bytes = depth / 8;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = y * (row + 1) + 1 + x * size;
      const to = (y * width + x) * 3;
      for (let channel = 0; channel < 3; channel += 1) {
        const from = kind === GRAY ? at : at + channel * bytes;
        const high = /** @type {number} */ (data[from]);
        const low = data[from + 1] ?? 0;
        // As the runtime: 16-bit gray is rounded, of 16-bit color the low byte is dropped.
        const isRounded = depth === 16 && kind === GRAY;
        const level = (high * 256 + low) * 255 + Math.trunc(white / 2);
        pixels[to + channel] = isRounded ? Math.trunc(level / white) : high;
      }
    }
  }
  return pixels;
}

/**
 * Return a map as a 16-bit gray PNG, whose levels are the values times 65535.
 * @param {Float32Array} values [height, width] in [0, 1]
 * @param {[number, number]} size (height, width)
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function encodeMap(values, [height, width]) {
  const rows = new Uint8Array(height * (2 * width + 1));
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const level = Math.round(/** @type {number} */ (values[y * width + x]) * 65535);
      const at = y * (2 * width + 1) + 1 + 2 * x;
      rows[at] = level >> 8;
      rows[at + 1] = level & 0xff;
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([16, GRAY, 0, 0, 0], 8);
  const parts = [
    Uint8Array.from(SIGNATURE),
    chunk("IHDR", header),
    chunk("IDAT", await deflate(rows)),
    chunk("IEND", new Uint8Array(0)),
  ];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/**
 * @param {string} name
 * @param {Uint8Array} content
 * @returns {Uint8Array<ArrayBuffer>}
 */
function chunk(name, content) {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(content, 8);
  view.setUint32(content.length + 8, crc32(bytes.subarray(4, content.length + 8)));
  return bytes;
}
