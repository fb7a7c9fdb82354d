/** Work on many things, one after the other: what fails is named, and the others are done. */

import { messageOf } from "page/text.js";

/**
 * Do something with each of many things.
 *
 * The browser can draw and answer between two of them.
 * @template Thing
 * @param {Thing[]} things
 * @param {(thing: Thing) => Promise<void>} act
 * @param {(thing: Thing) => string} nameOf
 * @param {(done: number) => void} onProgress
 * @returns {Promise<string[]>} a line for each thing that failed: its name, and why
 */
export async function forEachInTurn(things, act, nameOf, onProgress) {
  const failures = [];
  for (const [done, thing] of things.entries()) {
    onProgress(done);
    try {
      await act(thing);
    } catch (error) {
      failures.push(`${nameOf(thing)}: ${messageOf(error)}`);
    }
    await new Promise((resume) => {
      setTimeout(resume);
    });
  }
  return failures;
}
