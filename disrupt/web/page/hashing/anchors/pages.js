/**
 * The page that anchors are found and sampled on: luma of 512 px a side, and its halvings.
 *
 * Port of `disrupt/hashing/anchors/pages.py`, and equal to it: weights are multiples of 2^-24 and
 * pixels of 2^-16, so that sums in 64 bits are exact in any order.
 */

const { fround } = Math;

/** Longer side of a page. */
export const PAGE_PX = 512;

/** Page, and three times its half. */
export const LEVELS = 4;

/** Shortest side of a page that has anchors. */
const MIN_PX = 16;

/** Added to a smaller number and taken away again, they round it, to even where both are as near. */
const TO_IMAGE_STEPS = 3 * 2 ** 35;
const TO_WEIGHT_STEPS = 3 * 2 ** 27;
const TO_INTEGERS = 3 * 2 ** 51;

/** @typedef {{pixels: Float32Array, width: number, height: number}} Image */

/** @typedef {{start: number, weights: Float64Array}} Cell first pixel that a cell reads, and weights */

/**
 * Return the page of luma and its halvings; none of a thin picture.
 * @param {import('../variants.js').Luma} picture
 * @param {number} aspect width over height that the page has, whatever that of the luma is
 * @returns {Image[]}
 */
export function pages(picture, aspect) {
  const shortPx = rounded(PAGE_PX * Math.min(aspect, 1 / aspect));
  if (shortPx < MIN_PX) return [];
  const [width, height] = aspect >= 1 ? [PAGE_PX, shortPx] : [shortPx, PAGE_PX];
  const halved = [averaged(picture, width, height)];
  while (halved.length < LEVELS) halved.push(half(halved[halved.length - 1]));
  return halved;
}

/**
 * Return the nearest integer, the even one of two.
 * @param {number} value
 */
export function rounded(value) {
  return value + TO_INTEGERS - TO_INTEGERS;
}

/**
 * Blur by a Gaussian along both axes, cut at 4 sigma; pixels go on mirrored at the edges.
 * @param {Image} image
 * @param {number} sigmaPx
 * @returns {Image}
 */
export function blurred({ pixels, width, height }, sigmaPx) {
  const weights = gaussian(sigmaPx);
  const radius = weights.length - 1;
  const result = new Float32Array(width * height);
  const columns = mirroredPlaces(width, radius);
  const rows = mirroredPlaces(height, radius);
  const sums = new Float64Array(width);
  const line = new Float64Array(width + 2 * radius);
  for (let row = 0; row < height; row++) {
    addRows(pixels, width, rows, row + radius, weights, sums);
    for (let at = 0; at < line.length; at++) line[at] = sums[columns[at]];
    const to = row * width;
    for (let x = 0; x < width; x++) {
      const centre = x + radius;
      let sum = weights[0] * line[centre];
      for (let away = 1; away <= radius; away++) {
        sum += weights[away] * (line[centre - away] + line[centre + away]);
      }
      result[to + x] = sum + TO_IMAGE_STEPS - TO_IMAGE_STEPS;
    }
  }
  return { pixels: result, width, height };
}

/**
 * Write the blurred row of an image into `sums`.
 * @param {Float32Array} pixels
 * @param {number} width
 * @param {Int32Array} rows of the mirrored image
 * @param {number} centre
 * @param {Float64Array} weights from the centre on
 * @param {Float64Array} sums
 */
function addRows(pixels, width, rows, centre, weights, sums) {
  const from = rows[centre] * width;
  for (let x = 0; x < width; x++) sums[x] = weights[0] * pixels[from + x];
  for (let away = 1; away < weights.length; away++) {
    const [above, below] = [rows[centre - away] * width, rows[centre + away] * width];
    const weight = weights[away];
    for (let x = 0; x < width; x++) sums[x] += weight * (pixels[above + x] + pixels[below + x]);
  }
  for (let x = 0; x < width; x++) sums[x] = sums[x] + TO_IMAGE_STEPS - TO_IMAGE_STEPS;
}

/**
 * Return the pixel at each place from `-radius` to `sizePx + radius`.
 * @param {number} sizePx
 * @param {number} radius
 */
function mirroredPlaces(sizePx, radius) {
  const period = 2 * (sizePx - 1);
  return Int32Array.from({ length: sizePx + 2 * radius }, (_, at) => {
    const place = (((at - radius) % period) + period) % period;
    return Math.min(place, period - place);
  });
}

/**
 * Return the weights from the centre on.
 * @param {number} sigmaPx
 */
function gaussian(sigmaPx) {
  const radius = Math.ceil(4 * sigmaPx);
  const weights = Float64Array.from({ length: radius + 1 }, (_, away) =>
    Math.exp(-(away ** 2) / (2 * sigmaPx ** 2)),
  );
  const sum = 2 * weights.reduce((total, weight) => total + weight) - weights[0];
  return weights.map((weight) => inWeightSteps(weight / sum));
}

/**
 * Average luma over a grid of cells of equal size, without rounding to levels.
 * @param {import('../variants.js').Luma} picture
 * @param {number} width
 * @param {number} height
 * @returns {Image}
 */
function averaged(picture, width, height) {
  const sums = new Float64Array(picture.width);
  const columns = cells(picture.width, width);
  const result = new Float32Array(width * height);
  cells(picture.height, height).forEach(({ start, weights }, row) => {
    sums.fill(0);
    for (let at = 0; at < weights.length; at++) {
      const from = (start + at) * picture.width;
      for (let x = 0; x < sums.length; x++) sums[x] += weights[at] * picture.luma[from + x];
    }
    for (let x = 0; x < sums.length; x++) sums[x] = sums[x] + TO_IMAGE_STEPS - TO_IMAGE_STEPS;
    for (let column = 0; column < width; column++) {
      const cell = columns[column];
      let sum = 0;
      for (let at = 0; at < cell.weights.length; at++) sum += cell.weights[at] * sums[cell.start + at];
      result[row * width + column] = sum + TO_IMAGE_STEPS - TO_IMAGE_STEPS;
    }
  });
  return { pixels: result, width, height };
}

/**
 * Return which pixels of an axis each of `count` cells averages.
 * @param {number} sizePx
 * @param {number} count
 * @returns {Cell[]}
 */
function cells(sizePx, count) {
  return Array.from({ length: count }, (_, at) => {
    const [first, last] = [at * (sizePx / count), (at + 1) * (sizePx / count)];
    const start = Math.floor(first);
    const stop = Math.min(Math.ceil(last), sizePx);
    const weights = Float64Array.from({ length: stop - start }, (_unused, px) => {
      const shared = Math.min(last, start + px + 1) - Math.max(first, start + px);
      return inWeightSteps(Math.max(shared, 0) * (count / sizePx));
    });
    return { start, weights };
  });
}

/** @param {number} weight */
function inWeightSteps(weight) {
  return weight + TO_WEIGHT_STEPS - TO_WEIGHT_STEPS;
}

/**
 * Average 2x2 px; an odd last row or column is left out.
 * @param {Image} page
 * @returns {Image}
 */
function half({ pixels, width, height }) {
  const [columns, rows] = [width >> 1, height >> 1];
  const result = new Float32Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = 2 * (row * width + column);
      const left = fround(pixels[at] + pixels[at + width]);
      const three = fround(left + pixels[at + 1]);
      result[row * columns + column] = fround(three + pixels[at + width + 1]) * 0.25;
    }
  }
  return { pixels: result, width: columns, height: rows };
}
