// Registers a hash, looks it up, provokes errors, withdraws; prints what came as one JSON object.
//   node dist/src/walkthrough.js URL HASH-IN-HEX, with DISRUPT_MATCH_KEY and DISRUPT_REGISTER_KEY
import { randomBytes, randomInt } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

import { Profile, MediaKind } from "../gen/disrupt/v1/types_pb.js";
import { AgeBand, CaseStatus } from "../gen/disrupt/v1/registration_pb.js";
import { newCaseNumber } from "./case_number.js";
import { connect, type Clients } from "./connection.js";
import { failure, type Failure } from "./failures.js";

const [url, hex] = process.argv.slice(2);
const { DISRUPT_MATCH_KEY, DISRUPT_REGISTER_KEY } = process.env;
if (!url || !hex || !DISRUPT_MATCH_KEY || !DISRUPT_REGISTER_KEY) {
  throw new Error("usage: DISRUPT_MATCH_KEY=… DISRUPT_REGISTER_KEY=… walkthrough.js URL HASH-IN-HEX");
}

const platform = connect(url, DISRUPT_MATCH_KEY);
const device = connect(url, DISRUPT_REGISTER_KEY, 1);
const hash = Buffer.from(hex, "hex"); // the published hex, byte for byte

interface Found {
  item: string;
  bank: string;
  distance: number;
}

async function lookUp(): Promise<Found[]> {
  const { matches } = await platform().match.matchHashes({ hashes: hash, profile: Profile.PDQ_512 });
  if (!matches) return [];
  return matches.queries.map((_, i) => ({
    item: Buffer.from(matches.itemIds.subarray(16 * i, 16 * (i + 1))).toString("hex"),
    bank: matches.bankNames[matches.banks[i]!]!,
    distance: matches.distancesBits[i]!,
  }));
}

async function until(wanted: (found: Found[]) => boolean): Promise<Found[]> {
  for (let attempt = 0; ; attempt++) {
    const found = await lookUp();
    if (wanted(found) || attempt > 100) return found;
    await pause(100);
  }
}

async function failed(call: (clients: Clients) => Promise<unknown>, connection = platform): Promise<Failure> {
  try {
    await call(connection());
  } catch (error) {
    return failure(error);
  }
  throw new Error("the call was meant to fail");
}

const before = await lookUp();

const pin = Array.from({ length: 12 }, () => randomInt(10)).join("");
const requestId = randomBytes(16);
const derived = newCaseNumber(requestId); // what a person sees before anything is sent
const registration = {
  context: { requestId, newCaseNumber: derived, access: { pin }, ageBand: AgeBand.ADULT },
  items: [{ kind: MediaKind.IMAGE, fingerprints: { hashes: hash, qualities: Uint8Array.of(100) } }],
};
const { receipt } = await device().registration.registerHashes(registration);
const again = await device().registration.registerHashes(registration); // as after a lost answer
const caseNumber = receipt!.caseNumber;
const registered = await until((found) => found.length > 0);

const violated = await failed(({ match }) => match.matchHashes({ hashes: hash.subarray(1) }));
const refused = await failed(({ match }) => match.getIndexStatus({}), connect(url, "unknown", 1));
const lacking = await failed(({ match }) => match.getIndexStatus({}), device);
const closed = await failed(
  ({ registration }) => registration.getCase({ access: { caseNumber, pin: pin === "0".repeat(12) ? "1".repeat(12) : "0".repeat(12) } }),
  device,
);

const gone = await device().registration.withdrawItems({
  access: { caseNumber, pin },
  itemIds: receipt!.items.map(({ itemId }) => itemId),
});
const withdrawn = await until((found) => found.length === 0);

console.log(
  JSON.stringify({
    before,
    items: receipt!.items.map(({ itemId }) => Buffer.from(itemId).toString("hex")),
    derived: caseNumber === derived,
    replayed: again.receipt!.caseNumber === caseNumber,
    registered,
    violated,
    refused,
    lacking,
    closed,
    status: CaseStatus[gone.case!.status],
    withdrawn,
  }),
);
