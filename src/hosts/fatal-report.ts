// What a host said when V8 ended it: the diagnostic report of Node, on a pipe that nothing else of the host writes to.
// Not responsible for whose thread it was (`host-link`) or for what follows (`separation`).
// Invariant: one whole report of an allocation that failed, or nothing: more, less and other text name nobody. A tool cannot
// reach the pipe; code that broke out of the sandbox can, and all it gets is what a wrong guess costs.
import type { Readable } from 'node:stream';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';

/** For Node. No environment and no addresses of the machine in it, and no look-up of names while the process dies. */
export const REPORT_FLAGS = [
  '--report-on-fatalerror',
  '--report-filename=stdout',
  '--report-exclude-network',
  '--report-exclude-env',
] as const;

/** A report has about 12 kB. */
const MAX_BYTES = 65_536;

/** The thread whose allocation failed. */
export interface OutOfMemory {
  readonly thread: number;
  /** What was alive in its JavaScript heap. */
  readonly heapBytes: number;
}

/** https://nodejs.org/api/report.html, version 5. */
const checkReport = Compile(
  Type.Object({
    header: Type.Object({ trigger: Type.Literal('OOMError'), threadId: Type.Integer({ minimum: 1 }) }),
    javascriptHeap: Type.Object({ usedMemory: Type.Integer({ minimum: 0 }) }),
  }),
);

export class FatalReport {
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(pipe: Readable | undefined) {
    pipe?.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length;
      if (this.#bytes <= MAX_BYTES) this.#parts.push(chunk);
      // Nobody reads on: a host that floods it blocks, or ends.
      else pipe.destroy();
    });
    pipe?.on('error', () => {});
  }

  /** Asked when the pipe has ended. */
  read(): OutOfMemory | undefined {
    if (this.#bytes === 0 || this.#bytes > MAX_BYTES) return undefined;
    try {
      const report: unknown = JSON.parse(Buffer.concat(this.#parts).toString('utf8'));
      if (!checkReport.Check(report)) return undefined;
      return { thread: report.header.threadId, heapBytes: report.javascriptHeap.usedMemory };
    } catch {
      return undefined;
    }
  }
}
