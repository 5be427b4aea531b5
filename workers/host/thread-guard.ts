// Cheap checks, by hand, of what a thread says, as strict as the schemas of the frames that its words become.
// Not responsible for trust: the supervisor checks every frame again. This only keeps one thread from ending a whole host.
// Invariant: no schema compiler here; it would double the time in which a host starts.
import { ASK_KEY_PATTERN, ASK_KINDS } from '../../src/boundary/ask.ts';
import type { EgressOutcome } from '../../src/boundary/egress.ts';
import type { HostRequest, Notice } from '../../src/boundary/host-request.ts';
import type { HostOutcome } from '../../src/boundary/outcome.ts';
import { type Failure, isFailureCode } from '../../src/shared/errors.ts';

type Fields = Record<string, (value: unknown) => boolean>;

const text = (max: number) => (value: unknown) => typeof value === 'string' && value.length <= max;
const some = (max: number) => (value: unknown) => typeof value === 'string' && value.length > 0 && value.length <= max;
const maybe = (check: (value: unknown) => boolean) => (value: unknown) => value === undefined || check(value);
const one =
  (...values: unknown[]) =>
  (value: unknown) =>
    values.includes(value);
const finite = (value: unknown) => Number.isFinite(value);
const integer = (from: number, to: number) => (value: unknown) =>
  Number.isSafeInteger(value) && (value as number) >= from && (value as number) <= to;
const anything = () => true;
const truth = (value: unknown) => typeof value === 'boolean';
const record = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An object with these fields and no others. */
function shape(fields: Fields): (value: unknown) => boolean {
  const names = Object.keys(fields);
  return (value) => {
    if (!record(value)) return false;
    for (const name in value) if (!Object.hasOwn(fields, name)) return false;
    for (const name of names) if (fields[name]?.(value[name]) !== true) return false;
    return true;
  };
}
function entries(name: (value: unknown) => boolean, check: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => {
    if (!record(value)) return false;
    for (const key in value) if (!name(key) || !check(value[key])) return false;
    return true;
  };
}

const TEXT = 4096;
const DAY_MS = 86_400_000;
const aFailure = shape({
  code: isFailureCode,
  message: maybe(text(TEXT)),
  path: maybe(text(TEXT)),
  reason: maybe(text(TEXT)),
  retryAfterMs: maybe(integer(0, DAY_MS)),
  url: maybe(text(TEXT)),
  limit: maybe(text(64)),
  toolCode: maybe(text(128)),
  data: anything,
  detail: maybe(text(4 * TEXT)),
});
const askKey = new RegExp(ASK_KEY_PATTERN);
const headers = entries(text(256), text(16_384));
const head = shape({ status: integer(100, 599), headers, url: text(8192) });

const outcomes: Fields = {
  ok: shape({ status: anything, meta: maybe(record) }),
  error: shape({ status: anything, failure: aFailure }),
};
const egressOutcomes: Fields = {
  ok: shape({ status: anything, http: head, sent: truth }),
  credential_rejected: shape({ status: anything, http: head, sent: truth }),
  scope_insufficient: shape({ status: anything, http: head, sent: truth, scopes: anything }),
  transient: shape({
    status: anything,
    http: maybe(head),
    retryAfterMs: maybe(integer(0, Number.MAX_SAFE_INTEGER)),
    sent: truth,
    detail: text(TEXT),
  }),
  upstream_error: shape({ status: anything, http: maybe(head), sent: truth, failure: aFailure }),
  denied: shape({ status: anything, sent: truth, failure: aFailure }),
};
const notices: Fields = {
  progress: shape({ kind: anything, progress: finite, total: maybe(finite), message: maybe(text(4096)) }),
  log: shape({
    kind: anything,
    level: one('debug', 'info', 'warn', 'error'),
    message: text(8192),
    fields: maybe(record),
    console: (value) => value === undefined || value === true,
  }),
  resource_updated: shape({ kind: anything, uri: some(2048) }),
};
const requests: Fields = {
  fetch: shape({
    op: anything,
    connection: text(128),
    url: text(8192),
    method: text(16),
    headers,
    idempotencyKey: maybe(text(256)),
  }),
  call: shape({ op: anything, tool: text(128) }),
  store: shape({
    op: anything,
    scope: one('tenant', 'subject'),
    action: one('get', 'set', 'delete'),
    key: some(512),
    ttlMs: maybe(integer(1, Number.MAX_SAFE_INTEGER)),
  }),
  ask: shape({ op: anything, kind: one(...ASK_KINDS), key: (value) => typeof value === 'string' && askKey.test(value) }),
};

function variant(of: Fields, tag: string, value: unknown): boolean {
  if (!record(value)) return false;
  const name = value[tag];
  return typeof name === 'string' && Object.hasOwn(of, name) && of[name]?.(value) === true;
}

/** Whose message it is, as far as it says so. */
export function callOf(message: unknown): number | undefined {
  const { call } = record(message) ? message : {};
  return integer(0, Number.MAX_SAFE_INTEGER)(call) ? (call as number) : undefined;
}

export function failureFits(value: unknown): value is Failure {
  return aFailure(value);
}
export function outcomeFits(value: unknown): value is HostOutcome {
  return variant(outcomes, 'status', value);
}
export function egressOutcomeFits(value: unknown): value is EgressOutcome {
  return variant(egressOutcomes, 'status', value);
}
export function noticeFits(value: unknown): value is Notice {
  return variant(notices, 'kind', value);
}
export function requestFits(request: unknown, ask: unknown, body: unknown): ask is HostRequest {
  if (body !== undefined && !(body instanceof Uint8Array)) return false;
  return integer(0, Number.MAX_SAFE_INTEGER)(request) && variant(requests, 'op', ask);
}
