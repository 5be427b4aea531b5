// Lines of stdin, of bounded length.
// Not responsible for what they say.
// Invariant: a line that is too long is dropped as it comes and told with its id; the next one is read as if nothing had happened.
import type { RpcId } from './message.ts';
import { TopLevelId } from './top-level-id.ts';

export type Line = { readonly text: string } | { readonly tooLong: true; readonly id: RpcId | undefined };

const NEWLINE = 0x0a;

export async function* linesOf(input: AsyncIterable<string | Uint8Array>, limitBytes: number): AsyncGenerator<Line> {
  let parts: Uint8Array[] = [];
  let size = 0;
  let dropped: TopLevelId | undefined;
  const take = (bytes: Uint8Array): void => {
    size += bytes.length;
    if (dropped === undefined && size <= limitBytes) parts.push(bytes);
    else {
      if (dropped === undefined) {
        dropped = new TopLevelId();
        for (const part of parts) dropped.feed(part);
        parts = [];
      }
      dropped.feed(bytes);
    }
  };
  const line = (): Line => {
    const ended: Line =
      dropped === undefined ? { text: Buffer.concat(parts).toString('utf8') } : { tooLong: true, id: dropped.id };
    parts = [];
    size = 0;
    dropped = undefined;
    return ended;
  };
  for await (const given of input) {
    let chunk = typeof given === 'string' ? Buffer.from(given) : given;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE)) {
      take(chunk.subarray(0, end));
      yield line();
      chunk = chunk.subarray(end + 1);
    }
    if (chunk.length > 0) take(chunk);
  }
  // A last line without an end is none: the client was cut off while it wrote.
}
