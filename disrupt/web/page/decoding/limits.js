/** What a video may be, as on the server. */

import { MAX_SIDE_PX } from '../hashing/luma.js';
import { Refusal } from '../refusal.js';

/** Most pixels of a frame, width x height, inclusive. */
const MAX_PIXELS = 4096 * 2304;

const MAX_DURATION_S = 3 * 3600;

/**
 * Refuse frames with too many pixels, or too long a side.
 * @param {number} width
 * @param {number} height
 */
export function checkSize(width, height) {
  if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE_PX)
    throw new Refusal('TOO_LARGE', { detail: 'pixels' });
}

/**
 * Refuse a video that lasts too long.
 * @param {number} timeMs
 */
export function checkTime(timeMs) {
  if (timeMs > 1000 * MAX_DURATION_S) throw new Refusal('TOO_LARGE', { detail: 'duration' });
}
