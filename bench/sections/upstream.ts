// A declared REST tool beside the same request by undici directly and in a tool of the SDK behind Fastify; and 100 calls at once
// whose token ran out.
// Not responsible for judging the figures.
// Invariant: one upstream for all, in the harness's process, whose CPU is nobody's.
import { execFile } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { DirectJob } from '../load/direct.ts';
import type { Measured } from '../load/generate.ts';
import { type Call, loadCall, median } from '../load/load.ts';
import type { Target } from '../load/requests.ts';
import type { BenchOptions } from '../options.ts';
import { CLI, endpointOf, Estate, startPeer } from '../subjects.ts';

const run = promisify(execFile);
const DIRECT = fileURLToPath(new URL('../load/direct.ts', import.meta.url));
const STORM = 100;
const STORM_TOOL = JSON.stringify({
  kind: 'rest',
  connection: 'oauth',
  tools: { guarded: { description: 'd', request: { method: 'GET', path: '/guarded' } } },
});

export interface UpstreamRow {
  readonly name: 'leasehold' | 'sdk-v2-lowlevel' | 'undici';
  readonly measured: Measured;
}
export interface StormFigures {
  readonly tokenRequests: number;
  readonly succeeded: number;
  /** From the first call to the last answer, and of the same calls while the token is good. */
  readonly stormMs: number;
  readonly calmMs: number;
}
export interface UpstreamFigures {
  readonly rows: readonly UpstreamRow[];
  readonly storm: StormFigures;
}

export async function upstreamFigures(options: BenchOptions): Promise<UpstreamFigures> {
  const upstream = await Upstream.start();
  const { origin } = upstream;
  const estate = await Estate.create({ egress: { privateOrigins: [origin] } });
  const peer = await startPeer('sdk-v2-lowlevel');
  try {
    const oauth = {
      type: 'oauth2',
      grant: 'client_credentials',
      origins: [origin],
      endpoints: { token: `${origin}/token` },
      clientId: 'c',
      clientSecret: { secret: 's' },
    };
    const connections = { upstream: { type: 'none', origins: [origin] }, oauth };
    const tenant = { connections, limits: { concurrentCalls: STORM, queueLength: STORM } };
    await writeFile(join(estate.dir, 'tenants/bench/tenant.json'), JSON.stringify(tenant));
    await writeFile(join(estate.dir, 'tenants/bench/tools/oauth.binding.json'), STORM_TOOL);
    const token = await estate.token('bench');
    await setSecret(estate.dir);
    const server = await estate.serve();
    const target = { url: endpointOf(server, 'bench'), token };
    const item: Call = {
      era: '2026-07-28',
      method: 'tools/call',
      params: { name: 'fetch_item', arguments: { id: '7' } },
      expect: 'item',
    };
    const direct: DirectJob = { origin, path: '/items/7', ...options };
    const viaSdk = { ...item, params: { name: 'fetch_item', arguments: { url: `${origin}/items/7` } } };
    const ways = [
      { name: 'leasehold', load: () => loadCall(target, server.pid, item, options), rounds: [] as Measured[] },
      { name: 'sdk-v2-lowlevel', load: () => loadCall(peer.target, peer.server.pid, viaSdk, options), rounds: [] as Measured[] },
      { name: 'undici', load: () => loadDirect(direct), rounds: [] as Measured[] },
    ] as const;
    for (let round = 0; round < options.sideRounds; round += 1) for (const way of ways) way.rounds.push(await way.load());
    const rows = ways.map(({ name, rounds }) => ({ name, measured: median(rounds) }));
    const storm = await stormOf(target, upstream);
    await server.stop();
    return { rows, storm };
  } finally {
    await peer.stop();
    await estate.remove();
    upstream.close();
  }
}

async function loadDirect(job: DirectJob): Promise<Measured> {
  const { stdout } = await run(process.execPath, [DIRECT, JSON.stringify(job)]);
  return JSON.parse(stdout) as Measured;
}

async function setSecret(estate: string): Promise<void> {
  const set = run(process.execPath, [CLI, 'secret', 'set', 'bench', 's', '--estate', estate]);
  set.child.stdin?.end('bench-secret-of-the-client\n');
  await set;
}

/** The first call of a client has no token yet; after it, every token that was given is refused, and the storm begins. */
async function stormOf(target: Target, upstream: Upstream): Promise<StormFigures> {
  await call(target);
  const calm = await together(target);
  upstream.endTokens();
  const before = upstream.tokenRequests;
  const storm = await together(target);
  return { tokenRequests: upstream.tokenRequests - before, succeeded: storm.succeeded, stormMs: storm.ms, calmMs: calm.ms };
}

async function together(target: Target): Promise<{ readonly succeeded: number; readonly ms: number }> {
  const begun = performance.now();
  const all = await Promise.all(Array.from({ length: STORM }, () => call(target)));
  return { succeeded: all.filter((text) => text.includes('guarded item')).length, ms: performance.now() - begun };
}

async function call({ url, token }: Target): Promise<string> {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
  };
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${token}`,
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'guarded',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'guarded', arguments: {}, _meta: meta },
    }),
  });
  return answer.text();
}

/** Items for everyone, guarded ones for whoever has a token, and tokens. */
class Upstream {
  readonly origin: string;
  tokenRequests = 0;
  #good = new Set<string>();
  readonly #close: () => void;

  private constructor(server: ReturnType<typeof createServer>) {
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.#close = () => {
      server.closeAllConnections();
      server.close();
    };
    server.on('request', (request, response) => this.#answer(request, response));
  }

  static async start(): Promise<Upstream> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Upstream(server);
  }

  endTokens(): void {
    this.#good.clear();
  }
  close(): void {
    this.#close();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    if (request.url === '/token') {
      this.tokenRequests += 1;
      const token = `token-${this.tokenRequests}`;
      this.#good.add(token);
      return send(response, 200, { access_token: token, token_type: 'Bearer', expires_in: 3600 });
    }
    if (request.url === '/guarded') {
      const isGood = this.#good.has(request.headers.authorization?.slice('Bearer '.length) ?? '');
      return send(response, isGood ? 200 : 401, { text: 'a guarded item' });
    }
    return send(response, 200, { id: 7, text: 'an item of the upstream' });
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length }).end(text);
}
