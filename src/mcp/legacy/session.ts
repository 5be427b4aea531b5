// One session of a 2025-era client: its owner, what it told of itself, its SDK server and the requests under way.
// Not responsible for finding or ending sessions (`sessions`) or for HTTP.
// Invariant: a session proves nothing: every request in it brings its own verified caller, who must be the owner.
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { jsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/types.js';
import type { ServerInfo } from '../codec-2026-07-28.ts';
import type { ClientFacts } from '../ports.ts';
import { DirectTransport } from './transport.ts';

/**
 * The SDK makes an Ajv per server where it is given no validator (385 µs); it needs one only for answers to elicitations,
 * which this server does not send yet.
 */
const noValidator: jsonSchemaValidator = {
  getValidator: () => () => ({ valid: false, data: undefined, errorMessage: 'not supported' }),
};

export class Session {
  readonly id: string;
  readonly tenant: string;
  readonly owner: string;
  readonly transport: DirectTransport;
  readonly server: Server;
  client: ClientFacts;
  /** Milliseconds of the monotonic clock. */
  usedAt: number;

  constructor(id: string, tenant: string, owner: string, info: ServerInfo, instructions: string | undefined, requests: number) {
    this.id = id;
    this.tenant = tenant;
    this.owner = owner;
    this.client = { capabilities: {}, protocolVersion: '' };
    this.usedAt = performance.now();
    this.transport = new DirectTransport(id, requests);
    this.server = new Server(
      { name: info.name, title: info.title, version: info.version },
      {
        capabilities: { tools: { listChanged: true } },
        jsonSchemaValidator: noValidator,
        ...(instructions === undefined ? {} : { instructions }),
      },
    );
  }

  get busy(): boolean {
    return this.transport.busy;
  }

  close(): void {
    void this.server.close();
  }
}
