// A whole running server with a connection to a real authorization server, and people in front of real browsers.
// Not responsible for what is asserted.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import type { Test } from 'tap';
import { toolset } from '../helpers/estate.ts';
import { type Called, type ServedEstate, serve, serveFolder } from '../helpers/runtime.ts';
import { CLIENT_SECRET, type RealServer, startRealServer } from './real-server.ts';

const TOOLS = toolset(`
  me: rest({ description: 'Who am I', inputSchema: Type.Object({}), connection: 'crm', method: 'GET', path: '/me' }),
  both: defineTool({
    description: 'Two accounts', inputSchema: Type.Object({}), connections: { crm: {}, other: {} },
    handler: async (_, ctx) => JSON.stringify(await ctx.connections.crm.json('/me')),
  }),
  code: defineTool({
    description: 'From code', inputSchema: Type.Object({}), connections: { crm: {} },
    handler: async (_, ctx) => JSON.stringify(await ctx.connections.crm.json('/me')),
  }),
  more: defineTool({
    description: 'Needs more', inputSchema: Type.Object({}), connections: { crm: { scopes: ['read'] } },
    handler: async (_, ctx) => JSON.stringify(await ctx.connections.crm.json('/me')),
  }),
  nested: defineTool({
    description: 'Comes upon it on the way', inputSchema: Type.Object({ write: Type.Boolean() }),
    handler: async ({ write }, ctx) => {
      if (write) await ctx.store.subject.set('k', 1);
      return ctx.call('me', {});
    },
  }),
  spy: defineTool({
    description: 'What an author sees', inputSchema: Type.Object({}),
    handler: async (_, ctx) => {
      try {
        return await ctx.call('me', {});
      } catch (error) {
        return JSON.stringify({ ...error, code: error.code, nextAction: error.nextAction, message: error.message, data: error.data });
      }
    },
  }),
  mine: defineTool({
    description: 'Asks for another tool', inputSchema: Type.Object({}), outputSchema: Type.Object({ connections: Type.Array(Type.Unknown()) }),
    handler: (_, ctx) => ctx.call('my_connections', {}),
  }),
  company: rest({ description: 'The account of the tenant', inputSchema: Type.Object({}), connection: 'shared', method: 'GET', path: '/me' }),
  plain: defineTool({ description: 'Nothing', inputSchema: Type.Object({}), handler: () => 'plain' }),
`);

export interface Link {
  readonly id: string;
  readonly url: string;
  readonly code: string;
  readonly scopes: readonly string[];
  readonly connection: string;
}
export interface ConnectScene extends ServedEstate {
  readonly real: RealServer;
  /** The links that a call is answered with. */
  links(tool?: string, options?: { token?: string; args?: unknown }): Promise<Link[]>;
  link(options?: { token?: string; tool?: string }): Promise<Link>;
  /** Another process's start, as far as state goes: everything is built anew over the same folder, at the same address. */
  restart(more?: { readonly publicUrl: string }): Promise<void>;
}

export interface SceneOptions {
  readonly name?: string;
  readonly crm?: Record<string, unknown>;
  readonly privateOrigins?: readonly string[];
  readonly tenant?: Record<string, unknown>;
}

export async function connectScene(
  t: Test,
  { name = 'Acme Inc.', crm = {}, privateOrigins = [], tenant = {} }: SceneOptions = {},
): Promise<ConnectScene> {
  const real = await startRealServer();
  t.teardown(() => real.close());
  const oauth = {
    type: 'oauth2',
    issuer: real.origin,
    clientId: 'leasehold',
    clientSecret: { secret: 'real-app' },
    scopes: ['openid', 'offline_access'],
    origins: [real.origin],
    ...crm,
  };
  const served = await serve(t, {
    server: { egress: { privateOrigins: [real.origin, ...privateOrigins] } },
    tenants: {
      acme: {
        tenant: { name, connections: { crm: oauth, other: oauth, shared: { ...oauth, owner: 'tenant' } }, ...tenant },
        tools: { 'all.ts': TOOLS },
      },
    },
  });
  served.vault.secrets.set('acme', 'real-app', CLIENT_SECRET, 1);
  real.register(`${served.runtime.url}/connect/callback`);
  const links: ConnectScene['links'] = async (tool = 'me', { token, args = {} } = {}) =>
    linksOf(await scene.call('acme', tool, args, token === undefined ? {} : { token }));
  const scene: ConnectScene = {
    ...served,
    real,
    links,
    link: async ({ tool = 'me', ...options } = {}) => (await links(tool, options))[0] as Link,
    async restart(more) {
      const { estate, runtime } = scene;
      await scene.close();
      const file = join(estate, 'leasehold.json');
      if (more !== undefined) writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...more }));
      Object.assign(scene, await serveFolder(t, estate, runtime.port));
    },
  };
  return scene;
}

export function linksOf(called: Called): Link[] {
  return (called.error as { data?: { connect?: Link[] } } | undefined)?.data?.connect ?? [];
}

export const heading = (page: Page): Promise<string | null> => page.locator('h1').first().textContent();

/** Types the code and goes on to the service. */
export async function confirm(page: Page, link: Link, code: string = link.code): Promise<void> {
  await page.goto(link.url);
  await page.fill('#code', code);
  await page.click('button');
}

/** Signs in at the real server and allows what it asks; ends on our page. `deny` follows its cancel link. */
export async function allow(page: Page, { origin }: RealServer, how: 'allow' | 'deny' = 'allow'): Promise<void> {
  await page.waitForURL((url) => url.origin === origin);
  for (let steps = 0; page.url().startsWith(origin); steps += 1) {
    if (steps > 6) throw new Error(`the sign-in did not end: ${page.url()}`);
    if (how === 'deny') await page.click('text=Cancel');
    else {
      if ((await page.locator('[name=login]').count()) > 0) {
        await page.fill('[name=login]', 'ada');
        await page.fill('[name=password]', 'x');
      }
      await page.click('button[type=submit]');
    }
    await page.waitForLoadState();
  }
}
