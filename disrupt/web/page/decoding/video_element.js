/**
 * Frames of a video for a worker, from a video element of the page: for what only that decodes.
 *
 * The worker asks `{id, frameAtMs}` and gets `{id, shown}`, see `element_video.js`; the first
 * request opens the file. The element is in no document and has no sound.
 */

/** Added to a time, so that the frame is more often the next one than the last one. */
const HALF_FRAME_MS = 20;

/** Time without an answer of the element after which it is given up. */
const STALLED_MS = 30_000;

/** The video of one file. */
export class PlayedVideo {
  /** @param {Blob} file */
  constructor(file) {
    this._url = URL.createObjectURL(file);
    this._element = document.createElement('video');
    this._element.muted = true;
    this._element.preload = 'auto';
    this._element.src = this._url;
    this._opened = happened(this._element, 'loadeddata');
  }

  /**
   * Return the frame that is shown at a time.
   * @param {number} atMs
   * @returns {Promise<import('./element_video.js').Shown>}
   */
  async at(atMs) {
    try {
      await this._opened;
      const durationMs = 1000 * this._element.duration;
      // A recording without a duration would be asked for frames without end.
      if (!Number.isFinite(durationMs) || !this._element.videoWidth) throw new Error('no duration');
      const seeked = happened(this._element, 'seeked');
      this._element.currentTime = Math.min(atMs + HALF_FRAME_MS, durationMs) / 1000;
      await seeked;
      return { bitmap: await createImageBitmap(this._element), durationMs };
    } catch {
      return { isUnplayable: true };
    }
  }

  close() {
    this._element.removeAttribute('src');
    this._element.load();
    URL.revokeObjectURL(this._url);
  }
}

/**
 * Answer a worker that asks for frames of a file.
 * @param {Worker} worker
 * @param {unknown} id
 * @param {Blob} file
 * @returns {() => void} ends it, and frees the file; to be called whatever becomes of the worker
 */
export function serveFrames(worker, id, file) {
  /** @type {PlayedVideo | undefined} */
  let video;
  /** @param {MessageEvent} event */
  const answer = async ({ data }) => {
    if (data.id !== id || data.frameAtMs === undefined) return;
    video ??= new PlayedVideo(file);
    const shown = await video.at(data.frameAtMs);
    worker.postMessage({ id, shown }, 'bitmap' in shown ? [shown.bitmap] : []);
  };
  worker.addEventListener('message', answer);
  return () => {
    worker.removeEventListener('message', answer);
    video?.close();
  };
}

/**
 * Wait for an event of an element; an error where it fails, or takes too long.
 * @param {HTMLVideoElement} element
 * @param {string} name
 * @returns {Promise<void>}
 */
function happened(element, name) {
  return new Promise((resolve, reject) => {
    const listeners = new AbortController();
    const { signal } = listeners;
    const timer = setTimeout(() => fail(), STALLED_MS);
    const fail = () => {
      clearTimeout(timer);
      listeners.abort();
      reject(new Error('not played'));
    };
    element.addEventListener('error', fail, { signal });
    const done = () => {
      clearTimeout(timer);
      listeners.abort();
      resolve();
    };
    element.addEventListener(name, done, { signal });
  });
}
