/** Video files to fingerprints: by WebCodecs, or else by what the page's video element shows. */

import { ElementVideo } from '../decoding/element_video.js';
import { DecodedVideo } from '../decoding/videos.js';
import { Refusal } from '../refusal.js';
import { fingerprintVideo } from './videos.js';

/** Refusals after which the browser may still be able to play a file. */
const PERHAPS_PLAYED = new Set(['UNSUPPORTED', 'UNREADABLE']);

/**
 * Fingerprint a video file. Refused as `openVideo` and `fingerprintVideo`.
 * @param {Blob} file
 * @param {import('./shapes.js').Shapes} shapes
 * @param {import('../decoding/element_video.js').FrameRequests} requests
 * @param {(share: number) => Promise<void>} step awaited often; throws once it is cancelled
 */
export async function hashVideo(file, shapes, requests, step) {
  try {
    return await hashed(await DecodedVideo.open(file), shapes, step);
  } catch (error) {
    if (!(error instanceof Refusal && PERHAPS_PLAYED.has(error.refused.cause))) throw error;
    const video = await ElementVideo.open(requests);
    if (!video) throw error;
    return hashed(video, shapes, step);
  }
}

/**
 * @param {DecodedVideo | ElementVideo} video
 * @param {import('./shapes.js').Shapes} shapes
 * @param {(share: number) => Promise<void>} step
 */
async function hashed(video, shapes, step) {
  try {
    return await fingerprintVideo(video, shapes, step);
  } finally {
    video.close();
  }
}
