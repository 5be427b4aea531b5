// Server-sent events of a response body, as the `data` of each event.
// Not responsible for event names, ids or reconnection: MCP's request streams use none (2026-07-28, Streamable HTTP).
// Invariant: at most `limitBytes` are read; a stream that sends more is an error, not a full memory.

export async function* eventData(body: AsyncIterable<Uint8Array>, limitBytes: number): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = '';
  let data: string[] = [];
  for await (const part of body) {
    bytes += part.length;
    if (bytes > limitBytes) throw new RangeError(`the answer is larger than ${limitBytes} bytes`);
    text += decoder.decode(part, { stream: true });
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    text = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
      else if (line === '' && data.length > 0) {
        yield data.join('\n');
        data = [];
      }
    }
  }
}
