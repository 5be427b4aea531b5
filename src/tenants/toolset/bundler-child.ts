// One bundler child: its process, its permissions, and one order at a time.
// Not responsible for caching or queueing (`bundler`).
// Invariant: a child reads one tenant's folders; its environment and working directory are empty; whatever it does
// (crash, hang, flood), `bundle` settles within the deadline.
import { type ChildProcess, spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Compile } from 'typebox/compile';
import { type BundleAnswer, BundleAnswerSchema, type BundleOrder } from '../../boundary/bundling.ts';
import { BUNDLING_LIMITS } from '../../shared/bundling-limits.ts';

export type Bundled =
  | { readonly answer: Extract<BundleAnswer, { ok: true }>; readonly script: Buffer; readonly map: Buffer }
  | { readonly answer: Extract<BundleAnswer, { ok: false }> };

const DEADLINE_MS = 60_000;
const checkAnswer = Compile(BundleAnswerSchema);
const require = createRequire(import.meta.url);
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const entry = fileURLToPath(new URL(`../../../workers/bundler${extension}`, import.meta.url));

/** The code of the child itself: nothing around it, since an estate may lie beside it (the demo does). */
function ownCode(): string[] {
  const root = dirname(dirname(entry));
  return [
    entry,
    join(root, 'workers/bundler'),
    join(root, `src/shared/allowed-builtins${extension}`),
    join(root, `src/shared/bundling-limits${extension}`),
    join(root, 'package.json'),
    dirname(realpathSync(require.resolve('esbuild-wasm/package.json'))),
    dirname(realpathSync(require.resolve('resolve.exports/package.json'))),
  ];
}

export class BundlerChild {
  readonly #process: ChildProcess;
  #buffered: Buffer[] = [];
  #size = 0;
  #pending: { settle: (bundled: Bundled) => void; timer: NodeJS.Timeout } | undefined;
  #ended = false;

  /** `cwd`: an empty folder, since a Node process may read the folder that it was started in. */
  constructor(order: BundleOrder, cwd: string) {
    const readable = [...ownCode(), order.tenant, order.shared, ...order.libraries].filter((path) => path !== undefined);
    this.#process = spawn(
      process.execPath,
      ['--permission', ...readable.map((path) => `--allow-fs-read=${path}`), '--max-old-space-size=512', '--no-warnings', entry],
      { cwd, env: {}, stdio: ['pipe', 'pipe', 'ignore'] },
    );
    this.#process.stdout?.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#process.stdin?.on('error', () => this.end());
    this.#process.on('error', () => this.end());
    this.#process.on('exit', () => this.end());
    // Waiting for the next change must not keep the supervisor alive.
    this.#process.unref();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Never rejects. One at a time. */
  bundle(order: BundleOrder): Promise<Bundled> {
    if (this.#ended || this.#pending !== undefined) return Promise.resolve(lost());
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.end(), DEADLINE_MS);
      this.#pending = { settle: resolve, timer };
      this.#process.ref();
      this.#process.stdin?.write(`${JSON.stringify(order)}\n`);
    });
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#process.kill('SIGKILL');
    this.#settle(lost());
  }

  #receive(chunk: Buffer): void {
    if (this.#pending === undefined) return this.end();
    this.#buffered.push(chunk);
    this.#size += chunk.length;
    if (this.#size < 4) return;
    const head = this.#buffered.length === 1 ? chunk : Buffer.concat(this.#buffered);
    this.#buffered = [head];
    const length = head.readUInt32BE(0);
    if (length > BUNDLING_LIMITS.headerBytes) return this.end();
    if (this.#size < 4 + length) return;
    const answer = parseAnswer(head.subarray(4, 4 + length));
    if (answer === undefined) return this.end();
    if (!answer.ok) return this.#settle({ answer });
    const script = 4 + length + answer.scriptBytes;
    if (this.#size < script + answer.mapBytes) return;
    this.#settle({ answer, script: head.subarray(4 + length, script), map: head.subarray(script, script + answer.mapBytes) });
  }

  #settle(bundled: Bundled): void {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#buffered = [];
    this.#size = 0;
    if (pending === undefined) return;
    clearTimeout(pending.timer);
    this.#process.unref();
    pending.settle(bundled);
  }
}

function parseAnswer(json: Buffer): BundleAnswer | undefined {
  try {
    const answer: unknown = JSON.parse(json.toString('utf8'));
    return checkAnswer.Check(answer) ? answer : undefined;
  } catch {
    return undefined;
  }
}

/** No answer came, or none will. */
export function lost(): Bundled {
  return {
    answer: {
      ok: false,
      problems: [
        {
          file: 'tools',
          reason: 'the bundler stopped or took too long',
          hint: 'sources that are very large or very deeply nested can cause this',
        },
      ],
    },
  };
}
