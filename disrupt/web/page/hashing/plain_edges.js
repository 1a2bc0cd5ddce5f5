/**
 * Edges of a video that are plain all the time, as bars are.
 *
 * Port of what registrations use of `disrupt/hashing/videos/borders.py`.
 */

/** Rows and columns, about, that frames are reduced to: an edge is a quarter percent off. */
const SIDE_PX = 400;

/** Least range of levels in a row that is no bar. */
const VARIED = 12;

/** Smallest side of the video within its frame, and borders so narrow that they are not cut. */
const LEAST = 0.1;
const NARROW = 0.015;

const MIN_FRAMES = 3;

/** Share of a line, at each end of its levels, that codecs smear in from neighbours. */
const SMEARED = 20;

/**
 * What to cut off each side, as shares of the width and height.
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box
 */

/** Learns the edges from frame to frame. For frames of one size: another begins anew. */
export class PlainEdges {
  constructor() {
    this._frames = 0;
    /** @type {boolean[]} */
    this._rows = [];
    /** @type {boolean[]} */
    this._columns = [];
  }

  /**
   * Learn from a frame.
   * @param {import('./videos.js').Luma} luma
   */
  see({ plane, width, height }) {
    const stepX = Math.max(Math.floor(width / SIDE_PX), 1);
    const stepY = Math.max(Math.floor(height / SIDE_PX), 1);
    const columns = Math.ceil(width / stepX);
    const rows = Math.ceil(height / stepY);
    if (this._rows.length !== rows || this._columns.length !== columns) {
      this._rows = Array(rows).fill(false);
      this._columns = Array(columns).fill(false);
      this._frames = 0;
    }
    const down = stepY * width;
    this._rows.forEach((isVaried, row) => {
      this._rows[row] = isVaried || varies(plane, row * down, stepX, columns);
    });
    this._columns.forEach((isVaried, column) => {
      this._columns[column] = isVaried || varies(plane, column * stepX, down, rows);
    });
    this._frames++;
  }

  /**
   * Return the edges: a border, or part of the video; null where none are worth to be cut.
   * @returns {Box | null}
   */
  box() {
    if (this._frames < MIN_FRAMES) return null;
    const [left, right] = edges(this._columns);
    const [top, bottom] = edges(this._rows);
    const isSmall = 1 - left - right < LEAST || 1 - top - bottom < LEAST;
    const isWide = Math.max(left, top, right, bottom) > NARROW;
    return isWide && !isSmall ? { left, top, right, bottom } : null;
  }
}

/**
 * Tell whether the levels of a line range over more than those of a bar.
 * @param {Uint8Array} plane
 * @param {number} from
 * @param {number} step
 * @param {number} length
 */
function varies(plane, from, step, length) {
  const levels = new Uint8Array(length);
  for (let at = 0; at < length; at++) levels[at] = plane[from + at * step];
  levels.sort();
  const cut = Math.floor(length / SMEARED);
  return levels[length - 1 - cut] - levels[cut] > VARIED;
}

/**
 * Return the shares before the first and after the last line that varies; all for none.
 * @param {boolean[]} varied
 */
function edges(varied) {
  const first = varied.indexOf(true);
  if (first < 0) return [0, 1];
  return [first / varied.length, 1 - (varied.lastIndexOf(true) + 1) / varied.length];
}
