/** Pictures that Python and JavaScript draw alike, in integers; see drawings.py. */

/** Side of the cells in px, and weight. */
const OCTAVES = [
  [128, 4],
  [32, 2],
  [8, 1],
];

/** @typedef {{width: number, height: number, kind: string, seed: number}} Drawing */

/**
 * Return opaque pixels, height x width x 4.
 * @param {Drawing} drawing
 */
export function draw({ width, height, kind, seed }) {
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const level =
          kind === 'noise' ? noise(x, y, 3 * seed + channel) : shape(kind, x, y, width, height);
        rgba[4 * (y * width + x) + channel] = level;
      }
    }
  }
  return rgba;
}

/**
 * @param {string} kind
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 */
function shape(kind, x, y, width, height) {
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
