/**
 * Make the elements of the page. Texts are only ever texts: nothing is parsed as HTML.
 *
 * @module
 */

/** @typedef {Node | string | false | null | undefined} Leaf */
/**
 * What an element may hold: lists are flattened, and what is absent is left out.
 * @typedef {Leaf | (Leaf | (Leaf | Leaf[])[])[]} Child
 */

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {{[name: string]: any}} [attributes] a function is a listener of the event of that name;
 *   `true` sets an attribute without a value; `false`, null and undefined set none
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined)
      made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...present(children));
  return made;
}

/**
 * Replace all children of an element, unless it says the same already: a screen reader would read
 * it out again.
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
  const leaves = present(children);
  const isText = leaves.every((leaf) => typeof leaf === 'string');
  if (!isText || parent.textContent !== leaves.join('')) parent.replaceChildren(...leaves);
}

/**
 * Make a button that does one thing at a time: clicks while it works are ignored, and so is the
 * second one of a double click, which may be meant for what was there before.
 * @param {Child} label
 * @param {() => unknown} action may return a promise
 * @param {{[name: string]: any}} [attributes]
 */
export function button(label, action, attributes = {}) {
  let isBusy = false;
  /** @param {MouseEvent} event */
  const run = async ({ detail }) => {
    if (detail > 1 || isBusy || made.getAttribute('aria-disabled') === 'true') return;
    isBusy = true;
    try {
      await action();
    } finally {
      isBusy = false;
    }
  };
  const made = element('button', { type: 'button', click: run, ...attributes }, label);
  return made;
}

/**
 * Make a paragraph.
 * @param {...Child} children
 */
export function paragraph(...children) {
  return element('p', {}, ...children);
}

/** @param {Child[]} children */
function present(children) {
  const leaves = /** @type {Leaf[]} */ (children.flat(Infinity));
  return /** @type {(Node | string)[]} */ (leaves.filter(Boolean));
}
