/**
 * Extrema of the differences of an octave's scales, placed between pixels.
 *
 * Port of `_extrema` in `disrupt/hashing/anchors/detection.py`, in the same order of operations.
 */

import { rounded } from './pages.js';

/** Scales an octave at which extrema are looked for. */
export const LAYERS = 3;

/** Blur of the first scale of an octave. */
export const SIGMA_PX = 1.6;

export const BORDER_PX = 5;

/** Least difference of Gaussians at an extremum, in levels; half of it before it is placed. */
const MIN_CONTRAST = 1.02;

/** Largest ratio of the principal curvatures: a line has a larger one. */
const MAX_EDGE = 30;

const HALF = 0.5;
const NO_DETERMINANT = 1e-12;
const FAR = 1e6;

/** Most times that an extremum is placed anew, at the neighbour that it lies nearer to. */
const MOVES = 5;

/**
 * An extremum of an octave: layer, row and column, as placed; its blur in px of the octave.
 * @typedef {object} Extremum
 * @property {number} layer
 * @property {number} row
 * @property {number} column
 * @property {number} x
 * @property {number} y
 * @property {number} sigma
 * @property {number} response
 */

/** Differences of the scales of an octave, one after the other: 5 x height x width. */
class Differences {
  /** @param {import('./pages.js').Image[]} scales */
  constructor(scales) {
    const { width, height } = scales[0];
    this.width = width;
    this.height = height;
    this.area = width * height;
    this.values = new Float32Array(this.area * (scales.length - 1));
    for (let at = 1; at < scales.length; at++) {
      const [before, after] = [scales[at - 1].pixels, scales[at].pixels];
      const from = (at - 1) * this.area;
      for (let px = 0; px < this.area; px++) this.values[from + px] = after[px] - before[px];
    }
    const neighbours = [];
    for (const layer of [0, -this.area, this.area]) {
      for (const row of [0, -width, width]) {
        for (const column of [0, -1, 1]) neighbours.push(layer + row + column);
      }
    }
    this._neighbours = Int32Array.from(neighbours.slice(1));
  }

  /**
   * Tell whether no neighbour in place and scale exceeds a value.
   * @param {number} at
   */
  isExtreme(at) {
    const { values, _neighbours: neighbours } = this;
    const value = values[at];
    if (value > MIN_CONTRAST / 2) {
      for (let of = 0; of < neighbours.length; of++) {
        if (values[at + neighbours[of]] > value) return false;
      }
      return true;
    }
    if (value < -MIN_CONTRAST / 2) {
      for (let of = 0; of < neighbours.length; of++) {
        if (values[at + neighbours[of]] < value) return false;
      }
      return true;
    }
    return false;
  }
}

/**
 * Return the extrema of an octave.
 * @param {import('./pages.js').Image[]} scales six of them
 * @returns {Extremum[]}
 */
export function extremaOf(scales) {
  const differences = new Differences(scales);
  const { width, height, area } = differences;
  const extrema = [];
  const taken = new Set();
  for (let layer = 1; layer <= LAYERS; layer++) {
    for (let row = BORDER_PX; row < height - BORDER_PX; row++) {
      const from = layer * area + row * width;
      for (let column = BORDER_PX; column < width - BORDER_PX; column++) {
        if (!differences.isExtreme(from + column)) continue;
        const extremum = placed(differences, layer, row, column);
        if (!extremum) continue;
        // Several candidates may settle at one place.
        const key = extremum.layer * area + extremum.row * width + extremum.column;
        if (!taken.has(key)) extrema.push(extremum);
        taken.add(key);
      }
    }
  }
  return extrema;
}

/**
 * Place an extremum where a quadratic has it; null where it does not settle, is weak or an edge.
 * @param {Differences} differences
 * @param {number} layer
 * @param {number} row
 * @param {number} column
 * @returns {Extremum | null}
 */
function placed({ values, width, height, area }, layer, row, column) {
  for (let move = 0; move < MOVES; move++) {
    const at = layer * area + row * width + column;
    const here = values[at];
    const gradient = [area, width, 1].map((step) => (values[at + step] - values[at - step]) / 2);
    const [a, d, f] = [area, width, 1].map(
      (step) => values[at + step] + values[at - step] - 2 * here,
    );
    const b = crossed(values, at, width, area);
    const c = crossed(values, at, 1, area);
    const e = crossed(values, at, 1, width);
    const step = solved([a, b, c, d, e, f], gradient);
    if (step.every((length) => Math.abs(length) < HALF)) {
      const rise = gradient[0] * step[0] + gradient[1] * step[1] + gradient[2] * step[2];
      const response = Math.abs(here + 0.5 * rise);
      if (response < MIN_CONTRAST || !isNoEdge(d, e, f)) return null;
      const sigma = SIGMA_PX * 2 ** ((layer + step[0]) / LAYERS);
      return { layer, row, column, x: column + step[2], y: row + step[1], sigma, response };
    }
    const [up, down, right] = step.map((length) => rounded(Math.min(Math.max(length, -FAR), FAR)));
    layer += up;
    row += down;
    column += right;
    const isWithin =
      layer >= 1 &&
      layer <= LAYERS &&
      row >= BORDER_PX &&
      row < height - BORDER_PX &&
      column >= BORDER_PX &&
      column < width - BORDER_PX;
    if (!isWithin) return null;
  }
  return null;
}

/**
 * Return the mixed derivative along two axes.
 * @param {Float32Array} values
 * @param {number} at
 * @param {number} first
 * @param {number} second
 */
function crossed(values, at, first, second) {
  const [both, mixed] = [first + second, first - second];
  return (values[at + both] - values[at + mixed] - values[at - mixed] + values[at - both]) / 4;
}

/**
 * Return the way to where the gradient ends, by Cramer's rule; far away where there is none.
 * @param {number[]} hessian upper half, by rows
 * @param {number[]} gradient
 */
function solved([a, b, c, d, e, f], gradient) {
  const adjugate = [
    [d * f - e * e, c * e - b * f, b * e - c * d],
    [c * e - b * f, a * f - c * c, b * c - a * e],
    [b * e - c * d, b * c - a * e, a * d - b * b],
  ];
  const determinant = a * adjugate[0][0] + b * adjugate[0][1] + c * adjugate[0][2];
  if (Math.abs(determinant) < NO_DETERMINANT) return [FAR, FAR, FAR];
  return adjugate.map(
    (row) => (row[0] * -gradient[0] + row[1] * -gradient[1] + row[2] * -gradient[2]) / determinant,
  );
}

/**
 * Tell whether the two curvatures in the plane are of one sign and not too different.
 * @param {number} down
 * @param {number} mixed
 * @param {number} across
 */
function isNoEdge(down, mixed, across) {
  const trace = down + across;
  const determinant = down * across - mixed * mixed;
  return determinant > 0 && trace * trace * MAX_EDGE < (MAX_EDGE + 1) ** 2 * determinant;
}
