/** Scans: files that a person drops, as RGB pixels. */

import { takeOrientation, turned } from "page/orientation.js";
import { countPngImages, decodePng, isPng, readHeader } from "page/png.js";

const MAX_PIXELS = 2 ** 26;
const MAX_FILE_BYTES = 2 ** 28;

/**
 * @typedef {object} Scan
 * @property {Uint8Array} pixels RGB [height, width, 3]
 * @property {[number, number]} size (height, width)
 */

/**
 * Decode a file.
 *
 * As in the runtime, the scan is turned upright as its EXIF orientation says, color profiles are
 * not applied, and transparency is laid over black. Memory is only taken once the stated size is
 * known to be reasonable.
 * @param {Blob & {name?: string}} file
 * @returns {Promise<Scan>}
 * @throws {Error} with one sentence, where the file is no image, too large, or several images
 */
export async function readScan(file) {
  if (file.size > MAX_FILE_BYTES) {
    throw new Error(`the file is larger than ${MAX_FILE_BYTES / 2 ** 20} MB`);
  }
  const bytes = await bytesOf(file);
  const kind = kindOf(bytes);
  const stated = statedSize(bytes, kind);
  if (stated !== null && stated[0] * stated[1] > MAX_PIXELS) {
    const most = Math.trunc(MAX_PIXELS / 1e6);
    throw new Error(
      `the image has ${stated[1]}x${stated[0]} pixels; at most ${most} million are read`,
    );
  }
  if (isAnimated(bytes, kind)) {
    throw new Error("this file holds several images; save one of them in a file of its own");
  }
  const orientation = takeOrientation(bytes, kind);
  return turned(await decode(bytes, kind), orientation);
}

/**
 * @param {Blob} file
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function bytesOf(file) {
  const content = await file.arrayBuffer().catch((error) => {
    throw new Error("it can no longer be read: it is a folder, or was moved or changed", {
      cause: error,
    });
  });
  return new Uint8Array(content);
}

/**
 * Decode a file as it is stored, without a turn.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {Kind} kind
 * @returns {Promise<Scan>}
 */
async function decode(bytes, kind) {
  if (kind === "png") {
    const pixels = await decodePng(bytes);
    if (pixels !== null) {
      const { width, height } = readHeader(bytes);
      return { pixels, size: [height, width] };
    }
  }
  return decodeByBrowser(new Blob([bytes]));
}

/**
 * @param {Uint8Array} bytes
 * @param {Kind} kind
 * @returns {boolean}
 */
function isAnimated(bytes, kind) {
  if (kind === "png") {
    return countPngImages(bytes) > 1;
  }
  // Extended WebP files begin with a chunk VP8X, whose flags tell of an animation.
  const isExtended = String.fromCharCode(...bytes.subarray(12, 16)) === "VP8X";
  return kind === "webp" && isExtended && (/** @type {number} */ (bytes[20]) & 2) !== 0;
}

/** @typedef {"png" | "jpeg" | "bmp" | "webp"} Kind */

/**
 * @param {Uint8Array} bytes
 * @returns {Kind}
 */
function kindOf(bytes) {
  const text = textOf(bytes);
  if (isPng(bytes)) {
    return "png";
  }
  if (text.startsWith("\xff\xd8")) {
    return "jpeg";
  }
  if (text.startsWith("BM")) {
    return "bmp";
  }
  if (/^RIFF....WEBP/s.test(text)) {
    return "webp";
  }
  throw new Error(whyNot(text));
}

/**
 * Return the first bytes of a file as characters of Latin-1.
 * @param {Uint8Array} bytes
 * @returns {string}
 */
function textOf(bytes) {
  return String.fromCharCode(...bytes.subarray(0, 352));
}

/**
 * Return why a file is not read, and what to do.
 * @param {string} text its first bytes
 * @returns {string}
 */
function whyNot(text) {
  if (text === "") {
    return "the file is empty";
  }
  const volume = "seg-predict reads them";
  const picture = "save the image as PNG";
  const others = /** @type {[boolean, string, string][]} */ ([
    [text.slice(128, 132) === "DICM", "DICOM", volume],
    [/^.{344}n[i+]1\0|^.{4}n[i+]2\0/s.test(text), "NIfTI", volume],
    [text.startsWith("\x1f\x8b"), "gzip (.nii.gz)", volume],
    [/^(II\*\0|MM\0\*)/.test(text), "TIFF", picture],
    [text.startsWith("GIF8"), "GIF", picture],
    [/^.{4}ftyp(avif|hei|mif1)/s.test(text), "AVIF and HEIC", picture],
    [/<svg/i.test(text), "SVG", picture],
    [text.startsWith("%PDF"), "PDF", picture],
    [text.startsWith("PK\x03\x04"), "ZIP", "unpack it"],
  ]);
  const found = others.find(([applies]) => applies);
  return found === undefined
    ? "this is not an image; PNG, JPEG, WebP and BMP files are read"
    : `${found[1]} files are not read by this page; ${found[2]}`;
}

/**
 * Return the (height, width) that a file states, before it is decoded.
 * @param {Uint8Array} bytes
 * @param {Kind} kind
 * @returns {[number, number] | null} null where it is not found
 */
function statedSize(bytes, kind) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    switch (kind) {
      case "png": {
        const { width, height } = readHeader(bytes);
        return [height, width];
      }
      case "jpeg":
        return jpegSize(view);
      case "bmp":
        return [Math.abs(view.getInt32(22, true)), view.getInt32(18, true)];
      case "webp":
        return webpSize(view);
    }
  } catch (error) {
    if (error instanceof RangeError) {
      throw new Error("the image is damaged", { cause: error });
    }
    throw error;
  }
}

/**
 * @param {DataView} view
 * @returns {[number, number] | null}
 */
function jpegSize(view) {
  for (let at = 2; at + 9 < view.byteLength; ) {
    if (view.getUint8(at) !== 0xff) {
      return null;
    }
    const marker = view.getUint8(at + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) {
      return [view.getUint16(at + 5), view.getUint16(at + 7)];
    }
    at += marker === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  return null;
}

/**
 * @param {DataView} view
 * @returns {[number, number] | null}
 */
function webpSize(view) {
  const kind = view.getUint32(12);
  if (kind === 0x56503858) {
    const word = (/** @type {number} */ at) => view.getUint32(at, true) & 0xffffff;
    return [word(27) + 1, word(24) + 1];
  }
  if (kind === 0x5650384c) {
    const bits = view.getUint32(21, true);
    return [((bits >>> 14) & 0x3fff) + 1, (bits & 0x3fff) + 1];
  }
  return [view.getUint16(28, true) & 0x3fff, view.getUint16(26, true) & 0x3fff];
}

/**
 * @param {Blob} file
 * @returns {Promise<Scan>}
 */
async function decodeByBrowser(file) {
  const picture = await createImageBitmap(file, {
    colorSpaceConversion: "none",
    imageOrientation: "none",
  }).catch((error) => {
    throw new Error("the image is damaged", { cause: error });
  });
  const { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) {
    throw new Error("the browser has no memory for this image");
  }
  context.fillStyle = "black";
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const pixels = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    pixels[to] = /** @type {number} */ (rgba[from]);
    pixels[to + 1] = /** @type {number} */ (rgba[from + 1]);
    pixels[to + 2] = /** @type {number} */ (rgba[from + 2]);
  }
  if (pixels.every((level) => level * 8 < 255)) {
    context.clearRect(0, 0, width, height);
    context.drawImage(picture, 0, 0);
    if (isTransparent(context.getImageData(0, 0, width, height).data)) {
      // The runtime uses the colors of such an image. A canvas has lost them.
      throw new Error("the image is transparent nearly everywhere; save it without transparency");
    }
  }
  picture.close();
  return { pixels, size: [height, width] };
}

/**
 * @param {Uint8ClampedArray} rgba
 * @returns {boolean} whether no pixel has an eighth of full opacity
 */
function isTransparent(rgba) {
  for (let place = 3; place < rgba.length; place += 4) {
    if (/** @type {number} */ (rgba[place]) * 8 >= 255) {
      return false;
    }
  }
  return true;
}
