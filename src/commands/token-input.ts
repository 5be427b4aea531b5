// Subjects, scopes and durations as a command line gives them.
// Not responsible for what they allow. Invariant: what is refused here never reaches a store, a log line or an audit record.
import { UsageError } from './command.ts';

const SUBJECT = /^[^\p{Cc}\p{Cs}]{1,256}$/u;
/** RFC 6749, section 3.3: scope-token. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;
const MOST_SCOPES = 64;

export function checkedSubject(subject: string): string {
  if (!SUBJECT.test(subject)) throw new UsageError('a subject is 1 to 256 characters, none of them a control character');
  return subject;
}

/** From `--scopes a,b --scopes c`. */
export function checkedScopes(given: readonly string[]): string[] {
  const scopes = [...new Set(given.flatMap((list) => list.split(/[\s,]+/)).filter((scope) => scope !== ''))];
  const wrong = scopes.find((scope) => !SCOPE.test(scope));
  if (wrong !== undefined) throw new UsageError(`'${wrong}' is no scope`);
  if (scopes.length > MOST_SCOPES) throw new UsageError(`at most ${MOST_SCOPES} scopes`);
  return scopes;
}

const UNITS_MS: { readonly [unit: string]: number } = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};
const LONGEST_MS = 10 * 31_536_000_000;

/** `30d`, `12h`, `90m`, `2w`, `1y` in milliseconds. */
export function checkedDuration(given: string): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([mhdwy])$/.exec(given) ?? [];
  const ms = Number(count) * (UNITS_MS[unit] ?? 0);
  if (ms <= 0) throw new UsageError(`'${given}' is no duration: 30d, 12h, 90m, 2w, 1y`);
  if (ms > LONGEST_MS) throw new UsageError('a token expires within ten years, or never (leave --expires out)');
  return ms;
}
