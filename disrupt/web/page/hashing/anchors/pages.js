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
    blurLine(line, weights, result, row * width, width);
  }
  return { pixels: result, width, height };
}

/**
 * Blur a line of pixels that goes on at both ends.
 * @param {Float64Array} line
 * @param {Float64Array} weights from the centre on
 * @param {Float32Array} result
 * @param {number} to
 * @param {number} width
 */
function blurLine(line, weights, result, to, width) {
  const radius = weights.length - 1;
  for (let x = 0; x < width; x++) {
    const centre = x + radius;
    let sum = weights[0] * line[centre];
    for (let away = 1; away <= radius; away++) {
      sum += weights[away] * (line[centre - away] + line[centre + away]);
    }
    result[to + x] = sum + TO_IMAGE_STEPS - TO_IMAGE_STEPS;
  }
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
  let away = 1;
  // Two pairs of rows at a time: each sum is read and written once for them.
  for (; away + 1 < weights.length; away += 2) {
    const above = rows[centre - away] * width;
    const below = rows[centre + away] * width;
    const higher = rows[centre - away - 1] * width;
    const lower = rows[centre + away + 1] * width;
    const weight = weights[away];
    const next = weights[away + 1];
    for (let x = 0; x < width; x++) {
      const near = pixels[above + x] + pixels[below + x];
      sums[x] += weight * near + next * (pixels[higher + x] + pixels[lower + x]);
    }
  }
  if (away < weights.length) {
    const above = rows[centre - away] * width;
    const below = rows[centre + away] * width;
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
  const places = new Int32Array(sizePx + 2 * radius);
  for (let at = 0; at < places.length; at++) {
    const place = (((at - radius) % period) + period) % period;
    places[at] = Math.min(place, period - place);
  }
  return places;
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
  const { luma } = picture;
  const rows = cells(picture.height, height);
  const columns = cells(picture.width, width);
  const sums = new Float64Array(picture.width);
  const result = new Float32Array(width * height);
  for (let row = 0; row < height; row++) {
    sums.fill(0);
    let from = rows.starts[row] * picture.width;
    for (let at = rows.ends[row]; at < rows.ends[row + 1]; at++, from += picture.width) {
      const weight = rows.weights[at];
      for (let x = 0; x < sums.length; x++) sums[x] += weight * luma[from + x];
    }
    for (let x = 0; x < sums.length; x++) sums[x] = sums[x] + TO_IMAGE_STEPS - TO_IMAGE_STEPS;
    for (let column = 0; column < width; column++) {
      let x = columns.starts[column];
      let sum = 0;
      for (let at = columns.ends[column]; at < columns.ends[column + 1]; at++, x++) {
        sum += columns.weights[at] * sums[x];
      }
      result[row * width + column] = sum + TO_IMAGE_STEPS - TO_IMAGE_STEPS;
    }
  }
  return { pixels: result, width, height };
}

/**
 * Return which pixels of an axis each of `count` cells averages: the first of them, and where its
 * weights end among those of all cells.
 * @param {number} sizePx
 * @param {number} count
 */
function cells(sizePx, count) {
  const starts = new Int32Array(count);
  const ends = new Int32Array(count + 1);
  const weights = new Float64Array(sizePx + 2 * count);
  let of = 0;
  for (let cell = 0; cell < count; cell++) {
    const first = cell * (sizePx / count);
    const last = (cell + 1) * (sizePx / count);
    const stop = Math.min(Math.ceil(last), sizePx);
    starts[cell] = Math.floor(first);
    for (let px = starts[cell]; px < stop; px++) {
      const shared = Math.min(last, px + 1) - Math.max(first, px);
      weights[of++] = inWeightSteps(Math.max(shared, 0) * (count / sizePx));
    }
    ends[cell + 1] = of;
  }
  return { starts, ends, weights };
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
