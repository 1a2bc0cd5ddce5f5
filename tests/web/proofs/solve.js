/** Solve a challenge by the page's worker, and send the proof. */

import { get, send } from '../../../rig/callers/hash_files.js';

await send(async () => {
  const challenge = await (await get('/files/challenge')).text();
  const worker = new Worker('/proof_worker.js', { type: 'module' });
  const solve = (/** @type {string} */ asked) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = reject;
      worker.postMessage(asked);
    });
  return { damaged: await solve('{'), proof: await solve(challenge) };
});
