/**
 * Start the page, or say that it cannot be used here.
 *
 * @module
 */

async function start() {
  if (!crypto.subtle || typeof Worker === 'undefined') throw new Error('a browser that is too old');
  // A module that is missing, or that this browser cannot read, rejects here.
  const [{ Page }, { loadTexts }] = await Promise.all([import('./page.js'), import('./texts.js')]);
  await loadTexts();
  // A file that is dropped beside the place for it would replace the page.
  for (const name of ['dragover', 'drop'])
    addEventListener(name, (event) => event.preventDefault());
  new Page();
}

start().catch(() => dispatchEvent(new Event('unusable')));
