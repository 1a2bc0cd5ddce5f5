/** Pictures that Python and JavaScript draw alike, in integers; see drawings.py. */

/** Side of the cells in px, and weight. */
const OCTAVES = [
  [128, 4],
  [32, 2],
  [8, 1],
];

/** Bytes of a shape of an example. */
const SHAPE_BYTES = 12;

/**
 * A picture; the shapes of an example are in hex.
 * @typedef {{width: number, height: number, kind: string, seed: number, shapes?: string}} Drawing
 */

/**
 * Return opaque pixels, height x width x 4.
 * @param {Drawing} drawing
 */
export function draw({ width, height, kind, seed, shapes }) {
  if (shapes) return example(width, height, shapes);
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const level =
          kind === 'noise' ? noise(x, y, 3 * seed + channel) : shape(kind, seed, x, y, width, height);
        rgba[4 * (y * width + x) + channel] = level;
      }
    }
  }
  return rgba;
}

/**
 * Draw a picture of the test bank, as `Example` in disrupt/core/examples.py does.
 * @param {number} width
 * @param {number} height
 * @param {string} shapes
 */
function example(width, height, shapes) {
  const rgba = new Uint8ClampedArray(4 * width * height).fill(128);
  for (let at = 3; at < rgba.length; at += 4) rgba[at] = 255;
  for (let from = 0; from < shapes.length; from += 2 * SHAPE_BYTES) {
    const [y, x, high, wide, colour, kind] = Array.from({ length: 6 }, (_, word) => {
      const [low, upper] = [0, 2].map((digit) => parseInt(shapes.substr(from + 4 * word + digit, 2), 16));
      return low + 256 * upper;
    });
    const [reachY, reachX] = [20 + (high % 100), 20 + (wide % 130)];
    for (let row = 0; row < height; row++) {
      const down = Math.abs(row - (y % height));
      for (let column = 0; column < width; column++) {
        const across = Math.abs(column - (x % width));
        const isInside =
          kind % 2
            ? down < reachY && across < reachX
            : (down * reachX) ** 2 + (across * reachY) ** 2 < (reachY * reachX) ** 2;
        const colours = [colour % 256, Math.floor(colour / 256), Math.floor(kind / 256)];
        if (isInside) rgba.set(colours, 4 * (row * width + column));
      }
    }
  }
  return rgba;
}

/**
 * @param {string} kind
 * @param {number} side
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 */
function shape(kind, side, x, y, width, height) {
  if (kind === 'static') return level(Math.floor(x / side), Math.floor(y / side), 0);
  if (kind === 'chessboard') return 255 * ((Math.floor(x / side) + Math.floor(y / side)) % 2);
  if (kind === 'stripes') return 255 * (Math.floor(x / 20) % 2);
  if (kind === 'disc') return (2 * x - width) ** 2 + (2 * y - height) ** 2 < 400 ** 2 ? 255 : 0;
  return 90;
}

/**
 * @param {number} x
 * @param {number} y
 * @param {number} seed
 */
function noise(x, y, seed) {
  let total = 0;
  let weights = 0;
  for (const [side, weight] of OCTAVES) {
    const [column, row] = [Math.floor(x / side), Math.floor(y / side)];
    const [across, down] = [x % side, y % side];
    const [above, below] = [row, row + 1].map(
      (line) =>
        level(column, line, seed) * (side - across) + level(column + 1, line, seed) * across,
    );
    total += weight * Math.floor((above * (side - down) + below * down) / side ** 2);
    weights += weight;
  }
  return Math.floor(total / weights);
}

/**
 * Return a level for a corner of the cells, 0 or 255, by Wellons' hash `lowbias32`.
 * @param {number} column
 * @param {number} row
 * @param {number} seed
 */
function level(column, row, seed) {
  let mixed = (column * 73 + row * 7919 + seed * 104729) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return 255 * ((mixed ^ (mixed >>> 16)) & 1);
}
