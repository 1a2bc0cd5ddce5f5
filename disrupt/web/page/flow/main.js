/**
 * Start the page, or say that it cannot be used here.
 *
 * @module
 */

/** @param {string} id @returns {HTMLElement} */
function part(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found;
}

/** Files that are dropped beside the place for them would replace the page. */
function refuseStrayDrops() {
  for (const name of ['dragover', 'drop'])
    addEventListener(name, (event) => event.preventDefault());
}

async function start() {
  if (!crypto.subtle || typeof Worker === 'undefined') throw new Error('a browser that is too old');
  // A module that is missing, or that this browser cannot read, rejects here.
  const [{ Page }, { loadTexts }] = await Promise.all([import('./page.js'), import('./texts.js')]);
  await loadTexts();
  refuseStrayDrops();
  new Page(part('header'), part('main'), part('footer'));
}

start().catch(() => dispatchEvent(new Event('unusable')));
