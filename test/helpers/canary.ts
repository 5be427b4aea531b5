// Looks for secrets where none may be: in the memory, environment and command line of processes, in files and in texts.
// Not responsible for planting them. Reads memory through /proc/<pid>/mem (Linux): every thread's heap, buffers and stacks, what is
// freed but not yet overwritten included. A process of the same user may read it where the kernel lets parents (ptrace_scope 0 or 1).
// Invariant: what is found is told by name and place, never by value.
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Found {
  readonly canary: string;
  /** `memory`, `environ` or `cmdline` of a process, or a path. */
  readonly where: string;
}
/** What to look for, by a name for the report: texts, or keys as bytes. They should be long and random: short ones occur by chance. */
export type Canaries = Readonly<Record<string, string | Uint8Array>>;

/** The host processes below this one, found by their working folders. */
export function hostProcesses(parent = process.pid): { readonly pid: number; readonly kind: 'tools' | 'egress' }[] {
  return childrenOf(parent).flatMap((pid) => {
    const kind = /\/run\/(tools|egress)-/.exec(tryLink(`/proc/${pid}/cwd`))?.[1] as 'tools' | 'egress' | undefined;
    return kind === undefined ? childrenBelow(pid) : [{ pid, kind }];
  });
}

/** Walls of the operating system may stand between this process and a host. */
function childrenBelow(pid: number): { readonly pid: number; readonly kind: 'tools' | 'egress' }[] {
  return childrenOf(pid).length === 0 ? [] : hostProcesses(pid);
}

/** Empty: nothing is there. @throws Error where the memory of the process cannot be read (it then proves nothing) */
export function canariesInProcess(pid: number, canaries: Canaries): Found[] {
  const forms = formsOf(canaries);
  const found = new Map<string, Found>();
  const look = (bytes: Buffer, where: string): void => {
    for (const [canary, form] of forms) if (bytes.includes(form)) found.set(`${canary} ${where}`, { canary, where });
  };
  look(readFileSync(`/proc/${pid}/environ`), `environ of ${pid}`);
  look(readFileSync(`/proc/${pid}/cmdline`), `cmdline of ${pid}`);
  const longest = Math.max(...forms.map(([, form]) => form.length));
  let bytes = 0;
  for (const piece of memoryOf(pid, longest)) {
    bytes += piece.length;
    look(piece, `memory of ${pid}`);
  }
  if (bytes < 1_000_000) throw new Error(`the memory of ${pid} could not be read`);
  return [...found.values()];
}

/** In every file below a folder, journals of the store included. */
export function canariesInFiles(folder: string, canaries: Canaries): Found[] {
  const forms = formsOf(canaries);
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true)
    .flatMap((path) => {
      const bytes = readFileSync(path);
      return forms.filter(([, form]) => bytes.includes(form)).map(([canary]) => ({ canary, where: path }));
    });
}

/** In logs, errors and answers. */
export function canariesInText(text: string, canaries: Canaries, where = 'text'): Found[] {
  const bytes = Buffer.from(text);
  return formsOf(canaries)
    .filter(([, form]) => bytes.includes(form))
    .map(([canary]) => ({ canary, where }));
}

/** As it is, as V8 keeps text that has other characters beside it (UTF-16), in base64 and in a URL. */
function formsOf(canaries: Canaries): [canary: string, form: Buffer][] {
  return Object.entries(canaries).flatMap(([canary, value]): [string, Buffer][] => {
    if (value.length < 12) throw new Error(`the canary "${canary}" is too short to be told from chance`);
    if (typeof value !== 'string') return [[canary, Buffer.from(value)]];
    const texts = new Set([value, encodeURIComponent(value), Buffer.from(value).toString('base64').replace(/=+$/, '')]);
    return [...texts].flatMap((text): [string, Buffer][] => [
      [canary, Buffer.from(text)],
      [canary, Buffer.from(text, 'utf16le')],
    ]);
  });
}

const PIECE_BYTES = 8 * 1024 * 1024;

/** Readable, writable regions in pieces that overlap by what the longest canary has. */
function* memoryOf(pid: number, overlap: number): Generator<Buffer> {
  const maps = readFileSync(`/proc/${pid}/maps`, 'utf8').trimEnd().split('\n');
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  const piece = Buffer.alloc(PIECE_BYTES + overlap);
  try {
    for (const line of maps) {
      const [, from = '', to = '', rights = ''] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line) ?? [];
      if (!rights.startsWith('rw')) continue;
      const end = BigInt(`0x${to}`);
      for (let at = BigInt(`0x${from}`); at < end; at += BigInt(PIECE_BYTES)) {
        const length = Math.min(piece.length, Number(end - at));
        const read = tryRead(fd, piece, length, at);
        if (read > 0) yield piece.subarray(0, read);
      }
    }
  } finally {
    closeSync(fd);
  }
}

/** A region may be gone by now, or be one that the kernel does not give away. */
function tryRead(fd: number, into: Buffer, length: number, at: bigint): number {
  try {
    return readSync(fd, into, 0, length, at);
  } catch {
    return 0;
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

function tryLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
