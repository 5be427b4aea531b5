// The composition root: builds the running server in order and closes it in reverse.
// Not responsible for anything else: no rule lives here. `leasehold/runtime` embeds the server with it.
// Invariant: a start that fails closes what it had opened; `close` ends within its drain and a few seconds, whatever is stuck.
import { join } from 'node:path';
import { createAuditLog } from './audit/log.ts';
import type { createLog } from './audit/operational-log.ts';
import { NO_TENANT } from './audit/record.ts';
import type { CompiledServer, CompiledTenant } from './config/compiled.ts';
import { DEFAULT_CORDON } from './config/load-tenant.ts';
import { ConnectFlows } from './connections/connect/connect-flow.ts';
import { connectOffer } from './connections/connect/connect-link.ts';
import { connectionProblems } from './connections/connection-states.ts';
import { createCredentials } from './connections/credentials.ts';
import { createEgressCall } from './connections/egress-call.ts';
import type { EntryOverride } from './hosts/entry.ts';
import { createHosts } from './hosts/create-hosts.ts';
import { findOsWall } from './hosts/os-wall.ts';
import { Counts } from './metrics/counts.ts';
import { buildCallers } from './runtime/callers.ts';
import { Opened } from './runtime/opened.ts';
import { startOperator } from './runtime/operator.ts';
import { createHttpServer } from './server/http-server.ts';
import { connectPages } from './server/pages/connect/routes.ts';
import { loginPages } from './server/pages/login/routes.ts';
import type { DeniedRequest, Health } from './server/ports.ts';
import { separationReporter, tenantsApart } from './tenants/separation-reports.ts';
import { newCorrelationId } from './shared/ids.ts';
import { createAdmission } from './tenants/admission/admission.ts';
import { createRefusalRecords } from './tenants/admission/refusal-records.ts';
import { createUsage } from './tenants/usage.ts';
import { type AuthorLog, createAuthorLog } from './tenants/author-log.ts';
import { authProblems, signInProblems } from './tenants/auth-problems.ts';
import { keptProblems } from './tenants/kept-problems.ts';
import { createDispatch } from './tenants/dispatch.ts';
import { createRegistry, type Registry } from './tenants/registry.ts';
import { ToolsetUsers } from './tenants/toolset-users.ts';
import type { Vault } from './vault/vault.ts';

export interface RuntimeOptions {
  readonly server: CompiledServer;
  /** Of the package, for `/version` and `serverInfo`. */
  readonly version: string;
  /** Opened by the caller, who knows where the master key is; closed by the caller after `close`. */
  readonly vault: Vault;
  readonly log: ReturnType<typeof createLog>;
  /** For tests of the machinery: other host entries. */
  readonly entries?: EntryOverride;
}

export interface Runtime {
  /** Base of all endpoints, without a trailing slash. */
  readonly url: string;
  readonly port: number;
  /** Of the operator's own endpoints, where there are any. */
  readonly adminUrl: string | undefined;
  readonly registry: Registry;
  readonly authorLog: AuthorLog;
  /** Resolves when all audit records and log lines so far are in their files. */
  flush(): Promise<void>;
  /** New calls are refused, those under way get the drain time of the configuration, then everything ends. */
  close(): Promise<void>;
}

/** After the drain: what is stopped then still gets its coded answer before its connection is cut. */
const LAST_ANSWER_MS = 1000;

/** Rejects with a `PortInUse` where the port is taken, with an `AuditRefused` where another server writes to the data folder. */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const opened = new Opened();
  try {
    return await build(options, opened);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function build({ server, version, vault, log, entries }: RuntimeOptions, opened: Opened): Promise<Runtime> {
  const { dataDir, drainMs } = server;
  const supervisorId = newCorrelationId();
  const audit = opened.use(
    await createAuditLog({
      dataDir,
      mode: server.audit.mode,
      supervisorId,
      onRefused: (tenant, reason) => log.error({ tenant, reason }, 'the audit trail cannot be written, so nothing is done'),
    }),
  );
  // What a call that outlives its tenant says must not bring its log back.
  const authorLog = opened.use(createAuthorLog(dataDir, { isServed: (tenant) => registry.get(tenant) !== undefined }));
  const osWall = findOsWall(server.osWall);
  for (const { name, missing } of osWall.walls)
    if (missing !== undefined) log.warn({ wall: name, ...missing }, 'a wall of the operating system is missing');
  const counts = new Counts();
  const usage = opened.use(
    createUsage({
      store: vault.usage,
      onUnsaved: (err) => log.warn({ err }, 'what tenants used could not be stored'),
    }),
  );
  const hosts = createHosts({
    runDir: join(dataDir, 'run'),
    spares: server.spares,
    spareCordon: DEFAULT_CORDON,
    ...(entries === undefined ? {} : { entries }),
    osWall,
    net: server.net,
    onPool: (report) => {
      log.debug({ pool: report }, `pool ${report.event}`);
      if (report.event !== 'opened' && report.event !== 'late_error') counts.asleep(report.tenant, report.kind);
    },
    onHost: (report) => {
      log[report.event === 'died' ? 'warn' : 'debug']({ host: report }, `host ${report.event}`);
      if (report.event === 'died') counts.hostDeaths[report.kind] += 1;
    },
    onUsage: (tenant, kind, used) => {
      counts.used(tenant, kind, used);
      if (kind === 'tools') usage.addCpu(tenant, used.cpuUs);
    },
    onSeparation: separationReporter(audit, log),
  });
  opened.add(() => hosts.close(0));
  const authFile = ({ id, auth }: CompiledTenant) => (auth === server.auth ? 'leasehold.json' : `tenants/${id}/tenant.json`);
  const users = new ToolsetUsers();
  const registry = opened.use(
    await createRegistry({
      server,
      hosts,
      users,
      audit,
      log,
      problemsOf: (tenant) => [
        ...keptProblems(tenant, vault),
        ...connectionProblems(tenant, vault.secrets),
        ...authProblems(tenant.auth, authFile(tenant), server, vault.secrets),
        ...(tenant.auth.embedded ? signInProblems(server, vault.secrets) : []),
      ],
    }),
  );

  const { privateOrigins, net } = server;
  const { secrets, rejections, grants, refreshLocks, flows } = vault;
  const now = Date.now;
  const credentials = opened.use(
    createCredentials({
      secrets,
      rejections,
      grants,
      refreshLocks,
      audit,
      privateOrigins,
      net,
      connectLink: (ask) => connectOffer({ flows, audit, now }, url, ask),
    }),
  );
  const connecting = opened.use(
    new ConnectFlows({
      flows,
      grants,
      rejections,
      secrets,
      audit,
      privateOrigins,
      net,
      now,
      redirectUri: () => `${url}/connect/callback`,
      connectionOf(tenant, slot) {
        const config = registry.get(tenant)?.config;
        const connection = config?.connections.get(slot);
        return config !== undefined && connection?.type === 'oauth2' ? { name: config.name, connection } : undefined;
      },
      onConnected: ({ tenant, id }) => http.onElicitationComplete(tenant, id),
    }),
  );
  const admission = createAdmission({ capacity: server.concurrentCalls });
  const refusals = opened.use(createRefusalRecords(audit, (err) => log.warn({ err }, 'refused calls could not be audited')));
  const dispatch = createDispatch({
    registry,
    admission,
    usage,
    counts,
    refusals,
    users,
    audit,
    values: vault.values,
    states: vault.states,
    egress: createEgressCall({ audit, credentials, privateOrigins }),
    credentials,
    isOpen: (page) => connecting.isOpen(page),
    log: authorLog,
    mapStack: (tenant, stack) => registry.mapStack(tenant, stack),
    resourceUpdated: (tenant, uri) => http.onResourceUpdated(tenant, uri),
  });
  const { inbound, login } = buildCallers({ server, vault, audit, log, registry, url: () => url }, opened);
  const health = (): Health => {
    const detail = { store: vault.healthy(), audit: audit.healthy(), tenantsApart: tenantsApart(hosts) };
    return { ready: detail.store && detail.audit, detail };
  };
  const http = createHttpServer({
    config: server,
    version,
    backend: dispatch,
    ...inbound,
    tenantExists: (tenant) => registry.get(tenant) !== undefined,
    subjectRate: (tenant) => registry.get(tenant)?.config.limits.subjectRequestsPerSecond ?? 0,
    auditDenied: ({ tenant = NO_TENANT, ...denied }: DeniedRequest) =>
      audit.append({ ...denied, tenant, kind: 'auth.denied', id: denied.correlation }),
    pages: [
      connectPages({
        flows: connecting,
        signedInSubject: (request, tenant) => login.signedIn(request.raw, tenant),
      }),
      loginPages(login),
    ],
    authorization: login,
    health,
  });
  registry.onChange(({ tenant }) => http.onToolsetChanged(tenant));
  opened.add(async () => {
    const served = http.close(drainMs + LAST_ANSWER_MS);
    await admission.drain(drainMs);
    dispatch.stopAll();
    await served;
  });
  const { url, port } = await http.listen();
  const adminUrl = await startOperator(
    server,
    health,
    { counts, admission: (tenant) => admission.state(tenant), apart: () => tenantsApart(hosts) },
    opened,
  );
  const flush = async (): Promise<void> => {
    await Promise.all([audit.flush(), authorLog.flush()]);
  };
  return { url, port, adminUrl, registry, authorLog, flush, close: () => opened.close() };
}
