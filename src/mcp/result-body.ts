// Opens the JSON object that a call ended with, so that members can be put before its own without parsing it.
// Not responsible for its content: hosts are untrusted, and garbage after the first bytes reaches only this tenant's own client,
// on this one response; `server/http-answer` sees to it that it cannot begin another event of a stream.
// Invariant: a body that passes begins with `{"`; what is returned lacks that brace.
import type { ResultBody } from './ports.ts';

const BRACE = 0x7b;
const QUOTE = 0x22;

/** Undefined where the body is no JSON object with a member. Streams are begun here. */
export function openBody(body: ResultBody): ResultBody | undefined | Promise<ResultBody | undefined> {
  if (body instanceof Uint8Array) return begins(body) ? body.subarray(1) : undefined;
  return openStream(body);
}

function begins(bytes: Uint8Array): boolean {
  return bytes[0] === BRACE && bytes[1] === QUOTE;
}

async function openStream(body: Exclude<ResultBody, Uint8Array>): Promise<ResultBody | undefined> {
  const chunks = body[Symbol.asyncIterator]();
  let first: Uint8Array = new Uint8Array(0);
  try {
    while (first.length < 2) {
      const next = await chunks.next();
      if (next.done) return undefined;
      first = first.length === 0 ? next.value : Buffer.concat([first, next.value]);
    }
  } catch {
    body.cancel();
    return undefined;
  }
  if (!begins(first)) {
    body.cancel();
    return undefined;
  }
  return {
    cancel: () => body.cancel(),
    async *[Symbol.asyncIterator]() {
      yield first.subarray(1);
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
    },
  };
}

export function cancelBody(body: ResultBody | undefined): void {
  if (body !== undefined && !(body instanceof Uint8Array)) body.cancel();
}
