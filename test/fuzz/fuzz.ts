// The properties that hold whatever a client sends, over the real server.
// Not responsible for how long (the suite runs them shortly, `npm run fuzz` longer).
// Invariant: everything follows from the seed, which is in the message of every failure.
import fc from 'fast-check';
import { toolset } from '../helpers/estate.ts';
import { initialize } from '../helpers/mcp-wire.ts';
import type { ServedEstate } from '../helpers/runtime.ts';
import { Exchanger, type Got } from './exchange.ts';
import { anyRequest, calling, hostileJson, idText } from './inputs.ts';

export const FUZZ_ESTATE = {
  tenants: {
    acme: {
      tools: {
        'f.ts': toolset(`
  echo: defineTool({ description: 'echo', inputSchema: Type.Object({}, { additionalProperties: true }), handler: (args) => JSON.stringify(args) }),
  loud: defineTool({ description: 'loud', inputSchema: Type.Object({ text: Type.String() }), handler({ text }, ctx) {
    ctx.progress({ progress: 1, message: text });
    ctx.log.error(text, { text });
    return text;
  } }),
  clean: defineTool({ description: 'clean', handler: () => String(({} as any).polluted) }),
  routed: defineTool({ description: 'routed', inputSchema: Type.Object({ region: Type.Optional(Type.String({ 'x-mcp-header': 'Region' })) }), handler: () => 'x' }),
`),
      },
    },
  },
};

export interface FuzzOptions {
  readonly seed: number;
  /** Of each property. */
  readonly runs: number;
  /** Of each property, milliseconds: what was not run by then is left out. */
  readonly withinMs: number;
}

const JSON_TYPES = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

export async function fuzz(served: ServedEstate, { runs, seed, withinMs }: FuzzOptions): Promise<void> {
  const url = served.endpoint('acme');
  const token = served.token('acme');
  const authorization = `Bearer ${token}`;
  const exchanger = new Exchanger(url);
  const params = { seed, numRuns: runs, interruptAfterTimeLimit: withinMs };
  const call = (id: string, tool: string, args: string, more?: string): Promise<Got> => {
    const { body, headers } = calling(id, tool, args, more);
    return exchanger.send({ body, headers: { ...JSON_TYPES, ...headers, authorization } });
  };
  const { session } = await initialize(url, token);
  try {
    await fc.assert(
      fc.asyncProperty(anyRequest, async (request) => {
        const headers: Record<string, string> = { ...JSON_TYPES, ...request.headers };
        if (request.token !== 'none') headers['authorization'] = request.token === 'good' ? authorization : 'Bearer \u00e9';
        if (request.session) headers['mcp-session-id'] = session;
        const sends = request.method !== 'GET' && request.method !== 'DELETE';
        // The session of the run is not to be ended, nor its stream taken.
        if (!sends) delete headers['mcp-session-id'];
        const { method } = request;
        const got = await exchanger.send(sends ? { method, headers, body: request.body } : { method, headers });
        if (got.status >= 500) throw new Error(`${got.status}: ${got.text}`);
        readable(got);
      }),
      params,
    );
    await fc.assert(
      fc.asyncProperty(idText, async (id) => {
        const { status, text } = await call(id, 'echo', '{}');
        if (status >= 500) throw new Error(`${status}: ${text}`);
        if (status === 200 && !text.includes(`"id":${id},`)) throw new Error(`the id ${id} came back as ${text.slice(0, 1500)}`);
      }),
      params,
    );
    await fc.assert(
      fc.asyncProperty(hostileJson, async (args) => {
        const { status, text } = await call('1', 'echo', args);
        if (status >= 500) throw new Error(`${status}: ${text}`);
        const result = status === 200 ? JSON.parse(text).result : undefined;
        const echoed = result?.isError === undefined ? result?.content?.[0]?.text : undefined;
        // No arguments are an empty object.
        if (echoed !== undefined && echoed !== JSON.stringify(JSON.parse(args) ?? {}))
          throw new Error(`${args} arrived as ${echoed}`);
        if (Object.hasOwn(Object.prototype, 'polluted')) throw new Error('a prototype was changed');
      }),
      params,
    );
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', minLength: 1 }),
        fc.array(fc.constantFrom('\n', '\r', '\n\n', 'data: ', 'id: 1\n', '\u2028')),
        async (text, breaks) => {
          const said = text.isWellFormed() ? breaks.join(text) + text : breaks.join('x');
          const got = await call(
            '1',
            'loud',
            JSON.stringify({ text: said }),
            ',"progressToken":1,"io.modelcontextprotocol/logLevel":"debug"',
          );
          const messages = readable(got);
          const last = messages.at(-1) as { result?: { content?: { text: string }[] } } | undefined;
          if (messages.length !== 3 || last?.result?.content?.[0]?.text !== said)
            throw new Error(`a text broke the stream: ${got.text.slice(0, 1500)}`);
        },
      ),
      params,
    );
    const { text } = await call('1', 'clean', '{}');
    if (JSON.parse(text).result.content[0].text !== 'undefined') throw new Error('a prototype of the thread was changed');
  } finally {
    exchanger.close();
  }
}

/** The JSON-RPC messages of an answer; throws where the answer is neither JSON nor a stream of it. */
function readable({ text, type }: Got): unknown[] {
  if (type.startsWith('application/json')) return text === '' ? [] : [JSON.parse(text)];
  if (!type.startsWith('text/event-stream')) {
    if (text !== '') throw new Error(`an answer of type "${type}": ${text.slice(0, 500)}`);
    return [];
  }
  const messages: unknown[] = [];
  for (const line of text.split(/\r\n|\r|\n/)) {
    if (/^(?:|:.*|event: message|id: [\d-]+|retry: \d+|data: )$/.test(line)) continue;
    if (!line.startsWith('data: ')) throw new Error(`a line that is none of ours: ${line.slice(0, 500)}`);
    messages.push(JSON.parse(line.slice(6)));
  }
  return messages;
}
