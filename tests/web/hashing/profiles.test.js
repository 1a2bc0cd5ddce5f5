import assert from 'node:assert/strict';
import { test } from 'node:test';

import { srgbOfDisplayP3 } from '../../../disrupt/web/page/decoding/profiles.js';

/** Linear Display P3 to linear sRGB (CSS Color 4, section 10). */
const MATRIX = [
  [1.2249401762805598, -0.22494017628055996, 0],
  [-0.04205695470968816, 1.0420569547096881, 0],
  [-0.019637554590334432, -0.07863604555063188, 1.0982736001409663],
];

/** Rounding is off by half a level; what is more is the error of the conversion. */
const MOST_LEVELS = 0.53;

test('colours of Display P3, dark ones too, become the nearest levels of sRGB', () => {
  let most = 0;
  for (let red = 0; red < 256; red += 3) {
    for (let green = 0; green < 256; green += 5) {
      for (const blue of [0, 1, 2, 5, 11, 23, 47, 95, 191, 255]) {
        const colour = [red, green, blue];
        const light = colour.map((level) => lightOf(level / 255));
        const pixel = Uint8ClampedArray.of(...colour, 255);
        srgbOfDisplayP3(pixel);
        MATRIX.forEach((row, channel) => {
          const sum = row.reduce((total, share, at) => total + share * light[at], 0);
          const exact = 255 * levelOf(Math.min(Math.max(sum, 0), 1));
          most = Math.max(most, Math.abs(pixel[channel] - exact));
        });
      }
    }
  }
  assert.ok(most < MOST_LEVELS, `${most} levels`);
});

/** @param {number} level */
function lightOf(level) {
  return level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4;
}

/** @param {number} light */
function levelOf(light) {
  return light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055;
}
