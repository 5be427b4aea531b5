// The real server, as a process of its own, over a copy of the referee's estate.
// Not responsible for what is asked of it. Invariant: every file of the run is in one temporary folder, and what was started is ended.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { json, startUpstream, TEST_CERTIFICATE, type Upstream } from '../bindings/upstream-server.ts';
import { cli, program } from '../helpers/cli.ts';
import { REDIRECT } from '../login/login-scene.ts';
import { type Editor, startEditor } from './editor.ts';
import { addToken, type Proxy } from './proxy.ts';

export const TENANT = 'referee';
/** Signs in at the embedded authorization server, and may do everything in both tenants. */
export const PERSON = { name: 'ada', password: 'canary-correct-horse' };
const STDERR_CHARACTERS = 8192;
const ESTATE = fileURLToPath(new URL('estate', import.meta.url));

export interface Refereed {
  /** Through the proxy that adds the token. */
  readonly url: string;
  /** The endpoint itself, and the token for it. */
  readonly endpoint: string;
  readonly token: string;
  /** Of the server, and the issuer of its tokens. */
  readonly origin: string;
  /** Of a tenant that asks clients for no scope. */
  readonly bystander: string;
  /** Address of the metadata of a client that did not register. */
  readonly document: string;
  close(): Promise<void>;
}

/** Opened one after the other, closed in reverse, also where a later one fails. */
export async function startServer(): Promise<Refereed> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (let last = closers.pop(); last !== undefined; last = closers.pop()) await last();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), 'leasehold-referee-'));
    closers.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
    const estate = join(folder, 'estate');
    const editor = await startEditor(() => join(estate, 'tenants', TENANT, 'tools'));
    closers.push(() => editor.close());
    const documents = await startDocuments();
    closers.push(() => documents.close());
    cpSync(ESTATE, estate, { recursive: true });
    connect(estate, editor, documents);
    const { child, endpointOf, origin } = await start(estate);
    closers.push(() => end(child));
    const endpoint = endpointOf(TENANT);
    const token = await createToken(estate);
    addPerson(estate);
    const proxy: Proxy = await addToken(endpoint, token);
    closers.push(() => proxy.close());
    return {
      url: proxy.url,
      endpoint,
      token,
      origin,
      bystander: endpointOf('bystander'),
      document: `${documents.origin}/client.json`,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Over TLS, as clients must have their metadata (Client ID Metadata Documents). */
function startDocuments(): Promise<Upstream> {
  return startUpstream(
    ({ headers, url }, response) =>
      json(response, {
        client_id: `https://${headers.host}${url}`,
        client_name: 'Described',
        redirect_uris: [REDIRECT],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'none',
      }),
    { tls: true },
  );
}

/** What depends on the ports of this run. */
function connect(estate: string, { origin }: Editor, documents: Upstream): void {
  const ca = join(estate, 'ca.pem');
  writeFileSync(ca, TEST_CERTIFICATE);
  const server = { egress: { privateOrigins: [origin, documents.origin], ca }, auth: { embedded: true } };
  writeFileSync(join(estate, 'leasehold.json'), JSON.stringify(server));
  const connections = { editor: { type: 'none', origins: [origin] } };
  writeFileSync(
    join(estate, 'tenants', TENANT, 'tenant.json'),
    JSON.stringify({ name: 'Referee', connections, auth: { scopes: { basic: ['referee:use'] } } }),
  );
}

interface Started {
  readonly child: ChildProcess;
  readonly origin: string;
  readonly endpointOf: (tenant: string) => string;
}

async function start(estate: string): Promise<Started> {
  const child = spawn(process.execPath, [cli, 'start', estate, '--port', '0', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-STDERR_CHARACTERS)));
  const { value } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  if (value === undefined) throw new Error(`the server ended without being ready: ${said}`);
  const { tenants, url } = JSON.parse(value) as { url: string; tenants: { id: string; endpoint: string }[] };
  return {
    child,
    origin: url,
    endpointOf(tenant) {
      const endpoint = tenants.find(({ id }) => id === tenant)?.endpoint;
      if (endpoint === undefined) throw new Error(`the server does not serve ${tenant}`);
      return endpoint;
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await exit;
  clearTimeout(late);
}

async function createToken(estate: string): Promise<string> {
  const args = ['token', 'create', TENANT, '--subject', 'referee', '--estate', estate, '--json'];
  const { code, stderr, stdout } = await program(process.execPath, [cli, ...args]);
  if (code !== 0) throw new Error(`no token: ${stderr}`);
  return (JSON.parse(stdout) as { token: string }).token;
}

function addPerson(estate: string): void {
  const user = (args: readonly string[], input = '') => {
    const { status, stderr } = spawnSync(process.execPath, [cli, 'user', ...args, '--estate', estate], {
      input,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`no person: ${stderr}`);
  };
  user(['add', PERSON.name], `${PERSON.password}\n`);
  for (const tenant of [TENANT, 'bystander']) user(['grant', tenant, PERSON.name]);
}
