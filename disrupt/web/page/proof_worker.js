/**
 * The worker that solves challenges of ALTCHA, beside the one that hashes.
 *
 * @module
 */

import { deriveKey } from './libraries/altcha-lib/dist/esm/v2/algorithms/web/pbkdf2.js';
import { solveChallenge } from './libraries/altcha-lib/dist/esm/v2/pow.js';

/** After an hour a challenge is void. */
const TIMEOUT_MS = 3_600_000;

/** @param {MessageEvent<string>} message with the JSON of a challenge; the proof, or '', is sent back */
onmessage = async ({ data }) => {
  let proof = '';
  try {
    const challenge = JSON.parse(data);
    const solution = await solveChallenge({ challenge, deriveKey, timeout: TIMEOUT_MS });
    if (solution) proof = btoa(JSON.stringify({ challenge, solution }));
  } catch {
    // The challenge, or this browser, is not as the library takes it: then there is no proof.
  }
  postMessage(proof);
};
