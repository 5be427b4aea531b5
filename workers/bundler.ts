// Entry of the bundler child: takes one order after the other from stdin and answers on stdout, until stdin ends.
// Not responsible for caching or for its own lifetime: the supervisor starts it with `--permission` and ends it.
// Invariant: it may read the folders of one tenant and its own code, nothing else; it runs no code of the tenant.
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { BundleAnswer, BundleOrder } from '../src/boundary/bundling.ts';
import { bundle } from './bundler/bundle.ts';

async function send(header: BundleAnswer, ...bodies: Uint8Array[]): Promise<void> {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  for (const part of [length, json, ...bodies]) {
    if (!process.stdout.write(part)) await once(process.stdout, 'drain');
  }
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const { answer, script, map } = await bundle(JSON.parse(line) as BundleOrder);
  await send(answer, ...(answer.ok ? [script, map] : []));
}
