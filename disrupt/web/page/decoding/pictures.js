/** Picture files to pixels, by the browser's own decoders where it has them. */

import { MAX_SIDE_PX } from '../hashing/luma.js';
import { Refusal, needed } from '../refusal.js';
import { countFrames } from './animations.js';
import { hasNoise, strips } from './canvas.js';
import { isWhole } from './truncation.js';

/** Largest picture, in megapixels: those of telephones have up to 108. */
export const MAX_MEGAPIXELS = 120;

/**
 * Libraries by format, which need no canvas.
 * @type {Record<string, string>}
 */
const DECODERS = { JPEG: './jpeg.js', HEIC: './heic.js' };

/** Largest file: libraries read it whole, and so does the search for its end. */
const MAX_BYTES = 2 ** 28;

/** How long frames of an animation are looked for that are not featureless. */
const FRAMES_MS = 4000;

/**
 * Colours as a page shows them; those behind alpha are kept, so that it is applied once.
 * @type {ImageBitmapOptions}
 */
const OPTIONS = { premultiplyAlpha: 'none', imageOrientation: 'from-image' };

/**
 * One picture, upright; `strips` yields its rows from top to bottom, opaque pixels of 4 bytes.
 * @typedef {object} Frame
 * @property {number} width
 * @property {number} height
 * @property {Generator<Uint8ClampedArray>} strips
 * @property {number} framesLeft how many more pictures the file has
 */

/** @typedef {import('./headers.js').Header} Header */

/**
 * Yield the frames of a picture file: that of a still picture, or of an animation as many as time
 * allows. Each is to be used before the next one.
 * @param {Blob} blob
 * @param {Header} header
 * @returns {AsyncGenerator<Frame>}
 * @throws {Refusal}
 */
export async function* frames(blob, header) {
  if (Number.isNaN(header.megapixels)) throw new Refusal('UNREADABLE', { detail: header.format });
  checkSize(header.megapixels, header.sidePx);
  if (blob.size > MAX_BYTES) throw new Refusal('TOO_LARGE');
  if (!(await isWhole(blob, header.format))) {
    throw new Refusal('UNREADABLE', { detail: `${header.format} ends early` });
  }
  if (hasNoise()) {
    if (!(header.format in DECODERS)) throw new Refusal('CANVAS_NOISE');
    yield* decodedBy(DECODERS[header.format], blob);
  } else if (header.isAnimated && 'ImageDecoder' in self) {
    yield* animated(blob, `image/${header.format.toLowerCase()}`);
  } else {
    yield* still(blob, header);
  }
}

/**
 * @param {Blob} blob
 * @param {Header} header
 * @returns {AsyncGenerator<Frame>}
 */
async function* still(blob, header) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, OPTIONS);
  } catch {
    if (header.format !== 'HEIC') throw new Refusal('UNREADABLE', { detail: header.format });
  }
  if (!bitmap) {
    yield* decodedBy(DECODERS.HEIC, blob);
    return;
  }
  try {
    const { width, height } = bitmap;
    checkSize((width * height) / 1e6, Math.max(width, height));
    const framesLeft = header.isAnimated ? (await countFrames(blob, header.format)) - 1 : 0;
    yield { width, height, strips: strips(bitmap, width, height), framesLeft };
  } finally {
    bitmap.close();
  }
}

/**
 * @param {Blob} blob
 * @param {string} type
 * @returns {AsyncGenerator<Frame>}
 */
async function* animated(blob, type) {
  const decoder = new ImageDecoder({ data: blob.stream(), type });
  try {
    await decoder.completed;
    const count = decoder.tracks.selectedTrack?.frameCount ?? 1;
    const endMs = performance.now() + FRAMES_MS;
    for (let frameIndex = 0; frameIndex < count; frameIndex++) {
      const { image } = await decoder.decode({ frameIndex });
      try {
        const { displayWidth: width, displayHeight: height } = image;
        checkSize((width * height) / 1e6, Math.max(width, height));
        yield { width, height, strips: strips(image, width, height), framesLeft: count - 1 };
      } finally {
        image.close();
      }
      if (performance.now() > endMs) return;
    }
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal('UNREADABLE', { detail: 'animation' });
  } finally {
    decoder.close();
  }
}

/**
 * Decode by a library that is loaded only when it is needed.
 * @param {string} module
 * @param {Blob} blob
 * @returns {AsyncGenerator<Frame>}
 */
async function* decodedBy(module, blob) {
  const { decode } = await needed(import(module));
  let frame;
  try {
    frame = await decode(blob);
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal('UNREADABLE', { detail: module });
  }
  checkSize((frame.width * frame.height) / 1e6, Math.max(frame.width, frame.height));
  yield frame;
}

/** @param {number} megapixels @param {number} sidePx the longer one */
function checkSize(megapixels, sidePx) {
  if (megapixels > MAX_MEGAPIXELS || sidePx > MAX_SIDE_PX) throw new Refusal('TOO_LARGE');
}
