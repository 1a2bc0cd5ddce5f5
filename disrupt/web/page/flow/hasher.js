/**
 * Hash the chosen files in a worker, one after the other.
 *
 * @module
 */

import { serveFrames } from '../decoding/video_element.js';

/** @typedef {import('../messages/messages.js').Media} Media */
/** @typedef {{media: Media} | {reason: string}} Outcome */
/**
 * The file that is being hashed.
 * @typedef {object} Job
 * @property {number} id
 * @property {(outcome: Outcome) => void} end
 * @property {() => void} endFrames frees what shows frames of it
 * @property {(share: number) => void} onShare
 */

/** The worker of one page. It reads one file at a time, so that an old phone has the memory. */
export class Hasher {
  /** @type {Worker | undefined} */
  #worker;
  #lastId = 0;
  /** @type {Job | undefined} */
  #job;
  /** @type {Promise<unknown>} the file before has its outcome */
  #before = Promise.resolve();

  /**
   * Hash a file, after those of earlier calls.
   * @param {File} file
   * @param {(share: number) => void} onShare called with 0 to 1
   * @param {AbortSignal} signal gives the file up: it is refused
   * @returns {Promise<Outcome>} never rejects: a worker that fails refuses the file
   */
  hash(file, onShare, signal) {
    const outcome = this.#before.then(() =>
      signal.aborted ? { reason: 'cancelled' } : this.#hash(file, onShare, signal),
    );
    this.#before = outcome;
    return outcome;
  }

  /**
   * @param {File} file
   * @param {(share: number) => void} onShare
   * @param {AbortSignal} signal
   * @returns {Promise<Outcome>}
   */
  #hash(file, onShare, signal) {
    const id = ++this.#lastId;
    signal.addEventListener('abort', () => this.#worker?.postMessage({ type: 'cancel', id }));
    return new Promise((resolve) => {
      const job = { id, onShare, end: resolve, endFrames: () => {} };
      this.#job = job;
      try {
        const worker = this.start();
        job.endFrames = serveFrames(worker, id, file);
        worker.postMessage({ type: 'hash', id, file });
      } catch {
        this.#fail('internal');
      }
    });
  }

  /** End the worker, with all that it holds. */
  close() {
    this.#job?.endFrames();
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  /** Load the worker, and what it needs, before the first file. */
  start() {
    if (!this.#worker) {
      this.#worker = new Worker('/worker.js', { type: 'module' });
      this.#worker.onmessage = ({ data }) => this.#hear(data);
      // An error of its script has a message; one that could not be loaded has none.
      this.#worker.onerror = (event) =>
        this.#fail(event instanceof ErrorEvent ? 'internal' : 'not-loaded');
      this.#worker.onmessageerror = () => this.#fail('internal');
    }
    return this.#worker;
  }

  /** @param {{type: string, id: number, share: number, media: Media, reason: string}} message */
  #hear({ type, id, share, media, reason }) {
    if (id !== this.#job?.id) return;
    if (type === 'progress') this.#job.onShare(share);
    else if (type === 'done') this.#end({ media });
    // The next file gets a worker that tries again.
    else if (reason === 'not-loaded') this.#fail(reason);
    else if (type === 'refused') this.#end({ reason });
  }

  /**
   * The worker died, perhaps for want of memory: the next file gets a new one.
   * @param {string} reason
   */
  #fail(reason) {
    this.close();
    this.#end({ reason });
  }

  /** @param {Outcome} outcome */
  #end(outcome) {
    const job = this.#job;
    this.#job = undefined;
    job?.endFrames();
    job?.end(outcome);
  }
}

/** @param {File} file */
export function kindOf({ name, type }) {
  return type.startsWith('video/') || /\.(mkv|avi|mov|mp4|webm)$/i.test(name) ? 'video' : 'picture';
}
