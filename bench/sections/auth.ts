// What the kind of token costs a call: minted here, a signed access token (JWT) of another issuer or of the server's own sign-in, seen a
// moment ago and never before.
// Not responsible for judging the figures.
// Invariant: the same tool in the same server, in turns; the issuer is a process of its own as far as the server knows: it is asked over HTTP.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Measured } from '../load/generate.ts';
import { Person, REDIRECT, WireClient } from '../../test/login/login-scene.ts';
import { loadCall, median, warm } from '../load/load.ts';
import type { BenchOptions } from '../options.ts';
import { endpointOf, Estate } from '../subjects.ts';
import { ECHO } from './echo.ts';
import { timedEcho } from './start.ts';

export interface AuthRow {
  readonly token: 'minted' | 'JWT RS256' | 'JWT ES256' | 'own sign-in (JWT ES256)';
  readonly measured: Measured;
  /** Median of calls one after the other, milliseconds: with the same token, and with one that was never seen. */
  readonly seenMs: number;
  readonly unseenMs: number | undefined;
}

const CALL = { ...ECHO, era: '2026-07-28' } as const;

export async function authRows(options: BenchOptions): Promise<AuthRow[]> {
  const issuer = await startIssuer();
  const { origin } = issuer;
  const auth = { issuers: [{ issuer: origin }], embedded: true };
  const estate = await Estate.create({ auth, egress: { privateOrigins: [origin] } });
  try {
    const minted = await estate.token('bench');
    const server = await estate.serve();
    const url = endpointOf(server, 'bench');
    const kinds = [
      { token: 'minted', text: minted, fresh: undefined },
      ...(['RS256', 'ES256'] as const).map((alg) => ({
        token: `JWT ${alg}` as const,
        text: '',
        fresh: () => issuer.sign(alg, url),
      })),
      { token: 'own sign-in (JWT ES256)', text: '', fresh: await signedIn(estate, server.ready.url, url) },
    ] as const;
    const runs: { kind: (typeof kinds)[number]; text: string; rounds: Measured[] }[] = [];
    for (const kind of kinds) runs.push({ kind, text: kind.fresh === undefined ? kind.text : await kind.fresh(), rounds: [] });
    await warm({ url, token: minted }, server.pid, CALL, options);
    for (let round = 0; round < options.sideRounds; round += 1)
      for (const { text, rounds } of runs) rounds.push(await loadCall({ url, token: text }, server.pid, CALL, options));
    const rows: AuthRow[] = [];
    for (const { kind, text, rounds } of runs) {
      const seen = await timed(options.samples * 5, () => Promise.resolve(text), url);
      const unseen = kind.fresh === undefined ? undefined : await timed(options.samples * 5, kind.fresh, url);
      rows.push({ token: kind.token, measured: median(rounds), seenMs: seen, unseenMs: unseen });
    }
    await server.stop();
    return rows;
  } finally {
    await estate.remove();
    issuer.close();
  }
}

async function timed(samples: number, token: () => Promise<string>, url: string): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < samples; n += 1) times.push(await timedEcho({ url, token: await token() }));
  return times.sort((a, b) => a - b)[times.length >> 1] as number;
}

/** A person signs in once; each token after the first one is a refreshed one. */
async function signedIn(estate: Estate, base: string, resource: string): Promise<() => Promise<string>> {
  const [name, password] = ['bench', 'bench-correct-horse'];
  await estate.run(['user', 'add', name], `${password}\n`);
  await estate.run(['user', 'grant', 'bench', name]);
  const client = new WireClient(base);
  await client.register();
  const person = new Person();
  const asked = await person.signIn(client.url(resource), name, password);
  const { url } = await person.submit(asked, { do: 'allow' });
  if (!url.startsWith(REDIRECT)) throw new Error(`no code came of the sign-in: ${url}`);
  const code = new URL(url).searchParams.get('code') ?? '';
  let refresh: string | undefined;
  return async () => {
    const { status, json } = await (refresh === undefined ? client.redeem(code) : client.refresh(refresh));
    if (status !== 200) throw new Error(`no token came of the sign-in: ${status}`);
    refresh = json.refresh_token;
    return json.access_token as string;
  };
}

async function startIssuer() {
  const keys = new Map<string, CryptoKey>();
  const jwks: object[] = [];
  for (const alg of ['RS256', 'ES256']) {
    const { privateKey, publicKey } = await generateKeyPair(alg);
    keys.set(alg, privateKey);
    jwks.push({ ...(await exportJWK(publicKey)), kid: alg, alg, use: 'sig' });
  }
  const http = createServer((request, response) => {
    const body = request.url === '/jwks' ? { keys: jwks } : { issuer: origin, jwks_uri: `${origin}/jwks` };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  let made = 0;
  return {
    origin,
    sign: (alg: string, audience: string): Promise<string> =>
      new SignJWT({ scope: 'read', client_id: 'bench', jti: String((made += 1)) })
        .setProtectedHeader({ alg, typ: 'at+jwt', kid: alg })
        .setIssuer(origin)
        .setSubject('bench')
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(keys.get(alg) as CryptoKey),
    close: () => http.close(),
  };
}
