// @modelcontextprotocol/server behind Fastify, 2026-07-28, in the cheapest form there is: the protocol layer `Server` alone, whose
// handlers get arguments that nobody checked, and JSON answers.
import { Server } from '@modelcontextprotocol/server';
// Of the project, in the version that an egress host uses.
import { request } from 'undici';
import { behindFastify } from './behind-fastify.js';
import { tools } from './ready.js';

const all = { ...tools, fetch_item: { run: async ({ url }) => (await request(url)).body.text() } };
const listed = Object.entries(tools).map(([name, { description, inputSchema }]) => ({ name, description, inputSchema }));
await behindFastify(() => {
  const server = new Server({ name: 'sdk-v2-lowlevel', version: '2.4.0' }, { capabilities: { tools: {} } });
  server.setRequestHandler('tools/list', () => ({ tools: listed }));
  server.setRequestHandler('tools/call', async ({ params }) => ({
    content: [{ type: 'text', text: await all[params.name].run(params.arguments) }],
  }));
  return server;
});
