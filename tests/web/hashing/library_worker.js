/** A worker that hashes a picture as a library of the page decodes it, and not the browser. */

import { fingerprintPicture } from '../../../disrupt/web/page/hashing/fingerprints.js';
import { LumaReader } from '../../../disrupt/web/page/hashing/luma.js';
import { SHAPES_URL, Shapes } from '../../../disrupt/web/page/hashing/shapes.js';
import { rowOf } from './comparison.js';

self.addEventListener('message', async ({ data: { library, file } }) => {
  const { decode } = await import(`../../../disrupt/web/page/decoding/${library}.js`);
  const { width, height, strips } = await decode(file);
  const reader = new LumaReader(width, height);
  for (const strip of strips) reader.add(strip);
  const { body } = await fetch(SHAPES_URL);
  if (!body) throw new Error('shapes are missing');
  const outcome = await fingerprintPicture(reader, await Shapes.unpack(body), async () => {});
  if (!('fingerprints' in outcome)) throw new Error(outcome.refused.cause);
  self.postMessage({ fingerprints: outcome.fingerprints.map(rowOf) });
});

// The page hears of an error that is thrown, and not of a promise that is rejected.
self.addEventListener('unhandledrejection', ({ reason }) => {
  self.postMessage({ failed: String(reason) });
});
