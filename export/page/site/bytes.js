/** Bytes: parts of the page, base64, zlib streams (RFC 1950), and checksums. */

/**
 * Return the bytes of a part of the page: an element of a single file, or a file beside the page.
 * @param {string} source selector of the element, or address of the file
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function loadPart(source) {
  if (source.startsWith("#")) {
    const element = document.querySelector(source);
    return fromBase64(element?.textContent?.trim() ?? "");
  }
  const answer = await fetch(source);
  if (!answer.ok) {
    throw new Error(`${source} is missing`);
  }
  return new Uint8Array(await answer.arrayBuffer());
}

/**
 * Return the bytes that a base64 text stands for.
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) {
    bytes[index] = binary.charCodeAt(index);
  }
  return bytes;
}

/**
 * Return what a zlib stream holds, of at most `limit` bytes.
 *
 * A stream that unpacks to more is refused as soon as the limit is passed.
 * @param {Uint8Array<ArrayBuffer>} packed
 * @param {number} limit
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function inflate(packed, limit) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader();
  const result = new Uint8Array(limit);
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return result.subarray(0, length);
    }
    if (length + value.length > limit) {
      await reader.cancel();
      throw new RangeError(`more than ${limit} bytes`);
    }
    result.set(value, length);
    length += value.length;
  }
}

/**
 * Return bytes as a zlib stream.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function deflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return value;
});

/**
 * Return the CRC-32 of bytes, as PNG and ZIP use it (ISO 3309).
 * @param {Uint8Array} bytes
 * @returns {number}
 */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value = (value >>> 8) ^ /** @type {number} */ (CRC_TABLE[(value ^ byte) & 0xff]);
  }
  return (value ^ 0xffffffff) >>> 0;
}
