// What `start`, `dev` and `demo` share: open the vault, start the runtime, say that it is ready, wait for the signal, drain.
// Not responsible for serving (`runtime`) or for reading the configuration.
// Invariant: with `--json` stdout gets one line and nothing else; whatever was begun is ended in reverse, also after a failed start.
import { url as inspectorUrl } from 'node:inspector';
import { createLog } from '../audit/operational-log.ts';
import type { CompiledServer } from '../config/compiled.ts';
import { writeEditorSchemas } from '../config/editor-schemas.ts';
import { type Runtime, startRuntime } from '../runtime.ts';
import { changeLines, problemLines } from './author-screen.ts';
import { type Io, UserError } from './command.ts';
import { invocation } from './invocation.ts';
import { listenUrl } from './local-endpoint.ts';
import { refuseServedTwice } from './locate.ts';
import { formatLine } from './log-line.ts';
import { isPortInUse, portInUseLine } from './port-holder.ts';
import { announce } from './running.ts';
import { readyJson, readyScreen, type Served } from './serve-screen.ts';
import { type StopSignals, stopSignals } from './stop-signals.ts';
import { leaseholdVersion } from './version-of.ts';
import { keyMadeNotice, SERVER_BUSY_MS, type VaultAccess, withVault } from './vault-access.ts';

export interface Serving {
  readonly io: Io;
  readonly config: CompiledServer;
  readonly json: boolean;
  /** Show every log line and failure of tools, not only what changed. */
  readonly showAuthor?: boolean;
  /** Tokens to show, by tenant. */
  tokens?(config: CompiledServer, access: VaultAccess): Promise<ReadonlyMap<string, string>>;
  /** Lines below the screen; `prefix` is how this CLI is called. */
  hints?(prefix: string): readonly string[];
}

/** Beyond the drain itself: hosts, audit and files are closed in this time. */
const CLOSING_MS = 10_000;
/** What a start gets to come to its end when it is told to stop. */
const START_MS = 1000;

/** A debugger reads every key and token of this process, whoever attaches it. For a profile on a machine of one's own it may. */
function refuseInspector({ env, stderr }: Io): void {
  if (inspectorUrl() === undefined) return;
  const reason = 'the inspector is open (--inspect, or NODE_OPTIONS): whoever reaches it has every key';
  if (env['LEASEHOLD_UNSAFE_INSPECTOR'] !== '1') throw new UserError(`${reason}. Start without it.`);
  stderr.write(`unsafe: ${reason}\n`);
}

export async function serve(serving: Serving): Promise<number> {
  const { io, config } = serving;
  refuseInspector(io);
  refuseServedTwice(io, config.estate);
  const signals = stopSignals();
  let ready = false;
  // Before, no call is under way: tools that take long to load hold up nobody who wants it to end.
  void signals.first.then(() => (ready ? undefined : signals.limit(START_MS)));
  const begun = performance.now();
  return withVault(
    config,
    async (access) => {
      // The demo guards nothing worth a backup.
      if (access.createdKey !== undefined && serving.tokens === undefined) io.stderr.write(keyMadeNotice(access.createdKey));
      writeEditorSchemas(config.dataDir);
      const tokens = await serving.tokens?.(config, access);
      const runtime = await begin(config, access);
      ready = true;
      const { estate, dataDir } = config;
      const withdraw = announce(io.env, {
        pid: process.pid,
        port: runtime.port,
        url: listenUrl(config, runtime.port),
        estate,
        dataDir,
      });
      try {
        for (const { id, problems } of runtime.registry.list()) io.stderr.write(problemLines(problems, undefined, id));
        show(serving, servedBy(serving, { runtime, tokens, readyMs: performance.now() - begun }));
        await untilStopped(serving, runtime, signals);
      } finally {
        withdraw();
        signals.limit(config.drainMs + CLOSING_MS);
        await runtime.close();
      }
      return 0;
    },
    { busyMs: SERVER_BUSY_MS, guardsOf: 'all' },
  );
}

/** Errors of a start whose message is for the operator. */
const REFUSED_STARTS: ReadonlySet<unknown> = new Set(['audit_refused', 'os_wall_missing']);

async function begin(config: CompiledServer, { vault }: VaultAccess): Promise<Runtime> {
  try {
    return await startRuntime({ server: config, version: leaseholdVersion(), vault, log: createLog(config.logLevel) });
  } catch (error) {
    if (isPortInUse(error)) throw new UserError(await portInUseLine(error, config.estate));
    if (REFUSED_STARTS.has((error as { code?: unknown }).code)) throw new UserError((error as Error).message);
    throw error;
  }
}

interface Started {
  readonly runtime: Runtime;
  readonly tokens: ReadonlyMap<string, string> | undefined;
  readonly readyMs: number;
}

function servedBy(serving: Serving, { runtime, tokens, readyMs }: Started): Served {
  const { io, config } = serving;
  const { url, adminUrl, registry } = runtime;
  const tenants = registry.list().map(({ id, toolset, problems }) => {
    const token = tokens?.get(id);
    const endpoint = `${url}/t/${id}/mcp`;
    const tools = [...(toolset?.tools.keys() ?? [])];
    return { id, endpoint, tools, problems: problems.length, ...(token === undefined ? {} : { token }) };
  });
  const { estate, dataDir } = config;
  const prefix = invocation(io);
  const [first] = tenants;
  const lines =
    serving.hints?.(prefix) ?? (first === undefined ? [] : [`token    ${prefix} token create ${first.id} --subject <who>`]);
  return { version: leaseholdVersion(), url, adminUrl, readyMs, estate, dataDir, tenants, hints: lines };
}

function show({ io, json }: Serving, served: Served): void {
  io.stdout.write(json ? readyJson(served) : readyScreen(served));
}

/** Shows what happens to tenants meanwhile. */
async function untilStopped({ io, json, showAuthor }: Serving, runtime: Runtime, signals: StopSignals): Promise<void> {
  const { registry, authorLog } = runtime;
  const out = json ? io.stderr : io.stdout;
  const style = { colour: io.isTTY && io.env['NO_COLOR'] === undefined };
  const serving = new Map(registry.list().map(({ id, toolset }) => [id, toolset?.hash]));
  registry.onChange(({ tenant: id, tookMs }) => {
    const tenant = registry.get(id);
    out.write(changeLines({ tenant, id, before: serving.get(id), tookMs }));
    serving.set(id, tenant?.toolset?.hash);
  });
  const silence = showAuthor === true ? authorLog.listen((line) => out.write(formatLine(line, style))) : () => {};
  await signals.first;
  silence();
  io.stderr.write('stopping: calls under way may end; once more ends at once\n');
}
