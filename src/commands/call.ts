// `leasehold call`: one tool call over HTTP, as any MCP client makes it.
// Not responsible for executing anything: without a running server there is no call.
// Invariant: the result goes to stdout, everything about it to stderr; a token is never printed.
import { isTenantId, TOOL_NAME_PATTERN } from '../shared/ids.ts';
import type { JsonObject } from '../shared/json.ts';
import { nearest } from '../shared/nearest.ts';
import { declaredHeaders } from '../shared/param-headers.ts';
import { headersFor } from '../stdio/param-headers.ts';
import { parseArguments } from './call-arguments.ts';
import { throughPages } from './call-connect.ts';
import { failureLine, failureOf, resultText } from './call-result.ts';
import { defineCommand, type Io, jsonOption, UsageError, UserError } from './command.ts';
import { localEndpoint } from './local-endpoint.ts';
import { estateOption } from './locate.ts';
import { printable } from './log-line.ts';
import { type Endpoint, isObject, mcpRequest, type Progress } from './mcp-client.ts';

const LIST_PAGES = 100;

export const call = defineCommand({
  name: 'call',
  summary: 'call a tool of a running server',
  usage: ['<tenant> <tool> [key=value…] [--as <subject>]'],
  options: {
    as: { type: 'string', value: 'subject', default: 'cli', description: 'the user who calls (cli); local servers only' },
    'args-json': { type: 'string', value: 'json', description: 'arguments as one JSON object; key=value wins over it' },
    estate: estateOption,
    url: { type: 'string', value: 'url', description: 'base URL of another server; needs a token' },
    token: { type: 'string', value: 'token', description: 'bearer token (better: LEASEHOLD_TOKEN, which `ps` does not show)' },
    'no-wait': { type: 'boolean', description: 'where an account must be connected first: say so and end' },
    json: jsonOption,
  },
  positionals: { min: 2, max: 1000 },
  help: `key=value is read by the tool's input schema: a string stays what was typed, everything else is JSON.
A key may be repeated for a list.

  leasehold call acme hello name=Ada
  leasehold call acme warmest cities=Lima cities=Lagos --as ada@acme.com`,
  async run({ values, positionals, io }) {
    const [tenant = '', tool = '', ...words] = positionals;
    if (!isTenantId(tenant)) throw new UsageError(`'${tenant}' is no tenant id`);
    if (!new RegExp(TOOL_NAME_PATTERN).test(tool)) throw new UsageError(`'${tool}' is no tool name`);
    const base = jsonArguments(values['args-json']);
    const endpoint = await endpointOf(io, tenant, values);
    const signal = interruptSignal();
    const inputSchema = await findTool(endpoint, tenant, tool, signal);
    const args = parseArguments(words, inputSchema, base);
    const mirrored = headersFor(declaredHeaders(inputSchema), args);
    const waits = values['no-wait'] !== true;
    return callTool({ io, endpoint, tool, args, mirrored, signal, json: values.json === true, waits });
  },
});

/** The options that say where and as whom to call. */
interface Source {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
  readonly estate?: string | undefined;
  readonly as: string;
}

async function endpointOf(io: Io, tenant: string, values: Source): Promise<Endpoint> {
  const token = values.token ?? io.env['LEASEHOLD_TOKEN'];
  if (values.url === undefined) return localEndpoint(io, { tenant, token, estate: values.estate, subject: values.as });
  if (token === undefined) throw new UserError('--url needs a token: --token, or LEASEHOLD_TOKEN');
  if (!URL.canParse(values.url)) throw new UsageError('--url is no URL');
  return { url: new URL(`t/${tenant}/mcp`, values.url.endsWith('/') ? values.url : `${values.url}/`).href, token };
}

function jsonArguments(text: string | undefined): JsonObject {
  if (text === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (!isObject(value)) throw new UsageError('--args-json takes one JSON object');
  return value;
}

/** Ctrl-C closes the connection, and with it the call: the server cancels it. */
function interruptSignal(): AbortSignal {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  return stop.signal;
}

/** The tool's input schema. A name that is not listed is answered here, where a near one can be offered. */
async function findTool(endpoint: Endpoint, tenant: string, tool: string, signal: AbortSignal): Promise<JsonObject> {
  const names: string[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < LIST_PAGES; page += 1) {
    const params = cursor === undefined ? {} : { cursor };
    const answer = await mcpRequest(endpoint, { method: 'tools/list', params, signal });
    const failure = failureOf(answer, tenant);
    if (failure !== undefined) throw new UserError(failureLine(failure).slice(2).trimEnd());
    const result = 'result' in answer ? answer.result : {};
    for (const listed of Array.isArray(result['tools']) ? result['tools'] : []) {
      if (!isObject(listed) || typeof listed['name'] !== 'string') continue;
      if (listed['name'] === tool) return isObject(listed['inputSchema']) ? listed['inputSchema'] : {};
      names.push(listed['name']);
    }
    if (typeof result['nextCursor'] !== 'string') break;
    cursor = result['nextCursor'];
  }
  const meant = nearest(tool, names);
  const hint = meant === undefined ? `It has: ${names.slice(0, 20).join(', ') || 'none'}` : `Did you mean '${meant}'?`;
  throw new UserError(`${tenant} has no tool '${tool}' for this caller. ${printable(hint)}`);
}

interface Calling {
  readonly io: Io;
  readonly endpoint: Endpoint;
  readonly tool: string;
  readonly args: JsonObject;
  /** `Mcp-Param-*`, as the tool's schema wants them. */
  readonly mirrored: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly json: boolean;
  /** For the user to connect what the call needs. */
  readonly waits: boolean;
}

async function callTool({ io, endpoint, tool, args, mirrored, signal, json, waits }: Calling): Promise<number> {
  const begun = performance.now();
  const progress = (update: Progress) => io.stderr.write(`… ${progressText(update)}\n`);
  const pages = waits && !json;
  const request = (round: JsonObject) =>
    mcpRequest(endpoint, {
      method: 'tools/call',
      params: { name: tool, arguments: args, ...round },
      name: tool,
      mirrored,
      signal,
      progress,
      ...(pages ? { capabilities: { elicitation: { url: {} } } } : {}),
    });
  const first = await request({});
  const answer = pages ? await throughPages(io, first, request, signal) : first;
  const durationMs = Math.round((performance.now() - begun) * 10) / 10;
  const failure = failureOf(answer, tool);
  if (json) {
    const { http: _, ...facts } = answer;
    io.stdout.write(`${JSON.stringify({ ok: failure === undefined, durationMs, ...facts })}\n`);
    return failure === undefined ? 0 : 1;
  }
  if (failure !== undefined) {
    io.stderr.write(failureLine(failure));
    return 1;
  }
  io.stdout.write(`${resultText('result' in answer ? answer.result : {})}\n`);
  io.stderr.write(`${durationMs} ms${answer.correlation === undefined ? '' : `, audit ${answer.correlation}`}\n`);
  return 0;
}

function progressText({ progress, total, message }: Progress): string {
  const count = total === undefined ? String(progress) : `${progress}/${total}`;
  return typeof message === 'string' ? `${count}  ${printable(message)}` : count;
}
