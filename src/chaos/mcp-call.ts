// One tools/call of revision 2026-07-28 over plain HTTP, timed, with its outcome as one word.
// Not responsible for sessions, progress or meaning: chaos counts outcomes.
// Invariant: always resolves, within its time, with `ok`, the code of a coded error, or a word for what HTTP itself did.
import { type Agent, request } from 'node:http';

export interface Target {
  /** Endpoint of one tenant. */
  readonly url: string;
  readonly token: string;
}

export interface Called {
  /** `ok`, a code of the error table, or `http_…`: no answer that MCP knows. */
  readonly outcome: string;
  readonly text: string;
  /** From the request to the last byte of the answer. */
  readonly ms: number;
}

const REVISION = '2026-07-28';
const META = {
  'io.modelcontextprotocol/protocolVersion': REVISION,
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'leasehold-chaos', version: '1' },
};
/** Answers that are read; a longer one only has its length counted. */
const KEPT_BYTES = 1_048_576;

export interface CallOptions {
  readonly agent: Agent;
  /** Default 60 s: longer than any deadline of the estate. */
  readonly timeoutMs?: number;
  /** Asks for progress notifications. */
  readonly progress?: boolean;
}

/** The bytes of a request, for a client that speaks HTTP by hand. */
export function callBody(tool: string, args: Record<string, unknown>, progress = false): string {
  const _meta = progress ? { ...META, progressToken: 1 } : META;
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: args, _meta } });
}

export function callHeaders(target: Target, tool: string, body: string): Record<string, string> {
  return {
    authorization: `Bearer ${target.token}`,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': REVISION,
    'mcp-method': 'tools/call',
    'mcp-name': tool,
  };
}

export function callTool(target: Target, tool: string, args: Record<string, unknown>, options: CallOptions): Promise<Called> {
  const { agent, timeoutMs = 60_000, progress = false } = options;
  const body = callBody(tool, args, progress);
  const begun = performance.now();
  return new Promise((resolve) => {
    const end = (outcome: string, text = ''): void => {
      clearTimeout(timer);
      resolve({ outcome, text, ms: performance.now() - begun });
    };
    const sent = request(target.url, { method: 'POST', agent, headers: callHeaders(target, tool, body) });
    const timer = setTimeout(() => {
      end('http_timeout');
      sent.destroy();
    }, timeoutMs);
    sent.on('error', (error: NodeJS.ErrnoException) => end(`http_${error.code ?? 'error'}`));
    sent.on('response', (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes <= KEPT_BYTES) parts.push(part);
      });
      response.on('error', () => end('http_cut'));
      response.on('end', () => {
        const { outcome, text } = bytes > KEPT_BYTES ? { outcome: 'ok', text: '' } : outcomeOf(Buffer.concat(parts).toString());
        end(outcome, text);
      });
    });
    sent.end(body);
  });
}

interface Message {
  readonly result?: {
    readonly isError?: boolean;
    readonly content?: readonly { readonly text?: string }[];
    readonly _meta?: { readonly 'leasehold/error'?: { readonly code?: string } };
  };
  readonly error?: { readonly code?: number; readonly data?: { readonly code?: string } };
}

/** Of a JSON answer, or of the last event of a stream. */
function outcomeOf(text: string): { outcome: string; text: string } {
  const data = text.startsWith('{') ? text : (text.match(/^data: ?\{.*$/gm)?.at(-1) ?? '').replace(/^data: ?/, '');
  try {
    const { result, error } = JSON.parse(data) as Message;
    if (error !== undefined) return { outcome: error.data?.code ?? `rpc_${error.code}`, text: '' };
    if (result?.isError === true) return { outcome: result._meta?.['leasehold/error']?.code ?? 'tool_error', text: '' };
    return { outcome: 'ok', text: result?.content?.[0]?.text ?? '' };
  } catch {
    return { outcome: 'http_unreadable', text: '' };
  }
}
