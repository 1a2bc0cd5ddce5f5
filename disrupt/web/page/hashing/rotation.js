/** A picture turned by a few degrees about its centre. Port of `disrupt/hashing/regions/rotation.py`. */

const { fround } = Math;

/**
 * Turn luma clockwise, to the same shape, interpolated between pixels as NumPy does in 32 bits.
 *
 * Where corners come from outside the picture, its edge goes on.
 * @param {import('./variants.js').Luma} picture
 * @param {number} degrees
 * @param {number} aspect width over height of the picture, which `luma` may have lost
 */
export function turned({ luma, width, height }, degrees, aspect) {
  const radians = degrees * (Math.PI / 180);
  const cosine = fround(Math.cos(radians));
  const across = fround(Math.sin(radians) / aspect);
  const down = fround(Math.sin(radians) * aspect);
  const ofColumns = products(width, cosine, down);
  const ofRows = products(height, cosine, across);
  const result = new Float32Array(width * height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const shareX = fround(fround(ofColumns.first[column] + ofRows.second[row]) + 0.5);
      const shareY = fround(fround(ofRows.first[row] - ofColumns.second[column]) + 0.5);
      const fromX = fround(fround(shareX * width) - 0.5);
      const fromY = fround(fround(shareY * height) - 0.5);
      const left = Math.min(Math.max(Math.floor(fromX), 0), width - 2);
      const top = Math.min(Math.max(Math.floor(fromY), 0), height - 2);
      const right = Math.min(Math.max(fround(fromX - left), 0), 1);
      const lower = Math.min(Math.max(fround(fromY - top), 0), 1);
      const at = top * width + left;
      const above = between(luma[at], luma[at + 1], right);
      const below = between(luma[at + width], luma[at + width + 1], right);
      result[row * width + column] = between(above, below, lower);
    }
  }
  return { luma: result, width, height };
}

/**
 * Return both multiples of the places of an axis, -0.5 to 0.5.
 * @param {number} sizePx
 * @param {number} ofFirst
 * @param {number} ofSecond
 */
function products(sizePx, ofFirst, ofSecond) {
  const places = Float32Array.from({ length: sizePx }, (_, at) => fround((at + 0.5) / sizePx) - 0.5);
  return {
    first: places.map((place) => place * ofFirst),
    second: places.map((place) => place * ofSecond),
  };
}

/**
 * @param {number} first
 * @param {number} second
 * @param {number} share of the second, 0-1
 */
function between(first, second, share) {
  return fround(fround(first * fround(1 - share)) + fround(second * share));
}
