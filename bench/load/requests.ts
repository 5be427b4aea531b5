// The MCP requests that the benchmark sends, as bytes, in both eras.
// Not responsible for sending them.
// Invariant: all servers of an era get the same bytes, but for Host, token and session.

export type Era = '2025-11-25' | '2026-07-28';

export interface Target {
  readonly url: string;
  readonly token?: string;
}

const CLIENT = { name: 'bench', version: '1' };
const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': CLIENT,
};

export function httpBytes(target: Target, body: string, headers: Record<string, string>): Buffer {
  const url = new URL(target.url);
  const lines = [
    `POST ${url.pathname} HTTP/1.1`,
    `host: ${url.host}`,
    'content-type: application/json',
    'accept: application/json, text/event-stream',
    `content-length: ${Buffer.byteLength(body)}`,
    ...(target.token === undefined ? [] : [`authorization: Bearer ${target.token}`]),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

/** One request of either era; `session` is needed in the 2025 era after `initialize`. */
export function requestBytes(
  target: Target,
  era: Era,
  method: string,
  params: Record<string, unknown>,
  id: number,
  session?: string,
): Buffer {
  if (era === '2026-07-28') {
    const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: ENVELOPE } });
    const name = typeof params['name'] === 'string' ? { 'mcp-name': params['name'] } : {};
    return httpBytes(target, body, { 'mcp-protocol-version': era, 'mcp-method': method, ...name });
  }
  const body = JSON.stringify({ jsonrpc: '2.0', id, method, params });
  return httpBytes(target, body, {
    'mcp-protocol-version': era,
    ...(session === undefined ? {} : { 'mcp-session-id': session }),
  });
}

/** Opens a 2025-era session and gives its id. */
export async function openSession(target: Target): Promise<string> {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...(target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }),
  };
  const post = async (message: object, more: Record<string, string>) => {
    const response = await fetch(target.url, { method: 'POST', headers: { ...headers, ...more }, body: JSON.stringify(message) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${target.url} answered ${response.status}: ${text.slice(0, 300)}`);
    return response;
  };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: CLIENT };
  const first = await post({ jsonrpc: '2.0', id: 0, method: 'initialize', params }, {});
  const session = first.headers.get('mcp-session-id');
  if (session === null) throw new Error(`${target.url} opened no session`);
  await post(
    { jsonrpc: '2.0', method: 'notifications/initialized' },
    { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' },
  );
  return session;
}
