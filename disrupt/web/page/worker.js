/**
 * The module worker of the page: files in, fingerprints out. No file leaves it.
 *
 * It takes `{id, file: Blob}` and `{id, cancel: true}`, and answers `{id, progress: 0..1}`, then
 * `{id, result}` or `{id, refused}`, see Result and Refusal. Files are hashed one after the other.
 * For a video that it cannot decode it asks `{id, frameAtMs}`, and gets `{id, shown}`, see
 * `serveFrames`.
 */

import { FrameRequests } from './decoding/element_video.js';
import { readHeader } from './decoding/headers.js';
import { frames } from './decoding/pictures.js';
import { SNIFFED_BYTES, isVideo } from './decoding/sniffing.js';
import { fingerprintPicture } from './hashing/fingerprints.js';
import { LumaReader } from './hashing/luma.js';
import { SHAPES_URL, Shapes } from './hashing/shapes.js';
import { Refusal, needed } from './refusal.js';

/** Share of the time that reading pixels takes, about; the rest is that of the variants. */
const READING_SHARE = 0.6;

/** How long the worker goes on before it looks for messages. */
const TURN_MS = 50;

/** What browsers before 2023 may lack. */
const NEEDED = ['DecompressionStream', 'OffscreenCanvas'];

/**
 * What is registered of a file; `framesLeft` counts the pictures of it that are not.
 * @typedef {object} Result
 * @property {'IMAGE' | 'VIDEO'} kind
 * @property {import('./hashing/fingerprints.js').Fingerprint[]} fingerprints the canonical one first
 * @property {number} [framesLeft]
 * @property {boolean} [incomplete]
 */

/** @typedef {(share: number) => Promise<void>} Step awaited often; throws once it is cancelled */

/** @typedef {{isCancelled: boolean, requests: FrameRequests}} Job */

/** @type {Map<unknown, Job>} */
const jobs = new Map();
let queue = Promise.resolve();

self.addEventListener('message', ({ data: { id, file, cancel, shown } }) => {
  if (cancel || shown) {
    const job = jobs.get(id);
    if (job && cancel) job.isCancelled = true;
    job?.requests.answer(shown ?? { isUnplayable: true });
  } else {
    const requests = new FrameRequests((request) => self.postMessage({ id, ...request }));
    const job = { isCancelled: false, requests };
    jobs.set(id, job);
    queue = queue.then(() => answer(id, file, job));
  }
});

/**
 * Hash a file and post the outcome, whatever happens.
 * @param {unknown} id
 * @param {Blob} file
 * @param {Job} job
 */
async function answer(id, file, job) {
  try {
    const step = steps(id, job);
    await step(0);
    self.postMessage({ id, result: await hash(file, job.requests, step) });
  } catch (error) {
    const refusal =
      error instanceof Refusal ? error : new Refusal('INTERNAL', { detail: String(error) });
    self.postMessage({ id, refused: refusal.refused });
  } finally {
    jobs.delete(id);
  }
}

/**
 * @param {Blob} file
 * @param {FrameRequests} requests
 * @param {Step} step
 * @returns {Promise<Result>}
 */
async function hash(file, requests, step) {
  const lacking = NEEDED.find((name) => !(name in self));
  if (lacking) throw new Refusal('UNSUPPORTED', { detail: `browser without ${lacking}` });
  const header = await readHeader(file);
  if (!header) {
    const head = new Uint8Array(await file.slice(0, SNIFFED_BYTES).arrayBuffer());
    if (!isVideo(head)) throw new Refusal('NOT_MEDIA');
    const { hashVideo } = await needed(import('./hashing/video_files.js'));
    return hashVideo(file, await shapesLoading, requests, step);
  }
  const shapes = await shapesLoading;
  /** @type {import('./hashing/fingerprints.js').LowQuality | undefined} */
  let lowQuality;
  for await (const frame of frames(file, header)) {
    const outcome = await hashFrame(frame, shapes, step);
    if ('fingerprints' in outcome) {
      return { kind: 'IMAGE', fingerprints: outcome.fingerprints, framesLeft: frame.framesLeft };
    }
    lowQuality ??= outcome.refused;
  }
  if (!lowQuality) throw new Refusal('UNREADABLE');
  throw new Refusal(lowQuality.cause, { quality: lowQuality.quality });
}

/**
 * @param {import('./decoding/pictures.js').Frame} frame
 * @param {Shapes} shapes
 * @param {Step} step
 */
async function hashFrame({ width, height, strips }, shapes, step) {
  const reader = new LumaReader(width, height);
  for (const strip of strips) {
    reader.add(strip);
    await step((READING_SHARE * reader.rowsRead) / height);
  }
  return fingerprintPicture(reader, shapes, (share) =>
    step(READING_SHARE + (1 - READING_SHARE) * share),
  );
}

/** Load the hashes of shapes. */
async function loadShapes() {
  const { ok, body } = await fetch(SHAPES_URL);
  if (!ok || !body) throw new Error('shapes are missing');
  return Shapes.unpack(body);
}

// Loaded before the first file, so that hashing goes on without a network.
const shapesLoading = needed(loadShapes());
shapesLoading.catch(() => {});

/**
 * Return a function that tells the page of progress, and lets messages in, now and then.
 * @param {unknown} id
 * @param {Job} job
 * @returns {Step}
 */
function steps(id, job) {
  let nextMs = 0;
  return async (share) => {
    if (performance.now() < nextMs) return;
    self.postMessage({ id, progress: share });
    await messagesRead();
    if (job.isCancelled) throw new Refusal('CANCELLED');
    nextMs = performance.now() + TURN_MS;
  };
}

/** Wait until the messages that have come are read; a timer would wait longer. */
function messagesRead() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(null);
  });
}
