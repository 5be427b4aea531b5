// Starts a server under test as a process of its own and waits for its ready line.
// Not responsible for what it serves.
// Invariant: every server that was started is ended, at the latest with the harness.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const READY_MS = 60_000;

export interface ReadyLine {
  readonly ready: true;
  readonly url: string;
  readonly tenants?: readonly { readonly id: string; readonly endpoint: string; readonly token?: string }[];
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class ServerProcess {
  readonly ready: ReadyLine;
  readonly pid: number;
  /** From spawn to the ready line. */
  readonly readyMs: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ready: ReadyLine, readyMs: number) {
    this.#child = child;
    this.pid = child.pid as number;
    this.ready = ready;
    this.readyMs = readyMs;
  }

  /** `readyMs` bounds the wait for the ready line. Rejects with what the process said on stderr. */
  static start(args: readonly string[], cwd: string, readyMs = READY_MS): Promise<ServerProcess> {
    const begun = performance.now();
    // The heap is measured after a collection, over the inspector.
    const env = { ...process.env, NODE_ENV: 'production', LEASEHOLD_UNSAFE_INSPECTOR: '1' };
    const child = spawn(process.execPath, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
    running.add(child);
    child.once('exit', () => running.delete(child));
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    return new Promise((resolve, reject) => {
      const fail = (reason: string) => {
        child.kill('SIGKILL');
        reject(new Error(`${args.join(' ')}: ${reason}\n${said}`));
      };
      const timer = setTimeout(() => fail(`not ready in ${readyMs} ms`), readyMs);
      const onExit = (code: number | null) => fail(`ended with ${code} before it was ready`);
      child.once('exit', onExit);
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (!line.startsWith('{"ready":true')) return;
        clearTimeout(timer);
        child.off('exit', onExit);
        resolve(new ServerProcess(child, JSON.parse(line) as ReadyLine, performance.now() - begun));
      });
    });
  }

  /** Ends it as an operator would, and after ten seconds by force. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    this.#child.stdin?.end();
    this.#child.kill('SIGTERM');
    await gone;
    clearTimeout(timer);
  }
}
