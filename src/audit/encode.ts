// An event as one line of JSON, built by hand: this runs twice per call.
// Not responsible for the chain around it (`chain`) or for what an event may say (`record`).
// Invariant: the text is pure ASCII on one line (no control, bidi or line-separator character can reach a reader),
// every field has a length limit and was searched for credentials, and a line is at most LINE_BYTES long.
import type { ArgumentShape, AuditEvent, AuditSubject } from './record.ts';
import { redact } from './redact.ts';

/** Longest line, bytes: the caps below, with every character escaped. Readers may rely on it. */
export const LINE_BYTES = 65_536;
const FIELD = 256;
const REASON = 1024;
const ARG_NAME = 64;
const ARGS = 64;
/** As much of a text as is looked at behind what is kept of it: a credential that begins before the cut is known by then. */
const BEYOND = 2048;

/** Its own JSON, and no credential: `redact` knows none without an underscore, a dot, a space or a percent sign. */
const BARE = /^[0-9A-Za-z-]*$/;
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const BEYOND_ASCII = /[\x7f-\uffff]/g;
function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A JSON string without credentials, cut to `cap` UTF-16 units. */
export function quote(text: string, cap: number = FIELD): string {
  if (text.length <= cap && BARE.test(text)) return `"${text}"`;
  const safe = redact(text.slice(0, cap + BEYOND));
  const cut = safe.length > cap ? `${safe.slice(0, cap - 3)}...` : safe;
  return PLAIN.test(cut) ? `"${cut}"` : JSON.stringify(cut).replace(BEYOND_ASCII, escapeUnit);
}
function number(value: number): string {
  return Number.isFinite(value) ? String(Number.isInteger(value) ? value : Math.round(value * 1000) / 1000) : 'null';
}
function optional(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":${quote(value)}`;
}
function optionalNumber(name: string, value: number | undefined): string {
  return value === undefined ? '' : `,"${name}":${number(value)}`;
}

function subject(of: AuditSubject): string {
  return `,"tenant":${quote(of.tenant)}${optional('issuer', of.issuer)}${optional('subject', of.subject)}${optional('credential', of.credential)}${optional('client', of.client)},"correlation":${quote(of.correlation)}${optional('trace', of.trace)},"id":${quote(of.id)}${optional('parent', of.parent)}`;
}

function shapes(args: readonly ArgumentShape[]): string {
  let text = '';
  const count = Math.min(args.length, ARGS);
  for (let i = 0; i < count; i += 1) {
    const shape = args[i] as ArgumentShape;
    text += `${i === 0 ? '' : ','}{"name":${quote(shape.name, ARG_NAME)},"bytes":${number(shape.bytes)}}`;
  }
  return args.length > ARGS ? `[${text}],"argsOmitted":${args.length - ARGS}` : `[${text}]`;
}

function asked(event: Extract<AuditEvent, { args: unknown }>): string {
  return `,"bundle":${quote(event.bundle)},"depth":${number(event.depth)}${optionalNumber('deadline', event.deadline)},"args":${shapes(event.args)}${optional('resumes', event.resumes)}`;
}
function ended(event: Extract<AuditEvent, { bundle: string; durationMs: number }>): string {
  return `,"bundle":${quote(event.bundle)},"durationMs":${number(event.durationMs)},"outcome":${quote(event.outcome)}${optional('code', event.code)}${event.reason === undefined ? '' : `,"reason":${quote(event.reason, REASON)}`}${optionalNumber('resultBytes', event.resultBytes)}`;
}

function details(event: AuditEvent): string {
  switch (event.kind) {
    case 'call.request':
      return `,"tool":${quote(event.tool)}${asked(event)}`;
    case 'prompt.request':
    case 'resource.request':
    case 'completion.request':
      return `,"name":${quote(event.name)}${asked(event)}`;
    case 'call.outcome':
      return `,"tool":${quote(event.tool)}${ended(event)}`;
    case 'prompt.outcome':
    case 'resource.outcome':
    case 'completion.outcome':
      return `,"name":${quote(event.name)}${ended(event)}`;
    case 'call.refused':
      return `,"tool":${quote(event.tool)},"code":${quote(event.code)}${optional('limit', event.limit)},"count":${number(event.count)}`;
    case 'egress.request':
      return `,"connection":${quote(event.connection)},"method":${quote(event.method)},"origin":${quote(event.origin)},"attempt":${number(event.attempt)}${optional('lease', event.lease)}`;
    case 'egress.outcome':
      return `,"connection":${quote(event.connection)}${optionalNumber('status', event.status)},"outcome":${quote(event.outcome)},"durationMs":${number(event.durationMs)}`;
    case 'auth.denied':
      return `,"code":${quote(event.code)},"reason":${quote(event.reason, REASON)},"address":${quote(event.address)}${optionalNumber('count', event.count)}`;
    case 'token.created':
    case 'token.revoked':
      return `,"token":${quote(event.token)}`;
    case 'secret.set':
    case 'secret.deleted':
      return `,"secret":${quote(event.secret)}`;
    case 'grant.connected':
    case 'grant.refresh':
    case 'grant.refreshed':
    case 'grant.revoke':
    case 'grant.revoked':
      return `,"connection":${quote(event.connection)},"grant":${quote(event.grant)}${optional('flow', event.flow)}${optional('outcome', event.outcome)}${event.reason === undefined ? '' : `,"reason":${quote(event.reason, REASON)}`}`;
    case 'connect.link':
      return `,"connection":${quote(event.connection)},"flow":${quote(event.flow)},"scopes":${quote(event.scopes.join(' '), REASON)}`;
    case 'connect.opened':
    case 'connect.confirmed':
    case 'connect.denied':
    case 'connect.failed':
      return `,"connection":${quote(event.connection)},"flow":${quote(event.flow)}${event.reason === undefined ? '' : `,"reason":${quote(event.reason, REASON)}`}`;
    case 'credential.rejected':
      return `,"connection":${quote(event.connection)},"failures":${number(event.failures)}${optional('grant', event.grant)}`;
    case 'user.added':
    case 'user.password':
    case 'user.removed':
    case 'login.registered':
    case 'login.reused':
    case 'login.revoked':
      return '';
    case 'member.granted':
    case 'member.revoked':
    case 'login.consented':
    case 'login.issued':
    case 'login.refreshed':
      return `,"scopes":${quote(event.scopes.join(' '), REASON)}`;
    case 'client.removed':
      return `,"application":${quote(event.application)}`;
    case 'consent.revoked':
      return `,"application":${quote(event.application)},"scopes":${quote(event.scopes.join(' '), REASON)}`;
    case 'login.signed_in':
    case 'login.failed':
    case 'login.signed_out':
    case 'login.denied':
      return `,"address":${quote(event.address)}${optional('provider', event.provider)}${event.reason === undefined ? '' : `,"reason":${quote(event.reason, REASON)}`}`;
    case 'store.write':
      return `,"scope":${quote(event.scope)},"action":${quote(event.action)},"bytes":${number(event.bytes)}`;
    case 'toolset.changed':
      return `,"bundle":${quote(event.bundle)},"tools":${number(event.tools)}`;
    case 'pool.lost':
      return `,"bundle":${quote(event.bundle)},"reason":${quote(event.reason, REASON)}`;
    case 'tenant.separated':
      return `,"deaths":${number(event.deaths)},"until":${quote(event.until)}`;
    case 'tenant.removed':
      return `,"files":${quote(event.files)}`;
    case 'tenant.added':
    case 'vault.rotated':
    case 'tenant.returned':
      return '';
    case 'audit.gap':
      return `,"lost":${number(event.lost)},"reason":${quote(event.reason, REASON)}`;
    default:
      return event satisfies never;
  }
}

/** The event as a JSON object. */
export function encodeEvent(event: AuditEvent): string {
  return `{"kind":"${event.kind}"${subject(event)}${details(event)}}`;
}
