// Why an issuer could not be asked, in words that may stand in the audit and in the operator's log.
// Not responsible for asking. Invariant: messages of others are not repeated: a parser quotes what it could not read, and a store what it
// was asked for.

/** `message`: our own words. */
export class IssuerFailure extends Error {
  override readonly name = 'IssuerFailure';
}

/** `NoAnswer` of the guarded fetch has codes of ours, of Node and of undici as its message: no URL, no secret. */
export function failureReason(cause: unknown): string {
  if (!(cause instanceof Error)) return 'failed';
  if (cause.name === 'IssuerFailure' || cause.name === 'NoAnswer') return cause.message.slice(0, 200);
  return cause.name === 'SyntaxError' ? 'its answer is no JSON' : `failed (${cause.name.slice(0, 50)})`;
}
