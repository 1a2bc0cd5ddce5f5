/**
 * Luma of a picture, read in strips: the canonical square by exact integers, and samples at its size.
 *
 * Port of `disrupt/hashing/pdq/luma.py` and of `hash_rgb`.
 */

import { REDUCED_PX, SAMPLES, blurred } from './axes.js';
import { MIN_SIDE_PX, hashSamples, sampledColumns } from './pdq.js';

/** Longest side of a picture, as in JPEG; the exact average relies on it. */
export const MAX_SIDE_PX = 65535;

const LUMA_OF_RGB = [0.299, 0.587, 0.114].map(Math.fround);

/** Luma, 8 bits, of rows that arrive one after the other, averaged over a grid of 512 x 512. */
export class AreaAverage {
  /**
   * @param {number} width at most MAX_SIDE_PX
   * @param {number} height at most MAX_SIDE_PX
   */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.luma = new Uint8Array(REDUCED_PX ** 2);
    this._sums = new Float64Array(width);
    this._cell = 0;
    this._y = 0;
  }

  /**
   * Add the next row. In units of 1/512 pixel, cell i covers [i n, (i + 1) n) of an axis of n pixels
   * and pixel y covers [512 y, 512 (y + 1)): the lengths they share are integers, so sums are exact.
   * @param {Uint8Array} row
   */
  add(row) {
    const { width, height, _sums: sums } = this;
    const top = REDUCED_PX * this._y++;
    const bottom = top + REDUCED_PX;
    while (this._cell < REDUCED_PX && this._cell * height < bottom) {
      const end = (this._cell + 1) * height;
      const shared = Math.min(end, bottom) - Math.max(this._cell * height, top);
      for (let x = 0; x < width; x++) sums[x] += shared * row[x];
      if (end > bottom) return;
      this._finishCell();
    }
  }

  /** Average the sums of a row of cells, and begin the next row. */
  _finishCell() {
    const { width, height, _sums: sums } = this;
    const area = width * height;
    for (let cell = 0; cell < REDUCED_PX; cell++) {
      const left = cell * width;
      const right = left + width;
      let sum = 0;
      for (let x = Math.floor(left / REDUCED_PX); x * REDUCED_PX < right; x++) {
        const from = x * REDUCED_PX;
        sum += (Math.min(right, from + REDUCED_PX) - Math.max(left, from)) * sums[x];
      }
      this.luma[this._cell * REDUCED_PX + cell] = Math.floor((2 * sum + area) / (2 * area));
    }
    sums.fill(0);
    this._cell++;
  }
}

/** The same luma without rounding, blurred and sampled along its columns, row by row. */
class SampledRows {
  /**
   * @param {number} width
   * @param {number} height
   */
  constructor(width, height) {
    this._width = width;
    this._axis = blurred(height);
    this._sums = new Float64Array(SAMPLES * width);
    this._first = 0;
    this._y = 0;
  }

  /** @param {Float32Array} row */
  add(row) {
    const { _axis: axis, _sums: sums, _width: width } = this;
    const y = this._y++;
    const ends = (/** @type {number} */ at) => axis.starts[at] + axis.weights[at].length;
    while (this._first < SAMPLES && ends(this._first) <= y) this._first++;
    for (let at = this._first; at < SAMPLES && axis.starts[at] <= y; at++) {
      const weight = axis.weights[at][y - axis.starts[at]];
      if (!weight) continue;
      const from = at * width;
      for (let x = 0; x < width; x++) sums[from + x] += weight * row[x];
    }
  }

  hashed() {
    const rows = Float32Array.from(this._sums);
    return hashSamples(sampledColumns(rows, this._width, blurred(this._width)));
  }
}

/** What hashing needs of a picture, made of strips of its pixels from top to bottom. */
export class LumaReader {
  /**
   * @param {number} width of the upright picture, at most MAX_SIDE_PX
   * @param {number} height likewise
   */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.isReduced = Math.max(width, height) > REDUCED_PX;
    this._average = this.isReduced ? new AreaAverage(width, height) : null;
    this._luma = this.isReduced ? new Uint8Array(width) : new Uint8Array(width * height);
    this._exact = new Float32Array(width);
    this._full = new SampledRows(width, height);
    this.rowsRead = 0;
  }

  /**
   * Read the next rows.
   * @param {Uint8Array | Uint8ClampedArray} rgba opaque pixels, rows x width x 4
   */
  add(rgba) {
    const { width, _average: average, _exact: exact } = this;
    const [ofRed, ofGreen, ofBlue] = LUMA_OF_RGB;
    const rows = rgba.length / (4 * width);
    for (let row = 0, at = 0; row < rows; row++, this.rowsRead++) {
      const luma = average ? this._luma : this._luma.subarray(this.rowsRead * width);
      for (let x = 0; x < width; x++, at += 4) {
        const red = rgba[at];
        const green = rgba[at + 1];
        const blue = rgba[at + 2];
        luma[x] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
        exact[x] = ofRed * red + ofGreen * green + ofBlue * blue;
      }
      average?.add(luma);
      this._full.add(exact);
    }
  }

  /**
   * Return the luma that PDQ_512 hashes: the picture's own size up to 512 px; when either side is
   * larger, 512 x 512 (aspect not kept). After all rows were read.
   */
  canonical() {
    if (this._average) return { luma: this._average.luma, width: REDUCED_PX, height: REDUCED_PX };
    return { luma: this._luma, width: this.width, height: this.height };
  }

  /** Hash the picture at its own size, PDQ_FULL. After all rows were read. */
  hashFull() {
    if (Math.min(this.width, this.height) < MIN_SIDE_PX) {
      return hashSamples(new Float32Array(SAMPLES ** 2));
    }
    return this._full.hashed();
  }
}
