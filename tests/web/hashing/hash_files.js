/**
 * Hash the files that a test serves, by the page's worker, and send what came of them.
 *
 * Names that begin with "cancelled" are cancelled once they begin.
 */

import { serveFrames } from '../../../disrupt/web/page/decoding/video_element.js';
import { Shapes } from '../../../disrupt/web/page/hashing/shapes.js';
import { differences } from './vectors.js';

/** @type {Record<string, any>} */
const outcomes = {};

/** @param {string} path */
async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(path);
  return response;
}

/**
 * @param {Worker} worker
 * @param {string} name
 */
async function hash(worker, name) {
  const file = await (await get(`/files/${name}`)).blob();
  const beganMs = performance.now();
  /** @type {number[]} */
  const progress = [];
  let framesAsked = 0;
  const end = serveFrames(worker, name, file);
  const outcome = await new Promise((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data }) => {
      if (data.type === 'progress') progress.push(data.share);
      else if (data.type === 'frame') framesAsked++;
      else resolve(data);
    };
    worker.postMessage({ type: 'hash', id: name, file });
    if (name.startsWith('cancelled')) worker.postMessage({ type: 'cancel', id: name });
  });
  const ms = Math.round(performance.now() - beganMs);
  end();
  const { media, reason, quality } = outcome;
  if (!media) return { reason, quality, progress, ms };
  const rows = Array.from(media.qualities, (value, at) => {
    const code = media.hashes.subarray(32 * at, 32 * (at + 1));
    const times = media.startMs ? [media.startMs[at], media.endMs[at]] : [];
    const place = [media.profiles[at], media.plans[at], media.ordinals[at]];
    return [...place, value, hex(code), ...times].join(' ');
  });
  const { kind, firstFrameOnly, incomplete } = media;
  return { kind, firstFrameOnly, incomplete, framesAsked, rows, progress, ms };
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

try {
  const worker = new Worker('/worker.js', { type: 'module' });
  for (const name of await (await get('/files/')).json()) outcomes[name] = await hash(worker, name);
  const shapes = new Shapes(await (await get('/hashing/shapes.npy')).arrayBuffer());
  const vectors = await (await get('/tests/web/hashing/vectors.json')).json();
  outcomes.vectors = await differences(vectors, shapes);
} catch (error) {
  outcomes.error = `${error} ${error instanceof Error ? error.stack : ''}`;
}
await fetch('/result', { method: 'POST', body: JSON.stringify(outcomes) });
