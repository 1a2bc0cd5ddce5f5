/**
 * Start the page. Fails where something does not come, or this browser is too old: then index.html
 * tries again, by other paths. The first attempt that is through starts the page.
 *
 * @module
 */

import './exit.js'; // also where index.html's own did not come
import { Page } from './page.js';
import { loadTexts } from './texts.js';

if (!crypto.subtle || typeof Worker === 'undefined') throw new Error('a browser that is too old');
await loadTexts();
if (document.readyState === 'loading')
  await new Promise((resolve) => addEventListener('DOMContentLoaded', resolve));
if (document.getElementById('starting')) {
  // A file that is dropped beside the place for it would replace the page.
  for (const name of ['dragover', 'drop'])
    addEventListener(name, (event) => event.preventDefault());
  new Page();
}
