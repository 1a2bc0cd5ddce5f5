/** When frames are shown, and which of them are hashed. */

/** A frame may stand in for one without detail this often, and four times in an interval. */
const SUBSTITUTE_MS = 125;

/** When frames are shown: steady times in ms from the first frame, however a file counts. */
export class Clock {
  constructor() {
    this.timeMs = 0;
    this.frames = 0;
    this._firstMs = 0;
  }

  /**
   * Return the time of the next frame, in whole ms.
   * @param {number} statedMs by the file
   * @param {number} periodMs after the last frame, where the stated time lies before it
   */
  next(statedMs, periodMs) {
    if (!this.frames++) {
      this._firstMs = statedMs;
    } else if (statedMs - this._firstMs < this.timeMs) {
      this.timeMs += periodMs;
      this._firstMs = statedMs - this.timeMs;
    } else {
      this.timeMs = statedMs - this._firstMs;
    }
    return roundHalfEven(this.timeMs);
  }
}

/** Chooses the first frame, then the first at or after each multiple of the interval. */
export class Schedule {
  /** @param {number} intervalMs */
  constructor(intervalMs) {
    this._intervalMs = intervalMs;
    this._substituteMs = substituteMs(intervalMs);
    this._dueMs = -1;
    this._lastMs = -1;
  }

  /**
   * Tell what a frame is for; undefined for nothing. Call it for frames in their order.
   * @param {number} timeMs
   * @returns {'SCHEDULED' | 'SUBSTITUTE' | undefined}
   */
  offer(timeMs) {
    const isDue =
      Math.floor(timeMs / this._intervalMs) > Math.floor(this._dueMs / this._intervalMs);
    if (!isDue && timeMs - this._lastMs < this._substituteMs) return undefined;
    this._lastMs = timeMs;
    if (!isDue) return 'SUBSTITUTE';
    this._dueMs = timeMs;
    return 'SCHEDULED';
  }
}

/**
 * Return the time between frames that may stand in for one without detail.
 * @param {number} intervalMs
 */
export function substituteMs(intervalMs) {
  return Math.min(SUBSTITUTE_MS, intervalMs / 4);
}

/**
 * Round to the next integer, halves to an even one, as Python does.
 * @param {number} value
 */
export function roundHalfEven(value) {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
