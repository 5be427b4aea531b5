// What compiles and what must not: checked by `tsc -p .` alone, never run.
import {
  definePrompt,
  defineResource,
  defineTool,
  defineToolset,
  getContext,
  graphql,
  jsonrpc,
  rest,
  result,
  ToolError,
  Type,
} from '../../src/index.ts';

// ---- the example of the documentation ---------------------------------------------------------------------------
const Issue = Type.Object({ number: Type.Integer(), title: Type.String() });
const Repo = { owner: Type.String({ description: 'Account or organisation' }), repo: Type.String() };

const list_issues = rest({
  description: 'List the open issues of a repository',
  inputSchema: Type.Object({ ...Repo, per_page: Type.Optional(Type.Integer({ maximum: 100, default: 20 })) }),
  outputSchema: Type.Object({ items: Type.Array(Issue) }),
  connection: 'github',
  method: 'GET',
  path: '/repos/{owner}/{repo}/issues',
  query: ['per_page'],
  response: { select: '{items: [].{number: number, title: title}}' },
  annotations: { readOnlyHint: true },
});

const close_oldest = defineTool({
  description: 'Close the oldest open issue after asking the user',
  inputSchema: Type.Object(Repo),
  outputSchema: Type.Object({ closed: Type.Integer() }),
  annotations: { destructiveHint: true },
  scopes: ['issues:write'],
  connections: { github: { scopes: ['repo'] } },
  timeoutMs: 20_000,
  async handler({ owner, repo }, ctx) {
    const { items } = await ctx.call(list_issues, { owner, repo });
    const oldest = items.at(-1);
    if (!oldest) throw new ToolError(`${owner}/${repo} has no open issue`, { code: 'nothing_to_close' });
    const answer = await ctx.elicit('confirm', {
      message: `Close #${oldest.number} "${oldest.title}"?`,
      schema: Type.Object({ yes: Type.Boolean({ title: 'Close it' }) }),
    });
    if (answer.action !== 'accept' || !answer.content.yes) throw new ToolError('The user declined', { code: 'declined' });
    ctx.progress({ progress: 1, total: 2, message: 'closing' });
    await ctx.connections.github.json(`/repos/${owner}/${repo}/issues/${oldest.number}`, {
      method: 'PATCH',
      json: { state: 'closed' },
    });
    await remember(oldest.number);
    return { closed: oldest.number };
  },
});
async function remember(n: number) {
  const c = getContext();
  await c.store.subject.set('last_closed', n, { ttlMs: 86_400_000 });
  c.log.info('closed', { n });
}

const hello = defineTool({
  description: 'Greet someone',
  inputSchema: Type.Object({ name: Type.String() }),
  handler: ({ name }, ctx) => `Hello, ${name}, from ${ctx.tenant}`,
});

export default defineToolset({ tools: { hello, list_issues, close_oldest } });

// ---- more that must compile -------------------------------------------------------------------------------------
export const ping = defineTool({ description: 'No arguments, no result', handler() {} });
export const full = defineTool({
  description: 'A full result',
  handler: () => result({ content: [{ type: 'text', text: 'x' }] }),
});
export const byName = defineTool({
  description: 'A call by name is Json',
  inputSchema: Type.Object({ note: Type.String({ audit: 'value' }) }),
  async handler({ note }, ctx) {
    const answer = await ctx.call('other', { note });
    return JSON.stringify(answer);
  },
});

export const review = definePrompt({
  description: 'Review a change',
  argsSchema: Type.Object({ repo: Type.String(), style: Type.Optional(Type.Enum(['short', 'long'])) }),
  connections: { github: {} },
  complete: {
    style: ['short', 'long'],
    repo: async (value, given, ctx) => [`${value}${given.style ?? ''}`, ctx.tenant, typeof ctx.connections.github.fetch],
  },
  handler: ({ repo, style }) => [
    { role: 'user', content: `Review ${repo} ${style ?? ''}` },
    {
      role: 'assistant',
      content: { type: 'image', data: new Uint8Array([1]), mimeType: 'image/png', annotations: { priority: 1 } },
    },
  ],
});
export const readme = defineResource({ uri: 'docs://readme', description: 'Read me', handler: ({ uri }) => uri });
export const post = defineResource({
  uriTemplate: 'posts://{user}/{+path}{?lang,page}',
  description: 'A post',
  complete: { user: ['ada'], lang: (value) => [value] },
  handler({ params }) {
    const path: string = params.path;
    const lang: string | undefined = params.lang;
    return params.user === 'nobody' ? undefined : [{ text: path }, { blob: new Uint8Array(1), mimeType: lang ?? 'x/y' }];
  },
});
export const all = defineToolset({ prompts: { review }, resources: { readme, post } });

// ---- what must not compile --------------------------------------------------------------------------------------
export const wrongPath = rest({
  description: 'a path parameter that is no argument',
  inputSchema: Type.Object({ owner: Type.String() }),
  connection: 'github',
  method: 'GET',
  // @ts-expect-error {repo} is not in inputSchema
  path: '/repos/{owner}/{repo}',
});

export const wrongResult = defineTool({
  description: 'a result that does not fit outputSchema',
  outputSchema: Type.Object({ closed: Type.Integer() }),
  // @ts-expect-error `closed` is a number
  handler: () => ({ closed: 'yes' }),
});

export const wrongSlot = defineTool({
  description: 'a connection that was not declared',
  connections: { a: {} },
  async handler(_args, ctx) {
    await ctx.connections.a.fetch('/');
    // @ts-expect-error only `a` is declared
    await ctx.connections.b.fetch('/');
  },
});

export const wrongObject = defineTool({
  description: 'a plain object without outputSchema',
  // @ts-expect-error an object needs an outputSchema
  handler: () => ({ closed: 1 }),
});

export const wrongQuery = rest({
  description: 'a query parameter that is no argument',
  inputSchema: Type.Object({ per_page: Type.Integer() }),
  connection: 'github',
  method: 'GET',
  path: '/',
  // @ts-expect-error `page` is no argument
  query: ['page'],
});

export const wrongCall = defineTool({
  description: 'a nested call with wrong arguments',
  async handler(_args, ctx) {
    // @ts-expect-error `repo` is missing
    await ctx.call(list_issues, { owner: 'x' });
  },
});

export const wrongArgument = definePrompt({
  description: 'an argument that is no text',
  // @ts-expect-error arguments of a prompt are texts
  argsSchema: Type.Object({ count: Type.Integer() }),
  handler: () => 'x',
});

export const wrongCompletion = definePrompt({
  description: 'a completion of nothing',
  argsSchema: Type.Object({ a: Type.String() }),
  // @ts-expect-error `b` is no argument
  complete: { b: ['x'] },
  handler: () => 'x',
});

export const wrongVariable = defineResource({
  uriTemplate: 'x://{a}',
  description: 'a variable that is not in the template',
  // @ts-expect-error only `a` is a variable
  handler: ({ params }) => params.b,
});

export const apart = defineToolset({ isolation: 'call', tools: { hello } });
// @ts-expect-error there is no such isolation
export const unknown = defineToolset({ isolation: 'process' });

// @ts-expect-error a prompt is no tool
export const wrongPart = defineToolset({ tools: { review } });

export const asksTheClient = defineTool({
  description: 'asks the model and the folders of the client',
  async handler(_args, ctx) {
    const { content, model } = await ctx.sample('s', {
      messages: [{ role: 'user', content: { type: 'text', text: 'x' } }],
      maxTokens: 5,
    });
    const [first] = await ctx.roots();
    const answer = await ctx.elicit('e', { message: '?', schema: Type.Object({ n: Type.Integer() }) });
    // @ts-expect-error without `accept` there is no content
    const early = answer.content;
    // @ts-expect-error `maxTokens` is missing
    await ctx.sample('t', { messages: [] });
    return JSON.stringify([content, model, first?.uri, early, answer.action === 'accept' ? answer.content.n + 1 : 0]);
  },
});

export const myLogin = graphql({
  connection: 'github',
  description: 'My login',
  inputSchema: Type.Object({}),
  document: 'query { viewer { login } }',
  response: { select: 'viewer' },
});
export const findPartner = jsonrpc({
  connection: 'odoo',
  description: 'Find a partner',
  inputSchema: Type.Object({ name: Type.String(), db: Type.String() }),
  outputSchema: Type.Array(Type.Integer()),
  method: 'res.partner.search',
  params: ['name'],
  path: '/{db}/jsonrpc',
});
export const callsDeclared = defineTool({
  description: 'the result of a declared tool is typed by its outputSchema',
  handler: async (_args, ctx) => {
    const [first]: (number | undefined)[] = await ctx.call(findPartner, { name: 'Ada', db: 'x' });
    // @ts-expect-error `db` is missing
    await ctx.call(findPartner, { name: 'Ada' });
    return String(first);
  },
});
export const wrongGraphqlPath = graphql({
  description: 'a path parameter that is no argument',
  connection: 'github',
  document: '{ x }',
  // @ts-expect-error {team} is not in inputSchema
  path: '/{team}/graphql',
});
export const wrongParams = jsonrpc({
  description: 'a parameter that is no argument',
  inputSchema: Type.Object({ a: Type.Integer() }),
  connection: 'odoo',
  method: 'x',
  // @ts-expect-error `b` is no argument
  params: ['b'],
});
// @ts-expect-error the document is missing
export const noDocument = graphql({ description: 'x', connection: 'github' });
// @ts-expect-error the method is missing
export const noMethod = jsonrpc({ description: 'x', connection: 'odoo' });
