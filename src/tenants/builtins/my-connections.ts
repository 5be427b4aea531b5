// The built-in tool `my_connections`: how the connections of the tenant stand for the caller, with a link for what is missing.
// Not responsible for when it is offered (`builtins` in tenant.json) or for finding out (`connections`).
// Invariant: runs in the supervisor and asks no server; what opens a page goes to the client alone, never to a tool that calls it.
import type { CompiledConnection } from '../../config/compiled.ts';
import type { Credentials } from '../../connections/credentials.ts';
import { connectLinks } from '../../shared/connect-links.ts';
import type { Failure } from '../../shared/errors.ts';
import { callerSubject } from '../call-records.ts';
import type { Call } from '../call-tree.ts';
import type { Ended } from '../code-run.ts';
import type { ToolSpec } from '../tenant.ts';

/** One connection, as the caller is told. `needs_operator`: nothing that the caller could do. */
interface Row {
  readonly connection: string;
  readonly service: string;
  readonly account: 'yours' | 'shared' | 'none';
  readonly state: 'ready' | 'not_connected' | 'needs_operator';
  readonly message?: string;
  readonly url?: string;
  readonly code?: string;
}

const name = 'my_connections';
const title = 'My connections';
const description =
  'Lists the services that the tools here can use for you, and whether an account is connected. For one that is not, it gives a page to open.';
const inputSchema = { type: 'object', properties: {}, additionalProperties: false };
const text = { type: 'string' };
const outputSchema = {
  type: 'object',
  required: ['connections'],
  properties: {
    connections: {
      type: 'array',
      items: {
        type: 'object',
        required: ['connection', 'service', 'account', 'state'],
        properties: {
          connection: text,
          service: text,
          account: { type: 'string', enum: ['yours', 'shared', 'none'] },
          state: { type: 'string', enum: ['ready', 'not_connected', 'needs_operator'] },
          message: text,
          url: text,
          code: { type: 'string', description: 'What the page asks for.' },
        },
      },
    },
  },
};
const annotations = { readOnlyHint: true, openWorldHint: false };

export const MY_CONNECTIONS: ToolSpec = Object.freeze({
  name,
  title,
  description,
  inputSchema,
  outputSchema,
  annotations,
  file: 'tenant.json',
  listing: JSON.stringify({ name, title, description, inputSchema, outputSchema, annotations }),
  repeatable: true,
  builtin: 'connections',
});

export async function myConnections({ root, depth }: Call, credentials: Pick<Credentials, 'ready'>): Promise<Ended> {
  const { tenant, caller } = root;
  const subject = callerSubject(caller);
  const rows: Row[] = [];
  for (const connection of tenant.config.connections.values()) {
    const missing = await credentials.ready({ tenant: tenant.id, connection, subject, scopes: [] });
    rows.push({ ...factsOf(connection), ...stateOf(missing, depth === 0) });
  }
  const said = rows.length === 0 ? 'There are no connections here.' : rows.map(lineOf).join('\n');
  const body = { content: [{ type: 'text', text: said }], structuredContent: { connections: rows } };
  return { outcome: { status: 'ok' }, body: Buffer.from(JSON.stringify(body)) };
}

function factsOf(connection: CompiledConnection): Pick<Row, 'connection' | 'service' | 'account'> {
  const { slot, origins } = connection;
  const host = URL.parse(origins[0] ?? '')?.host ?? slot;
  if (connection.type !== 'oauth2')
    return { connection: slot, service: host, account: connection.type === 'none' ? 'none' : 'shared' };
  const yours = connection.owner === 'user' && connection.grant === 'authorization_code';
  return { connection: slot, service: connection.oauth.title, account: yours ? 'yours' : 'shared' };
}

function stateOf(missing: Failure | undefined, toClient: boolean): Pick<Row, 'state' | 'message' | 'url' | 'code'> {
  if (missing === undefined) return { state: 'ready' };
  const message = missing.message === undefined ? {} : { message: missing.message };
  const [link] = connectLinks(missing);
  if (link === undefined) return { state: 'needs_operator', ...message };
  return { state: 'not_connected', ...message, ...(toClient ? { url: link.url, code: link.code } : {}) };
}

function lineOf({ connection, service, state, message, url, code }: Row): string {
  if (state === 'ready') return `${connection} (${service}): ready`;
  const how = url === undefined ? '' : ` Open ${url} and type the code ${code ?? ''} there.`;
  return `${connection} (${service}): ${message ?? 'not connected'}${how}`;
}
