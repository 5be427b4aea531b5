// fastmcp from npm with its HTTP stream transport: sessions, JSON answers, 2025-11-25.
import { createServer } from 'node:net';
import { FastMCP } from 'fastmcp';
import { z } from 'zod';
import { ready, tools } from './ready.js';

const server = new FastMCP({ name: 'fastmcp', version: '4.20.16', ping: { enabled: false }, health: { enabled: false } });
server.addTool({
  name: 'echo',
  description: tools.echo.description,
  parameters: z.object({ text: z.string() }),
  execute: async (args) => tools.echo.run(args),
});
server.addTool({
  name: 'sized',
  description: tools.sized.description,
  parameters: z.object({ bytes: z.number().int() }),
  execute: async (args) => tools.sized.run(args),
});

// It cannot say which port it got, so ask the system for a free one first.
const port = await new Promise((resolve) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port: free } = probe.address();
    probe.close(() => resolve(free));
  });
});
// Its logger writes to stdout, where the harness reads one line of JSON.
console.log = console.info = console.debug = () => {};
await server.start({
  transportType: 'httpStream',
  httpStream: { port, host: '127.0.0.1', endpoint: '/mcp', enableJsonResponse: true },
});
ready(`http://127.0.0.1:${port}/mcp`);
