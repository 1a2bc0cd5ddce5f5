/** Colours of frames of videos: planes of luma and chroma to what a screen shows of them. */

/**
 * Planes of a frame without padding in luma. `weights` are those of red and blue in luma (ITU-R
 * BT.601, BT.709, BT.2020); `isFull`: values have the full range, not that of television.
 * @typedef {object} Planes
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array | Uint16Array} luma
 * @property {Uint8Array | Uint16Array} blue
 * @property {Uint8Array | Uint16Array} red
 * @property {number} chromaStride values in a row
 * @property {number} chromaStep values from one to the next in a row
 * @property {number} shiftX bits by which a column is shifted to that of chroma
 * @property {number} shiftY
 * @property {number} bits of a value
 * @property {boolean} isFull
 * @property {[number, number]} weights
 */

/** Points across, and down, at which a frame is tested for colours that screens cut. */
const GRID = 97;

/** Share of the contrast that is shown, of these levels at least, from which what is cut counts. */
const APART_SHARE = 0.1;
const LEAST_CONTRAST = 4;

/**
 * Return a function that gives red, green and blue of a pixel, which may be outside of 0-255, and
 * its luma, all in levels of a screen.
 * @param {Planes} planes
 */
function reader(planes) {
  const { luma, blue, red, width, chromaStride, chromaStep, shiftX, shiftY, isFull } = planes;
  const [ofRed, ofBlue] = planes.weights;
  const ofGreen = 1 - ofRed - ofBlue;
  const unit = 2 ** (planes.bits - 8);
  const [black, gain, chromaGain] = isFull ? [0, 1, 1] : [16, 255 / 219, 255 / 224];
  const redGain = 2 * (1 - ofRed) * chromaGain;
  const blueGain = 2 * (1 - ofBlue) * chromaGain;
  const pixel = new Float64Array(4);
  return (/** @type {number} */ x, /** @type {number} */ y) => {
    const at = (y >> shiftY) * chromaStride + (x >> shiftX) * chromaStep;
    const level = (luma[y * width + x] / unit - black) * gain;
    const redder = redGain * (red[at] / unit - 128);
    const bluer = blueGain * (blue[at] / unit - 128);
    pixel[0] = level + redder;
    pixel[1] = level - (ofRed * redder + ofBlue * bluer) / ofGreen;
    pixel[2] = level + bluer;
    pixel[3] = level;
    return pixel;
  };
}

/**
 * Tell whether a frame shows another luma than it has: screens cut what no RGB value gives.
 * @param {Planes} planes
 */
export function leavesGamut(planes) {
  const [ofRed, ofBlue] = planes.weights;
  const read = reader(planes);
  const shown = new Float64Array(GRID * GRID);
  const cut = new Float64Array(GRID * GRID);
  for (let at = 0; at < shown.length; at++) {
    const x = Math.floor((((at % GRID) + 0.5) * planes.width) / GRID);
    const y = Math.floor(((Math.floor(at / GRID) + 0.5) * planes.height) / GRID);
    const [red, green, blue, level] = read(x, y).map(clipped);
    shown[at] = ofRed * red + (1 - ofRed - ofBlue) * green + ofBlue * blue;
    cut[at] = shown[at] - level;
  }
  return deviation(cut) > APART_SHARE * Math.max(deviation(shown), LEAST_CONTRAST);
}

/**
 * Return the luma of what a screen shows, as that of a picture, 0-255.
 * @param {Planes} planes
 */
export function lumaAsShown(planes) {
  const { width, height } = planes;
  const read = reader(planes);
  const rgb = new Uint8ClampedArray(3);
  const shown = new Uint8Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const pixel = read(x, y);
      for (let band = 0; band < 3; band++) rgb[band] = pixel[band];
      shown[at] = (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16;
    }
  }
  return shown;
}

/**
 * Return the luma that a codec had, of pixels that were made of it.
 * @param {Uint8Array | Uint8ClampedArray} pixels four bytes each
 * @param {[number, number]} weights of red and blue
 * @param {boolean} [isBlueFirst]
 */
export function lumaOfRgb(pixels, [ofRed, ofBlue], isBlueFirst = false) {
  const ofGreen = 1 - ofRed - ofBlue;
  const [first, third] = isBlueFirst ? [ofBlue, ofRed] : [ofRed, ofBlue];
  const luma = new Uint8Array(pixels.length / 4);
  for (let at = 0, from = 0; at < luma.length; at++, from += 4) {
    luma[at] = first * pixels[from] + ofGreen * pixels[from + 1] + third * pixels[from + 2] + 0.5;
  }
  return luma;
}

/** @param {number} level */
function clipped(level) {
  return Math.min(Math.max(level, 0), 255);
}

/** @param {Float64Array} values */
function deviation(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
