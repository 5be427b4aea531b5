// The real client packages behind one small face, so that a scenario is written once for all of them.
// Not responsible for scenarios. Invariant: nothing of a package is replaced; each face owns its client and closes it.
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as LegacyStdio } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CreateMessageRequestSchema,
  ElicitationCompleteNotificationSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

export const CLIENTS = ['sdk 1.32', 'client 2.4 default', 'client 2.4 auto', 'client 2.4 pinned'] as const;
export type ClientKind = (typeof CLIENTS)[number];
export const MODERN_CLIENTS: readonly ClientKind[] = ['client 2.4 auto', 'client 2.4 pinned'];

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: { progress: number; total?: number | undefined; message?: string | undefined }) => void;
}
export interface CallResult {
  readonly content?: unknown;
  readonly isError?: boolean | undefined;
  readonly structuredContent?: unknown;
  readonly _meta?: Record<string, unknown> | undefined;
}

export interface TestClient extends AsyncDisposable {
  readonly instructions: string | undefined;
  readonly sessionId: string | undefined;
  list(): Promise<string[]>;
  call(name: string, args: Record<string, unknown>, options?: CallOptions): Promise<CallResult>;
  /** 2025 era only. */
  ping(): Promise<unknown>;
  onListChanged(then: () => void): void;
  /** 2025 era only. */
  onElicitationComplete(then: (id: string) => void): void;
  /** The package's own client, for what is the same in all of them. */
  readonly sdk: SdkClient;
  /** Ends the session, where the era has one. */
  end(): Promise<void>;
}

/** Prompts, resources and completions: methods of this form in both packages. */
export interface SdkClient {
  getServerCapabilities(): { readonly [name: string]: unknown } | undefined;
  listTools(): Promise<{ tools: Listed[] }>;
  listPrompts(): Promise<{ prompts: Listed[] }>;
  getPrompt(params: { name: string; arguments?: Record<string, string> }): Promise<{ description?: string; messages: Message[] }>;
  listResources(): Promise<{ resources: Listed[] }>;
  listResourceTemplates(): Promise<{ resourceTemplates: Listed[] }>;
  readResource(params: { uri: string }): Promise<{ contents: { uri: string; mimeType?: string; text: string; blob?: string }[] }>;
  complete(params: object): Promise<{ completion: { values: string[]; total?: number; hasMore?: boolean } }>;
}
export interface Listed {
  readonly name: string;
  readonly uri?: string;
  readonly title?: string;
  readonly arguments?: readonly object[];
  readonly outputSchema?: { readonly type?: string };
}
interface Message {
  readonly role: string;
  readonly content: { readonly type: string; readonly text?: string; readonly resource?: { readonly text?: string } };
}

/** What the user, the model and the disk of a client answer; each that is there is declared as a capability. */
export interface ClientAnswers {
  readonly elicit?: (params: { message: string; requestedSchema: { properties: Record<string, unknown> } }) => {
    action: 'accept' | 'decline' | 'cancel';
    content?: Record<string, string>;
  };
  /** Of `elicitation/create` with a URL; declares the capability. */
  readonly openUrl?: (params: { url: string; message: string }) => Promise<{ action: 'accept' | 'decline' | 'cancel' }>;
  readonly sample?: (params: unknown) => { role: 'assistant'; model: string; content: { type: 'text'; text: string } };
  readonly roots?: () => { uri: string; name?: string }[];
}

function capabilitiesOf({ elicit, openUrl, sample, roots }: ClientAnswers): Record<string, object> {
  return {
    ...(openUrl ? { elicitation: { url: {} } } : elicit && { elicitation: {} }),
    ...(sample && { sampling: {} }),
    ...(roots && { roots: {} }),
  };
}

const INFO = { name: 'scenario', version: '1.2.3' };

function bearer(token: string | undefined): RequestInit {
  return token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } };
}

export async function connectClient(
  kind: ClientKind,
  url: string,
  token: string | undefined,
  answers: ClientAnswers = {},
): Promise<TestClient> {
  const options = { requestInit: bearer(token) };
  if (kind === 'sdk 1.32') return legacyClient(new LegacyTransport(new URL(url), options), answers);
  return modernClient(kind, new ModernTransport(new URL(url), options), answers);
}

/** The program that serves stdio, and its variables. */
export interface Started {
  readonly command: string;
  readonly args: string[];
  readonly env: Record<string, string>;
}

export async function connectStdio(kind: ClientKind, program: Started, answers: ClientAnswers = {}): Promise<TestClient> {
  const started = { ...program, stderr: 'ignore' as const };
  if (kind === 'sdk 1.32') return legacyClient(new LegacyStdio(started), answers);
  return modernClient(kind, new ModernStdio(started), answers);
}

async function legacyClient(transport: LegacyTransport | LegacyStdio, answers: ClientAnswers): Promise<TestClient> {
  const client = new LegacyClient(INFO, { capabilities: capabilitiesOf(answers) });
  const { elicit, openUrl, sample, roots } = answers;
  if (elicit !== undefined) client.setRequestHandler(ElicitRequestSchema, ({ params }) => elicit(params as never));
  if (openUrl !== undefined) client.setRequestHandler(ElicitRequestSchema, ({ params }) => openUrl(params as never));
  if (sample !== undefined) client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => sample(params));
  if (roots !== undefined) client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: roots() }));
  await client.connect(transport as unknown as Transport);
  return {
    instructions: client.getInstructions(),
    sessionId: 'sessionId' in transport ? transport.sessionId : undefined,
    list: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: async (name, args, options) => (await client.callTool({ name, arguments: args }, undefined, options)) as CallResult,
    ping: () => client.ping(),
    sdk: client as unknown as SdkClient,
    onListChanged: (then) => client.setNotificationHandler(ToolListChangedNotificationSchema, then),
    onElicitationComplete: (then) =>
      client.setNotificationHandler(ElicitationCompleteNotificationSchema, ({ params }) => then(params.elicitationId)),
    end: () => ('terminateSession' in transport ? transport.terminateSession() : transport.close()),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

async function modernClient(
  kind: ClientKind,
  transport: ModernTransport | ModernStdio,
  answers: ClientAnswers,
): Promise<TestClient> {
  const mode = kind === 'client 2.4 default' ? 'legacy' : kind === 'client 2.4 auto' ? 'auto' : { pin: '2026-07-28' };
  const client = new ModernClient(INFO, { capabilities: capabilitiesOf(answers), versionNegotiation: { mode } });
  const { elicit, openUrl, sample, roots } = answers;
  if (elicit !== undefined) client.setRequestHandler('elicitation/create', ({ params }) => elicit(params as never));
  if (openUrl !== undefined) client.setRequestHandler('elicitation/create', ({ params }) => openUrl(params as never));
  if (sample !== undefined) client.setRequestHandler('sampling/createMessage', ({ params }) => sample(params));
  if (roots !== undefined) client.setRequestHandler('roots/list', () => ({ roots: roots() }));
  await client.connect(transport);
  return {
    instructions: client.getInstructions(),
    sessionId: 'sessionId' in transport ? transport.sessionId : undefined,
    list: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: async (name, args, options) => (await client.callTool({ name, arguments: args }, options)) as CallResult,
    ping: () => client.ping(),
    sdk: client as unknown as SdkClient,
    onListChanged: (then) => client.setNotificationHandler('notifications/tools/list_changed', then),
    onElicitationComplete: (then) =>
      client.setNotificationHandler('notifications/elicitation/complete', ({ params }) => then(params.elicitationId)),
    end: () => ('terminateSession' in transport ? transport.terminateSession() : transport.close()),
    [Symbol.asyncDispose]: () => client.close(),
  };
}
