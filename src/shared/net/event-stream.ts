// Server-sent events of a response body (HTML Living Standard, section 9.2.6): the id and data of each event.
// Not responsible for event names, reconnection, or what the data means.
// Invariant: of one event at most `limit` characters are held; a stream that sends more is an error, not a full memory. Time grows
// with what was sent, however it was cut into pieces.

export interface ServerEvent {
  /** The last id that was sent, of this event or an earlier one. */
  readonly id: string | undefined;
  /** Empty where the event only tells its id. */
  readonly data: string;
}

export async function* serverEvents(body: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<ServerEvent> {
  let id: string | undefined;
  let told = false;
  let data: string[] = [];
  let size = 0;
  for await (const line of linesOf(body, limit)) {
    if (line === '') {
      if (told || data.length > 0) yield { id, data: data.join('\n') };
      told = false;
      data = [];
      size = 0;
      continue;
    }
    const value = valueOf(line, 'data');
    if (value !== undefined) {
      size += value.length;
      if (size > limit) throw tooLarge(limit);
      data.push(value);
      continue;
    }
    const newId = valueOf(line, 'id');
    if (newId === undefined || newId.includes('\0')) continue;
    id = newId;
    told = true;
  }
}

function valueOf(line: string, field: string): string | undefined {
  if (!line.startsWith(field)) return undefined;
  if (line.length === field.length) return '';
  if (line[field.length] !== ':') return undefined;
  return line.slice(field.length + (line[field.length + 1] === ' ' ? 2 : 1));
}

async function* linesOf(body: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let size = 0;
  let afterReturn = false;
  for await (const chunk of body) {
    let text = decoder.decode(chunk, { stream: true });
    if (text === '') continue;
    const ended = text.endsWith('\r');
    if (afterReturn && text.startsWith('\n')) text = text.slice(1);
    afterReturn = ended;
    const lines = text.split(/\r\n|\n|\r/);
    const rest = lines.pop() ?? '';
    for (const line of lines) {
      yield parts.join('') + line;
      parts = [];
      size = 0;
    }
    parts.push(rest);
    size += rest.length;
    if (size > limit) throw tooLarge(limit);
  }
}

function tooLarge(limit: number): RangeError {
  return new RangeError(`the answer is larger than ${limit} characters`);
}
