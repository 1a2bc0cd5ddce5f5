/**
 * Why a file has no fingerprints.
 * @typedef {'empty' | 'not-media' | 'document' | 'unsupported' | 'unreadable' | 'too-large' |
 *   'video-too-long' | 'featureless' | 'too-regular' | 'noise' | 'no-memory' | 'not-loaded' |
 *   'cancelled' | 'internal'} Reason
 */

/** An outcome of hashing that the page explains to the person. */
export class Refusal extends Error {
  /**
   * @param {Reason} reason
   * @param {number} [quality] of a picture that is featureless or too regular
   */
  constructor(reason, quality) {
    super(reason);
    this.reason = reason;
    this.quality = quality;
  }
}

/**
 * Wait for a part of the page that is loaded only when it is needed; refused `not-loaded` where it
 * does not come, as without a network. A worker remembers that of a module: the next file needs a
 * new worker.
 * @template Part
 * @param {Promise<Part>} load
 * @returns {Promise<Part>}
 */
export async function needed(load) {
  try {
    return await load;
  } catch {
    throw new Refusal('not-loaded');
  }
}
