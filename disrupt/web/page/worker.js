/**
 * The module worker of the page: files in, fingerprints out. No file leaves it.
 *
 * It takes `{type: 'hash', id, file}` and `{type: 'cancel', id}`, and answers `{type: 'progress',
 * id, share}`, then `{type: 'done', id, media}` or `{type: 'refused', id, reason, quality}`: see
 * Media and Refusal. Files are hashed one after the other. For a video that it does not decode it
 * asks the page for frames, see `decoding/video_element.js`.
 */

import { ElementVideo } from './decoding/element_video.js';
import { SNIFFED_BYTES, formatOf } from './decoding/formats.js';
import { frames } from './decoding/pictures.js';
import { DecodedVideo } from './decoding/videos.js';
import { fingerprintPicture } from './hashing/fingerprints.js';
import { LumaReader } from './hashing/luma.js';
import { Shapes } from './hashing/shapes.js';
import { fingerprintVideo } from './hashing/videos.js';
import { Refusal, needed } from './refusal.js';

/** Share of the time that reading pixels takes, about; the rest is that of the variants. */
const READING_SHARE = 0.6;

/** Time without a frame of the page after which its video is given up. */
const UNANSWERED_MS = 60_000;

/** How long the worker goes on before it looks for messages. */
const TURN_MS = 50;

/**
 * What is registered of a file, in columns as in proto/: n fingerprints, the canonical one first.
 * @typedef {object} Media
 * @property {'picture' | 'video'} kind
 * @property {Uint8Array} hashes n x 32 bytes
 * @property {Uint8Array} qualities
 * @property {number[]} profiles
 * @property {number[]} plans
 * @property {number[]} ordinals
 * @property {number[]} [startMs] of a video
 * @property {number[]} [endMs] of a video
 * @property {boolean} [firstFrameOnly] of an animation
 * @property {boolean} [incomplete] of a video: the file ended early, or holds other videos
 */

/** @typedef {(share: number) => Promise<void>} Step awaited often; throws once it is cancelled */
/** @typedef {import('./decoding/element_video.js').Shown} Shown */
/** @typedef {{isCancelled: boolean, take: (shown: Shown) => void}} Job */

/** @type {Map<unknown, Job>} */
const jobs = new Map();
let queue = Promise.resolve();

self.addEventListener('message', ({ data }) => {
  const { type, id, file } = data;
  const job = jobs.get(id);
  if (type === 'hash') {
    const added = { isCancelled: false, take: () => {} };
    jobs.set(id, added);
    queue = queue.then(() => answer(id, file, added));
  } else if (job) {
    if (type === 'cancel') job.isCancelled = true;
    job.take(data);
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
    self.postMessage({ type: 'done', id, media: await hash(file, step, asking(id, job)) });
  } catch (error) {
    // A RangeError: an array of so many pixels cannot be allocated.
    const unforeseen = error instanceof RangeError ? 'no-memory' : 'internal';
    const { reason, quality } = error instanceof Refusal ? error : new Refusal(unforeseen);
    self.postMessage({ type: 'refused', id, reason, quality });
  } finally {
    jobs.delete(id);
  }
}

/** @typedef {(atMs: number) => Promise<Shown>} Ask ask the page for a frame of a video */

/**
 * @param {Blob} file
 * @param {Step} step
 * @param {Ask} ask
 * @returns {Promise<Media>}
 */
async function hash(file, step, ask) {
  if (!file.size) throw new Refusal('empty');
  const format = formatOf(new Uint8Array(await file.slice(0, SNIFFED_BYTES).arrayBuffer()));
  if (!format) throw new Refusal('not-media');
  if (format === 'document') throw new Refusal('document');
  if (format === 'other') throw new Refusal('unsupported');
  const shapes = await shapesLoading;
  if (format === 'video') return hashVideo(file, shapes, step, ask);
  return hashPicture(file, format, shapes, step);
}

/**
 * @param {Blob} file
 * @param {Shapes} shapes
 * @param {Step} step
 * @param {Ask} ask
 */
async function hashVideo(file, shapes, step, ask) {
  const video = await opened(file, ask);
  try {
    const media = columns('video', await fingerprintVideo(video, shapes, step));
    return video.isIncomplete ? { ...media, incomplete: true } : media;
  } finally {
    video.close();
  }
}

/**
 * Open a video by WebCodecs, or else by what the page's video element shows.
 * @param {Blob} file
 * @param {Ask} ask
 */
async function opened(file, ask) {
  try {
    return await DecodedVideo.open(file);
  } catch (error) {
    const isLacking = error instanceof Refusal && error.reason === 'unsupported';
    const video = isLacking && (await ElementVideo.open(ask));
    if (!video) throw error;
    return video;
  }
}

/**
 * Fingerprint the first frame that is not of low quality.
 * @param {Blob} file
 * @param {import('./decoding/formats.js').Format} format
 * @param {Shapes} shapes
 * @param {Step} step
 */
async function hashPicture(file, format, shapes, step) {
  /** @type {import('./hashing/fingerprints.js').LowQuality | undefined} */
  let lowQuality;
  for await (const { width, height, strips, isOneOfMany } of frames(file, format)) {
    const reader = new LumaReader(width, height);
    for (const strip of strips) {
      reader.add(strip);
      await step((READING_SHARE * reader.rowsRead) / height);
    }
    const outcome = await fingerprintPicture(reader, shapes, (share) =>
      step(READING_SHARE + (1 - READING_SHARE) * share),
    );
    if (Array.isArray(outcome)) {
      const media = columns('picture', outcome);
      return isOneOfMany ? { ...media, firstFrameOnly: true } : media;
    }
    lowQuality ??= outcome;
  }
  throw lowQuality
    ? new Refusal(lowQuality.reason, lowQuality.quality)
    : new Refusal('unreadable');
}

/**
 * @param {'picture' | 'video'} kind
 * @param {import('./hashing/fingerprints.js').Fingerprint[]} fingerprints
 * @returns {Media}
 */
function columns(kind, fingerprints) {
  const hashes = new Uint8Array(32 * fingerprints.length);
  fingerprints.forEach(({ hash }, at) => hashes.set(hash, 32 * at));
  const times = kind === 'video' && {
    startMs: fingerprints.map(({ startMs }) => startMs),
    endMs: fingerprints.map(({ endMs }) => endMs),
  };
  return {
    ...times,
    kind,
    hashes,
    qualities: Uint8Array.from(fingerprints, ({ quality }) => quality),
    profiles: fingerprints.map(({ profile }) => profile),
    plans: fingerprints.map(({ plan }) => plan),
    ordinals: fingerprints.map(({ ordinal }) => ordinal),
  };
}

/** Load the hashes of shapes, before the first file, so that hashing goes on without a network. */
async function loadShapes() {
  const response = await fetch(new URL('./hashing/shapes.npy', import.meta.url));
  if (!response.ok) throw new Error('no shapes');
  return new Shapes(await response.arrayBuffer());
}

const shapesLoading = needed(loadShapes());
shapesLoading.catch(() => {});

/**
 * Return a function that asks the page for a frame of a video.
 * @param {unknown} id
 * @param {Job} job
 * @returns {Ask}
 */
function asking(id, job) {
  return async (atMs) => {
    self.postMessage({ type: 'frame', id, atMs });
    const shown = await new Promise((/** @type {(shown: Shown) => void} */ resolve) => {
      job.take = resolve;
      setTimeout(resolve, UNANSWERED_MS, { durationMs: 0 });
    });
    if (job.isCancelled) throw new Refusal('cancelled');
    return shown;
  };
}

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
    self.postMessage({ type: 'progress', id, share });
    await messagesRead();
    if (job.isCancelled) throw new Refusal('cancelled');
    nextMs = performance.now() + TURN_MS;
  };
}

const turns = new MessageChannel();
let turn = () => {};
turns.port1.onmessage = () => turn();

/** Wait until the messages that have come are read; a timer would wait longer. */
function messagesRead() {
  return new Promise((resolve) => {
    turn = () => resolve(undefined);
    turns.port2.postMessage(null);
  });
}
