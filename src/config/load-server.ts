// leasehold.json, environment and flags, compiled into the one configuration that running parts read.
// Not responsible for tenants (`load-tenant`) or for creating anything on disk.
// Invariant: default < file < LEASEHOLD_* < flag; whatever is wrong is a problem with its place, never a guess.
import { availableParallelism } from 'node:os';
import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { SERVER_OWNER } from '../shared/ids.ts';
import { DEFAULT_LIMITS } from '../shared/limits.ts';
import type { Loaded, Problem } from '../shared/problem.ts';
import { compileAuth, DEFAULT_AUTH } from './compile-auth.ts';
import { type Compiled, compileOAuth } from './compile-oauth.ts';
import { compileRouting } from './compile-routing.ts';
import { compileSignIn, embeddedProblems } from './compile-sign-in.ts';
import type { CompiledProvider, CompiledProviders, CompiledServer } from './compiled.ts';
import { deepFreeze } from './freeze.ts';
import { type Locate, parseJsonc } from './jsonc.ts';
import { type Checked, isLoopback, parseListen, parseOrigin, parsePort, parsePublicUrl } from './origin.ts';
import { parseNameServer, readCertificates } from './net.ts';
import type { NetSettings } from '../shared/net/net-settings.ts';
import { readInside } from './read-file.ts';
import { type ServerOptions, ServerOptionsSchema } from './schema.ts';
import { type Overrides, readOverrides, type ServerFlags } from './settings.ts';
import { FileCheck } from './validate.ts';

export const SERVER_FILE = 'leasehold.json';
/** Most calls wait for something; those that compute share the cores by their threads. */
const CALLS_PER_CORE = 64;
const DEFAULT_LISTEN = '127.0.0.1:8741';
const serverCheck = new FileCheck(ServerOptionsSchema);

/** `folder`: the estate, absolute or relative to the working directory. leasehold.json may be absent: all defaults. */
export function loadServerConfig(
  folder: string,
  env: Readonly<Record<string, string | undefined>> = {},
  flags: ServerFlags = {},
): Loaded<CompiledServer> {
  const estate = realFolder(folder);
  if (estate === undefined) return failed([{ file: folder, reason: 'is not a folder', hint: 'leasehold init makes an estate' }]);
  const file = readServerFile(estate);
  if ('problems' in file) return failed(file.problems);
  const { overrides, problems } = readOverrides(env, flags);
  if (problems.length > 0) return failed(problems);
  return new Compiler(estate, file.options, file.locate, overrides).compile();
}

function readServerFile(estate: string): { options: ServerOptions; locate: Locate } | { problems: Problem[] } {
  const read = readInside(estate, SERVER_FILE);
  if (!read.ok) {
    if (read.missing) return { options: {}, locate: () => ({ line: 1, column: 1 }) };
    return { problems: [{ file: SERVER_FILE, reason: read.reason }] };
  }
  const parsed = parseJsonc(read.text, SERVER_FILE);
  if (!parsed.ok) return { problems: [parsed.problem] };
  const embedded = embeddedProblems(parsed.value, SERVER_FILE, parsed.locate);
  if (embedded.length > 0) return { problems: embedded };
  const checked = serverCheck.check(parsed.value, SERVER_FILE, parsed.locate);
  return 'problems' in checked ? checked : { options: checked.value, locate: parsed.locate };
}

class Compiler {
  readonly #estate: string;
  readonly #file: ServerOptions;
  readonly #locate: Locate;
  readonly #overrides: Overrides;
  readonly #problems: Problem[] = [];

  constructor(estate: string, file: ServerOptions, locate: Locate, overrides: Overrides) {
    this.#estate = estate;
    this.#file = file;
    this.#locate = locate;
    this.#overrides = overrides;
  }

  compile(): Loaded<CompiledServer> {
    const given: ServerOptions = { ...this.#file, ...this.#overrides };
    const unsafe = given.unsafeHttpPublicUrl === true;
    const listen = this.#listen();
    const adminListen = given.adminListen === undefined ? undefined : this.#take('adminListen', parseListen(given.adminListen));
    const publicUrl =
      given.publicUrl === undefined ? undefined : this.#take('publicUrl', parsePublicUrl(given.publicUrl, unsafe));
    const dataDir = resolve(this.#estate, given.dataDir ?? './.leasehold');
    const privateOrigins = this.#origins('/egress/privateOrigins', given.egress?.privateOrigins ?? []);
    const net = this.#net(given.egress ?? {});
    const providers = this.#providers(given.providers ?? {});
    const auth = this.#compiled('/auth', compileAuth(given.auth ?? {}, { secrets: SERVER_OWNER, shared: true }));
    const signIn = this.#compiled('/auth/embedded', compileSignIn(given.auth?.embedded));
    const routing = this.#compiled('/routing', compileRouting(given.routing ?? {}));
    const allowedOrigins = this.#origins('/allowedOrigins', given.allowedOrigins ?? []);
    if (listen === undefined || auth === undefined || signIn === undefined || routing === undefined || this.#problems.length > 0)
      return failed(this.#problems);
    const server: CompiledServer = {
      estate: this.#estate,
      listen,
      adminListen,
      publicUrl,
      allowedHosts: given.allowedHosts ?? [],
      allowedOrigins,
      trustedProxies: given.trustedProxies ?? [],
      dataDir,
      drainMs: given.drainMs ?? 10_000,
      bodyBytes: given.bodyBytes ?? 4_194_304,
      masterKey: this.#masterKey(given.masterKey ?? { source: 'file' }, dataDir),
      audit: { mode: given.audit?.mode ?? 'grouped' },
      privateOrigins,
      net,
      providers,
      auth: given.auth === undefined ? DEFAULT_AUTH : auth,
      signIn,
      routing,
      rates: { addressPerSecond: given.rates?.addressPerSecond ?? 0, refusalsPerMinute: given.rates?.refusalsPerMinute ?? 120 },
      concurrentCalls: given.concurrentCalls ?? CALLS_PER_CORE * availableParallelism(),
      spares: given.spares ?? 1,
      osWall: given.osWall === true ? 'auto' : given.osWall || 'off',
      limits: { ...DEFAULT_LIMITS, ...this.#file.limits },
      logLevel: given.logLevel ?? 'info',
      watch: given.watch ?? true,
      unsafe:
        unsafe && publicUrl?.startsWith('http:') === true && !isLoopback(new URL(publicUrl).hostname)
          ? ['unsafeHttpPublicUrl']
          : [],
    };
    return { value: deepFreeze(server), problems: [] };
  }

  #net({ proxy, ca, nameServers }: NonNullable<ServerOptions['egress']>): NetSettings {
    const origin = proxy === undefined ? undefined : this.#take('/egress/proxy', parseOrigin(proxy));
    const pem = ca === undefined ? undefined : this.#take('/egress/ca', readCertificates(resolve(this.#estate, ca)));
    for (const [index, server] of (nameServers ?? []).entries())
      this.#take(`/egress/nameServers/${index}`, parseNameServer(server));
    return {
      ...(origin === undefined ? {} : { proxy: origin }),
      ...(pem === undefined ? {} : { ca: pem }),
      ...(nameServers === undefined ? {} : { nameServers }),
    };
  }

  #providers(given: NonNullable<ServerOptions['providers']>): CompiledProviders {
    const providers: Record<string, CompiledProvider> = {};
    for (const [name, options] of Object.entries(given)) {
      const compiled = compileOAuth(options, options.preset, SERVER_OWNER);
      const value = this.#compiled(`/providers/${name}`, compiled);
      if (value !== undefined) providers[name] = { ...value, tenants: options.tenants };
    }
    return providers;
  }

  #compiled<T>(pointer: string, compiled: Compiled<T>): T | undefined {
    if ('value' in compiled) return compiled.value;
    for (const { at, reason, hint } of compiled.faults) this.#take(`${pointer}${at}`, { ok: false, reason, hint });
    return undefined;
  }

  /** A key file named in leasehold.json is relative to it, one from environment or flags to the working directory. */
  #masterKey(given: NonNullable<ServerOptions['masterKey']>, dataDir: string): CompiledServer['masterKey'] {
    switch (given.source) {
      case 'file': {
        const base = this.#overrides.masterKey === undefined ? this.#estate : process.cwd();
        return { source: 'file', path: given.path === undefined ? resolve(dataDir, 'master.key') : resolve(base, given.path) };
      }
      case 'keychain':
        return { source: 'keychain', account: given.account ?? this.#estate };
      case 'systemd-credential':
        return { source: 'systemd-credential', name: given.name ?? 'leasehold-master-key' };
      default:
        return given satisfies never;
    }
  }

  #listen(): CompiledServer['listen'] | undefined {
    const whole = this.#take('listen', parseListen(this.#overrides.listen ?? this.#file.listen ?? DEFAULT_LISTEN));
    const { host, port } = this.#overrides;
    if (whole === undefined || (host === undefined && port === undefined)) return whole;
    const shownHost = host === undefined ? whole.host : host.replace(/^\[|\]$/g, '');
    if (port !== undefined && this.#take('port', parsePort(port)) === undefined) return undefined;
    const bracketed = shownHost.includes(':') ? `[${shownHost}]` : shownHost;
    return this.#take(port === undefined ? 'host' : 'port', parseListen(`${bracketed}:${port ?? whole.port}`));
  }

  #origins(pointer: string, texts: readonly string[]): string[] {
    const origins: string[] = [];
    for (const [index, text] of texts.entries()) {
      const origin = this.#take(`${pointer}/${index}`, parseOrigin(text));
      if (origin !== undefined) origins.push(origin);
    }
    return origins;
  }

  /** `at`: a setting's name, or a pointer into the file. A setting that environment or flags gave has no place in the file. */
  #take<T>(at: string, checked: Checked<T>): T | undefined {
    if (checked.ok) return checked.value;
    const pointer = at.startsWith('/') ? at : `/${at}`;
    const name = pointer.split('/')[1] ?? '';
    const overridden = Object.hasOwn(this.#overrides, name);
    const place = overridden ? { file: name } : { file: SERVER_FILE, ...this.#locate(pointer) };
    const { reason, hint } = checked;
    this.#problems.push({
      ...place,
      reason: `${overridden ? '' : `${pointer} `}${reason}`,
      ...(hint === undefined ? {} : { hint }),
    });
    return undefined;
  }
}

function realFolder(folder: string): string | undefined {
  try {
    const real = realpathSync.native(resolve(folder));
    return statSync(real).isDirectory() ? real : undefined;
  } catch {
    return undefined;
  }
}

function failed(problems: readonly Problem[]): Loaded<CompiledServer> {
  return { value: undefined, problems };
}
