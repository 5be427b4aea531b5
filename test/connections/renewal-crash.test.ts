// Renewals over several processes on one vault, and a process that is killed at every step of one.
// A grant that its server still honours is found again; one that it does not honour ends with one token request.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import t, { type Test } from 'tap';
import type { OAuthScene } from './oauth-scene.ts';
import { adaKey, connect, oauthScene } from './oauth-scene.ts';
import { json } from '../bindings/upstream-server.ts';
import { folder } from './credential-scene.ts';
import type { Rotation } from './faulty-server.ts';
import type { ProcessOptions, Step } from './renewal-process.ts';

t.setTimeout(300_000);
const file = t;
const GOOD = '{"path":"/api"}';
const STALE = { expiresAt: Date.now() - 1000 };

interface Other {
  readonly child: ChildProcess;
  readonly lines: Interface;
  /** Begins the calls; resolves to how many succeeded, or undefined where it died. */
  go(): Promise<number | undefined>;
}
async function other(t: Test, s: OAuthScene, options: Partial<ProcessOptions> = {}): Promise<Other> {
  const all: ProcessOptions = { dataDir: s.dataDir, auditDir: folder(t), origin: s.server.origin, calls: 1, ...options };
  const child = spawn(process.execPath, [join(import.meta.dirname, 'renewal-process.ts'), JSON.stringify(all)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout);
  const [ready] = await once(lines, 'line');
  t.equal(ready, 'ready');
  const ended = once(child, 'exit');
  return {
    child,
    lines,
    async go() {
      let count: number | undefined;
      lines.once('line', (line) => {
        count = Number(line);
      });
      child.stdin.write('go\n');
      await ended;
      return count;
    },
  };
}

t.test('two processes, 50 calls each, one token that ran out: one token request', async (t) => {
  for (const grantFacts of [STALE, {}]) {
    const s = await oauthScene(t, file);
    connect(s.vault.grants, s.server, s.connection, grantFacts);
    if (grantFacts !== STALE) s.server.expireAll();
    const process2 = await other(t, s, { calls: 50 });
    const [theirs, ours] = await Promise.all([process2.go(), Promise.all(Array.from({ length: 50 }, () => s.call()))]);
    t.equal(theirs, 50);
    t.strictSame(new Set(ours), new Set([GOOD]));
    t.equal(s.server.tokenRequests.length, 1, grantFacts === STALE ? 'ran out by the clock' : 'refused by the service');
  }
});

t.test(
  'a process that was held up longer than its lock: its late answer saves the grant, and overwrites no newer one',
  async (t) => {
    for (const rotation of ['strict', 'none'] as const) {
      const s = await oauthScene(t, file, {}, {}, { lockMs: 200 });
      s.server.rotation = rotation;
      connect(s.vault.grants, s.server, s.connection, STALE);
      let release = (): void => undefined;
      s.server.beforeAnswer = (response) => {
        release = () =>
          json(response, { access_token: s.server.issue().accessToken, token_type: 'bearer', refresh_token: 'late' });
        return false;
      };
      const slow = s.call();
      while (s.server.tokenRequests.length === 0) await new Promise(setImmediate);
      s.server.beforeAnswer = () => true;
      const quick = await other(t, s);
      await quick.go();
      const between = s.grant();
      t.match(between, rotation === 'strict' ? { state: 'reauthorize' } : { state: 'active', serial: 2 });
      release();
      t.equal(await slow, GOOD);
      t.match(
        s.grant(),
        rotation === 'strict' ? { state: 'active', refreshToken: 'late', serial: 2 } : { accessToken: between?.accessToken },
      );
    }
  },
);

/** Where in the exchange with the server it dies. */
type ServerStep = 'request received' | 'tokens made' | 'answer sent';
type Case = readonly [Step | ServerStep, Rotation];
const OWN: readonly Step[] = [
  'before lock',
  'after lock',
  'after record',
  'before note',
  'after note',
  'before store',
  'after store',
  'before release',
  'after release',
];
const CASES: readonly Case[] = [
  ...OWN.map((step) => [step, 'strict'] as const),
  ...(['request received', 'tokens made'] as const).flatMap((step) =>
    (['strict', 'grace', 'none'] as const).map((rotation) => [step, rotation] as const),
  ),
  ['before store', 'grace'],
  ['before store', 'none'],
];
/** The server rotated and nobody has the new token; a strict one takes the old for stolen. */
const LOST: ReadonlySet<string> = new Set(['tokens made strict', 'before store strict']);

for (const [step, rotation] of CASES) {
  t.test(`killed: ${step}, ${rotation} rotation`, async (t) => {
    const s = await oauthScene(t, file, {}, {}, { lockMs: 400 });
    s.server.rotation = rotation;
    connect(s.vault.grants, s.server, s.connection, STALE);
    const own = OWN.find((name) => name === step);
    const victim = await other(t, s, own === undefined ? {} : { die: own });
    const kill = (): false => {
      victim.child.kill('SIGKILL');
      return false;
    };
    if (step === 'request received') s.server.fault = kill;
    if (step === 'tokens made') s.server.beforeAnswer = kill;
    t.equal(await victim.go(), undefined, 'it died');
    t.equal(victim.child.signalCode, 'SIGKILL');
    s.server.fault = () => true;
    s.server.beforeAnswer = () => true;
    const before = s.server.tokenRequests.length;
    s.pass(120_000); // the dead one's lock, which was taken for a minute, has run out
    const answers = await Promise.all(Array.from({ length: 10 }, () => s.call()));
    const lost = LOST.has(`${step} ${rotation}`);
    t.strictSame(new Set(answers), new Set([lost ? 'not_connected' : GOOD]));
    t.match(s.grant(adaKey), lost ? { state: 'reauthorize', reason: /after an answer that was lost/ } : { state: 'active' });
    const stored = step === 'after store' || step === 'before release' || step === 'after release';
    t.equal(s.server.tokenRequests.length - before, stored ? 0 : 1, 'no more requests than needed');
    t.notMatch(s.onDisk(), /canary/);
  });
}
