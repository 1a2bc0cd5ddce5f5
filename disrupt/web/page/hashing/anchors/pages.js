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

const PAIRS = 4;

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
 * Return the nearest multiple of 2^-16, the even one of two.
 * @param {number} value
 */
export function inImageSteps(value) {
  return value + TO_IMAGE_STEPS - TO_IMAGE_STEPS;
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
  const rows = mirroredPlaces(height, radius).map((row) => row * width);
  const places = mirroredPlaces(width + 2 * radius, 0);
  const line = new Float32Array(width + 2 * radius);
  const sums = new Float64Array(width);
  for (let row = 0; row < height; row++) {
    weigh(pixels, rows, row + radius, weights, sums);
    for (let x = 0; x < width; x++) line[radius + x] = inImageSteps(sums[x]);
    for (let at = 0; at < radius; at++) {
      line[at] = line[radius + columns[at]];
      line[radius + width + at] = line[radius + columns[radius + width + at]];
    }
    weigh(line, places, radius, weights, sums);
    const to = row * width;
    for (let x = 0; x < width; x++) result[to + x] = inImageSteps(sums[x]);
  }
  return { pixels: result, width, height };
}

/**
 * Write the weighed sums of lines of pixels into `sums`.
 * @param {Float32Array} pixels
 * @param {Int32Array} places where lines begin
 * @param {number} centre the central one of them
 * @param {Float64Array} weights from the central line on
 * @param {Float64Array} sums
 */
function weigh(pixels, places, centre, weights, sums) {
  const [middle, ofMiddle] = [places[centre], weights[0]];
  for (let x = 0; x < sums.length; x++) sums[x] = ofMiddle * pixels[middle + x];
  // Four pairs of lines at a time: each sum is read and written once for them.
  for (let away = 1; away < weights.length; away += PAIRS) {
    const a = weights[away];
    const b = weights[away + 1];
    const c = weights[away + 2];
    const d = weights[away + 3];
    const a0 = places[centre - away];
    const a1 = places[centre + away];
    const b0 = places[centre - away - 1];
    const b1 = places[centre + away + 1];
    const c0 = places[centre - away - 2];
    const c1 = places[centre + away + 2];
    const d0 = places[centre - away - 3];
    const d1 = places[centre + away + 3];
    for (let x = 0; x < sums.length; x++) {
      const near = a * (pixels[a0 + x] + pixels[a1 + x]) + b * (pixels[b0 + x] + pixels[b1 + x]);
      const far = c * (pixels[c0 + x] + pixels[c1 + x]) + d * (pixels[d0 + x] + pixels[d1 + x]);
      sums[x] += near + far;
    }
  }
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
 * Return the weights from the centre on, with zeros up to whole groups of pairs.
 * @param {number} sigmaPx
 */
function gaussian(sigmaPx) {
  const radius = Math.ceil(4 * sigmaPx);
  const weights = new Float64Array(1 + PAIRS * Math.ceil(radius / PAIRS));
  let sum = 0;
  for (let away = 0; away <= radius; away++) {
    weights[away] = Math.exp(-(away ** 2) / (2 * sigmaPx ** 2));
    sum += away ? 2 * weights[away] : weights[away];
  }
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
    for (let x = 0; x < sums.length; x++) sums[x] = inImageSteps(sums[x]);
    for (let column = 0; column < width; column++) {
      let x = columns.starts[column];
      let sum = 0;
      for (let at = columns.ends[column]; at < columns.ends[column + 1]; at++, x++) {
        sum += columns.weights[at] * sums[x];
      }
      result[row * width + column] = inImageSteps(sum);
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
