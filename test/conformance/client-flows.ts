// What the suite's `auth/*` scenarios look at in clients, looked at where the server is ours: a stock client, the embedded authorization
// server, a person. The suite itself cannot do that: each of these scenarios starts an authorization server and a resource server of its
// own, and judges the client that it is given. So the steps and the conditions are the suite's, read there; the verdict is not its own.
// Invariant: every scenario that the suite has is judged here or listed with its reason; one that is new fails until somebody looked.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { program } from '../helpers/cli.ts';
import { ClientMemory, Person, REDIRECT, WireClient } from '../login/login-scene.ts';
import { PERSON, type Refereed } from './server.ts';
import { type Scenario, SUITE } from './suite.ts';

const OTHER_SERVER = 'needs an authorization server that misbehaves or is laid out otherwise: a test of clients';
const NOT_OFFERED = 'a grant or an extension that the embedded server does not offer';
const LEFT_OUT: { readonly [scenario: string]: string } = {
  'auth/metadata-var1': OTHER_SERVER,
  'auth/metadata-var2': OTHER_SERVER,
  'auth/metadata-var3': OTHER_SERVER,
  'auth/2025-03-26-oauth-metadata-backcompat': OTHER_SERVER,
  'auth/2025-03-26-oauth-endpoint-fallback': OTHER_SERVER,
  'auth/resource-mismatch': OTHER_SERVER,
  'auth/authorization-server-migration': OTHER_SERVER,
  'auth/iss-not-advertised': OTHER_SERVER,
  'auth/iss-supported-missing': OTHER_SERVER,
  'auth/iss-wrong-issuer': OTHER_SERVER,
  'auth/iss-unexpected': OTHER_SERVER,
  'auth/iss-normalized': OTHER_SERVER,
  'auth/metadata-issuer-mismatch': OTHER_SERVER,
  'auth/scope-retry-limit': 'needs a server that asks for more for ever: a test of clients',
  'auth/scope-from-scopes-supported': 'where there are scopes to ask for first, they are in the challenge, too',
  'auth/offline-access-scope': 'refresh tokens are given without a scope, so none is advertised',
  'auth/client-credentials-jwt': NOT_OFFERED,
  'auth/client-credentials-basic': NOT_OFFERED,
  'auth/enterprise-managed-authorization': NOT_OFFERED,
  'auth/dpop': NOT_OFFERED,
  'auth/dpop-nonce': NOT_OFFERED,
  'auth/wif-jwt-bearer': NOT_OFFERED,
};

export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

/** One way of a client from the address of an endpoint to a call: what it sent, in order. */
interface Flow {
  readonly opened: readonly URLSearchParams[];
  readonly token: readonly { readonly body: URLSearchParams; readonly authorization: string | null }[];
  readonly fetched: readonly string[];
  readonly memory: ClientMemory;
  /** Text of the result of the call. */
  readonly said: string;
}

type Condition = readonly [id: string, holds: boolean];

export async function runClientFlows(refereed: Refereed): Promise<{ scenarios: Scenario[]; leftOut: LeftOut[] }> {
  const { endpoint, bystander, origin } = refereed;
  const person = new Person();
  const flow = (url: string, memory: ClientMemory, tool?: string) => connect({ url, memory, person }, tool);
  const plain = await flow(endpoint, new Memory());
  const metadata = `${origin}/.well-known/oauth-protected-resource${new URL(endpoint).pathname}`;
  const judged = new Map<string, readonly Condition[]>([
    [
      'auth/metadata-default',
      [
        ['prm-pathbased-requested', plain.fetched.includes(metadata)],
        ['authorization-server-metadata', plain.fetched.includes(`${origin}/.well-known/oauth-authorization-server`)],
        ['client-registration', plain.fetched.includes(`${origin}/oauth/register`)],
        ...tokenConditions(plain, endpoint),
      ],
    ],
    ['auth/scope-from-www-authenticate', [['scope-from-www-authenticate', scopesOf(plain.opened[0]).includes('referee:use')]]],
    ['auth/token-endpoint-auth-none', [['token-endpoint-auth-method', methodOf(plain) === 'none']]],
    ['auth/iss-supported', [['sep-2468-client-compare-iss-supported', plain.token.length === 1]]],
    [
      'auth/offline-access-not-supported',
      [
        ['sep-2207-offline-access-not-requested', !scopesOf(plain.opened[0]).includes('offline_access')],
        ['a refresh token came all the same', plain.memory.kept?.refresh_token !== undefined],
      ],
    ],
  ]);
  for (const [name, method] of [
    ['basic', 'client_secret_basic'],
    ['post', 'client_secret_post'],
  ] as const) {
    const secret = await flow(endpoint, new Memory({ token_endpoint_auth_method: method }));
    judged.set(`auth/token-endpoint-auth-${name}`, [
      ['token-endpoint-auth-method', methodOf(secret) === method],
      ...tokenConditions(secret, endpoint),
    ]);
  }
  const known = new WireClient(origin);
  const { json: registered } = await known.register({ token_endpoint_auth_method: 'client_secret_basic' });
  const before = new Memory();
  before.information = { ...registered, issuer: origin };
  const registeredBefore = await flow(endpoint, before);
  judged.set('auth/pre-registration', [
    ['no other registration', !registeredBefore.fetched.includes(`${origin}/oauth/register`)],
    ['pre-registration-auth', methodOf(registeredBefore) === 'client_secret_basic'],
  ]);
  const unscoped = await flow(bystander, new Memory());
  judged.set('auth/scope-omitted-when-undefined', [['scope-omitted-when-undefined', scopesOf(unscoped.opened[0]).length === 0]]);
  const stepped = await flow(endpoint, new Memory(), 'test_scoped');
  judged.set('auth/scope-step-up', [
    ['scope-step-up-initial', scopesOf(stepped.opened[0]).includes('referee:use')],
    ['scope-step-up-escalation', scopesOf(stepped.opened[1]).includes('referee:write')],
    ['sep-2350-scope-union-on-reauth', scopesOf(stepped.opened[1]).includes('referee:use')],
    ['two authorizations', stepped.opened.length === 2],
    ['the call went through', stepped.said === 'allowed'],
  ]);
  const { document } = refereed;
  const described = await flow(endpoint, Object.assign(new Memory(), { clientMetadataUrl: document }));
  judged.set('auth/basic-cimd', [
    ['cimd-client-id-used', described.opened[0]?.get('client_id') === document],
    ...tokenConditions(described, endpoint),
  ]);
  const names = await suiteNames();
  const scenarios = [...judged].map(([name, conditions]): Scenario => {
    const failed = conditions.filter(([, holds]) => !holds).map(([id]) => `${id}: does not hold`);
    if (!names.includes(name)) failed.push('the suite has no such scenario');
    return { name, passed: conditions.length - failed.length, failed, warnings: [], scored: false };
  });
  for (const name of names)
    if (!judged.has(name) && !Object.hasOwn(LEFT_OUT, name))
      scenarios.push({ name, passed: 0, failed: ['new in the suite: does it apply?'], warnings: [], scored: false });
  return { scenarios, leftOut: Object.entries(LEFT_OUT).map(([name, reason]) => ({ name, reason })) };
}

/** The conditions that the suite has for every token request, and a token that is good for a call. */
function tokenConditions({ opened, token, said }: Flow, endpoint: string): Condition[] {
  const [asked] = opened;
  const [sent] = token;
  return [
    ['pkce-code-challenge-sent', (asked?.get('code_challenge') ?? '') !== ''],
    ['pkce-s256-method-used', asked?.get('code_challenge_method') === 'S256'],
    ['pkce-code-verifier-sent', (sent?.body.get('code_verifier') ?? '') !== ''],
    ['resource-parameter-in-authorization', asked?.get('resource') === endpoint],
    ['resource-parameter-in-token', sent?.body.get('resource') === endpoint],
    ['valid-bearer-token', said === 'This is a simple text response for testing.'],
  ];
}

function scopesOf(asked: URLSearchParams | undefined): string[] {
  return (asked?.get('scope') ?? '').split(' ').filter((scope) => scope !== '');
}

function methodOf({ token: [sent] }: Flow): string {
  if (sent?.authorization?.startsWith('Basic ') === true) return 'client_secret_basic';
  return sent?.body.has('client_secret') === true ? 'client_secret_post' : 'none';
}

async function suiteNames(): Promise<string[]> {
  const { stdout } = await program(process.execPath, [SUITE, 'list', '--client']);
  return [...stdout.matchAll(/^ {2}- (auth\/\S+)/gm)].map(([, name]) => name as string);
}

/** What this SDK wants to be kept beyond what the other one does. */
class Memory extends ClientMemory {
  #found: unknown;

  constructor(metadata: object = {}) {
    super('Conformance', metadata);
  }

  saveDiscoveryState(found: unknown) {
    this.#found = found;
  }
  discoveryState() {
    return this.#found;
  }
}

interface Way {
  readonly url: string;
  readonly memory: ClientMemory;
  readonly person: Person;
}

const MOST_AUTHORIZATIONS = 3;

async function connect({ url, memory, person }: Way, tool = 'test_simple_text'): Promise<Flow> {
  const opened: URLSearchParams[] = [];
  const token: Flow['token'][number][] = [];
  const fetched: string[] = [];
  const recording: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    fetched.push(request.url);
    if (request.url.endsWith('/oauth/token')) {
      const authorization = request.headers.get('authorization');
      token.push({ body: new URLSearchParams(await request.text()), authorization });
    }
    return fetch(input, init);
  };
  for (;;) {
    const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: memory as never, fetch: recording });
    const client = new Client({ name: 'conformance', version: '1' });
    try {
      await client.connect(transport);
      const { content } = (await client.callTool({ name: tool, arguments: {} })) as { content: { text: string }[] };
      return { opened, token, fetched, memory, said: content[0]?.text ?? '' };
    } catch (error) {
      if (memory.opened === undefined || opened.length === MOST_AUTHORIZATIONS) throw error;
      opened.push(memory.opened.searchParams);
      const answer = await allow(person, memory.opened.href);
      memory.opened = undefined;
      await transport.finishAuth(answer);
    } finally {
      await client.close();
    }
  }
}

async function allow(person: Person, url: string): Promise<URLSearchParams> {
  let at = await person.open(url);
  if (at.text.includes('name="password"')) at = await person.submit(at, { do: 'sign-in', ...PERSON });
  if (!at.url.startsWith(REDIRECT)) at = await person.submit(at, { do: 'allow' });
  return new URL(at.url).searchParams;
}
