// The arrows of the design as data: which room may run what of which other room, and who may use which package.
// Not responsible for walking imports (`imports.ts`) or judging them (`check.ts`).
// Invariant: a room that is not named here does not exist; adding one means deciding its arrows in this table.

/** A room is a folder (all files below it, unless a longer name matches) or one file. Paths are relative to the root. */
export interface Room {
  /** Rooms whose running parts it may import. */
  readonly runs: readonly string[];
  /** Rooms whose types it may import beyond `runs`, `TYPES_FOR_ALL` and, in the supervisor, `CONTRACTS`. */
  readonly types?: readonly string[];
  /** Where it lives: code that may be loaded in a worker stands apart from the supervisor's. */
  readonly side: 'both' | 'supervisor' | 'worker' | 'tenant';
}

const LEAVES = ['src/boundary', 'src/shared'];
/** A tools thread hands it to the tenant's bundle. */
const AUTHOR = ['src/index.ts', 'src/author'];
const CHECKS = [...LEAVES, 'workers/arguments.ts', 'workers/schema-check.ts', 'workers/json-depth.ts'];

export const ROOMS: { readonly [room: string]: Room } = {
  // used on both sides of a line
  'src/shared': { runs: [], side: 'both' },
  'src/boundary': { runs: ['src/shared'], side: 'both' },
  // the tool author's API: bundled into tools, so it knows nothing of the server
  'src/author': { runs: LEAVES, side: 'both' },
  'src/index.ts': { runs: [...LEAVES, 'src/author'], side: 'both' },
  // the supervisor, leaves first
  'src/config': { runs: LEAVES, side: 'supervisor' },
  'src/vault': { runs: LEAVES, side: 'supervisor' },
  'src/audit': { runs: LEAVES, side: 'supervisor' },
  'src/hosts': { runs: LEAVES, side: 'supervisor' },
  'src/mcp': { runs: LEAVES, side: 'supervisor' },
  // pure: takes a principal and a tool, gives a verdict; asked again for every nested call
  'src/auth/policy.ts': { runs: LEAVES, side: 'supervisor' },
  'src/auth': { runs: [...LEAVES, 'src/auth/policy.ts'], side: 'supervisor' },
  // hashes and compares; the command that sets a password needs no more of the authorization server
  'src/login/passwords.ts': { runs: LEAVES, side: 'supervisor' },
  // names of people, for pages and for the command that lists them
  'src/login/subjects.ts': { runs: LEAVES, side: 'supervisor' },
  // rows of the store; whoever lists or removes them needs no more of it either
  'src/login/consents.ts': { runs: [...LEAVES, 'src/config'], side: 'supervisor' },
  'src/login/permissions.ts': { runs: [...LEAVES, 'src/login/consents.ts'], side: 'supervisor' },
  // the embedded authorization server
  'src/login': {
    runs: [
      ...LEAVES,
      'src/login/passwords.ts',
      'src/login/subjects.ts',
      'src/login/consents.ts',
      'src/login/permissions.ts',
      'src/config',
      'src/auth',
    ],
    types: ['src/connections'],
    side: 'supervisor',
  },
  'src/connections': { runs: [...LEAVES, 'src/vault', 'src/hosts', 'src/audit'], side: 'supervisor' },
  // the file of an author's log: written by the server, read by `leasehold logs`
  'src/tenants/author-log.ts': { runs: LEAVES, side: 'supervisor' },
  'src/tenants': {
    runs: [
      ...LEAVES,
      'src/config',
      'src/auth/policy.ts',
      'src/tenants/author-log.ts',
      'src/connections',
      'src/hosts',
      'src/audit',
    ],
    side: 'supervisor',
  },
  'src/metrics': { runs: LEAVES, side: 'supervisor' },
  'src/server': {
    runs: [...LEAVES, 'src/mcp', 'src/auth', 'src/login', 'src/login/subjects.ts', 'src/tenants', 'src/connections'],
    side: 'supervisor',
  },
  // the rooms put together; the composition root says in which order
  'src/runtime': {
    runs: [
      ...LEAVES,
      'src/config',
      'src/vault',
      'src/audit',
      'src/metrics',
      'src/auth',
      'src/login',
      'src/login/subjects.ts',
      'src/connections',
      'src/tenants',
      'src/server',
    ],
    side: 'supervisor',
  },
  'src/runtime.ts': {
    runs: [
      ...LEAVES,
      'src/runtime',
      'src/config',
      'src/vault',
      'src/audit',
      'src/hosts',
      'src/metrics',
      'src/mcp',
      'src/auth',
      'src/login',
      'src/connections',
      'src/tenants/author-log.ts',
      'src/tenants',
      'src/server',
    ],
    side: 'supervisor',
  },
  // loads an estate as the server does, without serving it
  'src/check-estate.ts': { runs: [...LEAVES, 'src/config', 'src/hosts', 'src/connections', 'src/tenants'], side: 'supervisor' },
  // looks at the machine as a start would, without starting
  'src/doctor.ts': { runs: [...LEAVES, 'src/config', 'src/hosts'], side: 'supervisor' },
  'src/demo': { runs: LEAVES, side: 'supervisor' },
  // a client of a server that it starts: it knows nothing of the server but its command line
  'src/chaos': { runs: LEAVES, side: 'supervisor' },
  // another client of a server: it knows nothing of the server but its address
  'src/stdio': { runs: LEAVES, side: 'supervisor' },
  'src/commands': {
    runs: [
      ...LEAVES,
      'src/runtime.ts',
      'src/check-estate.ts',
      'src/doctor.ts',
      'src/config',
      'src/vault',
      'src/audit',
      'src/login/passwords.ts',
      'src/login/subjects.ts',
      'src/login/permissions.ts',
      'src/connections',
      'src/tenants/author-log.ts',
      'src/demo',
      'src/chaos',
      'src/stdio',
    ],
    side: 'supervisor',
  },
  'src/cli.ts': { runs: [...LEAVES, 'src/commands'], side: 'supervisor' },
  // the worker side: what both kinds of thread use, then one room per kind, then the entries
  'workers/json-depth.ts': { runs: LEAVES, side: 'worker' },
  'workers/arguments.ts': { runs: [...LEAVES, 'workers/schema-check.ts', 'workers/json-depth.ts'], side: 'worker' },
  'workers/schema-check.ts': { runs: LEAVES, side: 'worker' },
  'workers/sandbox': { runs: [...CHECKS, ...AUTHOR], side: 'worker' },
  'workers/bindings': { runs: CHECKS, side: 'worker' },
  'workers/bundler': { runs: LEAVES, side: 'worker' },
  'workers/egress': { runs: [...CHECKS, 'workers/bindings'], side: 'worker' },
  'workers/host': { runs: LEAVES, side: 'worker' },
  workers: {
    runs: [...CHECKS, ...AUTHOR, 'workers/sandbox', 'workers/bindings', 'workers/bundler', 'workers/egress', 'workers/host'],
    side: 'worker',
  },
  // written as a tenant would write it
  'src/demo/estate': { runs: ['src/index.ts'], side: 'tenant' },
  'src/chaos/estate': { runs: ['src/index.ts'], side: 'tenant' },
};

/** Rooms whose types everyone may import, both sides of a line. */
export const TYPES_FOR_ALL: readonly string[] = LEAVES;

/** Agreements between rooms of the supervisor: every room of it may import their types, never anything that runs. */
export const CONTRACTS: readonly string[] = [
  'src/config',
  'src/mcp/ports.ts',
  'src/hosts/pool.ts',
  'src/tenants/tenant.ts',
  'src/audit/record.ts',
  'src/auth/principal.ts',
  'src/vault/stores.ts',
];

/** Packages (exact, or a scope with `/*`) and built-ins that only the named rooms may import. */
export const OWNED_PACKAGES: { readonly [name: string]: readonly string[] } = {
  piscina: ['workers'],
  'prom-client': ['src/metrics'],
  keytar: ['src/vault/keys/keychain-child.ts'],
  // egress; and the CLI and the bridge as clients of a running server
  undici: ['workers', 'src/shared/net', 'src/commands/mcp-client.ts', 'src/stdio/upstream.ts'],
  // and one instance per OAuth application that never listens
  fastify: ['src/server', 'src/connections/connect/code-client.ts'],
  '@fastify/*': ['src/server'],
  // never-listening child instances of the OAuth plugin
  '@fastify/oauth2': ['src/connections'],
  'oidc-provider': ['src/login'],
  '@modelcontextprotocol/*': ['src/mcp', 'src/stdio/bridge.ts'],
  // reads the documents of declared tools when a toolset is loaded; no thread does
  graphql: ['src/tenants/toolset', 'src/demo'],
  'esbuild-wasm': ['workers'],
  // the vault's database; and a lock that the system gives back whatever dies
  'node:sqlite': ['src/vault', 'src/audit/lock.ts'],
  'node:worker_threads': ['workers'],
};

/** File and folder names that say nothing about what is in them. */
export const EMPTY_NAMES = /^(?:utils?|helpers?|common|misc|stuff|lib)$/;

export const MAX_LINES = 400;

/** Where code of the product lives. */
export const ROOTS: readonly string[] = ['src', 'workers'];
