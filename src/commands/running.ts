// The servers that run now under this user: one small file per process, so that other commands find them.
// Not responsible for talking to them; an entry tells where a server says it is, and proves nothing.
// Invariant: an entry holds no secret; one whose process is gone is not listed, and is removed when seen.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

const RunningSchema = Type.Object(
  {
    pid: Type.Integer({ minimum: 1 }),
    /** Where this machine reaches it, by the listen address (not the public URL). */
    url: Type.String({ pattern: '^http://', maxLength: 512 }),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** Absolute folder. */
    estate: Type.String({ maxLength: 4096 }),
    dataDir: Type.String({ maxLength: 4096 }),
  },
  { additionalProperties: false },
);
export type RunningServer = Static<typeof RunningSchema>;
type Env = Readonly<Record<string, string | undefined>>;

/** `$XDG_STATE_HOME/leasehold/running`, by default below `~/.local/state` (XDG Base Directory Specification 0.8). */
function folder(env: Env): string {
  const state = env['XDG_STATE_HOME'];
  return join(state !== undefined && isAbsolute(state) ? state : join(homedir(), '.local', 'state'), 'leasehold', 'running');
}

/** Writes the entry of this process; the returned function removes it. A folder that cannot be written is no reason not to serve. */
export function announce(env: Env, server: RunningServer): () => void {
  const file = join(folder(env), `${server.pid}.json`);
  try {
    mkdirSync(folder(env), { recursive: true, mode: 0o700 });
    // Whole or not at all: a reader removes an entry that it cannot understand.
    writeFileSync(`${file}.new`, JSON.stringify(server), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  } catch {
    return () => {};
  }
  return () => rmSync(file, { force: true });
}

export function runningServers(env: Env): RunningServer[] {
  let names: string[];
  try {
    names = readdirSync(folder(env));
  } catch {
    return [];
  }
  return names.filter(isEntry).flatMap((name) => {
    const file = join(folder(env), name);
    const server = read(file);
    if (server !== undefined && name === `${server.pid}.json` && isAlive(server.pid)) return [server];
    rmSync(file, { force: true });
    return [];
  });
}

function isEntry(name: string): boolean {
  return /^\d+\.json$/.test(name);
}

function read(file: string): RunningServer | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Value.Check(RunningSchema, value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
