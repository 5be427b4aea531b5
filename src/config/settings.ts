// The settings of the server that environment and flags may give: one table of names and readers.
// Not responsible for files or for defaults. Invariant: a setting means the same wherever it is given.
import { nearest } from '../shared/nearest.ts';
import type { Problem } from '../shared/problem.ts';
import { AUDIT_MODES, LOG_LEVELS, OS_WALLS, type ServerOptions } from './schema.ts';

/** Flags of `start` and `dev`, by their names in leasehold.json; `port` and `host` change one part of `listen`. */
export interface ServerFlags {
  readonly listen?: string;
  readonly host?: string;
  readonly port?: string;
  readonly adminListen?: string;
  readonly publicUrl?: string;
  readonly dataDir?: string;
  readonly trustedProxies?: string;
  readonly allowedHosts?: string;
  readonly allowedOrigins?: string;
  readonly drainMs?: string;
  readonly bodyBytes?: string;
  readonly masterKeyFile?: string;
  readonly auditMode?: string;
  readonly spares?: string;
  readonly osWall?: string;
  readonly concurrentCalls?: string;
  readonly logLevel?: string;
  readonly watch?: string;
}
export type FlagName = keyof ServerFlags;
export type Overrides = { -readonly [K in keyof ServerOptions]: ServerOptions[K] } & { host?: string; port?: string };

type Reader = (text: string, into: Overrides) => string | undefined;
const text =
  (key: 'listen' | 'adminListen' | 'publicUrl' | 'dataDir' | 'host' | 'port'): Reader =>
  (value, into) => {
    into[key] = value;
    return undefined;
  };
const list =
  (key: 'trustedProxies' | 'allowedHosts' | 'allowedOrigins'): Reader =>
  (value, into) => {
    into[key] = value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
    return undefined;
  };
const integer =
  (key: 'drainMs' | 'bodyBytes' | 'spares' | 'concurrentCalls'): Reader =>
  (value, into) => {
    if (!/^\d{1,12}$/.test(value)) return 'must be a whole number';
    into[key] = Number(value);
    return undefined;
  };

const READERS: { readonly [K in FlagName]: Reader } = {
  listen: text('listen'),
  adminListen: text('adminListen'),
  host: text('host'),
  port: text('port'),
  publicUrl: text('publicUrl'),
  dataDir: text('dataDir'),
  trustedProxies: list('trustedProxies'),
  allowedHosts: list('allowedHosts'),
  allowedOrigins: list('allowedOrigins'),
  drainMs: integer('drainMs'),
  bodyBytes: integer('bodyBytes'),
  spares: integer('spares'),
  concurrentCalls: integer('concurrentCalls'),
  masterKeyFile: (value, into) => {
    into.masterKey = { source: 'file', path: value };
    return undefined;
  },
  auditMode: (value, into) => {
    const mode = AUDIT_MODES.find((known) => known === value);
    if (mode === undefined) return `must be one of ${AUDIT_MODES.join(', ')}`;
    into.audit = { mode };
    return undefined;
  },
  logLevel: (value, into) => {
    const level = LOG_LEVELS.find((known) => known === value);
    if (level === undefined) return `must be one of ${LOG_LEVELS.join(', ')}`;
    into.logLevel = level;
    return undefined;
  },
  osWall: (value, into) => {
    const mode = OS_WALLS.find((known) => known === value);
    if (mode === undefined) return `must be one of ${OS_WALLS.join(', ')}`;
    into.osWall = mode;
    return undefined;
  },
  watch: (value, into) => {
    if (!/^(?:true|false|1|0)$/.test(value)) return 'must be true or false';
    into.watch = value === 'true' || value === '1';
    return undefined;
  },
};

/** `publicUrl` -> `LEASEHOLD_PUBLIC_URL`. */
export function environmentName(flag: string): string {
  return `LEASEHOLD_${flag.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
/** `publicUrl` -> `--public-url`. */
export function flagName(flag: string): string {
  return `--${flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * Environment first, then flags over it. Empty texts count as not given. A `LEASEHOLD_…` that is nearly a setting is a
 * problem; others are left alone, since commands have their own.
 */
export function readOverrides(
  env: Readonly<Record<string, string | undefined>>,
  flags: ServerFlags,
): { overrides: Overrides; problems: Problem[] } {
  const overrides: Overrides = {};
  const problems: Problem[] = [];
  const names = Object.keys(READERS) as FlagName[];
  const byVariable = new Map(names.map((name) => [environmentName(name), name]));
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('LEASEHOLD_') || value === undefined || value === '') continue;
    const name = byVariable.get(variable);
    if (name === undefined) {
      const meant = nearest(variable, [...byVariable.keys()]);
      if (meant !== undefined)
        problems.push({ file: variable, reason: 'is not a known variable', hint: `did you mean ${meant}?` });
      continue;
    }
    const wrong = READERS[name](value, overrides);
    if (wrong !== undefined) problems.push({ file: variable, reason: wrong });
  }
  const fromEnvironment = { ...overrides };
  for (const name of names) {
    const value = flags[name];
    if (value === undefined || value === '') continue;
    const wrong = READERS[name](value, overrides);
    if (wrong !== undefined) problems.push({ file: flagName(name), reason: wrong });
  }
  // `--listen` is a whole address: parts that only the environment gave must not change it.
  if (flags.listen !== undefined) {
    if (flags.host === undefined && fromEnvironment.host !== undefined) delete overrides.host;
    if (flags.port === undefined && fromEnvironment.port !== undefined) delete overrides.port;
  }
  return { overrides, problems };
}
