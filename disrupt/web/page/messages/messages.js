/**
 * The messages of proto/ that the page sends and reads: fields by name, as a test compares.
 *
 * @module
 */

/** @typedef {import('./protobuf.js').Fields} Fields */

/**
 * What the worker makes of a file: its fingerprints in columns, one entry for each hash.
 * @typedef {object} Media
 * @property {'picture' | 'video'} kind
 * @property {Uint8Array} hashes n × 32 bytes
 * @property {Uint8Array} qualities 0-100
 * @property {ArrayLike<number>} profiles numbers of Profile: 1 PDQ_512, 2 PDQ_FULL
 * @property {ArrayLike<number>} plans
 * @property {ArrayLike<number>} ordinals
 * @property {ArrayLike<number>} [startMs] of a video
 * @property {ArrayLike<number>} [endMs] of a video
 */

/** @typedef {{caseNumber: string, pin: string}} Access what opens a case */

/**
 * @typedef {object} CaseItem
 * @property {Uint8Array} itemId 16 bytes
 * @property {string} kind of MEDIA_KIND
 * @property {number} hashes
 * @property {string} ageBand of AGE_BAND
 * @property {number} number in the case, from 1
 * @property {string} registeredOn ISO date (UTC)
 * @property {Uint8Array} identity see cases.js; empty where it is not known
 * @property {string} blockedOn ISO date (UTC) on which a platform last blocked a copy, or empty
 * @property {string} leftUpOn ISO date (UTC) on which a platform last left a copy up, or empty
 * @property {string} state of CASE_ITEM_STATE
 * @property {string} waitReason of WAIT_REASON, where it waits
 */

/**
 * @typedef {object} Case
 * @property {string} caseNumber
 * @property {string} status of CASE_STATUS
 * @property {string} openedOn ISO date (UTC)
 * @property {string} closedOn ISO date (UTC), empty while open
 * @property {CaseItem[]} items those that are not withdrawn
 * @property {number[]} withdrawnNumbers of items that were withdrawn one by one
 * @property {string} erasedOn ISO date (UTC) on which the case is erased, as its PIN is lost, or empty
 */

/**
 * @typedef {object} RegisteredItem
 * @property {number} index in the request
 * @property {Uint8Array} itemId 16 bytes
 * @property {number} hashes
 * @property {string} outcome of REGISTRATION_OUTCOME
 * @property {number} number in the case, from 1
 * @property {string} state of CASE_ITEM_STATE, also where the case had it before
 * @property {string} waitReason of WAIT_REASON, where it waits
 */

/** @typedef {{index: number, lowQuality?: {quality: number, minimumQuality: number}}} RejectedItem */

/** @typedef {{caseNumber: string, status: string, items: RegisteredItem[], rejected: RejectedItem[]}} Receipt */

/**
 * @typedef {object} Withdrawal
 * @property {Case} case
 * @property {{itemId: Uint8Array, number: number}[]} withdrawn
 * @property {string} receiptCode of a receipt; empty where all was withdrawn before
 */

/**
 * What the service's log says of a withdrawal.
 * @typedef {object} WithdrawalReceipt
 * @property {string} document its proofs, as JSON
 * @property {string} erasedOn ISO date (UTC) by which it was erased, or empty
 * @property {number} mirrors copies of platforms that were erased too
 * @property {number} silent organisations that may have a copy, and do not report
 */

export const CASE_STATUS = ['UNSPECIFIED', 'RECEIVED', 'ACTIVE', 'WITHDRAWN', 'REJECTED'];
export const AGE_BAND = ['UNSPECIFIED', 'ADULT', 'MINOR'];
export const MEDIA_KIND = ['UNSPECIFIED', 'IMAGE', 'VIDEO'];
export const CASE_ITEM_STATE = ['UNSPECIFIED', 'LIVE', 'WAITING', 'OFF'];
export const WAIT_REASON = ['UNSPECIFIED', 'LIMIT', 'UNLIKE_A_PICTURE', 'BANK', 'COMMON'];
export const REGISTRATION_OUTCOME = ['UNSPECIFIED', 'ADDED', 'RENEWED', 'KEPT'];

/** Number of the enumeration Profile for the canonical hash. */
const PDQ_512 = 1;

/** The origin token and the door are left out: the gateway sets them. @type {Fields} */
export const CaseAccess = { caseNumber: [1, 'string'], pin: [2, 'string'] };

/** @type {Fields} */
export const RegistrationContext = {
  requestId: [1, 'bytes'],
  access: [2, CaseAccess],
  ageBand: [3, AGE_BAND],
  newCaseNumber: [4, 'string'],
  proofOfWork: [5, 'string'],
  language: [7, 'string'],
};

/** @type {Fields} */
export const Fingerprints = {
  hashes: [1, 'bytes'],
  qualities: [2, 'bytes'],
  profiles: [3, 'number', 'repeated'],
  plans: [4, 'number', 'repeated'],
  ordinals: [5, 'number', 'repeated'],
  startMs: [6, 'number', 'repeated'],
  endMs: [7, 'number', 'repeated'],
};

/** @type {Fields} */
export const MediaItem = { kind: [1, MEDIA_KIND], fingerprints: [2, Fingerprints] };

/** @type {Fields} */
export const RegisterHashesRequest = {
  context: [1, RegistrationContext],
  items: [2, MediaItem, 'repeated'],
};

/** @type {Fields} */
export const LowQuality = { quality: [1, 'number'], minimumQuality: [2, 'number'] };

/** @type {Fields} */
export const RegisteredItem = {
  index: [1, 'number'],
  itemId: [2, 'bytes'],
  hashes: [3, 'number'],
  outcome: [4, REGISTRATION_OUTCOME],
  number: [5, 'number'],
  state: [6, CASE_ITEM_STATE],
  waitReason: [7, WAIT_REASON],
};

/** @type {Fields} */
export const RejectedItem = { index: [1, 'number'], lowQuality: [2, LowQuality] };

/** @type {Fields} */
export const Receipt = {
  caseNumber: [1, 'string'],
  status: [2, CASE_STATUS],
  items: [3, RegisteredItem, 'repeated'],
  rejected: [4, RejectedItem, 'repeated'],
};

/** @type {Fields} */
export const RegisterHashesResponse = { receipt: [1, Receipt] };

/** @type {Fields} */
export const CaseItem = {
  itemId: [1, 'bytes'],
  kind: [2, MEDIA_KIND],
  hashes: [3, 'number'],
  ageBand: [4, AGE_BAND],
  number: [5, 'number'],
  registeredOn: [6, 'string'],
  identity: [7, 'bytes'],
  blockedOn: [8, 'string'],
  leftUpOn: [9, 'string'],
  state: [10, CASE_ITEM_STATE],
  waitReason: [11, WAIT_REASON],
};

/** @type {Fields} */
export const Case = {
  caseNumber: [1, 'string'],
  status: [2, CASE_STATUS],
  openedOn: [3, 'string'],
  closedOn: [4, 'string'],
  items: [5, CaseItem, 'repeated'],
  withdrawnNumbers: [6, 'number', 'repeated'],
  erasedOn: [7, 'string'],
};

/** @type {Fields} */
export const GetCaseRequest = { access: [1, CaseAccess] };

/** @type {Fields} */
export const GetCaseResponse = { case: [1, Case] };

/** @type {Fields} */
export const KeepCaseRequest = { access: [1, CaseAccess] };

/** @type {Fields} */
export const KeepCaseResponse = { case: [1, Case] };

/** Its origin tokens are left out too. @type {Fields} */
export const GetChallengeRequest = { pictures: [3, 'number'] };

/** @type {Fields} */
export const GetChallengeResponse = { challenge: [1, 'string'] };

/** @type {Fields} */
export const WithdrawItemsRequest = {
  access: [1, CaseAccess],
  itemIds: [2, 'bytes', 'repeated'],
  itemNumbers: [3, 'number', 'repeated'],
};

/** @type {Fields} */
export const WithdrawCaseRequest = { access: [1, CaseAccess] };

/** @type {Fields} */
export const WithdrawnItem = { itemId: [1, 'bytes'], number: [2, 'number'] };

/** The answer of WithdrawItems and WithdrawCase. @type {Fields} */
export const WithdrawResponse = {
  case: [1, Case],
  withdrawn: [3, WithdrawnItem, 'repeated'],
  receiptCode: [4, 'string'],
};

/** @type {Fields} */
export const GetReceiptRequest = { code: [1, 'string'] };

/** @type {Fields} */
export const GetReceiptResponse = {
  document: [1, 'string'],
  erasedOn: [2, 'string'],
  mirrors: [3, 'number'],
  silent: [4, 'number'],
};

/** google.rpc.ErrorInfo @type {Fields} */
export const ErrorInfo = { reason: [1, 'string'] };

/** google.protobuf.Duration @type {Fields} */
export const Duration = { seconds: [1, 'number'], nanos: [2, 'number'] };

/** google.rpc.RetryInfo @type {Fields} */
export const RetryInfo = { retryDelay: [1, Duration] };

/**
 * Return the MediaItem of a file. Columns that hold defaults alone are left out.
 * @param {Media} media
 */
export function mediaItem({ kind, hashes, qualities, ...columns }) {
  /** @param {ArrayLike<number>} values @param {number} usual */
  const unless = (values, usual) =>
    Array.prototype.every.call(values, (value) => value === usual) ? [] : Array.from(values);
  const isVideo = kind === 'video';
  return {
    kind: isVideo ? 'VIDEO' : 'IMAGE',
    fingerprints: {
      hashes,
      qualities,
      profiles: unless(columns.profiles, PDQ_512),
      plans: unless(columns.plans, 0),
      ordinals: unless(columns.ordinals, 0),
      startMs: isVideo ? Array.from(columns.startMs ?? []) : [],
      endMs: isVideo ? Array.from(columns.endMs ?? []) : [],
    },
  };
}
