// @modelcontextprotocol/sdk as its documentation has it: node:http, one Server and one transport per session, 2025-11-25.
// The cheapest form it offers: low-level Server, one shared validator, JSON answers instead of SSE.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import { ready, tools } from './ready.js';

const jsonSchemaValidator = new AjvJsonSchemaValidator();
const sessions = new Map();

async function newSession() {
  const server = new Server({ name: 'sdk-v1', version: '1.32.2' }, { capabilities: { tools: {} }, jsonSchemaValidator });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: Object.entries(tools).map(([name, { description, inputSchema }]) => ({ name, description, inputSchema })),
  }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => ({
    content: [{ type: 'text', text: tools[params.name].run(params.arguments) }],
  }));
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    enableJsonResponse: true,
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  await server.connect(transport);
  return transport;
}

const http = createServer(async (req, res) => {
  const id = req.headers['mcp-session-id'];
  const transport = id === undefined ? await newSession() : sessions.get(id);
  if (!transport) return res.writeHead(404).end();
  await transport.handleRequest(req, res);
});
http.listen(0, '127.0.0.1', () => ready(`http://127.0.0.1:${http.address().port}/mcp`));
