/** Words: numbers with their nouns, and errors as parts of sentences. */

/**
 * @param {number} number
 * @param {string} noun
 * @returns {string}
 */
export function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/**
 * Return what an error says, without the period at its end.
 * @param {unknown} error
 * @returns {string}
 */
export function messageOf(error) {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\.$/, "");
}
