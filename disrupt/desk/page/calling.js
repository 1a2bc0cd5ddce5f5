/**
 * Ask the desk: every question is a POST of JSON. The session's cookie no script reads; its token
 * is kept here, and goes with each question.
 *
 * @module
 */

/** What the desk or the server refused, or that neither answered. */
export class Refused extends Error {
  /** @param {string} reason @param {string} [detail] */
  constructor(reason, detail = '') {
    super(detail);
    this.reason = reason;
  }
}

let token = '';
/** Set by `main.js`: what happens when the session has ended. */
export const session = { name: '', ended: () => {} };

/**
 * Ask, and return the answer. Rejects with Refused.
 * @param {string} path
 * @param {object} [asked]
 * @returns {Promise<any>}
 */
export async function ask(path, asked = {}) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Desk-Token': token },
      body: JSON.stringify(asked),
    });
  } catch {
    throw new Refused('UNAVAILABLE');
  }
  const answer = await response.json().catch(() => ({ reason: 'INTERNAL' }));
  if (response.ok) return answer;
  const refused = new Refused(answer.reason, answer.message);
  if (response.status === 401 && token) {
    token = '';
    session.ended();
  }
  throw refused;
}

/**
 * Make a call of the server with the key of the session.
 * @param {string} name
 * @param {object} [asked]
 */
export function call(name, asked) {
  return ask(`/api/${name}`, asked);
}

/** Go on with the session of this browser, if there is one. */
export async function resume() {
  begin(await ask('/session'));
}

/** Sign in by a passkey that the person chooses. */
export async function signIn() {
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(await ask('/sign-in/begin'));
  const credential = await byPerson(navigator.credentials.get({ publicKey: options }));
  begin(await ask('/sign-in/finish', { credential }));
}

/**
 * Enrol a passkey for a key, and sign in by it.
 * @param {string} secret
 */
export async function enrol(secret) {
  const asked = await ask('/enrol/begin', { secret });
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(asked);
  const credential = await byPerson(navigator.credentials.create({ publicKey: options }));
  begin(await ask('/enrol/finish', { credential }));
}

/** End the session. */
export async function signOut() {
  await ask('/sign-out');
  token = '';
}

/** @param {{name: string, token: string}} answer */
function begin(answer) {
  token = answer.token;
  session.name = answer.name;
}

/** @param {Promise<Credential | null>} asked */
async function byPerson(asked) {
  const credential = await asked.catch(() => null);
  if (!credential) throw new Refused('NOT_BY_PERSON');
  return /** @type {PublicKeyCredential} */ (credential).toJSON();
}
