/**
 * The messages of proto/ that the page sends and reads, by name and number of their fields.
 *
 * A table has the fields that the page needs; a test compares it with proto/.
 *
 * @module
 */

/** @typedef {import('./protobuf.js').Fields} Fields */

/** @typedef {{caseNumber: string, pin: string}} CaseAccess */
/**
 * @typedef {object} CaseItem
 * @property {Uint8Array} itemId 16 bytes
 * @property {number} kind
 * @property {number} hashes
 * @property {number} ageBand
 * @property {number[]} outcomes
 * @property {number} state
 */
/**
 * @typedef {object} CaseErasure days are ISO dates (UTC)
 * @property {string} requestedOn
 * @property {string} confirmedOn
 * @property {string} dueOn
 * @property {string} erasedOn
 */
/**
 * @typedef {object} Case
 * @property {string} caseNumber
 * @property {number} status
 * @property {string} openedOn ISO date (UTC)
 * @property {string} closedOn ISO date (UTC), empty while open
 * @property {CaseItem[]} items
 * @property {CaseErasure} [erasure]
 */
/**
 * @typedef {object} RegisteredItem
 * @property {number} index
 * @property {Uint8Array} itemId 16 bytes
 * @property {number} hashes
 * @property {number} outcome
 * @property {number} state
 */
/**
 * @typedef {{index: number, lowQuality?: {quality: number, minimumQuality: number}}} RejectedItem
 */
/**
 * @typedef {object} Receipt
 * @property {string} caseNumber
 * @property {number} status
 * @property {RegisteredItem[]} items
 * @property {RejectedItem[]} rejected
 */
/**
 * @typedef {object} Status
 * @property {number} code
 * @property {string} message
 * @property {{typeUrl: string, value: Uint8Array}[]} details
 */

export const CASE_STATUS = Object.freeze({ RECEIVED: 1, ACTIVE: 2, WITHDRAWN: 3, REJECTED: 4 });
export const AGE_BAND = Object.freeze({ UNSURE: 0, ADULT: 1, MINOR: 2 });
export const MEDIA_KIND = Object.freeze({ IMAGE: 1, VIDEO: 2 });
export const ITEM_STATE = Object.freeze({ LIVE: 1, WAITING: 2, DISABLED: 3 });
export const REGISTRATION_OUTCOME = Object.freeze({ ADDED: 1, RENEWED: 2, KEPT: 3 });
export const ITEM_OUTCOME = Object.freeze({ BLOCKED: 1, NOT_BLOCKED: 2 });

/** @type {Fields} */
export const CaseAccess = {
  caseNumber: { number: 1, type: 'string' },
  pin: { number: 2, type: 'string' },
};

/** @type {Fields} */
export const RegistrationContext = {
  requestId: { number: 1, type: 'bytes' },
  access: { number: 2, type: CaseAccess },
  ageBand: { number: 3, type: 'varint' },
  newCaseNumber: { number: 4, type: 'string' },
};

/** @type {Fields} */
export const Fingerprints = {
  hashes: { number: 1, type: 'bytes' },
  qualities: { number: 2, type: 'bytes' },
  profiles: { number: 3, type: 'varint', repeated: true },
  plans: { number: 4, type: 'varint', repeated: true },
  ordinals: { number: 5, type: 'varint', repeated: true },
  startMs: { number: 6, type: 'varint', repeated: true },
  endMs: { number: 7, type: 'varint', repeated: true },
};

/** @type {Fields} */
export const MediaItem = {
  kind: { number: 1, type: 'varint' },
  fingerprints: { number: 2, type: Fingerprints },
};

/** @type {Fields} */
export const RegisterHashesRequest = {
  context: { number: 1, type: RegistrationContext },
  items: { number: 2, type: MediaItem, repeated: true },
};

/** @type {Fields} */
export const LowQuality = {
  quality: { number: 1, type: 'varint' },
  minimumQuality: { number: 2, type: 'varint' },
};

/** @type {Fields} */
export const RegisteredItem = {
  index: { number: 1, type: 'varint' },
  itemId: { number: 2, type: 'bytes' },
  hashes: { number: 3, type: 'varint' },
  outcome: { number: 4, type: 'varint' },
  state: { number: 5, type: 'varint' },
};

/** @type {Fields} */
export const RejectedItem = {
  index: { number: 1, type: 'varint' },
  lowQuality: { number: 2, type: LowQuality },
};

/** @type {Fields} */
export const Receipt = {
  caseNumber: { number: 1, type: 'string' },
  status: { number: 2, type: 'varint' },
  items: { number: 3, type: RegisteredItem, repeated: true },
  rejected: { number: 4, type: RejectedItem, repeated: true },
};

/** @type {Fields} */
export const RegisterHashesResponse = { receipt: { number: 1, type: Receipt } };

/** @type {Fields} */
export const CaseItem = {
  itemId: { number: 1, type: 'bytes' },
  kind: { number: 2, type: 'varint' },
  hashes: { number: 3, type: 'varint' },
  ageBand: { number: 4, type: 'varint' },
  outcomes: { number: 5, type: 'varint', repeated: true },
  state: { number: 6, type: 'varint' },
};

/** @type {Fields} */
export const CaseErasure = {
  requestedOn: { number: 1, type: 'string' },
  confirmedOn: { number: 2, type: 'string' },
  dueOn: { number: 3, type: 'string' },
  erasedOn: { number: 4, type: 'string' },
};

/** @type {Fields} */
export const Case = {
  caseNumber: { number: 1, type: 'string' },
  status: { number: 2, type: 'varint' },
  openedOn: { number: 3, type: 'string' },
  closedOn: { number: 4, type: 'string' },
  items: { number: 5, type: CaseItem, repeated: true },
  erasure: { number: 6, type: CaseErasure },
};

/**
 * The request of GetCase, WithdrawCase and KeepCase.
 * @type {Fields}
 */
export const CaseRequest = { access: { number: 1, type: CaseAccess } };

/**
 * The answer of GetCase, WithdrawItems, WithdrawCase and KeepCase.
 * @type {Fields}
 */
export const CaseResponse = { case: { number: 1, type: Case } };

/** @type {Fields} */
export const WithdrawItemsRequest = {
  access: { number: 1, type: CaseAccess },
  itemIds: { number: 2, type: 'bytes', repeated: true },
};

/** google.protobuf.Any @type {Fields} */
export const Any = {
  typeUrl: { number: 1, type: 'string' },
  value: { number: 2, type: 'bytes' },
};

/** google.rpc.Status @type {Fields} */
export const Status = {
  code: { number: 1, type: 'varint' },
  message: { number: 2, type: 'string' },
  details: { number: 3, type: Any, repeated: true },
};

/** google.rpc.ErrorInfo @type {Fields} */
export const ErrorInfo = { reason: { number: 1, type: 'string' } };

/** google.protobuf.Duration @type {Fields} */
export const Duration = {
  seconds: { number: 1, type: 'varint' },
  nanos: { number: 2, type: 'varint' },
};

/** google.rpc.RetryInfo @type {Fields} */
export const RetryInfo = { retryDelay: { number: 1, type: Duration } };

/**
 * @typedef {object} Fingerprint what the worker makes of one version of a picture, or of one frame
 * @property {Uint8Array} hash 32 bytes
 * @property {number} quality 0-100
 * @property {number} profile number of Profile
 * @property {number} plan
 * @property {number} ordinal
 * @property {number} [startMs] of a frame
 * @property {number} [endMs] of a frame
 */

/**
 * Put fingerprints into columns, as proto/ has them. Columns of defaults are left out.
 * @param {'IMAGE' | 'VIDEO'} kind
 * @param {Fingerprint[]} fingerprints
 */
export function mediaItem(kind, fingerprints) {
  const hashes = new Uint8Array(32 * fingerprints.length);
  fingerprints.forEach(({ hash }, place) => hashes.set(hash, 32 * place));
  /** @param {(fingerprint: Fingerprint) => number} value @param {number} usual */
  const column = (value, usual) => {
    const values = fingerprints.map(value);
    return values.every((each) => each === usual) ? [] : values;
  };
  const isVideo = kind === 'VIDEO';
  return {
    kind: MEDIA_KIND[kind],
    fingerprints: {
      hashes,
      qualities: Uint8Array.from(fingerprints, ({ quality }) => quality),
      profiles: column(({ profile }) => profile, 1),
      plans: column(({ plan }) => plan, 0),
      ordinals: column(({ ordinal }) => ordinal, 0),
      startMs: isVideo ? fingerprints.map(({ startMs }) => startMs ?? 0) : [],
      endMs: isVideo ? fingerprints.map(({ endMs }) => endMs ?? 0) : [],
    },
  };
}
