/**
 * Why a file has no fingerprints.
 * @typedef {'FEATURELESS' | 'TOO_REGULAR' | 'UNREADABLE' | 'NOT_MEDIA' | 'TOO_LARGE' |
 *   'UNSUPPORTED' | 'CANVAS_NOISE' | 'NOT_LOADED' | 'CANCELLED' | 'INTERNAL'} Cause
 */

/** An outcome of hashing that the page explains to the person. */
export class Refusal extends Error {
  /**
   * @param {Cause} cause
   * @param {{quality?: number, detail?: string}} [more] `detail` for developers: of no file
   */
  constructor(cause, more = {}) {
    super(cause);
    this.name = 'Refusal';
    /** @type {{cause: Cause, quality?: number, detail?: string}} */
    this.refused = { cause, ...more };
  }
}

/**
 * Wait for a part of the page that is loaded only when it is needed. NOT_LOADED where it does not
 * come, as without a network; a worker remembers that of a module, so the next file needs a new one.
 * @template Part
 * @param {Promise<Part>} load
 * @returns {Promise<Part>}
 */
export async function needed(load) {
  try {
    return await load;
  } catch (error) {
    if (error instanceof SyntaxError) throw new Refusal('UNSUPPORTED', { detail: 'module' });
    throw new Refusal('NOT_LOADED');
  }
}
