/**
 * Hash the chosen files in a worker, one after the other.
 *
 * @module
 */

import { serveFrames } from '../decoding/video_element.js';

/** @typedef {import('../messages/messages.js').Fingerprint} Fingerprint */
/**
 * @typedef {object} Result
 * @property {'IMAGE' | 'VIDEO'} kind
 * @property {Fingerprint[]} fingerprints
 * @property {boolean} [incomplete] only a part of the video could be read
 * @property {number} [framesLeft] frames of an animation that were not hashed
 */
/** @typedef {{result: Result} | {refused: {cause: string, quality?: number}}} Outcome */

/**
 * The file that is being hashed.
 * @typedef {object} Job
 * @property {number} id
 * @property {(outcome: Outcome) => void} end
 * @property {() => void} endFrames frees what shows frames of it
 * @property {(share: number) => void} onProgress
 */

/** The worker of one page. It reads one file at a time, so that an old phone has the memory. */
export class Hasher {
  /** @type {Worker | undefined} */
  #worker;
  #lastId = 0;
  /** @type {Job | undefined} */
  #job;

  /**
   * Hash a file. Not to be called again before it has answered.
   * @param {File} file
   * @param {(share: number) => void} onProgress called with 0 to 1
   * @returns {Promise<Outcome>} never rejects: a worker that fails refuses the file
   */
  hash(file, onProgress) {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      const job = { id, onProgress, end: resolve, endFrames: () => {} };
      this.#job = job;
      try {
        const worker = this.#start();
        // A slice has no name, and so the worker knows none.
        worker.postMessage({ id, file: file.slice() });
        job.endFrames = serveFrames(worker, id, file);
      } catch {
        this.#fail('INTERNAL');
      }
    });
  }

  /** Give up the file that is being hashed. */
  cancel() {
    if (this.#job) this.#worker?.postMessage({ id: this.#job.id, cancel: true });
  }

  /** End the worker, with all that it holds. */
  close() {
    this.#job?.endFrames();
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  #start() {
    if (!this.#worker) {
      this.#worker = new Worker('/worker.js', { type: 'module' });
      this.#worker.onmessage = ({ data }) => this.#hear(data);
      // An error of its script has a message; one that could not be loaded has none.
      this.#worker.onerror = (event) =>
        this.#fail(event instanceof ErrorEvent ? 'INTERNAL' : 'NOT_LOADED');
      this.#worker.onmessageerror = () => this.#fail('INTERNAL');
    }
    return this.#worker;
  }

  /**
   * `serveFrames` hears the messages that ask for a frame.
   * @param {{id: number} & ({progress: number} | {frameAtMs: number} | Outcome)} message
   */
  #hear(message) {
    const job = this.#job;
    if (!job || message.id !== job.id || 'frameAtMs' in message) return;
    if ('progress' in message) {
      job.onProgress(message.progress);
      return;
    }
    this.#job = undefined;
    job.endFrames();
    // The next file gets a worker that tries again.
    if ('refused' in message && message.refused.cause === 'NOT_LOADED') this.close();
    job.end(message);
  }

  /**
   * The worker died, perhaps for want of memory: the next file gets a new one.
   * @param {string} cause
   */
  #fail(cause) {
    this.close();
    const job = this.#job;
    this.#job = undefined;
    job?.end({ refused: { cause } });
  }
}
