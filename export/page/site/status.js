/** The line that tells what is being done, and what came of it. */

import { find, make } from "page/elements.js";

const line = find("#status", HTMLElement);
const progress = find("#progress", HTMLProgressElement);

/**
 * Tell something, which a screen reader reads aloud; work is no longer in progress.
 * @param {string} text
 * @param {string[]} failures what could not be done, one by one
 */
export function tell(text, failures = []) {
  progress.hidden = true;
  line.replaceChildren(make("p", {}, text));
  if (failures.length > 0) {
    line.append(make("ul", {}, ...failures.map((failure) => make("li", {}, failure))));
  }
}

/**
 * Show how much is done.
 * @param {number} done
 * @param {number} total
 */
export function advance(done, total) {
  progress.hidden = false;
  progress.max = total;
  progress.value = done;
}
