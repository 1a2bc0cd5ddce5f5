/** HEIC files where the browser has no decoder for them, by libheif. */

import { Refusal, needed } from '../refusal.js';

/** @type {string} */
const LIBRARY = '../libraries/libheif-js/libheif-wasm/libheif-bundle.mjs';

const STRIP_ROWS = 256;

/** Steps of light, so many that one is less than a tenth of a level where the curve is steepest. */
const CURVE_STEPS = 65_535;

/** Light of linear Display P3 as linear sRGB, both of white D65 (CSS Color 4, section 10). */
const SRGB_OF_P3 = [
  [1.2249401762805598, -0.22494017628055996, 0],
  [-0.04205695470968816, 1.0420569547096881, 0],
  [-0.019637554590334432, -0.07863604555063188, 1.0982736001409663],
];

/** The name in the profile of telephones, in bytes and in UTF-16. */
const P3_NAMES = ['Display P3', Array.from('Display P3', (letter) => `\0${letter}`).join('')];

/** @type {any} */
let library;

/**
 * Decode the primary picture of a file, turned as the file says. Refused `unreadable`.
 * @param {Blob} blob
 * @returns {Promise<import('./pictures.js').Frame>}
 */
export async function decode(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  library ??= (await needed(import(LIBRARY))).default();
  /** @type {any[]} */
  const images = new library.HeifDecoder().decode(bytes);
  try {
    const image = images.find((each) => each.is_primary());
    if (!image) throw new Refusal('unreadable');
    const [width, height] = [image.get_width(), image.get_height()];
    const data = new Uint8ClampedArray(4 * width * height);
    const isDecoded = await new Promise((resolve) => {
      image.display({ data, width, height }, resolve);
    });
    if (!isDecoded) throw new Refusal('unreadable');
    const strips = shown(data, width, isDisplayP3(bytes));
    return { width, height, strips, isOneOfMany: images.length > 1 };
  } finally {
    for (const image of images) image.free();
  }
}

/**
 * Yield the rows of a picture from top to bottom: opaque pixels in sRGB. Uses the pixels up.
 * @param {Uint8ClampedArray} rgba
 * @param {number} width
 * @param {boolean} isP3 whether its colours are those of Display P3
 * @returns {Generator<Uint8ClampedArray>}
 */
function* shown(rgba, width, isP3) {
  const size = 4 * width * STRIP_ROWS;
  for (let at = 0; at < rgba.length; at += size) {
    const strip = rgba.subarray(at, at + size);
    if (isP3) srgbOfDisplayP3(strip);
    composeOnWhite(strip);
    yield strip;
  }
}

/**
 * Show transparent pixels on a white page. Modifies the argument.
 * @param {Uint8ClampedArray} rgba
 */
function composeOnWhite(rgba) {
  for (let at = 0; at < rgba.length; at += 4) {
    const alpha = rgba[at + 3];
    if (alpha === 255) continue;
    for (let channel = at; channel < at + 3; channel++) {
      rgba[channel] = 255 + ((rgba[channel] - 255) * alpha) / 255;
    }
  }
}

/**
 * Tell whether a file has the profile that telephones call Display P3.
 * @param {Uint8Array} bytes
 */
function isDisplayP3(bytes) {
  const start = new TextDecoder('ascii').decode(bytes.subarray(0, 2 ** 18));
  return P3_NAMES.some((name) => start.includes(name));
}

/**
 * Turn pixels of Display P3 into sRGB; both have the same curve. Modifies the argument.
 * @param {Uint8ClampedArray} rgba
 */
function srgbOfDisplayP3(rgba) {
  for (let at = 0; at < rgba.length; at += 4) {
    const [red, green, blue] = [LIGHT[rgba[at]], LIGHT[rgba[at + 1]], LIGHT[rgba[at + 2]]];
    for (let channel = 0; channel < 3; channel++) {
      const [ofRed, ofGreen, ofBlue] = SRGB_OF_P3[channel];
      const light = ofRed * red + ofGreen * green + ofBlue * blue;
      rgba[at + channel] = LEVELS[Math.round(Math.min(Math.max(light, 0), 1) * CURVE_STEPS)];
    }
  }
}

/** Light of each level, 0-1, by the curve of sRGB (IEC 61966-2-1). */
const LIGHT = Float64Array.from({ length: 256 }, (_, level) => {
  const value = level / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});

/** The level of each step of light. */
const LEVELS = Uint8Array.from({ length: CURVE_STEPS + 1 }, (_, step) => {
  const light = step / CURVE_STEPS;
  const value = light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055;
  return Math.round(255 * value);
});
