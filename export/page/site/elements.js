/** Elements of the page: found, or made. */

/**
 * Return the element that a selector names.
 * @template {Element} Kind
 * @param {string} selector
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function find(selector, kind) {
  const element = document.querySelector(selector);
  if (!(element instanceof kind)) {
    throw new Error(`${selector} is missing`);
  }
  return element;
}

/**
 * Return a new element.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Partial<HTMLElementTagNameMap[Name]>} properties
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  Object.assign(element, properties);
  element.append(...children);
  return element;
}

/**
 * Return a list of labels and what they stand for.
 * @param {string} className
 * @param {[Node | string, Node | string][]} pairs
 * @returns {HTMLDListElement}
 */
export function makePairs(className, pairs) {
  const groups = pairs.map(([label, text]) =>
    make("div", {}, make("dt", {}, label), make("dd", {}, text)),
  );
  return make("dl", { className }, ...groups);
}
