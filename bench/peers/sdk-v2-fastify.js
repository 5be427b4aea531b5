// @modelcontextprotocol/server as its page "Serve with Fastify" has it, 2026-07-28: an McpServer per request with its registered tools,
// arguments checked, Fastify's parsed body passed in. Cheaper than that page: schemas are made once and not for every request, and
// answers are JSON instead of SSE.
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import Fastify from 'fastify';
import * as z from 'zod/v4';
import { ready, tools } from './ready.js';

const inputSchema = {
  echo: z.object({ text: z.string() }),
  sized: z.object({ bytes: z.int().min(0).max(8_000_000) }),
};
const handler = createMcpHandler(
  () => {
    const server = new McpServer({ name: 'sdk-v2-fastify', version: '2.4.0' });
    for (const [name, { description, run }] of Object.entries(tools)) {
      server.registerTool(name, { description, inputSchema: inputSchema[name] }, async (args) => ({
        content: [{ type: 'text', text: run(args) }],
      }));
    }
    return server;
  },
  { responseMode: 'json' },
);
const serve = toNodeHandler(handler);

const app = Fastify();
app.post('/mcp', async (request, reply) => {
  reply.hijack();
  await serve(request.raw, reply.raw, request.body);
});
ready(`${await app.listen({ port: 0, host: '127.0.0.1' })}/mcp`);
