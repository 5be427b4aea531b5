// Clients that are named by the address of their metadata (Client ID Metadata Documents), fetched from a real https server.
// And what the operator sees of all clients and takes back, under the running server.
// Not responsible for the guard on addresses (`connections/`) beyond that it is in the way.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { json, startUpstream, TEST_CERTIFICATE } from '../bindings/upstream-server.ts';
import { leasehold, until } from '../helpers/cli.ts';
import type { ServedEstate } from '../helpers/runtime.ts';
import { Person, REDIRECT, scene, WireClient } from './login-scene.ts';

t.setTimeout(240_000);

t.test('a metadata document is a client: shown by its host, asked about each time on this machine', async (t) => {
  let document: (id: string) => unknown = () => undefined;
  let asked = 0;
  const upstream = await startUpstream(
    ({ url }, response) => {
      asked += 1;
      json(response, document(`${upstream.origin}${url}`));
    },
    { tls: true },
  );
  t.teardown(() => upstream.close());
  const ca = join(t.testdir({ 'ca.pem': TEST_CERTIFICATE.toString() }), 'ca.pem');
  const served = await scene(t, { egress: { ca, privateOrigins: [upstream.origin] } });
  const acme = served.endpoint('acme');
  const client = new WireClient(served.runtime.url);
  const good = (id: string) => ({
    client_id: id,
    client_name: 'Document Client',
    redirect_uris: [REDIRECT],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    scope: 'of somebody else',
  });
  document = good;
  client.id = `${upstream.origin}/client.json`;
  const person = new Person();
  // Another port than the document says: a program on this machine gets one anew each time.
  const page = await person.signIn(client.url(acme, { redirect_uri: REDIRECT.replace(':9/', ':19/') }));
  t.match(page, { status: 200, text: /Allow Document Client\?/ });
  t.ok(page.text.includes(`<dt>Described by</dt><dd>${new URL(upstream.origin).host}</dd>`));
  const consent = await person.open(client.url(acme));
  const answered = await person.submit(consent, { do: 'allow' });
  const { status, json: tokens } = await client.redeem(new URL(answered.url).searchParams.get('code') ?? '');
  t.equal(status, 200);
  t.match(await served.call('acme', 'read', {}, { token: tokens.access_token }), { status: 200, text: 'read' });
  t.equal((await client.refresh(tokens.refresh_token)).status, 200);
  t.match((await person.open(client.url(acme))).text, /Allow Document Client\?/, 'anybody here can take that name');
  t.equal(asked, 1, 'kept for a while');
  await t.test('clients and consents are listed and taken back by commands', (t) =>
    takingBack(t, { served, person, document: client, token: tokens.access_token }),
  );

  for (const [why, bad] of [
    ['another id', (id: string) => ({ ...good(id), client_id: `${id}x` })],
    ['a secret', (id: string) => ({ ...good(id), client_secret: 'x', token_endpoint_auth_method: 'client_secret_post' })],
    ['a redirect to plain http', (id: string) => ({ ...good(id), redirect_uris: ['http://evil.example/cb'] })],
    ['too large', (id: string) => ({ ...good(id), padding: 'x'.repeat(6000) })],
    ['no object', () => [1]],
  ] as const) {
    document = bad;
    client.id = `${upstream.origin}/${encodeURIComponent(why)}.json`;
    t.match(await person.open(client.url(acme)), { status: 400, text: /This application cannot be connected/ }, why);
  }
});

interface Connected {
  readonly served: ServedEstate;
  /** Signed in, as ada. */
  readonly person: Person;
  readonly document: WireClient;
  /** Of the document client, for acme. */
  readonly token: string;
}

async function takingBack(t: Test, { served, person, document, token }: Connected): Promise<void> {
  const env = {
    HOME: served.estate,
    XDG_DATA_HOME: served.estate,
    XDG_STATE_HOME: served.estate,
    XDG_RUNTIME_DIR: served.estate,
  };
  const run = (...args: string[]) => leasehold([...args, '--estate', served.estate], { env });
  const listed = async (...args: string[]) => JSON.parse((await run(...args, '--json')).stdout) as Record<string, unknown>[];
  const works = async (token: string) => (await served.call('acme', 'whoami', {}, { token })).status === 200;
  const ended = (token: string) => until(async () => !(await works(token)));
  const begun = Math.floor(Date.now() / 1000) * 1000;
  const [wire, other, idle] = [1, 2, 3].map(() => new WireClient(served.runtime.url)) as [WireClient, WireClient, WireClient];
  const acme = served.endpoint('acme');
  const connect = async (client: WireClient) => {
    const { url } = await person.submit(await person.open(client.url(acme)), { do: 'allow' });
    return (await client.redeem(new URL(url).searchParams.get('code') ?? '')).json;
  };
  await wire.register({ client_name: 'Wire \u001b[31m\u202e' });
  for (const client of [other, idle]) await client.register();
  const [mine, others] = [await connect(wire), await connect(other)];

  const known = await listed('client', 'list');
  const of = (id: string) => known.find((one) => one['id'] === id);
  t.equal(known.length, 4);
  const since = (id: string, what: string) => Number(of(id)?.[what]) >= begun;
  t.match(of(wire.id), { hosts: ['127.0.0.1:9'], people: 1 });
  t.ok(since(wire.id, 'registeredAt') && since(wire.id, 'lastUsedAt'));
  t.match(of(document.id), { hosts: [new URL(document.id).host], lastUsedAt: Number, people: 1 });
  t.notOk('registeredAt' in (of(document.id) ?? {}), 'it never registered');
  t.strictSame([of(idle.id)?.['people'], 'lastUsedAt' in (of(idle.id) ?? {})], [0, false]);
  const text = (await run('client', 'list')).stdout;
  t.match(text, new RegExp(`^${idle.id}  "Wire"  127\\.0\\.0\\.1:9  registered \\S+  never used  0 people$`, 'm'));
  t.notOk(
    ['\u001b', '\u202e'].some((c) => text.includes(c)),
    'a name cannot paint the terminal',
  );
  const allowed = await listed('consent', 'list', 'ada');
  t.match(
    allowed.find((one) => one['client'] === wire.id),
    { tenant: 'acme', account: 'ada', scopes: ['mcp', 'issues:read', 'issues:write'], rememberedUntil: /\d/, signIns: 1 },
  );
  t.notOk('rememberedUntil' in (allowed.find((one) => one['client'] === document.id) ?? {}), 'asked each time');
  t.match(
    (await run('consent', 'list', 'ada')).stdout,
    new RegExp(`^${document.id}  acme  .*  asked each time  1 sign-in, used `, 'm'),
  );
  t.match(await run('consent', 'list', 'eve'), { code: 0, stdout: '', stderr: /there are none/ });

  // Nothing that was not meant ends.
  for (const [args, code] of [
    [['consent', 'revoke', 'eve', wire.id], 1],
    [['consent', 'revoke', 'ada', wire.id, 'globex'], 1],
    [['consent', 'revoke', 'ada'], 2],
    [['client', 'remove', 'nobody'], 1],
  ] as const)
    t.equal((await run(...args)).code, code, args.join(' '));
  t.strictSame([await works(mine.access_token), await works(others.access_token), await works(token)], [true, true, true]);

  t.match(await run('consent', 'revoke', 'ada', wire.id, 'acme'), { code: 0, stderr: /took back what ada allowed it in acme/ });
  await ended(mine.access_token);
  t.match(await wire.refresh(mine.refresh_token), { status: 400, json: { error: 'invalid_grant' } });
  t.match((await person.open(wire.url(acme))).text, /Allow Wire/, 'asked again');
  t.ok(await works(others.access_token), 'another application');

  const open = await person.open(other.url(acme, { prompt: 'consent' }));
  t.match(await run('client', 'remove', other.id, '--json'), {
    code: 0,
    stdout: `${JSON.stringify({ removed: other.id, people: 1 })}\n`,
  });
  await ended(others.access_token);
  t.match(await other.refresh(others.refresh_token), { status: 401, json: { error: 'invalid_client' } });
  t.match(await person.submit(open, { do: 'allow' }), { status: 404 }, 'a page that was open allows nothing any more');
  t.ok(await works(token));
  t.match(await run('client', 'remove', document.id), { code: 0, stderr: /which 1 person had allowed something/ });
  await ended(token);
  t.strictSame(new Set((await listed('client', 'list')).map(({ id }) => id)), new Set([wire.id, idle.id]));
  t.strictSame(await listed('consent', 'list', 'ada'), []);

  const recorded = (tenant: string) =>
    readFileSync(join(served.dataDir, 'cli', 'audit', `${tenant}.jsonl`), 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: Record<string, unknown> }).event);
  t.match(recorded('acme'), [
    { kind: 'consent.revoked', subject: 'ada', application: wire.id, scopes: 'mcp issues:read issues:write' },
    { kind: 'consent.revoked', subject: 'ada', application: other.id },
    { kind: 'consent.revoked', subject: 'ada', application: document.id },
  ]);
  t.match(recorded('_server'), [
    { kind: 'client.removed', application: other.id },
    { kind: 'client.removed', application: document.id },
  ]);
}
