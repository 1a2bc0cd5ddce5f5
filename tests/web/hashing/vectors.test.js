import assert from 'node:assert/strict';
import { openAsBlob } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { SHAPES_URL, Shapes } from '../../../disrupt/web/page/hashing/shapes.js';
import { differences } from './comparison.js';

test('drawings are fingerprinted as Python fingerprints them', async () => {
  const vectors = JSON.parse(await readFile(new URL('./vectors.json', import.meta.url), 'utf8'));
  const packed = await openAsBlob(fileURLToPath(SHAPES_URL));
  assert.deepEqual(await differences(vectors, await Shapes.unpack(packed.stream())), []);
});
