// One host process as the supervisor holds it: checked frames in, frames out, readiness, heartbeat, death.
// Not responsible for what frames mean (`host-link`) or for starting another (`cordon`).
// Invariant: whatever goes wrong with it, the process is killed and `died` is told once; no frame is given out after that.
import { rmdir } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { BodySender, type ChunkHeader } from '../boundary/body-sender.ts';
import { checkFromHost } from '../boundary/frame-checks.ts';
import { FrameDecoder, FrameWriter } from '../boundary/frame-codec.ts';
import type { FromHost, ToHost } from '../boundary/frames.ts';
import { FatalReport, type OutOfMemory } from './fatal-report.ts';
import type { SpawnedHost } from './spawn-host.ts';

const READY_MS = 20_000;
/** For a process that has ended to be seen so, with the last of what it wrote. */
const LAST_WORDS_MS = 500;
/** How V8 ends a process that it cannot give memory. */
const ABORTED = 'SIGABRT';
/** What a host may write to stderr before the rest is dropped. */
const MAX_STDERR_BYTES = 65_536;

export interface Heartbeat {
  /** Between two pings. */
  readonly everyMs: number;
  /** This many unanswered pings mean that the process does not live. */
  readonly misses: number;
}

export interface HostEvents {
  ready(): void;
  /** False where the frame does not fit what this host was asked. */
  frame(frame: FromHost, body: Uint8Array): boolean;
  /** `memory`: it ended itself, since this thread could not be given memory. */
  died(reason: string, memory?: OutOfMemory): void;
  /** A line of its stderr; bounded. */
  said(text: string): void;
}

export class HostProcess {
  readonly sender: BodySender<ToHost>;
  readonly exited: Promise<void>;
  ready = false;
  dead = false;
  readonly #host: SpawnedHost;
  readonly #events: HostEvents;
  readonly #writer: FrameWriter<ToHost | ChunkHeader>;
  readonly #decoder = new FrameDecoder((header, body) => this.#frame(header, body));
  readonly #readyTimer: NodeJS.Timeout;
  readonly #pulse: NodeJS.Timeout;
  readonly #report: FatalReport;
  #unanswered = 0;
  #seq = 0;
  #stderrBytes = 0;

  constructor(host: SpawnedHost, heartbeat: Heartbeat, events: HostEvents) {
    this.#host = host;
    this.#events = events;
    this.#writer = new FrameWriter(host.pipe as Writable, () => this.sender.pump());
    this.sender = new BodySender(this.#writer);
    host.pipe.on('data', (chunk: Buffer) => this.#bytes(chunk));
    this.#report = new FatalReport(host.reports);
    host.pipe.on('error', () => this.#lost('the pipe broke'));
    host.pipe.on('close', () => this.#lost('the pipe was closed'));
    host.errors.on('data', (chunk: Buffer) => this.#stderr(chunk));
    host.child.on('error', (error) => this.kill(`could not be started: ${error.message}`));
    this.exited = new Promise((resolve) => {
      host.child.on('exit', (code, signal) => {
        this.#lost(`ended with ${signal ?? `code ${code}`}`);
        resolve(rmdir(host.cwd).catch(() => {}));
      });
      host.child.on('error', () => resolve());
    });
    this.#readyTimer = setTimeout(() => this.kill(`not ready within ${READY_MS} ms`), READY_MS);
    this.#pulse = setInterval(() => this.#beat(heartbeat.misses), heartbeat.everyMs);
    this.#readyTimer.unref();
    this.#pulse.unref();
  }

  get pid(): number | undefined {
    return this.#host.child.pid;
  }

  /** False where the header is larger than a frame may be. */
  say(frame: ToHost): boolean {
    return this.#writer.send(frame);
  }

  kill(reason: string): void {
    if (this.dead) return;
    this.#end();
    this.#events.died(reason);
  }

  /** It has ended by itself, or will not be heard of again. Why is told when it is known, or cannot be known any more. */
  #lost(reason: string): void {
    if (this.dead) return;
    this.#end();
    let told = false;
    const tell = (): void => {
      if (told) return;
      told = true;
      clearTimeout(timer);
      const { exitCode, signalCode } = this.#host.child;
      const end = signalCode ?? (exitCode === null ? undefined : `code ${exitCode}`);
      const memory = signalCode === ABORTED ? this.#report.read() : undefined;
      this.#events.died(end === undefined ? reason : `ended with ${end}`, memory);
    };
    const timer = setTimeout(tell, LAST_WORDS_MS);
    // After its exit, when its pipes have been read to their ends.
    this.#host.child.on('close', tell);
  }

  #end(): void {
    this.dead = true;
    clearTimeout(this.#readyTimer);
    clearInterval(this.#pulse);
    this.#decoder.stop();
    this.#host.child.kill('SIGKILL');
    this.#host.pipe.destroy();
  }

  #bytes(chunk: Buffer): void {
    const fault = this.#decoder.push(chunk);
    if (fault !== undefined) this.kill(`bad frame: ${fault}`);
  }

  #frame(header: unknown, body: Uint8Array): void {
    const frame = checkFromHost(header);
    if (frame === undefined) {
      this.kill('bad frame: not of a known shape');
    } else if (frame.t === 'ready') {
      if (this.ready) return this.kill('bad frame: ready twice');
      this.ready = true;
      clearTimeout(this.#readyTimer);
      this.#events.ready();
    } else if (!this.ready) {
      this.kill('bad frame: before ready');
    } else if (frame.t === 'pong') {
      this.#unanswered = 0;
    } else if (!this.#events.frame(frame, body)) {
      this.kill(`bad frame: ${frame.t} out of place`);
    }
  }

  #beat(misses: number): void {
    if (!this.ready) return;
    if (this.#unanswered >= misses) return this.kill(`no answer to ${misses} pings`);
    this.#unanswered += 1;
    this.#seq += 1;
    this.#writer.send({ t: 'ping', seq: this.#seq });
  }

  #stderr(chunk: Buffer): void {
    if (this.#stderrBytes >= MAX_STDERR_BYTES) return;
    this.#stderrBytes += chunk.length;
    this.#events.said(chunk.toString('utf8').slice(0, MAX_STDERR_BYTES));
  }
}
