// The author's log: what the tools of a tenant said and how they failed, as JSON lines in `<data>/logs/<tenant>.jsonl`.
// Not responsible for the audit (durable, about who did what) or the operator's log (bunyan); losing a line here is allowed.
// Invariant: bounded everywhere: a line, the lines waiting, the files (one rotation, `<tenant>.jsonl.1`). `write` never
// throws, never waits and never touches the disk itself. What tools print may be personal: files are 0600.
import { appendFile, mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FailureCode } from '../shared/errors.ts';
import { isTenantId } from '../shared/ids.ts';

export interface AuthorLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  /** The tool whose call it belongs to, and the call's correlation id. */
  readonly tool?: string;
  readonly call?: string;
  /** Who called, how deep below the call of the client this one is, and its W3C trace context: the same as in the audit. */
  readonly subject?: string;
  readonly depth?: number;
  readonly trace?: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Of a failed call: positions in the author's own files. */
  readonly stack?: string;
  /** Of a failed call: what the caller was told. */
  readonly saw?: FailureCode;
}

/** As it stands in the file: RFC 3339 UTC with milliseconds, and the tenant. */
export interface StampedLine extends AuthorLine {
  readonly time: string;
  readonly tenant: string;
}

export interface AuthorLog {
  write(tenant: string, line: AuthorLine): void;
  /** Calls `listener` with every line from now on, until the returned function is called. */
  listen(listener: (line: StampedLine) => void): () => void;
  /** Resolves when everything written so far is in its file (or was given up). */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface AuthorLogOptions {
  /** A file that has reached this size is rotated. */
  readonly fileBytes: number;
  /** Bytes that may wait for the disk, per tenant; lines beyond are dropped and counted. */
  readonly waitingBytes: number;
  /** Lines of a tenant that is not served any more are dropped. */
  isServed(tenant: string): boolean;
}
const DEFAULTS: AuthorLogOptions = { fileBytes: 5 * 1_048_576, waitingBytes: 1_048_576, isServed: () => true };
const LINE_BYTES = 32_768;
const FLUSH_MS = 50;

export function authorLogFile(dataDir: string, tenant: string): string {
  if (!isTenantId(tenant)) throw new RangeError('not a tenant id');
  return join(dataDir, 'logs', `${tenant}.jsonl`);
}

/** What waits to be written for one tenant. */
interface Waiting {
  text: string;
  bytes: number;
  dropped: number;
}

class FileAuthorLog implements AuthorLog {
  readonly #dataDir: string;
  readonly #options: AuthorLogOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #listeners = new Set<(line: StampedLine) => void>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(dataDir: string, options: AuthorLogOptions) {
    this.#dataDir = dataDir;
    this.#options = options;
  }

  write(tenant: string, line: AuthorLine): void {
    if (this.#closed) return;
    const stamped: StampedLine = { time: new Date().toISOString(), tenant, ...line };
    for (const listener of this.#listeners) listener(stamped);
    const text = encode(stamped);
    const bytes = Buffer.byteLength(text);
    let waiting = this.#waiting.get(tenant);
    if (waiting === undefined) this.#waiting.set(tenant, (waiting = { text: '', bytes: 0, dropped: 0 }));
    if (waiting.bytes + bytes > this.#options.waitingBytes) {
      waiting.dropped += 1;
      return;
    }
    waiting.text += text;
    waiting.bytes += bytes;
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS);
  }

  listen(listener: (line: StampedLine) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // What waits is taken when its turn comes: behind a slow disk lines stay in `#waiting`, where their number is bounded.
    this.#writing = this.#writing.then(() => this.#store());
    return this.#writing;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  async #store(): Promise<void> {
    const batch = [...this.#waiting];
    this.#waiting.clear();
    for (const [tenant, waiting] of batch) {
      if (!this.#options.isServed(tenant)) continue;
      try {
        const file = authorLogFile(this.#dataDir, tenant);
        await mkdir(join(this.#dataDir, 'logs'), { recursive: true, mode: 0o700 });
        if ((await sizeOf(file)) >= this.#options.fileBytes) await rename(file, `${file}.1`);
        await appendFile(file, waiting.text + droppedLine(tenant, waiting.dropped), { mode: 0o600 });
      } catch {
        // A full disk must not stop a tool: the audit fails closed, this log does not.
      }
    }
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch {
    return 0;
  }
}

function droppedLine(tenant: string, dropped: number): string {
  if (dropped === 0) return '';
  return encode({ time: new Date().toISOString(), tenant, level: 'warn', message: `${dropped} log lines were dropped here` });
}

/** One line of JSON. What is too long or no JSON loses its fields first, then its end. */
function encode(line: StampedLine): string {
  const whole = stringify(line);
  if (whole !== undefined && whole.length <= LINE_BYTES) return `${whole}\n`;
  const { fields: _, ...rest } = line;
  const message = line.message.slice(0, LINE_BYTES / 4);
  const stack = line.stack?.slice(0, LINE_BYTES / 4);
  const short: StampedLine = { ...rest, message, ...(stack === undefined ? {} : { stack }) };
  return `${JSON.stringify({ ...short, cut: true })}\n`;
}

function stringify(line: StampedLine): string | undefined {
  try {
    return JSON.stringify(line);
  } catch {
    return undefined;
  }
}

export function createAuthorLog(dataDir: string, options: Partial<AuthorLogOptions> = {}): AuthorLog {
  return new FileAuthorLog(dataDir, { ...DEFAULTS, ...options });
}
