/** A page that has files hashed by the worker. */

import { rowOf } from './comparison.js';

const worker = new Worker('/disrupt/web/page/worker.js', { type: 'module' });

/** @type {Map<number, {done: (answer: any) => void, progress: number[]}>} */
const waiting = new Map();
let last = 0;

worker.addEventListener('message', ({ data }) => {
  const job = waiting.get(data.id);
  if (!job) throw new Error('an answer to nothing');
  if ('progress' in data) {
    job.progress.push(data.progress);
    return;
  }
  waiting.delete(data.id);
  job.done({ ...data, progress: job.progress });
});
worker.addEventListener('error', ({ message }) => {
  for (const { done } of waiting.values()) done({ failed: message });
});

/**
 * Hash a file; fingerprints as rows of text.
 * @param {Blob} file
 * @param {(cancel: () => void) => void} [started]
 */
export async function hash(file, started) {
  const id = ++last;
  const { result, refused, failed, progress } = await new Promise((done) => {
    waiting.set(id, { done, progress: [] });
    // As the page does: a slice has no name, and no type.
    worker.postMessage({ id, file: file.slice() });
    started?.(() => worker.postMessage({ id, cancel: true }));
  });
  if (!result) return { refused, failed, progress };
  const { kind, fingerprints, framesLeft } = result;
  return { kind, fingerprints: fingerprints.map(rowOf), framesLeft, progress };
}

/**
 * Hash files that the test serves.
 * @param {string[]} names
 */
export async function hashFiles(names) {
  /** @type {Record<string, any>} */
  const outcomes = {};
  for (const name of names) {
    const file = await (await fetch(`/files/${name}`)).blob();
    const beganMs = performance.now();
    outcomes[name] = await hash(file);
    outcomes[name].ms = Math.round(performance.now() - beganMs);
  }
  return outcomes;
}
