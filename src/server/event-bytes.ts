// Bytes on an event stream, and waiting for a client to take them.
// Not responsible for who writes. Invariant: what `oneLine` returns has no CR and no LF (WHATWG HTML, "Parsing an event stream").
import type { ServerResponse } from 'node:http';

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

/** In valid JSON a raw CR or LF can only be white space between tokens, so a space says the same. */
export function oneLine(bytes: Uint8Array): Uint8Array {
  if (!bytes.includes(LF) && !bytes.includes(CR)) return bytes;
  return bytes.map((byte) => (byte === LF || byte === CR ? SPACE : byte));
}

/** Resolves when the client took what was written; rejects when it took nothing for `withinMs`, or went away. */
export function drained(response: ServerResponse, withinMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const gone = (): void => reject(new Error('the client went away'));
  const timer = setTimeout(() => reject(new Error('the client takes nothing')), withinMs);
  response.once('drain', resolve);
  response.once('close', gone);
  const cleared = (): void => {
    clearTimeout(timer);
    response.off('drain', resolve);
    response.off('close', gone);
  };
  return promise.finally(cleared);
}
