// The real clients of both package lines against the real server, for what streams: each in the way that its users write it.
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  LoggingMessageNotificationSchema,
  PromptListChangedNotificationSchema,
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import t, { type Test } from 'tap';
import { PREFIX } from '../helpers/mcp-wire.ts';
import { serve } from '../helpers/runtime.ts';
import { ESTATE, swap } from '../helpers/streams-estate.ts';

const INFO = { name: 'streams', version: '1' };

/** Words that come in one after the other; waits for one. */
class Heard {
  readonly words: string[] = [];
  #wake: (() => void) | undefined;

  hear(word: string): void {
    this.words.push(word);
    this.#wake?.();
  }
  async until(word: string): Promise<void> {
    while (!this.words.includes(word)) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

async function legacyClient(t: Test, url: string, token: string): Promise<LegacyClient> {
  const client = new LegacyClient(INFO);
  const transport = new LegacyTransport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${token}` } } });
  await client.connect(transport as unknown as Transport);
  t.teardown(() => client.close());
  return client;
}

async function modernClient(t: Test, url: string, token: string): Promise<ModernClient> {
  const client = new ModernClient(INFO, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
  await client.connect(new ModernTransport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${token}` } } }));
  t.teardown(() => client.close());
  return client;
}

/** Passes everything on, but cuts the first event stream of a POST behind its first message. */
async function cutting(t: Test, target: string): Promise<{ url: string; cuts: () => number }> {
  const { hostname, pathname, port, host } = new URL(target);
  let cuts = 0;
  const server = createServer((incoming, response) => {
    const headers = { ...incoming.headers, host };
    const outgoing = request({ hostname, port, path: pathname, method: incoming.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      answer.on('data', (chunk: Buffer) => {
        response.write(chunk);
        if (cuts > 0 || incoming.method !== 'POST' || !chunk.includes('notifications/progress')) return;
        cuts += 1;
        setTimeout(() => response.destroy(), 20);
      });
      answer.on('end', () => response.end());
      answer.on('error', () => response.destroy());
    });
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`, cuts: () => cuts };
}

t.test('sdk 1.32', async (t) => {
  const served = await serve(t, ESTATE);
  const url = served.endpoint('acme');
  const client = await legacyClient(t, url, served.token('acme'));
  const heard = new Heard();
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) =>
    heard.hear(`${params.level} ${String(params.data)}`),
  );
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => heard.hear(params.uri));
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => heard.hear('tools'));
  client.setNotificationHandler(PromptListChangedNotificationSchema, () => heard.hear('prompts'));
  client.setNotificationHandler(ResourceListChangedNotificationSchema, () => heard.hear('resources'));

  await client.setLoggingLevel('warning');
  await client.callTool({ name: 'talk', arguments: {} });
  t.strictSame(heard.words, ['warning careful', 'error bad\nline']);
  await client.subscribeResource({ uri: 'doc://a' });
  await client.callTool({ name: 'touch', arguments: { uri: 'doc://a' } });
  await heard.until('doc://a');
  await client.unsubscribeResource({ uri: 'doc://a' });
  await swap(served, 'acme', 'ciao');
  for (const list of ['tools', 'prompts', 'resources']) await heard.until(list);
  t.equal((await client.listPrompts()).prompts[0]?.description, 'ciao', 'the session sees the new toolset');

  const proxy = await cutting(t, url);
  const cut = await legacyClient(t, proxy.url, served.token('acme'));
  const steps: number[] = [];
  const result = await cut.callTool({ name: 'steps', arguments: {} }, undefined, {
    onprogress: ({ progress }) => steps.push(progress),
  });
  t.match(result, { content: [{ text: 'x' }] }, 'the client came back for its answer by itself');
  t.equal(proxy.cuts(), 1);
  t.strictSame(steps, [1, 2]);
});

t.test('client 2.4 in 2026-07-28', async (t) => {
  const served = await serve(t, ESTATE);
  const client = await modernClient(t, served.endpoint('acme'), served.token('acme'));
  const heard = new Heard();
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => heard.hear(params.uri));
  client.setNotificationHandler('notifications/tools/list_changed', () => heard.hear('tools'));
  client.setNotificationHandler('notifications/message', ({ params }) => heard.hear(`${params.level} ${String(params.data)}`));

  const subscription = await client.listen({ toolsListChanged: true, resourceSubscriptions: ['doc://a', 'doc://none'] });
  await client.callTool({ name: 'touch', arguments: { uri: 'doc://none' } });
  await client.callTool({ name: 'touch', arguments: { uri: 'doc://a' } });
  await heard.until('doc://a');
  await swap(served, 'acme', 'ciao');
  await heard.until('tools');
  t.strictSame(heard.words, ['doc://a', 'tools']);
  await subscription.close();

  await client.callTool({ name: 'talk', arguments: {}, _meta: { [`${PREFIX}logLevel`]: 'error' } });
  await heard.until('error bad\nline');
  t.strictSame(heard.words.slice(2), ['error bad\nline']);

  await client.listTools();
  const routed = await client.callTool({ name: 'routed', arguments: { region: ' Zürich ', size: 7, deep: { on: false } } });
  t.strictSame(
    routed.content,
    [{ type: 'text', text: '{"region":" Zürich ","size":7,"deep":{"on":false}}' }],
    'the client mirrors, the server agrees',
  );
});
