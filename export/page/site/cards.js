/** Cards of the networks: whether each can be used here, and what its file says of it. */

import { make, makePairs } from "page/elements.js";

/** @typedef {import("page/network.js").Model} Model */
/** @typedef {import("page/network.js").Network} Network */

/** The card of one network. */
export class NetworkCard {
  /** @param {Model} model */
  constructor(model) {
    this.state = make("p", { className: "state" });
    this.element = make(
      "article",
      { className: "card" },
      make("h3", {}, model.name),
      this.state,
      make("details", {}, make("summary", {}, "Model card"), makePairs("facts", model.facts)),
    );
  }

  /** @param {string} text what is being done */
  wait(text) {
    this.state.textContent = text;
  }

  /** @param {Network} network */
  accept({ model, largest, engine, note }) {
    const [found, allowed] = [largest, model.golden.tolerance.largest].map(scientific);
    const certified =
      `This browser gives the certified numbers ` +
      `(largest difference ${found}, allowed ${allowed}).`;
    const good = make("span", { className: "good" }, certified);
    this.state.replaceChildren(good, ` ${engine}. ${note}`);
  }

  /** @param {string} reason */
  refuse(reason) {
    this.state.replaceChildren(make("span", { className: "bad" }, `Not used: ${reason}.`));
  }
}

/**
 * @param {number} value
 * @returns {string} with a minus sign, at which no line is broken, in place of a hyphen
 */
function scientific(value) {
  return value.toExponential(1).replace("-", "\u2212");
}
