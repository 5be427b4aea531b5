// A response body as text. Not responsible for what it says.
// Invariant: at most `limitBytes` are held.

export async function bodyText(body: AsyncIterable<Uint8Array>, limitBytes: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > limitBytes) throw new RangeError(`the answer is larger than ${limitBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
