// @modelcontextprotocol/server as its page "Serve with Fastify" has it, 2026-07-28: an McpServer per request with its registered tools,
// arguments checked, Fastify's parsed body passed in. Cheaper than that page: schemas are made once and not for every request, and
// answers are JSON instead of SSE.
import { McpServer } from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { behindFastify } from './behind-fastify.js';
import { tools } from './ready.js';

const inputSchema = {
  echo: z.object({ text: z.string() }),
  sized: z.object({ bytes: z.int().min(0).max(8_000_000) }),
};
await behindFastify(() => {
  const server = new McpServer({ name: 'sdk-v2-fastify', version: '2.4.0' });
  for (const [name, { description, run }] of Object.entries(tools)) {
    server.registerTool(name, { description, inputSchema: inputSchema[name] }, async (args) => ({
      content: [{ type: 'text', text: run(args) }],
    }));
  }
  return server;
});
