/**
 * Frames of a video for a worker, from a video element of the page: for what only that decodes.
 *
 * The worker asks `{type: 'frame', id, atMs}` and gets `{type: 'shown', id, bitmap, durationMs}`,
 * without a bitmap where the page cannot play the file. The element is in no document.
 */

/** Added to a time, so that the frame is more often the next one than the last one. */
const HALF_FRAME_MS = 20;

/** Time without an answer of the element after which it is given up. */
const STALLED_MS = 30_000;

/**
 * Answer a worker that asks for frames of a file.
 * @param {Worker} worker
 * @param {unknown} id
 * @param {Blob} file
 * @returns {() => void} ends it and frees the file; to be called whatever becomes of the worker
 */
export function serveFrames(worker, id, file) {
  const ended = new AbortController();
  /** @type {HTMLVideoElement | undefined} */
  let element;
  /** @type {Promise<void>} */
  let opened;
  /**
   * Return the frame that is shown at a time.
   * @param {number} atMs
   */
  const shownAt = async (atMs) => {
    if (!element) {
      element = document.createElement('video');
      opened = happened(element, 'loadeddata', ended.signal);
      element.muted = true;
      element.preload = 'auto';
      element.src = URL.createObjectURL(file);
    }
    await opened;
    const durationMs = 1000 * element.duration;
    // A recording without a duration would be asked for frames without end.
    if (!Number.isFinite(durationMs)) throw new Error('no duration');
    const seeked = happened(element, 'seeked', ended.signal);
    element.currentTime = Math.min(atMs + HALF_FRAME_MS, durationMs) / 1000;
    await seeked;
    return { bitmap: await createImageBitmap(element), durationMs };
  };
  /** @param {MessageEvent} event */
  const answer = async ({ data }) => {
    if (data.id !== id || data.type !== 'frame') return;
    const shown = await shownAt(data.atMs).catch(() => null);
    worker.postMessage({ type: 'shown', id, ...shown }, shown ? [shown.bitmap] : []);
  };
  worker.addEventListener('message', answer, { signal: ended.signal });
  return () => {
    ended.abort();
    if (!element) return;
    URL.revokeObjectURL(element.src);
    element.removeAttribute('src');
    element.load();
  };
}

/**
 * Wait for an event of an element; an error where it fails, takes too long or is given up.
 * @param {HTMLVideoElement} element
 * @param {string} name
 * @param {AbortSignal} given up
 * @returns {Promise<void>}
 */
function happened(element, name, given) {
  const signal = AbortSignal.any([given, AbortSignal.timeout(STALLED_MS)]);
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(name));
    signal.addEventListener('abort', fail);
    element.addEventListener('error', fail, { signal });
    element.addEventListener(name, () => resolve(), { signal, once: true });
  });
}
