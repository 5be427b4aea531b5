// What `start`, `dev` and `demo` print when they serve: for a person, or as one line of JSON.
// Not responsible for starting anything. Pure.
// Invariant: a token is shown by the demo only; every printed command exists and works where it is printed.
import { homedir } from 'node:os';

export interface ServedTenant {
  readonly id: string;
  readonly endpoint: string;
  /** Names, in the order of `tools/list`. Empty where nothing has loaded. */
  readonly tools: readonly string[];
  readonly problems: number;
  readonly token?: string;
}

export interface Served {
  readonly version: string;
  readonly url: string;
  /** Of the operator's own endpoints. */
  readonly adminUrl: string | undefined;
  readonly readyMs: number;
  readonly estate: string;
  readonly dataDir: string;
  readonly tenants: readonly ServedTenant[];
  /** Lines below the tenants: what to do now. */
  readonly hints: readonly string[];
}

const SHOWN_TENANTS = 20;
const SHOWN_TOOLS = 8;

export function readyScreen(served: Served): string {
  const { tenants } = served;
  const shown = tenants.slice(0, SHOWN_TENANTS);
  const width = Math.max(0, ...shown.map(({ id }) => id.length)) + 2;
  const lines = [
    `leasehold ${served.version}  node ${process.versions.node}  estate ${shortPath(served.estate)}  data ${shortPath(served.dataDir)}`,
    `ready in ${(served.readyMs / 1000).toFixed(1)} s   ${served.url}${served.adminUrl === undefined ? '' : `   metrics ${served.adminUrl}/metrics`}`,
    '',
    ...shown.flatMap((tenant) => tenantLines(tenant, width)),
  ];
  if (tenants.length === 0) lines.push('  no tenants yet: every folder below tenants/ with a tenant.json is one');
  if (tenants.length > shown.length) lines.push(`  … and ${tenants.length - shown.length} more`);
  return `${[...lines, ...(served.hints.length > 0 ? ['', ...served.hints] : [])].join('\n')}\n`;
}

function tenantLines(tenant: ServedTenant, width: number): string[] {
  const indent = ' '.repeat(width + 2);
  const lines = [`  ${tenant.id.padEnd(width)}${toolList(tenant)}`, `${indent}${tenant.endpoint}`];
  if (tenant.token !== undefined) lines.push(`${indent}token ${tenant.token}`);
  return lines;
}

function toolList({ tools, problems }: ServedTenant): string {
  const names = tools.slice(0, SHOWN_TOOLS).join(', ');
  const rest = tools.length > SHOWN_TOOLS ? ` and ${tools.length - SHOWN_TOOLS} more` : '';
  const bad = problems === 0 ? '' : `  ✗ ${problems} problem${problems === 1 ? '' : 's'}, see above`;
  return `${names === '' ? 'no tools' : names}${rest}${bad}`;
}

/** One line. `token` stands there in the demo only. */
export function readyJson({ url, adminUrl, tenants }: Served): string {
  const listed = tenants.map(({ id, endpoint, token }) => ({ id, endpoint, ...(token === undefined ? {} : { token }) }));
  return `${JSON.stringify({ ready: true, url, ...(adminUrl === undefined ? {} : { admin: adminUrl }), tenants: listed })}\n`;
}

export function shortPath(path: string): string {
  const home = homedir();
  return path === home || path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}
