/** Picture files to pixels, by the browser's own decoders where it has them. */

import { MAX_SIDE_PX } from '../hashing/luma.js';
import { Refusal, needed } from '../refusal.js';
import { hasNoise, strips } from './canvas.js';
import { headerOf } from './formats.js';

/** Largest picture: those of telephones have up to 108 megapixels. */
const MAX_PIXELS = 120e6;

/** Largest file, since all of it is read in search of its end. */
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
 * @property {boolean} isOneOfMany whether the file has other frames
 */

/**
 * Yield the frames of a picture file: that of a still picture, or of an animation as many as time
 * allows. Each is to be used before the next one.
 * @param {Blob} blob
 * @param {import('./formats.js').Format} format
 * @returns {AsyncGenerator<Frame>}
 * @throws {Refusal}
 */
export async function* frames(blob, format) {
  if (blob.size > MAX_BYTES) throw new Refusal('too-large');
  const header = headerOf(format, new Uint8Array(await blob.arrayBuffer()));
  if (!header) throw new Refusal('unreadable');
  checkSize(header.width, header.height);
  if (!header.isWhole) throw new Refusal('unreadable');
  if (hasNoise()) {
    if (format !== 'HEIC') throw new Refusal('noise');
    yield decodedByLibrary(blob);
  } else if (header.isAnimated && 'ImageDecoder' in self) {
    yield* animated(blob, `image/${format.toLowerCase()}`);
  } else {
    yield* still(blob, format, header.isAnimated);
  }
}

/**
 * @param {Blob} blob
 * @param {import('./formats.js').Format} format
 * @param {boolean} isAnimated
 * @returns {AsyncGenerator<Frame>}
 */
async function* still(blob, format, isAnimated) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, OPTIONS);
  } catch (error) {
    // Browsers that do not know an option, from before 2023, may not turn pictures either.
    if (error instanceof TypeError) throw new Refusal('unsupported');
    if (format !== 'HEIC') throw new Refusal('unreadable');
    yield decodedByLibrary(blob);
    return;
  }
  try {
    const { width, height } = bitmap;
    checkSize(width, height);
    yield { width, height, strips: strips(bitmap, width, height), isOneOfMany: isAnimated };
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
        checkSize(width, height);
        yield { width, height, strips: strips(image, width, height), isOneOfMany: count > 1 };
      } finally {
        image.close();
      }
      if (performance.now() > endMs) return;
    }
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal('unreadable');
  } finally {
    decoder.close();
  }
}

/**
 * Decode HEIC where the browser does not, by a library that is loaded only then.
 * @param {Blob} blob
 * @returns {Promise<Frame>}
 */
async function decodedByLibrary(blob) {
  const { decode } = await needed(import('./heic.js'));
  const frame = await decode(blob);
  checkSize(frame.width, frame.height);
  return frame;
}

/**
 * @param {number} width
 * @param {number} height
 */
function checkSize(width, height) {
  if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE_PX) {
    throw new Refusal('too-large');
  }
}
