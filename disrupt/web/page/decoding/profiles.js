/** Colour profiles of telephones, for pictures that the browser does not decode. */

/** Steps of light, so many that one is less than a tenth of a level where the curve is steepest. */
const CURVE_STEPS = 65_535;

/** Light of linear Display P3 as linear sRGB, both of white D65 (CSS Color 4, section 10). */
const SRGB_OF_P3 = [
  [1.2249401762805598, -0.22494017628055996, 0],
  [-0.04205695470968816, 1.0420569547096881, 0],
  [-0.019637554590334432, -0.07863604555063188, 1.0982736001409663],
];

const NAME = 'Display P3';

/**
 * Tell whether a file has the profile that telephones call Display P3.
 * @param {Uint8Array} bytes
 */
export function isDisplayP3(bytes) {
  const wide = Array.from(NAME, (letter) => [0, letter.charCodeAt(0)]).flat();
  const narrow = wide.filter((_, at) => at % 2);
  return [narrow, wide].some((name) => indexOf(bytes, name) >= 0);
}

/**
 * Tell whether a JPEG file has any profile but sRGB's.
 * @param {Uint8Array} bytes
 */
export function hasProfile(bytes) {
  const at = indexOf(bytes, letters('ICC_PROFILE\0'));
  return at >= 0 && indexOf(bytes.subarray(at, at + 2 ** 16), letters('sRGB')) < 0;
}

/**
 * Turn pixels of Display P3 into sRGB; both have the same curve. Modifies the argument.
 * @param {Uint8Array | Uint8ClampedArray} rgba
 */
export function srgbOfDisplayP3(rgba) {
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

/** @param {string} text */
function letters(text) {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}

/**
 * @param {Uint8Array} bytes
 * @param {number[]} sought
 */
function indexOf(bytes, sought) {
  for (let at = bytes.indexOf(sought[0]); at >= 0; at = bytes.indexOf(sought[0], at + 1)) {
    if (sought.every((byte, place) => bytes[at + place] === byte)) return at;
  }
  return -1;
}
