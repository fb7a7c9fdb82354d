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
 * Return a sentence on a scan that is stretched otherwise than most training images; else "".
 * Proportions that differ by less than 5 % count as equal, as in the runtime.
 * @param {[number, number]} scan height and width
 * @param {[number, number]} view height and width of most training images
 * @returns {string}
 */
export function stretchNote([rows, columns], [height, width]) {
  const widened = ((rows / columns) * width) / height;
  if (Math.abs(Math.log(widened)) <= Math.log(1.05)) {
    return "";
  }
  const [factor, side] = widened > 1 ? [widened, "wide"] : [1 / widened, "high"];
  return (
    `This scan has other proportions than the training images: the network sees its shapes ` +
    `${factor.toFixed(2)} times as ${side} as they are.`
  );
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
