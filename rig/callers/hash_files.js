/**
 * Hash the files that a test or benchmark serves, by the page's worker.
 *
 * Names that begin with "cancelled" are cancelled once they begin; what begins with "huge" is
 * followed by 4 GiB of zeros.
 */

import { serveFrames } from '../../disrupt/web/page/decoding/video_element.js';

/** @param {string} path */
export async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(path);
  return response;
}

/**
 * @param {Worker} worker
 * @param {string} name
 */
async function hash(worker, name) {
  const content = await (await get(`/files/${name}`)).blob();
  const file = name.startsWith('huge') ? followedByZeros(content) : content;
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

/** @param {Blob} content */
function followedByZeros(content) {
  const zeros = new Blob([new Uint8Array(2 ** 24)]);
  return new Blob([content, ...Array(2 ** 8).fill(zeros)]);
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Send a result, or the error that it ends with.
 * @param {() => Promise<object>} made
 */
export async function send(made) {
  const result = await made().catch((error) => ({ error: `${error} ${error.stack}` }));
  await fetch('/result', { method: 'POST', body: JSON.stringify(result) });
}

/** Return what came of each file, by its name. */
export async function hashFiles() {
  const worker = new Worker('/worker.js', { type: 'module' });
  /** @type {Record<string, any>} */
  const outcomes = {};
  for (const name of await (await get('/files/')).json()) outcomes[name] = await hash(worker, name);
  worker.terminate();
  return outcomes;
}

if (document.querySelector('script')?.src === import.meta.url) await send(hashFiles);
