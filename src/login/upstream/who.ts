// From the claims of a provider to a subject of ours: who somebody is, what people call them, and whether they may sign in at all. Pure.
// Not responsible for proof (`identity`). Invariant: the subject is made of the claim that the operator (or the preset) chose and of nothing
// that changes; a rule that cannot be checked does not hold; no text of the provider is in a reason.
import { claimAt } from '../../auth/claims.ts';
import type { Json } from '../../auth/token-form.ts';
import type { CompiledAllow, CompiledSignInProvider } from '../../config/compiled-auth.ts';

/** As long as a subject in a token may be. */
const SUBJECT_CHARACTERS = 256;
/** Visible ASCII but the apostrophe, so that it can be quoted in a shell and read in a record. */
const IDENTIFIER = /^[!-&(-~]+$/;
const NAME_CHARACTERS = 100;
/** RFC 5321 allows far more; whoever has such an address is no member of a domain by rule. */
const EMAIL = /^[!-?A-~]{1,64}@([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)$/;
const CALLED = ['email', 'preferred_username', 'login', 'name'] as const;

export interface Who {
  /** `google:1234` */
  readonly subject: string;
  /** For screens only. */
  readonly called: string | undefined;
}

/** A text is the exact reason why there is nobody. */
export function whoIs(claims: Json, { name, subject }: Pick<CompiledSignInProvider, 'name' | 'subject'>): Who | string {
  const value = claimAt(claims, subject);
  // GitHub and others number their people.
  const id = typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? String(value) : value;
  if (typeof id !== 'string' || id === '') return 'the provider does not say who it is';
  const whole = `${name}:${id}`;
  if (!IDENTIFIER.test(id) || whole.length > SUBJECT_CHARACTERS) return 'the subject of the provider is malformed';
  return { subject: whole, called: calledIn(claims) };
}

/** Undefined: everything holds. */
export function refusedBy({ emailDomains, claims: wanted }: CompiledAllow, claims: Json): string | undefined {
  for (const { path, values } of wanted) {
    const value = claimAt(claims, path);
    const held: unknown[] = Array.isArray(value) ? value : [value];
    const isHeld = held.some((one) => (typeof one === 'string' || typeof one === 'number') && values.includes(String(one)));
    if (!isHeld) return `allow.claims: ${value === undefined ? 'there is no' : 'another'} ${path.join('/')}`;
  }
  if (emailDomains === undefined) return undefined;
  const { email, email_verified: verified } = claims;
  if (typeof email !== 'string') return 'allow.emailDomains: there is no e-mail address';
  // An address that nobody proved may be anybody's.
  if (verified !== true) return 'allow.emailDomains: the e-mail address is not verified';
  const [, domain] = EMAIL.exec(email.toLowerCase()) ?? [];
  return domain !== undefined && emailDomains.includes(domain) ? undefined : 'allow.emailDomains: another domain';
}

/** Whether there is something to be decided about that the claims do not say. */
export function lacksClaims(claims: Json, { subject, allow }: Pick<CompiledSignInProvider, 'subject' | 'allow'>): boolean {
  const paths = [
    subject,
    ...allow.claims.map(({ path }) => path),
    ...(allow.emailDomains === undefined ? [] : [['email'], ['email_verified']]),
  ];
  return paths.some((path) => claimAt(claims, path) === undefined);
}

/** What people call them, by the word of the provider: one short line. */
export function calledIn(claims: Json): string | undefined {
  for (const claim of CALLED) {
    const line = lineOf(claims[claim]);
    if (line !== undefined) return line;
  }
  return undefined;
}

/** One short line of a text from outside, without what cannot be seen or turns others around; undefined where nothing is left. */
export function lineOf(value: unknown): string | undefined {
  const line = typeof value === 'string' ? value.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '').trim() : '';
  return line === '' ? undefined : line.slice(0, NAME_CHARACTERS);
}
