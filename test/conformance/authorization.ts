// The official suite's scenarios for authorization servers, against the embedded one: its metadata, and a code that a person lets it have.
// Not responsible for single features (`test/login`).
// Invariant: the suite is the client, judges and listens for the code; a person goes through the server's own pages, nothing else is added.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Person, WireClient } from '../login/login-scene.ts';
import { PERSON, type Refereed } from './server.ts';
import { readScenarios, type Revision, type Scenario, SUITE } from './suite.ts';

const LONGEST_MS = 120_000;

export async function runAuthorization({ endpoint, origin }: Refereed, revision: Revision): Promise<Scenario[]> {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-authorization-'));
  try {
    const port = await freePort();
    const client = new WireClient(origin);
    await client.register({ client_name: 'Conformance', redirect_uris: [`http://127.0.0.1:${port}/callback`] });
    const args = ['--url', origin, '--client-id', client.id, '--resource', endpoint, '--port', String(port)];
    const child = spawn(process.execPath, [SUITE, 'authorization', ...args, '--spec-version', revision, '-o', folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: LONGEST_MS,
    });
    const ended = once(child, 'exit');
    for await (const line of createInterface(child.stdout)) if (line.startsWith(`${origin}/oauth/authorize?`)) await allow(line);
    await ended;
    return readScenarios(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function allow(url: string): Promise<void> {
  const person = new Person();
  const asked = await person.signIn(url, PERSON.name, PERSON.password);
  await person.submit(asked, { do: 'allow' });
}

/** The suite does not take port 0. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
