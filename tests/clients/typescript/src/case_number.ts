// The number of the case that a registration opens, derived from its request id as docs/case-numbers.md says.
import { createHash } from "node:crypto";

const ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ";

export function newCaseNumber(requestId: Uint8Array): string {
  const digest = createHash("sha256").update("disrupt case number 1\0").update(requestId).digest("hex");
  let left = BigInt(`0x${digest}`) % 30n ** 10n;
  const places: number[] = [];
  for (let place = 0; place < 10; place++) {
    places.push(Number(left % 30n));
    left /= 30n;
  }
  const check = places.reduce((sum, place) => (((sum + place) % 30 || 30) * 2) % 31, 30);
  places.push((31 - check) % 30);
  const characters = places.map((place) => ALPHABET[place]).join("");
  return [characters.slice(0, 4), characters.slice(4, 8), characters.slice(8)].join("-");
}
