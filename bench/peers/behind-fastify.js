// Serves a factory of SDK servers at /mcp behind Fastify: its parsed body passed in, JSON answers.
import { createMcpHandler } from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import Fastify from 'fastify';
import { ready } from './ready.js';

export async function behindFastify(factory) {
  const serve = toNodeHandler(createMcpHandler(factory, { responseMode: 'json' }));
  const app = Fastify();
  app.post('/mcp', async (request, reply) => {
    reply.hijack();
    await serve(request.raw, reply.raw, request.body);
  });
  ready(`${await app.listen({ port: 0, host: '127.0.0.1' })}/mcp`);
}
