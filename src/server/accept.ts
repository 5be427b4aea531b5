// Reads an Accept header (RFC 9110, 12.5.1) as far as an MCP endpoint needs it.
// Not responsible for refusing. A client must list both types; who lists none or `*/*` takes JSON.

export interface Accepted {
  readonly json: boolean;
  readonly stream: boolean;
}

const BOTH: Accepted = { json: true, stream: true };
const JSON_ONLY: Accepted = { json: true, stream: false };

export function accepts(header: string | undefined): Accepted {
  if (header === undefined || header === '*/*') return JSON_ONLY;
  // What nearly every client sends, word for word.
  if (header === 'application/json, text/event-stream') return BOTH;
  let json = false;
  let stream = false;
  for (const part of header.toLowerCase().split(',')) {
    const [type = '', ...parameters] = part.split(';').map((word) => word.trim());
    if (parameters.some((word) => /^q=0(?:\.0*)?$/.test(word))) continue;
    if (type === 'application/json' || type === 'application/*' || type === '*/*') json = true;
    else if (type === 'text/event-stream') stream = true;
  }
  return { json, stream };
}
