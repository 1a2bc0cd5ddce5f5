/**
 * Weights of the pixels of an axis in 64 samples: how PDQ blurs, samples, averages and crops.
 *
 * Port of `disrupt/hashing/pdq/linear.py` and `regions/crops.py`.
 */

export const SAMPLES = 64;

/** Side of the square that PDQ_512 averages a picture to. */
export const REDUCED_PX = 512;

const WHOLE_PERMILLE = 1000;
const MOST_AXES = 1024;

/**
 * The first pixel of each sample, and the weights from there on.
 * @typedef {{starts: number[], weights: Float32Array[]}} Axis
 */

/** @type {Map<string, Axis>} */
const axes = new Map();

/**
 * Return the blur and sampling of an axis of `sizePx` pixels.
 * @param {number} sizePx
 * @returns {Axis}
 */
export function blurred(sizePx) {
  return cached(`${sizePx}`, () => {
    const { starts, weights } = blurWeights(sizePx);
    return { starts, weights: weights.map((row) => Float32Array.from(row)) };
  });
}

/**
 * Return the average over 512 cells of equal length, then blur and sampling of those.
 * @param {number} sizePx
 * @returns {Axis}
 */
export function reduced(sizePx) {
  return cached(`${sizePx} reduced`, () => {
    const { starts, weights } = blurWeights(REDUCED_PX);
    const firsts = starts.map((start) => Math.floor((start * sizePx) / REDUCED_PX));
    const rows = starts.map((start, at) => {
      const last = Math.ceil(((start + weights[at].length) * sizePx) / REDUCED_PX);
      const cell = (/** @type {number} */ edge) => edge * (REDUCED_PX / sizePx) - start;
      return differences(runningSums(weights[at]), firsts[at], last, cell);
    });
    return { starts: firsts, weights: rows };
  });
}

/**
 * Return the same of an interval of an axis, in thousandths; edges may lie between pixels.
 * @param {number} sizePx
 * @param {number} start
 * @param {number} stop
 * @returns {Axis}
 */
export function cropped(sizePx, start, stop) {
  return cached(`${sizePx} ${start} ${stop}`, () => {
    const sums = cellSums();
    const share = (stop - start) / REDUCED_PX;
    const { starts, weights } = blurWeights(REDUCED_PX);
    const pixel = (/** @type {number} */ cell) =>
      ((start + cell * share) * sizePx) / WHOLE_PERMILLE;
    const firsts = starts.map((cell) => Math.floor(pixel(cell)));
    const rows = starts.map((first, at) => {
      const last = Math.min(Math.ceil(pixel(first + weights[at].length)), sizePx);
      const cell = (/** @type {number} */ edge) =>
        (edge * (WHOLE_PERMILLE / sizePx) - start) * (REDUCED_PX / (stop - start));
      return differences(sums[at], firsts[at], last, cell);
    });
    return { starts: firsts, weights: rows };
  });
}

/**
 * Return the samples of an axis as if it were mirrored.
 * @param {Axis} axis
 * @param {number} sizePx
 * @returns {Axis}
 */
export function mirrored({ starts, weights }, sizePx) {
  return {
    starts: starts.map((start, at) => sizePx - start - weights[at].length),
    weights: weights.map((row) => row.slice().reverse()),
  };
}

/**
 * @param {string} key
 * @param {() => Axis} make
 */
function cached(key, make) {
  let axis = axes.get(key);
  if (!axis) {
    if (axes.size >= MOST_AXES) axes.clear();
    axis = make();
    axes.set(key, axis);
  }
  return axis;
}

/**
 * Return blur and sampling as `box1DFloat` and `decimateFloat` of the reference have it.
 *
 * Windows have ceil(n / 128) pixels, one more after the centre than before it when that is even,
 * and are cut off at the edges.
 * @param {number} sizePx
 * @returns {{starts: number[], weights: Float64Array[]}}
 */
function blurWeights(sizePx) {
  const windowPx = Math.ceil(sizePx / 128);
  const afterPx = windowPx >> 1;
  const first = (/** @type {number} */ at) => Math.max(at - (windowPx - 1 - afterPx), 0);
  const stop = (/** @type {number} */ at) => Math.min(at + afterPx + 1, sizePx);
  const share = (/** @type {number} */ at) => 1 / (stop(at) - first(at));
  const starts = [];
  const weights = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const centre = Math.floor(((2 * sample + 1) * sizePx) / 128);
    const start = first(first(centre));
    const steps = new Float64Array(stop(stop(centre) - 1) - start + 1);
    // Each box of the second pass is one step up and one down.
    for (const [edge, sign] of /** @type {const} */ ([[first, 1], [stop, -1]])) {
      for (let box = first(centre); box < stop(centre); box++) {
        steps[edge(box) - start] += sign * share(box) * share(centre);
      }
    }
    starts.push(start);
    weights.push(runningSums(steps).subarray(1, steps.length));
  }
  return { starts, weights };
}

/** @type {Float64Array[] | undefined} */
let sumsOfCells;

/** Return, for each sample, the sum of the weights before each of the 512 cells: 64 x 513. */
function cellSums() {
  if (!sumsOfCells) {
    const { starts, weights } = blurWeights(REDUCED_PX);
    sumsOfCells = starts.map((start, at) => {
      const cells = new Float64Array(REDUCED_PX);
      cells.set(weights[at], start);
      return runningSums(cells);
    });
  }
  return sumsOfCells;
}

/**
 * Return the sums of the values before each place, and of all.
 * @param {Float64Array} values
 */
function runningSums(values) {
  const sums = new Float64Array(values.length + 1);
  for (let at = 0; at < values.length; at++) sums[at + 1] = sums[at] + values[at];
  return sums;
}

/**
 * Return the weight of each pixel from `first` to `last`: that of the cells that it lies in.
 * @param {Float64Array} sums of the weights of cells, before each of them
 * @param {number} first
 * @param {number} last
 * @param {(edge: number) => number} cell place of the edge before a pixel, among the cells
 */
function differences(sums, first, last, cell) {
  const cells = sums.length - 1;
  const weights = new Float32Array(last - first);
  let before = 0;
  for (let edge = first; edge <= last; edge++) {
    const place = Math.min(Math.max(cell(edge), 0), cells);
    const whole = Math.min(Math.floor(place), cells - 1);
    const at = sums[whole] + (place - whole) * (sums[whole + 1] - sums[whole]);
    if (edge > first) weights[edge - first - 1] = at - before;
    before = at;
  }
  return weights;
}
