// Prompts, resources, templates, completions and content of all kinds, through the whole server, with the real clients of both eras.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CLIENTS, connectClient, MODERN_CLIENTS } from '../helpers/mcp-clients.ts';
import { modern, rpc } from '../helpers/mcp-wire.ts';
import { serve } from '../helpers/runtime.ts';

const IMPORTS = `import { definePrompt, defineResource, defineTool, defineToolset, ToolError, Type } from 'leasehold';\n`;
const PNG = 'iVBORw0KGgo=';
const SOURCE = `${IMPORTS}
const icons = [{ src: 'https://acme.example/i.png', sizes: ['48x48'] }];
const Data = { $schema: 'https://json-schema.org/draft/2020-12/schema' };
export default defineToolset({
  instructions: 'Use with care.',
  tools: {
    blocks: defineTool({ description: 'all kinds', title: 'All', icons, handler: () => [
      { type: 'text', text: 'one', annotations: { audience: ['user'], priority: 0.5, lastModified: '2026-01-01T00:00:00Z' } },
      { type: 'image', data: new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), mimeType: 'image/png' },
      { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' },
      { type: 'resource_link', uri: 'docs://readme', name: 'readme', title: 'Read me', size: 5, icons },
      { type: 'resource', resource: { uri: 'docs://x', mimeType: 'text/plain', text: 'x' } },
      { type: 'resource', resource: { uri: 'docs://y', blob: new Uint8Array([1, 2]) } },
    ] }),
    array: defineTool({ description: 'array', outputSchema: Type.Array(Type.Integer()), handler: () => [1, 2] }),
    sum: defineTool({ description: 'sum', async handler(_args, ctx) { const all = (await ctx.call('array', {})) as number[]; return String(all[0]! + all[1]!); } }),
    badblock: defineTool({ description: 'no kind', handler: () => [{ type: 'video', data: 'x' }] as never }),
    schema: defineTool({ description: 'schema', inputSchema: Type.Object({ a: Type.Ref('#/$defs/x') }, { ...Data, $defs: { x: { type: 'string', minLength: 1 } }, additionalProperties: false }), handler: () => 'ok' }),
  },
  prompts: {
    greet: definePrompt({ title: 'Greet', description: 'Greets', icons, handler: () => 'Say hello' }),
    write: definePrompt({
      description: 'Writes',
      argsSchema: Type.Object({ style: Type.String({ title: 'Style', description: 'How' }), topic: Type.Optional(Type.String()) }),
      complete: { style: ['formal', 'friendly', 'funny'], topic: (value, given, ctx) => [value + ':' + (given.style ?? '-') + ':' + ctx.subject] },
      handler: async ({ style, topic }, ctx) => [
        { role: 'user', content: style + '/' + topic + '/' + ctx.tenant },
        { role: 'assistant', content: { type: 'image', data: '${PNG}', mimeType: 'image/png' } },
        { role: 'user', content: { type: 'resource', resource: { uri: 'docs://readme', mimeType: 'text/plain', text: await ctx.call('blocks', {}).then(() => 'called') } } },
      ],
    }),
    fails: definePrompt({ description: 'Fails', handler: () => { throw new ToolError('not today', { code: 'closed' }); } }),
    masked: definePrompt({ description: 'Fails', handler: () => { throw new Error('internal 4711'); } }),
    secret: definePrompt({ description: 'Scoped', scopes: ['prompts:secret'], handler: () => 'secret' }),
    wrong: definePrompt({ description: 'Wrong', handler: () => ({ role: 'system', content: 'x' }) as never }),
    stuck: definePrompt({ description: 'Never', timeoutMs: 300, handler: () => new Promise<string>(() => {}) }),
  },
  resources: {
    readme: defineResource({ uri: 'docs://readme', title: 'Read me', description: 'Text', mimeType: 'text/markdown', annotations: { priority: 1 }, icons, size: 7, handler: () => '# Hello' }),
    logo: defineResource({ uri: 'docs://logo', description: 'Bytes', mimeType: 'image/png', handler: () => new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]) }),
    parts: defineResource({ uri: 'docs://parts', description: 'Parts', handler: () => [{ text: 'a' }, { uri: 'docs://parts/b', mimeType: 'application/json', text: '{}' }, { blob: new Uint8Array([0]) }] }),
    user: defineResource({
      uriTemplate: 'users://{id}/posts/{post}{?lang}',
      description: 'Posts',
      complete: { id: async (value) => Array.from({ length: 150 }, (_, n) => value + n) },
      handler: ({ uri, params }) => (params.id === 'nobody' ? undefined : JSON.stringify({ uri, ...params })),
    }),
    secret: defineResource({ uri: 'docs://secret', description: 'Scoped', scopes: ['docs:secret'], handler: () => 'secret' }),
    unfit: defineResource({ uri: 'docs://unfit', description: 'Unfit', handler: () => ({ json: 1 }) as never }),
  },
});
`;
const BARE = `${IMPORTS}export default defineToolset({ tools: { only: defineTool({ description: 'only', handler: () => 'x' }) } });\n`;

interface Answered<R = { readonly [member: string]: unknown }> {
  readonly result: R;
}
interface Block {
  readonly type: string;
  readonly annotations?: object;
  readonly data?: string;
  readonly resource?: { readonly blob?: string };
}

async function failing(promise: Promise<unknown>): Promise<{ code: number; message: string; data: unknown }> {
  return promise.then(
    () => ({ code: 0, message: 'nothing failed', data: undefined }),
    (error: { code: number; message: string; data: unknown }) => error,
  );
}

t.test('every client reads the same', async (t) => {
  const served = await serve(t, { tenants: { acme: { tools: { 'a.ts': SOURCE } }, globex: { tools: { 'b.ts': BARE } } } });
  for (const kind of CLIENTS) {
    await t.test(kind, async (t) => {
      await using client = await connectClient(kind, served.endpoint('acme'), served.token('acme', 'ada', ['base']));
      const { sdk } = client;
      t.match(sdk.getServerCapabilities(), {
        tools: {},
        prompts: { listChanged: true },
        resources: { listChanged: true },
        completions: {},
      });

      const { prompts } = await sdk.listPrompts();
      t.strictSame(
        prompts.map((prompt) => prompt.name),
        ['fails', 'greet', 'masked', 'stuck', 'write', 'wrong'],
      );
      t.match(prompts[1], { title: 'Greet', icons: [{ src: 'https://acme.example/i.png' }], arguments: [] });
      t.match(prompts[4]?.arguments, [
        { name: 'style', description: 'How', required: true },
        { name: 'topic', required: false },
      ]);
      const greet = await sdk.getPrompt({ name: 'greet' });
      t.strictSame(greet.messages, [{ role: 'user', content: { type: 'text', text: 'Say hello' } }]);
      t.equal(greet.description, 'Greets');
      const written = await sdk.getPrompt({ name: 'write', arguments: { style: 'formal', topic: 'tea' } });
      t.equal(written.messages[0]?.content.text, 'formal/tea/acme');
      t.strictSame(written.messages[1], { role: 'assistant', content: { type: 'image', data: PNG, mimeType: 'image/png' } });
      t.equal(written.messages[2]?.content.resource?.text, 'called');
      t.match(await failing(sdk.getPrompt({ name: 'write' })), {
        code: -32602,
        data: { nextAction: { do: 'fix_arguments', path: '/style' } },
      });
      t.match(await failing(sdk.getPrompt({ name: 'nothing' })), { code: -32602 });
      t.match(await failing(sdk.getPrompt({ name: 'fails' })), {
        code: 50201,
        message: /not today/,
        data: { toolCode: 'closed' },
      });
      const masked = await failing(sdk.getPrompt({ name: 'masked' }));
      t.equal(masked.code, 50202);
      t.notMatch(JSON.stringify([masked.message, masked.data]), /4711/);
      t.match(await failing(sdk.getPrompt({ name: 'wrong' })), { code: 50203 });

      const { resources } = await sdk.listResources();
      t.strictSame(
        resources.map((resource) => resource.uri),
        ['docs://logo', 'docs://parts', 'docs://readme', 'docs://unfit'],
      );
      t.match(resources[2], {
        name: 'readme',
        title: 'Read me',
        mimeType: 'text/markdown',
        size: 7,
        annotations: { priority: 1 },
      });
      const { resourceTemplates } = await sdk.listResourceTemplates();
      t.match(resourceTemplates, [{ name: 'user', uriTemplate: 'users://{id}/posts/{post}{?lang}' }]);
      t.strictSame((await sdk.readResource({ uri: 'docs://readme' })).contents, [
        { uri: 'docs://readme', mimeType: 'text/markdown', text: '# Hello' },
      ]);
      t.strictSame((await sdk.readResource({ uri: 'docs://logo' })).contents, [
        { uri: 'docs://logo', mimeType: 'image/png', blob: PNG },
      ]);
      t.strictSame((await sdk.readResource({ uri: 'docs://parts' })).contents, [
        { uri: 'docs://parts', mimeType: 'text/plain', text: 'a' },
        { uri: 'docs://parts/b', mimeType: 'application/json', text: '{}' },
        { uri: 'docs://parts', mimeType: 'application/octet-stream', blob: 'AA==' },
      ]);
      const uri = 'users://a%20b/posts/7?lang=d%C3%A9';
      const read = await sdk.readResource({ uri });
      t.strictSame(JSON.parse(read.contents[0]?.text ?? ''), { uri, id: 'a b', post: '7', lang: 'dé' });
      for (const missing of ['docs://nothing', 'users://nobody/posts/1', 'users://a/b/posts/1']) {
        // The newer package knows one code for both eras and translates the other.
        t.match(await failing(sdk.readResource({ uri: missing })), {
          code: kind === 'sdk 1.32' ? -32002 : -32602,
          data: { uri: missing },
        });
      }
      t.match(await failing(sdk.readResource({ uri: 'docs://unfit' })), { code: 50203 });

      const complete = (ref: object, name: string, value: string, given?: Record<string, string>) =>
        sdk.complete({ ref, argument: { name, value }, ...(given === undefined ? {} : { context: { arguments: given } }) });
      const prompt = { type: 'ref/prompt', name: 'write' };
      const template = { type: 'ref/resource', uri: 'users://{id}/posts/{post}{?lang}' };
      t.strictSame((await complete(prompt, 'style', 'F')).completion.values, ['formal', 'friendly', 'funny']);
      t.strictSame((await complete(prompt, 'style', 'fu')).completion.values, ['funny']);
      t.strictSame((await complete(prompt, 'topic', 'te', { style: 'formal' })).completion.values, ['te:formal:ada']);
      const many = (await complete(template, 'id', 'u')).completion;
      t.match(many, { total: 150, hasMore: true });
      t.equal(many.values.length, 100);
      t.strictSame((await complete(template, 'post', 'u')).completion.values, [], 'nobody completes it');
      t.match(await failing(complete(template, 'nothing', 'u')), { code: -32602 });
      t.match(await failing(complete({ type: 'ref/prompt', name: 'nothing' }, 'x', 'u')), { code: -32602 });
      t.match(await failing(complete({ type: 'ref/resource', uri: 'users://{id}' }, 'id', 'u')), { code: -32602 });

      const called = await client.call('blocks', {});
      const blocks = called.content as Block[];
      t.notOk(called.isError, JSON.stringify(called));
      t.strictSame(
        blocks.map((block) => block.type),
        ['text', 'image', 'audio', 'resource_link', 'resource', 'resource'],
      );
      t.strictSame(blocks[0]?.annotations, { audience: ['user'], priority: 0.5, lastModified: '2026-01-01T00:00:00Z' });
      t.equal(blocks[1]?.data, PNG);
      t.match(blocks[3], { title: 'Read me', size: 5 });
      t.equal(blocks[5]?.resource?.blob, 'AQI=');
      const array = (await client.call('array', {})) as { content: unknown; structuredContent?: unknown };
      t.strictSame(array.content, [{ type: 'text', text: '[1,2]' }]);
      const isModern = MODERN_CLIENTS.includes(kind);
      t.strictSame(array.structuredContent, isModern ? [1, 2] : undefined, 'data that is no object is for newer clients');
      t.match((await client.call('sum', {})).content, [{ text: '3' }], 'and for tools');
      const { tools } = await sdk.listTools();
      t.strictSame(tools.find((tool) => tool.name === 'array')?.outputSchema?.type, isModern ? 'array' : undefined);
      t.match(
        tools.find((tool) => tool.name === 'blocks'),
        { title: 'All', icons: [{ src: 'https://acme.example/i.png' }] },
      );
      t.match(await client.call('badblock', {}), { isError: true, _meta: { 'leasehold/error': { code: 'result_invalid' } } });

      await using bare = await connectClient(kind, served.endpoint('globex'), served.token('globex'));
      const capabilities = bare.sdk.getServerCapabilities() ?? {};
      t.strictSame(
        [capabilities['prompts'], capabilities['resources'], capabilities['completions']],
        [undefined, undefined, undefined],
      );
    });
  }
  const other = await connectClient(
    'client 2.4 pinned',
    served.endpoint('acme'),
    served.token('acme', 'eve', ['prompts:secret', 'docs:secret']),
  );
  t.ok((await other.sdk.listPrompts()).prompts.some((prompt) => prompt.name === 'secret'));
  t.equal((await other.sdk.readResource({ uri: 'docs://secret' })).contents[0]?.text, 'secret');
  await other[Symbol.asyncDispose]();

  const records = await served.audit('acme');
  const requested = records.find((record) => record.kind === 'prompt.request' && record.name === 'write');
  t.strictSame(
    requested.args.map((arg: { name: string }) => arg.name),
    ['style', 'topic'],
  );
  t.ok(records.some((record) => record.kind === 'prompt.outcome' && record.name === 'fails' && record.code === 'tool_error'));
  t.ok(records.some((record) => record.kind === 'resource.outcome' && record.name === 'readme' && record.outcome === 'ok'));
  t.ok(records.some((record) => record.kind === 'completion.request' && record.name === 'user'));
  t.ok(
    records.some(
      (record) => record.kind === 'call.request' && record.tool === 'blocks' && record.depth === 1 && record.parent !== undefined,
    ),
  );
  t.notMatch(JSON.stringify(records), /a%20b|te:formal|users:\/\//, 'no values');
});

t.test('the wire of 2026-07-28', async (t) => {
  const served = await serve(t, { tenants: { acme: { tools: { 'a.ts': SOURCE } } } });
  const url = served.endpoint('acme');
  const token = served.token('acme', 'ada', ['base']);
  for (const [method, member] of [
    ['prompts/list', 'prompts'],
    ['resources/list', 'resources'],
    ['resources/templates/list', 'resourceTemplates'],
  ] as const) {
    const { json } = await rpc(url, token, method);
    t.match(json, { result: { resultType: 'complete', ttlMs: Number, cacheScope: 'private' } });
    t.ok(Array.isArray((json as Answered).result[member]));
    if (member === 'prompts')
      t.match(JSON.stringify(json), /{"name":"style","title":"Style","description":"How","required":true}/);
    t.match((await rpc(url, token, method, { cursor: 'x' })).json, { error: { code: -32602 } });
  }
  const read = (await rpc(url, token, 'resources/read', { uri: 'docs://readme' })).json as Answered;
  t.match(read.result, { resultType: 'complete', ttlMs: 0, cacheScope: 'private' });
  t.match((await rpc(url, token, 'prompts/get', { name: 'greet' })).json, { result: { resultType: 'complete' } });
  t.match((await rpc(url, token, 'resources/read', {})).json, { error: { code: -32602 } });
  t.match((await rpc(url, token, 'completion/complete', { ref: 1, argument: { name: 'x', value: 'y' } })).json, {
    error: { code: -32602 },
  });
  t.match((await rpc(url, token, 'completion/complete', { ref: { type: 'ref/prompt', name: 'write' } })).json, {
    error: { code: -32602 },
  });
  const scoped = await rpc(url, token, 'prompts/get', { name: 'secret' });
  t.equal(scoped.status, 403);
  t.match(scoped.headers.get('www-authenticate'), /prompts:secret/);
  t.match((await rpc(url, token, 'prompts/get', { name: 'stuck' })).json, {
    error: { code: 50101, data: { nextAction: { do: 'retry' } } },
  });
  const schema = (await rpc(url, token, 'tools/list')).json as Answered<{ tools: { name: string; inputSchema: object }[] }>;
  t.strictSame(schema.result.tools.find((tool) => tool.name === 'schema')?.inputSchema, {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $defs: { x: { type: 'string', minLength: 1 } },
    additionalProperties: false,
    type: 'object',
    required: ['a'],
    properties: { a: { $ref: '#/$defs/x' } },
  });
});

const LIMITED = `${IMPORTS}
export default defineToolset({
  prompts: {
    echo: definePrompt({ description: 'Echo', argsSchema: Type.Object({ text: Type.String() }), handler: ({ text }) => text }),
    wait: definePrompt({ description: 'Wait', timeoutMs: 5000, handler: (_args, ctx) => new Promise<string>((resolve) => ctx.signal.addEventListener('abort', () => resolve('stopped'))) }),
    cycle: definePrompt({ description: 'Spin', timeoutMs: 300, handler: () => { for (;;); } }),
  },
  resources: {
    big: defineResource({ uri: 'x://big', description: 'Big', handler: () => 'x'.repeat(5000) }),
    blob: defineResource({ uri: 'x://blob', description: 'Big', handler: () => new Uint8Array(4000) }),
    small: defineResource({ uri: 'x://small', description: 'Small', handler: () => 'x' }),
  },
});
`;

t.test('the limits of tools are those of all', async (t) => {
  const limits = { argumentsBytes: 1024, resultBytes: 4096, concurrentCalls: 1, queueLength: 0 };
  const served = await serve(t, { tenants: { acme: { tenant: { limits }, tools: { 'a.ts': LIMITED } } } });
  const ask = async (method: string, params: Record<string, unknown>): Promise<unknown> =>
    (await rpc(served.endpoint('acme'), served.token('acme'), method, params)).json;
  t.match(await ask('resources/read', { uri: 'x://small' }), { result: { contents: [{ text: 'x' }] } });
  t.match(await ask('prompts/get', { name: 'echo', arguments: { text: 'x'.repeat(2000) } }), { error: { code: 50103 } });
  t.match(await ask('prompts/get', { name: 'echo', arguments: { text: 7 } }), {
    error: { code: -32602, data: { path: '/text' } },
  });
  t.match(await ask('prompts/get', { name: 'echo', arguments: ['x'] }), { error: { code: -32602 } });
  t.match(await ask('resources/read', { uri: 'x://big' }), { error: { code: 50104 } });
  t.match(await ask('resources/read', { uri: 'x://blob' }), { error: { code: 50104 } });
  t.match(await ask('resources/read', { uri: `x://${'y'.repeat(5000)}` }), { error: { code: -32602 } });
  t.match(await ask('prompts/get', { name: '__proto__' }), { error: { code: -32602 } });

  const gone = new AbortController();
  const { body, headers } = modern('prompts/get', { name: 'wait' });
  const waiting = fetch(served.endpoint('acme'), {
    method: 'POST',
    body,
    headers: {
      ...headers,
      authorization: `Bearer ${served.token('acme')}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    signal: gone.signal,
  }).catch(() => 'gone');
  let full: unknown;
  do full = await ask('resources/read', { uri: 'x://small' });
  while ((full as { error?: object }).error === undefined);
  t.match(full, { error: { code: 50102, data: { nextAction: { do: 'retry' } } } }, 'the one slot is taken');
  gone.abort();
  t.equal(await waiting, 'gone');
  let freed: unknown;
  do freed = await ask('resources/read', { uri: 'x://small' });
  while ((freed as { error?: object }).error !== undefined);
  t.ok(freed, 'a client that goes away gives its slot back');
  t.match(await ask('prompts/get', { name: 'cycle' }), { error: { code: 50101 } }, 'and what spins is ended');
  const records = await served.audit('acme');
  t.ok(records.some((record) => record.kind === 'prompt.outcome' && record.name === 'wait' && record.code === 'cancelled'));
});

t.test('what is declared twice or wrong is refused, and the old keeps serving', async (t) => {
  const served = await serve(t, { tenants: { acme: { tools: { 'a.ts': BARE } } } });
  const problem = async (source: string): Promise<string> => {
    const before = served.runtime.registry.get('acme')?.problems;
    writeFileSync(join(served.estate, 'tenants/acme/tools/a.ts'), `${IMPORTS}${source}`);
    for (let tries = 0; tries < 200; tries += 1) {
      const { problems = [] } = served.runtime.registry.get('acme') ?? {};
      if (problems !== before && problems.length > 0) return problems.map((one) => one.reason).join('\n');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return 'no problem came';
  };
  const resource = (of: string) => `defineResource({ ${of}, description: 'x', handler: () => 'x' })`;
  t.match(
    await problem(
      `export default defineToolset({ resources: { a: ${resource("uri: 'x://y'")}, b: ${resource("uri: 'x://y'")} } });`,
    ),
    /the URI x:\/\/y stands twice/,
  );
  t.match(
    await problem(`export default defineToolset({ resources: { a: ${resource("uriTemplate: 'x://{a}{b}'")} } });`),
    /two variables without text/,
  );
  t.match(
    await problem(`export default defineToolset({ resources: { 'a b': ${resource("uri: 'x://y'")} } });`),
    /a name that clients refuse/,
  );
  t.match(await problem(`export default defineToolset({ resources: { a: ${resource("uri: 'readme'")} } });`), /uri/);
  t.match(
    await problem(
      `export default defineToolset({ prompts: { a: defineTool({ description: 'x', handler: () => 'x' }) as never } });`,
    ),
    /must come from definePrompt/,
  );
  t.match(
    await problem(
      `export default defineToolset({ prompts: { a: definePrompt({ description: 'x', complete: { b: [] } as never, handler: () => 'x' }) } });`,
    ),
    /completes nothing/,
  );
  t.equal((await served.call('acme', 'only')).text, 'x');
});
