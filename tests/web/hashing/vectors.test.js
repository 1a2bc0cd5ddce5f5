import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { Shapes } from '../../../disrupt/web/page/hashing/shapes.js';
import { differences } from './vectors.js';

const SHAPES = new URL('../../../disrupt/distinctiveness/shapes.npy', import.meta.url);

test('drawings are fingerprinted as Python fingerprints them', async () => {
  const vectors = JSON.parse(await readFile(new URL('./vectors.json', import.meta.url), 'utf8'));
  const shapes = new Shapes(new Uint8Array(await readFile(SHAPES)).buffer);
  assert.deepEqual(await differences(vectors, shapes), []);
});
