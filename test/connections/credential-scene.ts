// One tenant's connection in a test: real vault, real audit, real egress thread, real upstream.
// Not responsible for authorization servers. Everything is closed and removed at the end of the test.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type AuditTrail, createAuditLog } from '../../src/audit/log.ts';
import type { EgressOrder } from '../../src/boundary/egress.ts';
import type { FetchRequest } from '../../src/boundary/host-request.ts';
import type { CompiledConnection } from '../../src/config/compiled.ts';
import type { Credentials } from '../../src/connections/credentials.ts';
import { createEgressCall, type EgressRequest, type EgressSettled } from '../../src/connections/egress-call.ts';
import type { EgressPool } from '../../src/hosts/pool.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { type Handler, startUpstream, type Upstream } from '../bindings/upstream-server.ts';
import { startThreadPool, type ThreadPool } from './thread-pool.ts';

export const MASTER_KEY = Buffer.alloc(32, 9);
const TRACE = '0af7651916cd43dd8448eb211c80319c';

export function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'leasehold-credentials-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function vaultIn(t: Test, dataDir: string, more: { busyMs?: number } = {}): Vault {
  const vault = openVault({ dataDir, masterKey: MASTER_KEY, ...more });
  t.teardown(() => vault.close());
  return vault;
}

let shared: Promise<ThreadPool> | undefined;
/** One egress thread for all tests of a file; `t` is the file's. */
export function sharedPool(t: Test): Promise<ThreadPool> {
  shared ??= startThreadPool({}).then((pool) => {
    t.teardown(() => pool.close(0));
    return pool;
  });
  return shared;
}

export interface SceneParts {
  readonly dataDir: string;
  readonly vault: Vault;
  readonly audit: AuditTrail;
  readonly upstream: Upstream;
}
export interface CredentialScene extends SceneParts {
  /** All that went to the egress thread. */
  readonly orders: EgressOrder[];
  fetch(connection: CompiledConnection, path?: string, more?: SceneRequest): Promise<EgressSettled>;
  /** The audit of the tenant, in order. */
  records(): Promise<Record<string, unknown>[]>;
  /** Every byte below the data folder. */
  onDisk(): string;
}
export interface SceneRequest {
  readonly request?: Partial<FetchRequest>;
  readonly subject?: string;
  readonly egress?: Partial<EgressRequest>;
}

export async function credentialScene(
  t: Test,
  file: Test,
  handler: Handler,
  make: (parts: SceneParts) => Credentials,
  {
    now = Date.now,
    dataDir = folder(t),
    privateOrigins = [],
  }: { now?: () => number; dataDir?: string; privateOrigins?: string[] } = {},
): Promise<CredentialScene> {
  const upstream = await startUpstream(handler);
  t.teardown(() => upstream.close());
  const vault = vaultIn(t, dataDir);
  const audit = await createAuditLog({ dataDir, mode: 'grouped', supervisorId: 'test' });
  t.teardown(() => audit.close());
  const thread = await sharedPool(file);
  const orders: EgressOrder[] = [];
  const pool: EgressPool = {
    running: 0,
    awake: true,
    send(order, body, signal) {
      orders.push(order);
      return thread.send(order, body, signal);
    },
    close: () => Promise.resolve(),
  };
  const parts = { dataDir, vault, audit, upstream };
  const egressCall = createEgressCall({
    audit,
    credentials: make(parts),
    privateOrigins: [upstream.origin, ...privateOrigins],
    now,
    random: () => 0.1,
  });
  return {
    ...parts,
    orders,
    fetch: (connection, path = '/', { request = {}, subject = 'ada', egress = {} } = {}) =>
      egressCall({
        tenant: 'acme',
        pool,
        connection,
        ask: { kind: 'fetch', request: { op: 'fetch', connection: 'api', url: path, method: 'GET', headers: {}, ...request } },
        body: new Uint8Array(),
        upstreamBytes: 65_536,
        subject: { issuer: 'leasehold', subject, correlation: '01JD', trace: TRACE, parent: '01JD' },
        traceparent: `00-${TRACE}-b7ad6b7169203331-01`,
        deadline: now() + 20_000,
        repeatable: false,
        signal: new AbortController().signal,
        onUnsafeSent: () => undefined,
        ...egress,
      }),
    async records() {
      await audit.flush();
      const lines = readFileSync(`${audit.folder}/acme.jsonl`, 'utf8').trim().split('\n');
      return lines.map((line) => (JSON.parse(line) as { event: Record<string, unknown> }).event);
    },
    onDisk: () => bytesBelow(dataDir),
  };
}

function bytesBelow(dir: string): string {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, 'latin1'))
    .join('');
}

export function textOf(settled: EgressSettled): string {
  if (!settled.ok) return settled.failure.code;
  return settled.body instanceof Uint8Array ? Buffer.from(settled.body).toString() : '';
}
