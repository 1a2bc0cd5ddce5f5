// Looks a picture up and prints the banks of its matches as JSON.
//   node dist/src/picture.js URL FILE, with DISRUPT_TOKEN
import { readFile } from "node:fs/promises";

import { connect } from "./connection.js";

const [url, file] = process.argv.slice(2);
const token = process.env.DISRUPT_TOKEN;
if (!url || !file || !token) throw new Error("usage: DISRUPT_TOKEN=… picture.js URL FILE");
const answer = await connect(url, token, 1)().match.matchImage({ image: await readFile(file) });
console.log(JSON.stringify(answer.matches.map(({ bank }) => bank)));
process.exit(0); // connections stay open for further calls
