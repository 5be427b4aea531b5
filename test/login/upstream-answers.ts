// What providers might answer that must not sign anybody in: ID tokens, token endpoints, user info, and the way back of the browser.
// Not responsible for sending it or for what is asserted (`refused`). Data, and the hands that make it.
import { SignJWT } from 'jose';
import { type ForeignIssuer, SIGN_IN_CLIENT } from '../auth/foreign-issuer.ts';

/** Long enough to be told from everything else, wherever it turns up. */
export const CANARY = 'canary-token-of-the-provider';
const now = (): number => Math.floor(Date.now() / 1000);

/** As a good provider would make it, but for what is changed; `undefined` leaves a claim out. */
export function idToken(
  issuer: ForeignIssuer,
  nonce: string,
  claims: object = {},
  header: object = {},
  key?: CryptoKey,
): Promise<string> {
  const own = { client_id: undefined, scope: undefined, nonce, ...claims };
  return issuer.sign(SIGN_IN_CLIENT, own, { typ: 'JWT', ...header }, key);
}

export interface Forged {
  readonly issuer: ForeignIssuer;
  readonly nonce: string;
  /** Of nobody's. */
  readonly strangerKey: CryptoKey;
}
type MakeToken = (forged: Forged) => unknown;
const claims =
  (changed: object): MakeToken =>
  ({ issuer, nonce }) =>
    idToken(issuer, nonce, changed);

/** Why, the ID token, and what the audit says. */
export const ID_TOKENS: readonly (readonly [string, MakeToken, RegExp])[] = [
  ['another issuer', claims({ iss: 'https://evil.example' }), /check of iss/],
  ['the issuer with a slash', ({ issuer, nonce }) => idToken(issuer, nonce, { iss: `${issuer.origin}/` }), /check of iss/],
  ['another client', claims({ aud: 'another-client' }), /check of aud/],
  ['a prefix of the client', claims({ aud: SIGN_IN_CLIENT.slice(0, -1) }), /check of aud/],
  ['no audience', claims({ aud: undefined }), /check of aud/],
  ['several clients', claims({ aud: [SIGN_IN_CLIENT, 'another-client'] }), /check of azp/],
  ['made for another client', claims({ azp: 'another-client' }), /check of azp/],
  ['another nonce', claims({ nonce: 'n'.repeat(43) }), /check of nonce/],
  ['no nonce', claims({ nonce: undefined }), /check of nonce/],
  ['a list of nonces', ({ issuer, nonce }) => idToken(issuer, nonce, { nonce: [nonce] }), /check of nonce/],
  ['expired', claims({ exp: now() - 120 }), /has expired/],
  ['without an end', claims({ exp: undefined }), /check of exp/],
  ['old', claims({ iat: now() - 3600 }), /has expired/],
  ['of the future', claims({ iat: now() + 3600 }), /check of iat/],
  ['nobody', claims({ sub: undefined }), /check of sub/],
  ['a subject with a quote', claims({ sub: "x' $(id)" }), /subject of the provider is malformed/],
  ['a subject of another script', claims({ sub: 'аda' }), /subject of the provider is malformed/],
  ['a long subject', claims({ sub: 'x'.repeat(300) }), /subject of the provider is malformed/],
  ['a subject that is a list', claims({ sub: ['ada'] }), /ID token: .*sub|does not say who/],
  [
    'the key of somebody else',
    ({ issuer, nonce, strangerKey }) => idToken(issuer, nonce, {}, {}, strangerKey),
    /signature .* is wrong/,
  ],
  ['a key that is not there', ({ issuer, nonce }) => idToken(issuer, nonce, {}, { kid: 'k2' }), /no such key/],
  ['no signature', ({ issuer, nonce }) => unsigned(issuer, nonce), /ID token:/],
  ['the public key as a secret', ({ issuer, nonce }) => confused(issuer, nonce), /ID token:/],
  ['a changed payload', async ({ issuer, nonce }) => changed(await idToken(issuer, nonce)), /signature .* is wrong/],
  ['no ID token', () => undefined, /there is no ID token/],
  ['no JWT', () => `${CANARY}.x.y`, /ID token:/],
  ['too long', ({ issuer, nonce }) => idToken(issuer, nonce, { padding: 'x'.repeat(20_000) }), /too long/],
  ['an object', () => ({ token: CANARY }), /there is no ID token/],
];

/** Why, the body of user info (status 200 where it is no number), and what the audit says. */
export const USER_INFOS: readonly (readonly [string, unknown, RegExp])[] = [
  ['no id', { login: 'ada' }, /does not say who/],
  ['id 0', { id: 0 }, /does not say who/],
  ['a fraction', { id: 1.5 }, /does not say who/],
  ['beyond what is exact', { id: 2 ** 53 }, /does not say who/],
  ['an object', { id: { toString: 1 } }, /does not say who/],
  ['an inherited name', { ['__proto__']: { id: 7 } }, /does not say who/],
  ['a list', [{ id: 7 }], /no JSON object/],
  ['no JSON', CANARY, /user info: its answer is no JSON/],
  ['giant', { id: 7, padding: 'x'.repeat(300_000) }, /user info: /],
  ['status', 401, /user info was answered with status 401/],
  ['a redirect', 302, /user info was answered with status 302/],
];

/** Why, user info beside an ID token of `ada`, what the audit says of the rules `emailDomains` and `hd`, and what is in the ID token, too. */
export const RULES: readonly (readonly [string, object | number, RegExp, object?])[] = [
  ['nothing', { sub: 'ada' }, /allow\.claims: there is no hd/],
  ['another organisation', { sub: 'ada', hd: 'evil.example' }, /allow\.claims: another hd/],
  ['organisations with a space', { sub: 'ada', hd: 'acme.example evil.example' }, /allow\.claims: another hd/],
  ['no address', { sub: 'ada', hd: 'acme.example' }, /there is no e-mail/],
  ['not verified', { sub: 'ada', hd: 'acme.example', email: 'ada@acme.example', email_verified: false }, /not verified/],
  ['verified as a text', { sub: 'ada', hd: 'acme.example', email: 'ada@acme.example', email_verified: 'true' }, /not verified/],
  ['another domain', { sub: 'ada', hd: 'acme.example', email: 'ada@evil.example', email_verified: true }, /another domain/],
  ['a domain below', { sub: 'ada', hd: 'acme.example', email: 'ada@x.acme.example', email_verified: true }, /another domain/],
  [
    'a domain that ends so',
    { sub: 'ada', hd: 'acme.example', email: 'ada@evilacme.example', email_verified: true },
    /another domain/,
  ],
  [
    'two addresses',
    { sub: 'ada', hd: 'acme.example', email: 'a@evil.example@acme.example', email_verified: true },
    /another domain/,
  ],
  ['of somebody else', { sub: 'eve', hd: 'acme.example', email: 'eve@acme.example', email_verified: true }, /of somebody else/],
  [
    'verified in one answer, and ours in the other',
    { sub: 'ada', hd: 'acme.example', email: 'ada@evil.example', email_verified: true },
    /another domain/,
    { email: 'ada@acme.example' },
  ],
  ['not to be had', 500, /answered with status 500/],
];

/** Why, what is changed in the query of the way back, and what the audit says. */
export const WAYS_BACK: readonly (readonly [string, (answer: URLSearchParams) => void, RegExp])[] = [
  ['of another issuer', (answer) => answer.set('iss', 'https://evil.example'), /another issuer/],
  ['of no issuer', (answer) => answer.delete('iss'), /no issuer/],
  ['of two issuers', (answer) => answer.append('iss', 'https://evil.example'), /parameter twice/],
  ['without a code', (answer) => answer.delete('code'), /no code/],
  ['with two codes', (answer) => answer.append('code', 'x'), /parameter twice/],
  ['denied', (answer) => error(answer, 'access_denied'), /answered access_denied/],
  ['an error', (answer) => error(answer, 'server_error'), /answered server_error/],
  ['an error with markup', (answer) => error(answer, `<b>${CANARY}</b>`), /answered error/],
];

function error(answer: URLSearchParams, code: string): void {
  answer.delete('code');
  answer.set('error', code);
  answer.set('error_description', CANARY);
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function payload(issuer: ForeignIssuer, nonce: string): Record<string, unknown> {
  return { iss: issuer.origin, aud: SIGN_IN_CLIENT, sub: 'ada', nonce, iat: now(), exp: now() + 60 };
}

function unsigned(issuer: ForeignIssuer, nonce: string): string {
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(payload(issuer, nonce))}.`;
}

function confused(issuer: ForeignIssuer, nonce: string): Promise<string> {
  const secret = Buffer.from(JSON.stringify(issuer.publicJwk));
  return new SignJWT(payload(issuer, nonce)).setProtectedHeader({ alg: 'HS256', kid: 'k1' }).sign(secret);
}

function changed(token: string): string {
  const [head, body = '', signature] = token.split('.');
  const claimed = JSON.parse(Buffer.from(body, 'base64url').toString()) as object;
  return [head, part({ ...claimed, sub: 'eve' }), signature].join('.');
}
