// A whole running server for a test: real processes, threads, sockets, store and audit, over an estate written from a literal.
// Not responsible for what is asserted. Invariant: port 0, a data folder of its own, everything ended at teardown.
import './bare-children.ts';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { createLog } from '../../src/audit/operational-log.ts';
import { prepareDataDir } from '../../src/config/data-dir.ts';
import { loadServerConfig } from '../../src/config/load-server.ts';
import type { EntryOverride } from '../../src/hosts/entry.ts';
import { type Runtime, startRuntime } from '../../src/runtime.ts';
import { problemLine } from '../../src/shared/problem.ts';
import { createToken } from '../../src/vault/access-token.ts';
import { loadMasterKey } from '../../src/vault/keys/master-key.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { type EstateFiles, writeEstate } from './estate.ts';
import { modern, post } from './mcp-wire.ts';

export interface Called {
  readonly status: number;
  /** The JSON-RPC answer as text, and its result. */
  readonly raw: string;
  readonly result: any;
  /** Text of the first content block. */
  readonly text: string;
  /** `_meta["leasehold/error"]` of a tool result that is an error. */
  readonly error: { code: string; class: string; correlationId: string; nextAction: any } | undefined;
  /** The JSON-RPC error. */
  readonly rpcError: { code: number; message: string; data?: any } | undefined;
}

export interface ServedEstate {
  readonly runtime: Runtime;
  readonly vault: Vault;
  readonly estate: string;
  readonly dataDir: string;
  readonly logs: string[];
  endpoint(tenant: string): string;
  token(tenant: string, subject?: string, scopes?: readonly string[]): string;
  call(tenant: string, tool: string, args?: unknown, options?: { token?: string; signal?: AbortSignal }): Promise<Called>;
  /** Calls again where the call met the end of another one (its thread was ended, its slot was not yet free). */
  retry(tenant: string, tool: string, args?: unknown): Promise<Called>;
  /** Records of the tenant's audit file, once all that was appended is in it. */
  audit(tenant: string): Promise<any[]>;
  close(): Promise<void>;
}

/** Kills the host processes of this kind that this process started: nobody warns them, as a crash would not. */
export function killHosts(kind: 'tools' | 'egress'): void {
  for (const pid of readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ')) {
    if (readlinkSync(`/proc/${pid}/cwd`).includes(`/run/${kind}-`)) process.kill(Number(pid), 'SIGKILL');
  }
}

const LOST = new Set(['worker_lost', 'concurrency_limit']);

export async function serve(t: Test, files: EstateFiles): Promise<ServedEstate> {
  const estate = writeEstate(t, files);
  return serveFolder(t, estate);
}

/**
 * @param port of a server that was closed before, to come back at the same address
 * @param entries other host entries than the product's
 */
export async function serveFolder(t: Test, estate: string, port = 0, entries?: EntryOverride): Promise<ServedEstate> {
  const { value: server, problems } = loadServerConfig(estate, {}, { port: String(port), logLevel: 'debug' });
  if (server === undefined) throw new Error(JSON.stringify(problems));
  prepareDataDir(server.dataDir);
  const { key } = loadMasterKey(server.masterKey, existsSync(join(server.dataDir, 'vault.db')));
  const vault = openVault({ dataDir: server.dataDir, masterKey: key });
  const logs: string[] = [];
  const log = createLog('debug', { write: (line: string) => logs.push(line) });
  const runtime = await startRuntime({
    server,
    version: '0.0.0-test',
    vault,
    log,
    ...(entries === undefined ? {} : { entries }),
  });
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= runtime.close().then(() => vault.close()));
  t.teardown(close);
  for (const { id, problems } of runtime.registry.list())
    for (const problem of problems) t.comment(`${id}: ${problemLine(problem)}`);
  const tokens = new Map<string, string>();

  const served: ServedEstate = {
    runtime,
    vault,
    estate,
    dataDir: server.dataDir,
    logs,
    close,
    endpoint: (tenant) => `${runtime.url}/t/${tenant}/mcp`,
    token(tenant, subject = 'ada', scopes = []) {
      const name = JSON.stringify([tenant, subject, scopes]);
      const token = tokens.get(name) ?? createToken(vault.tokens, { tenant, subject, scopes, now: Date.now() }).token;
      tokens.set(name, token);
      return token;
    },
    async call(tenant, tool, args = {}, options = {}) {
      const { body, headers } = modern('tools/call', { name: tool, arguments: args });
      const reply = await post(served.endpoint(tenant), options.token ?? served.token(tenant), body, headers, options.signal);
      const { result, error }: { result?: any; error?: any } = reply.json ?? {};
      return {
        status: reply.status,
        raw: reply.text,
        result,
        text: result?.content?.[0]?.text ?? '',
        error: result?._meta?.['leasehold/error'],
        rpcError: error,
      };
    },
    async retry(tenant, tool, args) {
      for (let tries = 0; ; tries += 1) {
        const called = await served.call(tenant, tool, args);
        if (!LOST.has(called.error?.code ?? '') || tries === 20) return called;
        await delay(Math.min(called.error?.nextAction.afterMs, 250));
      }
    },
    async audit(tenant) {
      await runtime.flush();
      const text = readFileSync(join(server.dataDir, 'audit', `${tenant}.jsonl`), 'utf8');
      return text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).event);
    },
  };
  return served;
}
