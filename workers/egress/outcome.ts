// What an answer, or its absence, is to the supervisor: the classes on which recovery decides. Pure.
// Not responsible for recovering. Invariant: `sent` is false only where nothing can have reached the upstream.
import { type EgressOutcome, SCOPE_PATTERN } from '../../src/boundary/egress.ts';
import type { HttpHead } from '../../src/boundary/host-request.ts';
import { failure } from '../../src/shared/errors.ts';
import type { WireFailure } from '../../src/shared/net/exchange.ts';
import type { MappedResult } from '../bindings/answer.ts';
import { retryAfterMs } from '../../src/shared/retry-after.ts';

const SCOPE = new RegExp(SCOPE_PATTERN);

/** Too early, too many, a gateway without an answer, overload. */
const TRANSIENT: ReadonlySet<number> = new Set([408, 425, 429, 502, 503, 504]);

/** Undefined for a status that goes on to the tool. @param leased a credential of ours was sent */
export function outcomeOfStatus(http: HttpHead, leased: boolean): EgressOutcome | undefined {
  if (http.status === 401) return { status: 'credential_rejected', http, sent: true };
  const scopes = http.status === 403 && leased ? wantedScopes(http.headers['www-authenticate']) : undefined;
  if (scopes !== undefined) return { status: 'scope_insufficient', http, sent: true, scopes };
  if (!TRANSIENT.has(http.status)) return undefined;
  const wait = retryAfterMs(http.headers['retry-after'], Date.now());
  return {
    status: 'transient',
    http,
    sent: true,
    detail: `HTTP ${http.status}`,
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
  };
}

/** RFC 6750, section 3: `Bearer error="insufficient_scope", scope="repo gist"`. Undefined where that is not what is wrong. */
function wantedScopes(challenge: string | undefined): string[] | undefined {
  if (challenge === undefined || !/(?:^|[\s,])error\s*=\s*"?insufficient_scope"?(?:$|[\s,])/i.test(challenge)) return undefined;
  const named = /(?:^|[\s,])scope\s*=\s*"([^"]*)"/i.exec(challenge)?.[1] ?? '';
  return [...new Set(named.split(/[\s,]+/))].filter((scope) => SCOPE.test(scope) && scope.length <= 256).slice(0, 32);
}

/** An answer that a declared tool could read, and that is no result. */
export function outcomeOfAnswer(
  http: HttpHead,
  { failure: reason, recover }: Extract<MappedResult, { ok: false }>,
): EgressOutcome {
  switch (recover) {
    case 'credential_rejected':
      return { status: 'credential_rejected', http, sent: true };
    case 'transient':
      return { status: 'transient', http, sent: true, detail: reason.detail ?? 'asked for less' };
    case undefined:
      return { status: 'upstream_error', http, sent: true, failure: reason };
    default:
      return recover satisfies never;
  }
}

export interface WireProblem {
  readonly sent: boolean;
  readonly code: WireFailure | 'coding';
  /** A code of Node or undici, or words of ours. */
  readonly detail: string;
}

/** A certificate that does not fit will not fit the next time either. */
const CERTIFICATE = /^(?:CERT_|DEPTH_ZERO|ERR_TLS_|ERR_SSL_|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH)/;
/** Answers that no repetition makes better. */
const MALFORMED = /^(?:HPE_|HTTPParserError$|UND_ERR_HEADERS_OVERFLOW|UND_ERR_RES_CONTENT_LENGTH)/;

export function outcomeOfWire({ sent, code, detail }: WireProblem, maxBytes: number): EgressOutcome {
  switch (code) {
    case 'too_large': {
      const message = `The answer of the service has more than ${maxBytes} bytes, the limit upstreamBytes (or maxBytes of the tool).`;
      return { status: 'upstream_error', sent, failure: failure('result_too_large', { message, detail }) };
    }
    case 'coding':
      return { status: 'upstream_error', sent, failure: failure('upstream_invalid', { detail }) };
    case 'held_back':
    case 'timeout':
    case 'cancelled':
      return { status: 'transient', sent, detail };
    case 'network':
      if (detail === 'ADDRESS_REFUSED') {
        return {
          status: 'denied',
          sent,
          failure: failure('egress_denied', { detail: 'the name leads to an address that is not allowed' }),
        };
      }
      if (detail === 'PROXY_REFUSED')
        return { status: 'denied', sent, failure: failure('egress_denied', { detail: 'the proxy does not let it through' }) };
      if (CERTIFICATE.test(detail) || MALFORMED.test(detail)) {
        return { status: 'upstream_error', sent, failure: failure('upstream_invalid', { detail }) };
      }
      return { status: 'transient', sent, detail: detail.slice(0, 400) };
    default:
      return code satisfies never;
  }
}
