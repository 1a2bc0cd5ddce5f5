/** Hash files as the page does, and what the vectors draw; send both. */

import { get, hashFiles, send } from '../../../rig/callers/hash_files.js';
import { Shapes } from '../../../disrupt/web/page/hashing/shapes.js';
import { differences } from './vectors.js';

await send(async () => {
  const shapes = new Shapes(await (await get('/hashing/shapes.npy')).arrayBuffer());
  const vectors = await (await get('/tests/web/hashing/vectors.json')).json();
  return { ...(await hashFiles()), vectors: await differences(vectors, shapes) };
});
