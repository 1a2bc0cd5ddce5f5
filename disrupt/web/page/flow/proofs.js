/**
 * Pay for earlier turns by proofs of work, where the service asks for some. Without one everything
 * is registered all the same, and goes live later.
 *
 * @module
 */

import { getChallenge } from '../messages/calls.js';

/** Most pictures of one challenge, as many as the service takes. */
const MOST_PICTURES = 64;

/** For how long sending waits for proofs, once in all. */
const PATIENCE_MS = 10_000;

/** @typedef {{text: string, left: number}} Proof what is sent, and how many pictures it pays for */

/** The proofs of one visit. */
export class Proofs {
  /** @type {Proof[]} */
  #proofs = [];
  /** Until there are no more to come. */
  #coming = Promise.resolve();
  /** @type {Promise<unknown> | undefined} */
  #patience;
  /** @type {Worker | undefined} */
  #worker;

  /**
   * Ask whether so many pictures need a proof, and find it; one after the other.
   * @param {number} pictures
   */
  ask(pictures) {
    this.#coming = this.#coming.then(() => this.#add(Math.min(pictures, MOST_PICTURES)));
  }

  /**
   * Return the proof that pays for the most; wait a little for those that are to come.
   * @param {AbortSignal} signal ends the wait
   * @returns {Promise<Proof | undefined>}
   */
  async best(signal) {
    this.#patience ??= new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
    const stopped = new Promise((resolve) => signal.addEventListener('abort', resolve));
    await Promise.race([this.#coming, this.#patience, stopped]);
    return this.#proofs.filter(({ left }) => left > 0).sort((one, other) => other.left - one.left)[0];
  }

  /** End the worker. */
  close() {
    this.#worker?.terminate();
  }

  /** @param {number} pictures */
  async #add(pictures) {
    const challenge = await getChallenge({ pictures }).catch(() => '');
    const text = challenge && (await this.#solve(challenge));
    if (text) this.#proofs.push({ text, left: pictures });
  }

  /**
   * Return the proof, or nothing if the worker fails.
   * @param {string} challenge
   * @returns {Promise<string>}
   */
  async #solve(challenge) {
    try {
      return await new Promise((resolve, reject) => {
        const worker = (this.#worker = new Worker('/proof_worker.js', { type: 'module' }));
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = reject;
        worker.postMessage(challenge);
      });
    } catch {
      return '';
    } finally {
      this.close();
    }
  }
}
