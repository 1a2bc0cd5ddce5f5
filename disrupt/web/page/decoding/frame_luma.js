/**
 * Luma of the frames of a video, as the server has it: the plane of the codec, or the luma of what
 * a screen shows, where that cuts colours, or the codec has more than 8 bits.
 */

import { Refusal } from '../refusal.js';
import { hasNoise, strips } from './canvas.js';

/** @typedef {import('../hashing/videos.js').Luma} Luma */

/**
 * Planes of a frame. `weights` are those of red and blue in luma (ITU-R BT.601, BT.709, BT.2020);
 * `isFull`: values have the full range, not that of television.
 * @typedef {object} Planes
 * @property {number} width
 * @property {number} height
 * @property {(Uint8Array | Uint16Array)[]} values luma, blue, red
 * @property {number[]} strides values in a row of luma, and of chroma
 * @property {number} chromaStep values from one to the next in a row of chroma
 * @property {number[]} shifts bits by which a column, and a row, is shifted to that of chroma
 * @property {number} bits of a value
 * @property {boolean} isFull
 * @property {number[]} weights
 */

/** Frames at least so high are BT.709 where nobody states what they are. */
const HD_PX = 720;

const WEIGHTS_601 = [0.299, 0.114];
const WEIGHTS_709 = [0.2126, 0.0722];
const WEIGHTS_2020 = [0.2627, 0.0593];

/**
 * WebCodecs' names of planar formats: the shifts of chroma across and down.
 * @type {Record<string, number[]>}
 */
const SHIFTS = { I420: [1, 1], I422: [1, 0], I444: [0, 0], NV12: [1, 1] };

/** Points across, and down, at which a frame is tested for colours that screens cut. */
const GRID = 97;

/** Share of the contrast that is shown, of these levels at least, from which what is cut counts. */
const APART_SHARE = 0.1;
const LEAST_CONTRAST = 4;

/**
 * Return the luma of a frame, which stays open.
 * @param {any} frame a VideoSample of mediabunny, or an ImageBitmap
 * @param {VideoColorSpaceInit} [stated] by the file, of colours
 * @returns {Promise<Luma>}
 */
export async function lumaOf(frame, stated) {
  const { width, height } = frame.visibleRect ?? frame;
  const weights = weightsOf(frame.colorSpace?.matrix, height);
  const data = frame.format && new ArrayBuffer(frame.allocationSize());
  /** @type {PlaneLayout[] | null} */
  const layout = data && (await frame.copyTo(data).catch(() => null));
  // The browser, or its graphics processor, keeps the pixels of some frames.
  if (!layout) return { plane: drawn(frame, width, height, weights), width, height, gain: 1 };
  if (/^(RGB|BGR)/.test(frame.format)) {
    const inOrder = frame.format.startsWith('B') ? weights.slice().reverse() : weights;
    const plane = lumaOfRgb(new Uint8Array(data), inOrder);
    return { plane, width, height, gain: 1 };
  }
  const [, name, bits] = /^(I4\d\d|NV12)A?(?:P(\d+))?$/.exec(frame.format) ?? [];
  if (!name) throw new Refusal('unsupported');
  const isNarrow = bits === undefined;
  const isInterleaved = name === 'NV12';
  const starts = layout.map(({ offset }) => offset);
  if (isInterleaved) starts.push(starts[1] + 1);
  /** @type {Planes} */
  const planes = {
    ...{ width, height },
    // What browsers assume where the file states nothing is not what the server assumes.
    weights: weightsOf(stated?.matrix ?? 'smpte170m', height),
    values: starts.map((at) => (isNarrow ? new Uint8Array(data, at) : new Uint16Array(data, at))),
    strides: layout.map(({ stride }) => stride / (isNarrow ? 1 : 2)),
    chromaStep: isInterleaved ? 2 : 1,
    shifts: SHIFTS[name],
    bits: Number(bits ?? 8),
    isFull: frame.colorSpace?.fullRange ?? false,
  };
  if (!isNarrow || leavesGamut(planes)) {
    return { plane: lumaAsShown(planes), width, height, gain: 1 };
  }
  const plane = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const from = row * planes.strides[0];
    plane.set(planes.values[0].subarray(from, from + width), row * width);
  }
  return { plane, width, height, gain: planes.isFull ? 1 : 255 / 219 };
}

/**
 * Return the luma of a frame whose pixels cannot be read but by drawing it.
 * @param {any} frame as of `lumaOf`
 * @param {number} width
 * @param {number} height
 * @param {number[]} weights
 */
function drawn(frame, width, height, weights) {
  if (hasNoise()) throw new Refusal('noise');
  const image = 'toVideoFrame' in frame ? frame.toVideoFrame() : frame;
  try {
    const plane = new Uint8Array(width * height);
    let at = 0;
    for (const strip of strips(image, width, height)) {
      plane.set(lumaOfRgb(strip, weights), at);
      at += strip.length / 4;
    }
    return plane;
  } finally {
    if (image !== frame) image.close();
  }
}

/**
 * Return the weights of red and blue in luma.
 * @param {string | null | undefined} matrix
 * @param {number} height
 */
function weightsOf(matrix, height) {
  if (matrix === 'bt2020-ncl') return WEIGHTS_2020;
  if (matrix) return matrix === 'bt709' ? WEIGHTS_709 : WEIGHTS_601;
  return height < HD_PX ? WEIGHTS_601 : WEIGHTS_709;
}

/**
 * Return the luma that a codec had, of pixels that were made of it.
 * @param {Uint8Array | Uint8ClampedArray} pixels four bytes each
 * @param {number[]} weights of the first and the third
 */
function lumaOfRgb(pixels, [ofFirst, ofThird]) {
  const luma = new Uint8Array(pixels.length / 4);
  for (let at = 0, from = 0; at < luma.length; at++, from += 4) {
    const [first, second, third] = [pixels[from], pixels[from + 1], pixels[from + 2]];
    luma[at] = ofFirst * first + (1 - ofFirst - ofThird) * second + ofThird * third + 0.5;
  }
  return luma;
}

/**
 * Return a function that gives red, green and blue of a pixel, which may be outside of 0-255, and
 * its luma, all in levels of a screen.
 * @param {Planes} planes
 */
function reader({ values, strides, chromaStep, shifts, bits, isFull, weights }) {
  const [ofRed, ofBlue] = weights;
  const unit = 2 ** (bits - 8);
  const [black, gain, chromaGain] = isFull ? [0, 1, 1] : [16, 255 / 219, 255 / 224];
  const pixel = new Float64Array(4);
  return (/** @type {number} */ x, /** @type {number} */ y) => {
    const at = (y >> shifts[1]) * strides[1] + (x >> shifts[0]) * chromaStep;
    const level = (values[0][y * strides[0] + x] / unit - black) * gain;
    const redder = 2 * (1 - ofRed) * chromaGain * (values[2][at] / unit - 128);
    const bluer = 2 * (1 - ofBlue) * chromaGain * (values[1][at] / unit - 128);
    pixel[0] = level + redder;
    pixel[1] = level - (ofRed * redder + ofBlue * bluer) / (1 - ofRed - ofBlue);
    pixel[2] = level + bluer;
    pixel[3] = level;
    return pixel;
  };
}

/**
 * Tell whether a frame shows another luma than it has: screens cut what no RGB value gives.
 * @param {Planes} planes
 */
function leavesGamut(planes) {
  const [ofRed, ofBlue] = planes.weights;
  const read = reader(planes);
  const shown = new Float64Array(GRID * GRID);
  const cut = new Float64Array(GRID * GRID);
  for (let at = 0; at < shown.length; at++) {
    const x = Math.floor((((at % GRID) + 0.5) * planes.width) / GRID);
    const y = Math.floor(((Math.floor(at / GRID) + 0.5) * planes.height) / GRID);
    const [red, green, blue, level] = read(x, y).map((value) => Math.min(Math.max(value, 0), 255));
    shown[at] = ofRed * red + (1 - ofRed - ofBlue) * green + ofBlue * blue;
    cut[at] = shown[at] - level;
  }
  return deviation(cut) > APART_SHARE * Math.max(deviation(shown), LEAST_CONTRAST);
}

/**
 * Return the luma of what a screen shows, as that of a picture, 0-255.
 * @param {Planes} planes
 */
function lumaAsShown(planes) {
  const { width, height } = planes;
  const read = reader(planes);
  const rgb = new Uint8ClampedArray(3);
  const shown = new Uint8Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      rgb.set(read(x, y).subarray(0, 3));
      shown[at] = (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16;
    }
  }
  return shown;
}

/** @param {Float64Array} values */
function deviation(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
