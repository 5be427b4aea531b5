// Subjects and scopes as a command line gives them.
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
