// The entry of a short-lived process that does one thing with one item of the OS keychain.
// Not responsible for what an answer means (`keychain`). Its own process because a keychain may never answer (an open prompt), and
// because its native code may crash: neither must cost the server anything.
// Invariant: the order comes on stdin and the answer goes to stdout, as JSON; no secret is in arguments or environment.
import { readFileSync } from 'node:fs';
import type { KeychainAnswer, KeychainOrder } from './keychain.ts';

async function carryOut({ act, service, account, value }: KeychainOrder): Promise<KeychainAnswer> {
  // Loaded late: without the system's library its import throws.
  const { default: keytar } = await import('keytar');
  switch (act) {
    case 'get': {
      const found = await keytar.getPassword(service, account);
      return found === null ? { ok: true } : { ok: true, value: found };
    }
    case 'set':
      await keytar.setPassword(service, account, value ?? '');
      return { ok: true };
    case 'delete':
      await keytar.deletePassword(service, account);
      return { ok: true };
    default:
      return act satisfies never;
  }
}

const order = JSON.parse(readFileSync(0, 'utf8')) as KeychainOrder;
const answer = await carryOut(order).catch(
  (error: unknown): KeychainAnswer => ({ ok: false, reason: error instanceof Error ? error.message : 'unknown' }),
);
process.stdout.write(JSON.stringify(answer));
