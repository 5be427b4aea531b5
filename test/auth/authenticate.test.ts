// From an Authorization header to a principal, with a real vault behind it; challenges and policy.
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { createAuthenticator } from '../../src/auth/authenticate.ts';
import { AUTHORIZATION_BYTES, readBearer } from '../../src/auth/bearer.ts';
import { type ChallengeFacts, credentialsNeeded, scopesNeeded, tokenNotValid } from '../../src/auth/challenge.ts';
import { mintedTokens } from '../../src/auth/minted.ts';
import { mayUse } from '../../src/auth/policy.ts';
import type { Principal } from '../../src/auth/principal.ts';
import type { AuthDenial, AuthTenant, Verdict } from '../../src/auth/verdict.ts';
import { DEFAULT_AUTH } from '../../src/config/compile-auth.ts';
import type { TokenStore } from '../../src/vault/stores.ts';
import { createToken, hashToken } from '../../src/vault/access-token.ts';
import { openVault } from '../../src/vault/vault.ts';

const KEY = Buffer.alloc(32, 9);
const INVALID = { code: 'token_invalid' };
const NONE = { code: 'unauthenticated' };

function tenantOf(id: string): AuthTenant {
  return { id, auth: DEFAULT_AUTH, resources: [], sharedResource: undefined, isForeignResource: () => false };
}
function authenticator(tokens: Pick<TokenStore, 'find' | 'used'>) {
  const authenticate = createAuthenticator({ sources: [mintedTokens({ tokens, now: Date.now })], tenantOf });
  return (authorization: string | undefined, tenant: string) => authenticate(authorization, tenant) as Verdict;
}

function setUp(test: Pick<typeof t, 'testdir' | 'teardown'>) {
  const dataDir = test.testdir();
  const vault = openVault({ dataDir, masterKey: KEY });
  test.teardown(() => {
    try {
      vault.close();
    } catch {
      // Closed by the test.
    }
  });
  const mint = (tenant: string, scopes: readonly string[] = []) =>
    createToken(vault.tokens, { tenant, subject: `ada@${tenant}`, scopes, now: 1 });
  return { dataDir, vault, mint, authenticate: authenticator(vault.tokens) };
}
function outside({ code }: AuthDenial): unknown {
  return { code };
}

// Run directly, tap would end the file after 30 s; a busy machine needs longer.
t.setTimeout(120_000);

void t.test('a good token is its principal', (t) => {
  const { mint, authenticate } = setUp(t);
  const all = mint('acme');
  const some = mint('acme', ['issues:read', 'issues:write']);
  const principal = authenticate(`Bearer ${all.token}`, 'acme') as Principal;
  t.strictSame(
    { ...principal, scopes: [...principal.scopes] },
    { tenant: 'acme', issuer: 'leasehold', subject: 'ada@acme', scopes: ['*'], credentialId: all.record.id },
  );
  t.equal(authenticate(`Bearer ${all.token}`, 'acme'), principal, 'made once');
  t.strictSame([...(authenticate(`Bearer ${some.token}`, 'acme') as Principal).scopes], ['issues:read', 'issues:write']);
  for (const scheme of ['bearer', 'BEARER', 'BeArEr', 'Bearer  '])
    t.equal(authenticate(`${scheme} ${all.token}`, 'acme'), principal, scheme);
  t.notOk(JSON.stringify(principal).includes(all.token.slice(-43)));
  t.end();
});

void t.test('what is no good token of this tenant is refused, and looks the same from outside', (t) => {
  const { vault, mint, authenticate } = setUp(t);
  const { token } = mint('acme');
  const foreign = mint('globex');
  const revoked = mint('acme');
  vault.tokens.revoke('acme', revoked.record.id, 2);
  const unknown = `lh_acme_${'A'.repeat(43)}`;
  const refusals = new Map([
    ['unknown', unknown],
    ['foreign', foreign.token],
    ['revoked', revoked.token],
    ['cut', token.slice(0, -1)],
    ['longer', `${token}A`],
    ['other case', token.toUpperCase()],
    ['its hash', Buffer.from(hashToken(token), 'hex').toString('base64url')],
    ['padded', `${token}=`],
    ['inner space', `${token.slice(0, 20)} ${token.slice(20)}`],
    ['two', `${token}, Bearer ${token}`],
    ['two tokens', `${token} ${token}`],
    ['quoted', `"${token}"`],
    ['empty', ''],
    ['tab', `\t${token}`],
    ['trailing space', `${token} `],
    ['trailing newline', `${token}\n`],
    ['NUL', `${token}\u0000`],
    ['non-ASCII', `${token}é`],
    ['full width', token.replace('lh', 'ｌｈ')],
    ['huge', 'x'.repeat(AUTHORIZATION_BYTES)],
    ['enormous', 'x'.repeat(10_000_000)],
  ]);
  const reasons = new Set<string>();
  for (const [what, presented] of refusals) {
    const denial = authenticate(`Bearer ${presented}`, 'acme') as AuthDenial;
    t.strictSame(outside(denial), INVALID, what);
    t.ok(denial.reason.length < 200 && !denial.reason.includes(token.slice(10, 30)), `${what}: the reason holds no token`);
    reasons.add(denial.reason);
  }
  t.ok(reasons.size >= 5, 'the audit can tell them apart');
  for (const tenant of [
    'ACME',
    'Acme',
    'acme ',
    'аcme',
    'acme\u0301',
    'acme\u0000',
    '',
    'globex',
    'acme/../acme',
    'ａcme',
    '__proto__',
  ]) {
    t.match(authenticate(`Bearer ${token}`, tenant), { code: 'token_invalid' }, `tenant ${JSON.stringify(tenant)}`);
  }
  for (const header of [
    undefined,
    '',
    'Basic dXNlcjpwYXNz',
    token,
    `Token ${token}`,
    `Bearertoken ${token}`,
    ` Bearer ${token}`,
    `Digest Bearer ${token}`,
    `Bearer-x ${token}`,
  ]) {
    t.strictSame(outside(authenticate(header, 'acme') as AuthDenial), NONE, String(header).slice(0, 12));
  }
  t.match(authenticate('Bearer', 'acme'), INVALID);
  t.end();
});

void t.test('a token ends at its time, and its last use is written with others, never per request', async (t) => {
  const { vault, dataDir } = setUp(t);
  const made = Date.now();
  let now = made;
  const authenticate = createAuthenticator({ sources: [mintedTokens({ tokens: vault.tokens, now: () => now })], tenantOf });
  const { token, record } = createToken(vault.tokens, {
    tenant: 'acme',
    subject: 'ada',
    scopes: [],
    now: made,
    expiresAt: made + 3_600_000,
  });
  const other = openVault({ dataDir, masterKey: KEY });
  t.teardown(() => other.close());
  const lastUse = () => other.tokens.list('acme')[0]?.lastUsedAt;
  const db = new DatabaseSync(join(dataDir, 'vault.db'));
  t.teardown(() => db.close());
  const version = () => (db.prepare('PRAGMA data_version').get() as { data_version: number }).data_version;
  const before = version();
  for (let i = 0; i < 1000; i += 1) void authenticate(`Bearer ${token}`, 'acme');
  t.equal(version(), before, 'nothing is written by a request');
  t.equal(lastUse(), undefined);
  for (const until = performance.now() + 20_000; lastUse() === undefined && performance.now() < until; ) await sleep(100);
  t.equal(lastUse(), made, 'some seconds later');
  now = made + 120_000;
  void authenticate(`Bearer ${token}`, 'acme');
  vault.close();
  t.equal(lastUse(), now, 'what is not written yet is written at the end');
  const again = openVault({ dataDir, masterKey: KEY });
  t.teardown(() => again.close());
  const later = createAuthenticator({ sources: [mintedTokens({ tokens: again.tokens, now: () => now })], tenantOf });
  now = made + 3_599_999;
  t.match(later(`Bearer ${token}`, 'acme'), { subject: 'ada', expiresAt: made + 3_600_000 });
  now += 1;
  t.match(later(`Bearer ${token}`, 'acme'), { ...INVALID, reason: `token ${record.id} has expired` });
});

void t.test('whatever is thrown is a refusal', (t) => {
  const throwing = [
    () => {
      throw new Error('the database is gone: lh_acme_secret');
    },
    () => {
      throw null;
    },
    () =>
      ({
        tenant: 'acme',
        get scopes(): never {
          throw new TypeError('x');
        },
      }) as never,
  ];
  for (const find of throwing) {
    const denial = authenticator({ find, used: () => {} })('Bearer lh_acme_abc', 'acme') as AuthDenial;
    t.strictSame(outside(denial), INVALID);
    t.notMatch(denial.reason, /secret/);
  }
  t.match(authenticator({ find: () => undefined, used: () => {} })(7 as unknown as string, 'acme'), {
    code: /unauthenticated|token_invalid/,
  });
  t.end();
});

void t.test('any header at all gives a verdict, and only a stored token lets in', (t) => {
  const { mint, authenticate } = setUp(t);
  const { token } = mint('acme');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string().map((text) => `Bearer ${text}`),
        fc.string().map((text) => `bearer ${token}${text}`),
      ),
      (header) => {
        const verdict = authenticate(header, 'acme');
        return 'code' in verdict || /^bearer +lh_acme_[\w-]{43}$/i.test(header);
      },
    ),
    { numRuns: 500 },
  );
  const began = performance.now();
  for (const evil of [
    'Bearer '.repeat(500),
    `Bearer ${' '.repeat(4000)}`,
    `Bearer ${'='.repeat(4000)}`,
    `Bearer ${'a='.repeat(2000)}`,
  ])
    readBearer(evil);
  t.ok(performance.now() - began < 1000, 'no header makes the pattern slow');
  t.end();
});

void t.test('revoked by another process: refused within a second, the principal is forgotten', async (t) => {
  const { dataDir, mint, authenticate } = setUp(t);
  const { token, record } = mint('acme');
  t.notMatch(authenticate(`Bearer ${token}`, 'acme'), { code: 'token_invalid' });
  const script = join(import.meta.dirname, '..', 'unit', 'vault-process.ts');
  await promisify(execFile)(process.execPath, [script, dataDir, KEY.toString('base64url'), 'revoke', 'acme', record.id]);
  const until = performance.now() + 1000;
  let verdict = authenticate(`Bearer ${token}`, 'acme');
  for (; !('code' in verdict) && performance.now() < until; verdict = authenticate(`Bearer ${token}`, 'acme')) await sleep(10);
  t.match(verdict, { ...INVALID, reason: `token ${record.id} is revoked` });
});

void t.test('over real HTTP: Node keeps the first of two headers, so the raw ones must be counted', async (t) => {
  const { mint, authenticate } = setUp(t);
  const { token } = mint('acme');
  const seen = Promise.withResolvers<{ raw: number; verdict: Principal | AuthDenial }>();
  const server = createServer((request, response) => {
    const raw = request.rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'authorization').length;
    seen.resolve({ raw, verdict: authenticate(request.headers.authorization, 'acme') });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.end(
    `GET /t/acme/mcp?access_token=${token} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nauthorization: Bearer ${token}\r\n\r\n`,
  );
  socket.resume();
  const { raw, verdict } = await seen.promise;
  t.equal(raw, 2);
  t.match(verdict, INVALID, 'neither the second header nor the query counts');
});

void t.test('challenges', (t) => {
  const acme: ChallengeFacts = { realm: 'acme', metadata: undefined, basicScopes: [] };
  const told: ChallengeFacts = {
    ...acme,
    metadata: 'https://x/.well-known/oauth-protected-resource/t/acme/mcp',
    basicScopes: ['a', 'b'],
  };
  const where = ', resource_metadata="https://x/.well-known/oauth-protected-resource/t/acme/mcp"';
  t.equal(credentialsNeeded(acme), 'Bearer realm="acme"');
  t.equal(credentialsNeeded(told), `Bearer realm="acme", scope="a b"${where}`);
  t.match(tokenNotValid(acme), /^Bearer realm="acme", error="invalid_token"/);
  t.equal(
    scopesNeeded(told, ['issues:read', 'issues:write']),
    `Bearer realm="acme", error="insufficient_scope", scope="issues:read issues:write"${where}`,
  );
  const evil: ChallengeFacts = { realm: 'a"\r\nX-Evil: 1\\é\u202e', metadata: 'https://x"\r\n', basicScopes: ['a"'] };
  for (const value of [credentialsNeeded(evil), scopesNeeded(evil, ['x"\r\nSet-Cookie: a', '\u0000']), tokenNotValid(evil)]) {
    t.match(value, /^Bearer (?:[a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"(?:, )?)+$/, 'nothing breaks out of its quotes');
  }
  t.end();
});

void t.test('policy', (t) => {
  const principal = (...scopes: string[]): Principal => ({
    tenant: 'acme',
    issuer: 'leasehold',
    subject: 'ada',
    scopes: new Set(scopes),
    credentialId: 'c',
  });
  const cases: [Principal, readonly string[] | undefined, readonly string[]][] = [
    [principal(), undefined, []],
    [principal(), [], []],
    [principal(), ['a'], ['a']],
    [principal('a'), ['a'], []],
    [principal('a'), ['b', 'a', 'c'], ['b', 'c']],
    [principal('*'), ['a', 'b'], []],
    [principal('a:*'), ['a:b'], ['a:b']],
    [principal('A'), ['a'], ['a']],
    [principal('a'), ['*'], ['*']],
  ];
  for (const [who, needed, missing] of cases) {
    t.equal(mayUse(who, needed), missing.length === 0);
  }
  t.end();
});
