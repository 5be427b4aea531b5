// Streams that outlive the request that opened them: each message on one is a use of the credential behind it.
// Not responsible for verifying (the edge) or for what is sent.
// Invariant: acts, or refuses, exactly once.
import type { Inbound } from './inbound.ts';

/** Acts where the credential of the exchange would still be let in. */
export function ifAllowed({ allowed }: Pick<Inbound, 'allowed'>, act: () => void, refused: () => void): void {
  const verdict = allowed();
  const go = (yes: boolean): void => (yes ? act() : refused());
  if (typeof verdict === 'boolean') go(verdict);
  else void verdict.then(go, () => go(false));
}
