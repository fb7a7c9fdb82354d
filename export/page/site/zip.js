/** ZIP archives without compression (PKWARE's APPNOTE 6.3): PNG files do not become smaller. */

import { crc32 } from "page/bytes.js";

const UTF8_NAMES = 0x0800;
const LAST_TIME = 0;
const MOST_FILES = 2 ** 16 - 1;
const MOST_BYTES = 2 ** 32 - 1;
const FIRST_DATE = 0x21; // 1 January 1980: the archive states no time

/**
 * Return an archive.
 * @param {{name: string, content: Uint8Array<ArrayBuffer>}[]} files
 * @returns {Blob}
 * @throws {Error} where there is more than an archive can hold
 */
export function zip(files) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const directory = [];
  let offset = 0;
  for (const { name, content } of files) {
    const encoded = new TextEncoder().encode(name);
    const facts = { checksum: crc32(content), bytes: content.length, name: encoded.length };
    const local = record(0x04034b50, facts, 0);
    parts.push(local, encoded, content);
    directory.push(record(0x02014b50, facts, offset), encoded);
    offset += local.length + encoded.length + content.length;
  }
  if (files.length > MOST_FILES || offset > MOST_BYTES) {
    throw new Error("an archive holds at most 65535 files and 4 GB");
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, length, true);
  end.setUint32(16, offset, true);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/**
 * Return a file's header, or its entry in the directory, without its name.
 * @param {number} signature
 * @param {{checksum: number, bytes: number, name: number}} facts
 * @param {number} offset of the header, for the entry
 * @returns {Uint8Array<ArrayBuffer>}
 */
function record(signature, facts, offset) {
  const isEntry = signature === 0x02014b50;
  const bytes = new Uint8Array(isEntry ? 46 : 30);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, signature, true);
  const at = isEntry ? 6 : 4;
  if (isEntry) {
    view.setUint16(4, 20, true);
    view.setUint32(42, offset, true);
  }
  view.setUint16(at, 20, true);
  view.setUint16(at + 2, UTF8_NAMES, true);
  view.setUint16(at + 6, LAST_TIME, true);
  view.setUint16(at + 8, FIRST_DATE, true);
  view.setUint32(at + 10, facts.checksum, true);
  view.setUint32(at + 14, facts.bytes, true);
  view.setUint32(at + 18, facts.bytes, true);
  view.setUint16(at + 22, facts.name, true);
  return bytes;
}
