/** What a test asks of the page's worker, as the page would. */

import { serveFrames } from '../../../disrupt/web/page/decoding/video_element.js';

const MEBIBYTE = 2 ** 20;

/**
 * Hash a file made of parts; a number stands for so many MiB of zeros.
 * @param {(Blob | number)[]} parts
 * @param {boolean} servesFrames from a video element
 * @param {number} cancelAfter progress that is enough
 */
export async function hashFile(parts, servesFrames, cancelAfter) {
  const zeros = new Blob([new Uint8Array(MEBIBYTE)]);
  const file = new Blob(
    parts.flatMap((part) => (typeof part === 'number' ? Array(part).fill(zeros) : [part])),
  );
  const worker = new Worker('/disrupt/web/page/worker.js', { type: 'module' });
  const endFrames = servesFrames ? serveFrames(worker, 1, file) : () => {};
  /** @type {number[]} */
  const progress = [];
  let framesAsked = 0;
  const beganMs = performance.now();
  const { result, refused } = await new Promise((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data }) => {
      if (data.frameAtMs !== undefined) {
        framesAsked++;
        if (!servesFrames) worker.postMessage({ id: 1, shown: { isUnplayable: true } });
      } else if (data.progress === undefined) {
        resolve(data);
      } else {
        progress.push(data.progress);
        if (data.progress >= cancelAfter) worker.postMessage({ id: 1, cancel: true });
      }
    };
    worker.postMessage({ id: 1, file });
  });
  const tookMs = performance.now() - beganMs;
  endFrames();
  worker.terminate();
  return {
    fingerprints: (result?.fingerprints ?? []).map(rowOf),
    incomplete: result?.incomplete ?? false,
    refused: refused ?? {},
    progress,
    framesAsked,
    tookMs,
  };
}

/** @param {import('../../../disrupt/web/page/hashing/fingerprints.js').Fingerprint} fingerprint */
function rowOf({ hash, quality, profile, plan, ordinal, startMs, endMs }) {
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex, quality, profile, plan, ordinal, startMs, endMs];
}
