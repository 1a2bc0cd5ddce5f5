/**
 * The matrix of a video track, by which players turn and mirror its frames.
 *
 * Port of `disrupt/hashing/decoding/display.py`.
 */

/** a, b, c, d of x' = ax + cy, y' = bx + dy, of clockwise quarter turns; y points down. */
const QUARTERS = [
  [1, 0, 0, 1],
  [0, 1, -1, 0],
  [-1, 0, 0, -1],
  [0, -1, 1, 0],
];

/** The same of all symmetries, by the number of `Dihedral`: four turns, then four mirrored ones. */
const MATRICES = [...QUARTERS, ...QUARTERS.map(([a, b, c, d]) => [-a, -b, c, d])];

const FIRST_MIRRORED = QUARTERS.length;

/**
 * The number of the symmetry that is nearest to a matrix. `isDisputed`: browsers differ in whether
 * they apply it, as all apply only plain quarter turns.
 * @typedef {{dihedral: number, isDisputed: boolean}} Orientation
 */

/**
 * Return how the frames of a track are to be turned.
 * @param {readonly number[]} matrix nine numbers, row by row
 * @returns {Orientation}
 */
export function orientationOf([a, b, , c, d]) {
  const stated = [a, b, c, d];
  const products = MATRICES.map((matrix) =>
    matrix.reduce((sum, value, at) => sum + value * stated[at], 0),
  );
  const dihedral = products.indexOf(Math.max(...products));
  const isExact = MATRICES[dihedral].every((value, at) => value === stated[at]);
  return { dihedral, isDisputed: !(isExact && dihedral < FIRST_MIRRORED) };
}

/**
 * Return the symmetry that undoes another.
 * @param {number} dihedral
 */
export function inverseOf(dihedral) {
  return dihedral >= FIRST_MIRRORED ? dihedral : (4 - dihedral) % 4;
}

/**
 * Return the symmetry that equals `first` followed by `second`.
 * @param {number} first
 * @param {number} second
 */
export function combined(first, second) {
  const isMirroredMore = second >= FIRST_MIRRORED;
  const quarters = (isMirroredMore ? -first : first) + second;
  const isMirrored = first >= FIRST_MIRRORED !== isMirroredMore;
  return (isMirrored ? FIRST_MIRRORED : 0) + (((quarters % 4) + 4) % 4);
}
