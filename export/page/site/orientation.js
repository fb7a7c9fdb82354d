/** The EXIF orientation of scans: found in a file, and applied to pixels. */

import { crc32 } from "page/bytes.js";

/** @typedef {import("page/scan.js").Scan} Scan */
/** @typedef {import("page/scan.js").Kind} Kind */

const TAG = 0x0112;
const UPRIGHT = 1;

/**
 * Return the EXIF orientation that a file states, 1 to 8; 1 where it states none.
 *
 * In the bytes it becomes 1: some browsers turn an image as it says even if asked not to.
 * @param {Uint8Array} bytes
 * @param {Kind} kind
 * @returns {number}
 */
export function takeOrientation(bytes, kind) {
  try {
    const exif = { png: ofPng, jpeg: ofJpeg, webp: ofWebp, bmp: () => null }[kind](bytes);
    if (exif === null) {
      return UPRIGHT;
    }
    const orientation = replaceOrientation(exif);
    if (kind === "png" && orientation !== UPRIGHT) {
      const end = exif.byteOffset - bytes.byteOffset + exif.byteLength;
      view(bytes).setUint32(end, crc32(bytes.subarray(end - exif.byteLength - 4, end)));
    }
    return orientation;
  } catch (error) {
    if (error instanceof RangeError) {
      return UPRIGHT; // damaged data, which turn nothing
    }
    throw error;
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {number} [start]
 * @param {number} [length]
 * @returns {DataView}
 */
function view(bytes, start = 0, length = bytes.byteLength - start) {
  return new DataView(bytes.buffer, bytes.byteOffset + start, length);
}

/**
 * @param {Uint8Array} bytes
 * @returns {DataView | null}
 */
function ofPng(bytes) {
  const all = view(bytes);
  for (let at = 8; at + 12 <= bytes.length; at += 12 + all.getUint32(at)) {
    if (all.getUint32(at + 4) === 0x65584966) {
      return view(bytes, at + 8, all.getUint32(at));
    }
  }
  return null;
}

/**
 * @param {Uint8Array} bytes
 * @returns {DataView | null}
 */
function ofJpeg(bytes) {
  const all = view(bytes);
  for (let at = 2; at + 10 < bytes.length && all.getUint8(at) === 0xff; ) {
    const marker = all.getUint8(at + 1);
    if (marker === 0xda) {
      return null;
    }
    const length = all.getUint16(at + 2);
    if (marker === 0xe1 && all.getUint32(at + 4) === 0x45786966) {
      return view(bytes, at + 10, length - 8);
    }
    at += marker === 0xff ? 1 : 2 + length;
  }
  return null;
}

/**
 * @param {Uint8Array} bytes
 * @returns {DataView | null}
 */
function ofWebp(bytes) {
  const all = view(bytes);
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = all.getUint32(at + 4, true);
    if (all.getUint32(at) === 0x45584946) {
      // Some writers put the six bytes here that belong into a JPEG only.
      const skipped = all.getUint32(at + 8) === 0x45786966 ? 6 : 0;
      return view(bytes, at + 8 + skipped, length - skipped);
    }
    at += 8 + length + (length % 2);
  }
  return null;
}

/**
 * @param {DataView} exif a TIFF directory
 * @returns {number}
 */
function replaceOrientation(exif) {
  const isLittle = exif.getUint16(0) === 0x4949;
  const directory = exif.getUint32(4, isLittle);
  const count = exif.getUint16(directory, isLittle);
  for (let index = 0; index < count; index += 1) {
    const at = directory + 2 + 12 * index;
    if (exif.getUint16(at, isLittle) === TAG) {
      const value = exif.getUint16(at + 8, isLittle);
      exif.setUint16(at + 8, UPRIGHT, isLittle);
      return value >= 1 && value <= 8 ? value : UPRIGHT;
    }
  }
  return UPRIGHT;
}

/**
 * Return a stored scan turned upright.
 * @param {Scan} scan
 * @param {number} orientation 1 to 8
 * @returns {Scan}
 */
export function turned({ pixels, size }, orientation) {
  if (orientation === UPRIGHT) {
    return { pixels, size };
  }
  const [height, width] = size;
  const isExchanged = orientation >= 5;
  const [rows, columns] = isExchanged ? [width, height] : [height, width];
  const isRowReversed = [3, 4, 7, 8].includes(orientation);
  const isColumnReversed = [2, 3, 6, 7].includes(orientation);
  const result = new Uint8Array(pixels.length);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const along = isRowReversed ? rows - 1 - row : row;
      const across = isColumnReversed ? columns - 1 - column : column;
      const from = 3 * (isExchanged ? across * width + along : along * width + across);
      result.set(pixels.subarray(from, from + 3), 3 * (row * columns + column));
    }
  }
  return { pixels: result, size: [rows, columns] };
}
