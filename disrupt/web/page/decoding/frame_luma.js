/**
 * Luma of the frames of a video, as the server has it: the plane of the codec, or the luma of what
 * a screen shows, where that cuts colours, or the codec has more than 8 bits.
 */

import { hasNoise, strips } from './canvas.js';
import { leavesGamut, lumaAsShown, lumaOfRgb } from './colours.js';
import { Refusal } from '../refusal.js';

/**
 * Luma as stored, 8 bits, `width` x `height`; `gain` scales it to 0-255.
 * @typedef {{plane: Uint8Array, width: number, height: number, gain: number}} Luma
 */

/** Frames at least so high are BT.709 where nobody states what they are. */
const HD_PX = 720;

/** WebCodecs' names of planar formats: the shifts of chroma across and down. */
const SHIFTS = { I420: [1, 1], I422: [1, 0], I444: [0, 0], NV12: [1, 1] };

/**
 * Return the luma of a frame, which stays open.
 * @param {VideoFrame | ImageBitmap} frame
 * @param {VideoColorSpaceInit} [stated] by the file
 * @returns {Promise<Luma>}
 */
export async function lumaOf(frame, stated) {
  const { width, height } = sizeOf(frame);
  const colours = 'format' in frame ? frame.colorSpace : undefined;
  const weights = weightsOf(stated?.matrix ?? colours?.matrix, height);
  const copy = 'format' in frame ? await copyOf(frame) : null;
  if (!copy) return { plane: drawn(frame, width, height, weights), width, height, gain: 1 };
  const { format, data, layout } = copy;
  if (/^(RGB|BGR)/.test(format)) {
    const plane = lumaOfRgb(new Uint8Array(data), weights, format.startsWith('BGR'));
    return { plane, width, height, gain: 1 };
  }
  const planes = planesOf(format, data, layout, { width, height, weights });
  planes.isFull = colours?.fullRange ?? false;
  if (planes.bits > 8 || leavesGamut(planes)) {
    return { plane: lumaAsShown(planes), width, height, gain: 1 };
  }
  const plane = new Uint8Array(data.slice(layout[0].offset, layout[0].offset + width * height));
  return { plane, width, height, gain: planes.isFull ? 1 : 255 / 219 };
}

/**
 * Copy the pixels of a frame; null where the browser, or its graphics processor, keeps them.
 * @param {VideoFrame} frame
 */
async function copyOf(frame) {
  const { format } = frame;
  if (!format) return null;
  try {
    const data = new ArrayBuffer(frame.allocationSize());
    return { format, data, layout: await frame.copyTo(data) };
  } catch {
    return null;
  }
}

/**
 * View the planes of a frame.
 * @param {string} format
 * @param {ArrayBuffer} data
 * @param {PlaneLayout[]} layout
 * @param {{width: number, height: number, weights: [number, number]}} shape
 * @returns {import('./colours.js').Planes}
 */
function planesOf(format, data, layout, shape) {
  const [, name, bits] = /^(I4\d\d|NV12)A?(?:P(\d+))?$/.exec(format) ?? [];
  const shifts = SHIFTS[/** @type {keyof typeof SHIFTS} */ (name)];
  if (!shifts) throw new Refusal('UNSUPPORTED', { detail: `frames of ${format}` });
  const isWide = bits !== undefined;
  const view = (/** @type {PlaneLayout} */ { offset }, skipped = 0) =>
    isWide ? new Uint16Array(data, offset) : new Uint8Array(data, offset + skipped);
  const isInterleaved = layout.length === 2;
  return {
    ...shape,
    luma: view(layout[0]),
    blue: view(layout[1]),
    red: isInterleaved ? view(layout[1], 1) : view(layout[2]),
    chromaStride: layout[1].stride / (isWide ? 2 : 1),
    chromaStep: isInterleaved ? 2 : 1,
    shiftX: shifts[0],
    shiftY: shifts[1],
    bits: isWide ? Number(bits) : 8,
    isFull: false,
  };
}

/**
 * Return the luma of a frame whose pixels cannot be read but by drawing it.
 * @param {CanvasImageSource} frame
 * @param {number} width
 * @param {number} height
 * @param {[number, number]} weights
 */
function drawn(frame, width, height, weights) {
  noise ??= hasNoise();
  if (noise) throw new Refusal('CANVAS_NOISE');
  const plane = new Uint8Array(width * height);
  let at = 0;
  for (const strip of strips(frame, width, height)) {
    const rows = lumaOfRgb(strip, weights);
    plane.set(rows, at);
    at += rows.length;
  }
  return plane;
}

/** @type {boolean | undefined} */
let noise;

/**
 * Return the size of what is shown of a frame.
 * @param {VideoFrame | ImageBitmap} frame
 * @returns {{width: number, height: number}}
 */
function sizeOf(frame) {
  if (!('format' in frame)) return frame;
  return frame.visibleRect ?? { width: frame.codedWidth, height: frame.codedHeight };
}

/**
 * Return the weights of red and blue in luma.
 * @param {string | null | undefined} matrix
 * @param {number} height
 * @returns {[number, number]}
 */
function weightsOf(matrix, height) {
  if (matrix === 'bt2020-ncl') return [0.2627, 0.0593];
  if (matrix === 'bt709') return [0.2126, 0.0722];
  return matrix || height < HD_PX ? [0.299, 0.114] : [0.2126, 0.0722];
}
