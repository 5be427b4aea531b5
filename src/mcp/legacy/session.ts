// One session of a 2025-era client: its owner, what it told of itself, its SDK server and the requests under way.
// Not responsible for finding or ending sessions (`sessions`) or for HTTP.
// Invariant: a session proves nothing: every request in it brings its own verified caller, who must be the owner.
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { jsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/types.js';
import type { ServerInfo } from '../codec-2026-07-28.ts';
import type { LogLevel } from '../log-messages.ts';
import { capabilitiesOf, type ServerCapabilities } from '../capabilities.ts';
import type { ClientFacts, Principal, ToolsetView } from '../ports.ts';
import type { SessionStreams } from './streams.ts';
import { DirectTransport } from './transport.ts';

/**
 * The SDK makes an Ajv per server where it is given no validator (385 µs); it needs one only for `elicitInput`, which is not used
 * here: the backend checks answers, in both eras alike.
 */
const noValidator: jsonSchemaValidator = {
  getValidator: () => () => ({ valid: false, data: undefined, errorMessage: 'not supported' }),
};

const ELICITATIONS = 64;

export class Session {
  readonly id: string;
  readonly tenant: string;
  readonly owner: string;
  readonly transport: DirectTransport;
  readonly server: Server;
  /** As told at its beginning: a session does not learn of others. */
  readonly capabilities: ServerCapabilities;
  readonly streams: SessionStreams;
  client: ClientFacts;
  /** Who used it last: the owner, with the scopes of the newest token. */
  principal: Principal;
  /** Undefined: the client asked for no log messages. */
  logLevel: LogLevel | undefined;
  /** URIs whose changes the client wants to know. */
  readonly watched = new Set<string>();
  /** Ids of URLs that the client was asked to open; their ends are told to this session alone. */
  readonly elicitations = new Set<string>();
  /** Milliseconds of the monotonic clock. */
  usedAt: number;

  constructor(
    id: string,
    principal: Principal,
    owner: string,
    info: ServerInfo,
    view: ToolsetView | undefined,
    requests: number,
    streams: SessionStreams,
  ) {
    this.id = id;
    this.tenant = principal.tenant;
    this.principal = principal;
    this.owner = owner;
    this.streams = streams;
    this.client = { capabilities: {}, protocolVersion: '' };
    this.usedAt = performance.now();
    this.transport = new DirectTransport(id, requests, streams);
    this.capabilities = capabilitiesOf(view);
    this.server = new Server(
      { name: info.name, title: info.title, version: info.version },
      {
        capabilities: this.capabilities,
        jsonSchemaValidator: noValidator,
        ...(view?.instructions === undefined ? {} : { instructions: view.instructions }),
      },
    );
  }

  get busy(): boolean {
    return this.transport.busy;
  }

  elicited(ids: readonly string[]): void {
    for (const id of ids) this.elicitations.add(id);
    for (const oldest of this.elicitations) {
      if (this.elicitations.size <= ELICITATIONS) break;
      this.elicitations.delete(oldest);
    }
  }

  close(): void {
    void this.server.close();
  }
}
