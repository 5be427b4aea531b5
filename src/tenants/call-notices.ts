// What a running call says besides its result: log lines, progress, changed resources; each up to its limit.
// Not responsible for where they go (author's log, client). The thread counts log lines too, but it is the tenant's.
// Invariant: what is over a limit is dropped and counted, never queued.
import type { Notice } from '../boundary/host-request.ts';
import type { OperationCall } from '../mcp/ports.ts';
import type { CallCounts } from './admission/entry.ts';
import type { AuthorLog } from './author-log.ts';
import type { Call } from './call-tree.ts';

export interface NoticePorts {
  readonly log: AuthorLog;
  readonly counts: CallCounts;
  resourceUpdated(tenant: string, uri: string): void;
}

/** Updates of resources that one call passes on. */
const UPDATES_PER_CALL = 1000;
const SECOND_MS = 1000;

/** How many there were in the second at hand. */
class Pace {
  #second = 0;
  #count = 0;

  /** Whether one more fits. */
  take(perSecond: number): boolean {
    const second = Math.floor(performance.now() / SECOND_MS);
    if (second !== this.#second) this.#count = 0;
    this.#second = second;
    this.#count += 1;
    return this.#count <= perSecond;
  }
}

export class Notices {
  readonly #ports: NoticePorts;
  /** Log lines of each tenant. */
  readonly #lines = new WeakMap<object, Pace>();

  constructor(ports: NoticePorts) {
    this.#ports = ports;
  }

  /** The listener of one call. */
  of(progress: OperationCall['progress']): (call: Call, notice: Notice) => void {
    let last = Number.NEGATIVE_INFINITY;
    let steps = 0;
    let lines = 0;
    let updates = 0;
    const pace = new Pace();
    return (call, notice) => {
      const { tenant } = call.root;
      const { limits } = tenant.config;
      switch (notice.kind) {
        case 'log':
          lines += 1;
          // One more than the limit: the thread's word that the rest is dropped.
          if (lines > limits.logLinesPerCall + 1) return this.#over(tenant.id, 'logLinesPerCall');
          if (!this.#paceOf(tenant.config).take(limits.logLinesPerSecond)) return this.#over(tenant.id, 'logLinesPerSecond');
          return this.#line(call, notice);
        case 'resource_updated':
          updates += 1;
          if (updates <= UPDATES_PER_CALL) this.#ports.resourceUpdated(tenant.id, notice.uri);
          return;
        case 'progress': {
          // MCP: the value MUST increase with each notification of one token.
          if (progress === undefined || notice.progress <= last) return;
          if (steps >= limits.progressPerCall) return this.#over(tenant.id, 'progressPerCall');
          if (!pace.take(limits.progressPerSecond)) return this.#over(tenant.id, 'progressPerSecond');
          last = notice.progress;
          steps += 1;
          const { kind: _kind, ...update } = notice;
          return progress(update);
        }
        default:
          return notice satisfies never;
      }
    };
  }

  #line(call: Call, notice: Extract<Notice, { kind: 'log' }>): void {
    const { caller, tenant } = call.root;
    const { kind: _kind, console, ...line } = notice;
    this.#ports.log.write(tenant.id, { ...line, ...lineContext(call) });
    if (console !== true) caller.log?.({ ...line, logger: call.spec.name });
  }

  #paceOf(tenant: object): Pace {
    let pace = this.#lines.get(tenant);
    if (pace === undefined) this.#lines.set(tenant, (pace = new Pace()));
    return pace;
  }

  #over(tenant: string, limit: string): void {
    this.#ports.counts.limited(tenant, limit);
  }
}

/** What every line of an author's log says of its call. */
export function lineContext({ depth, root: { caller }, spec }: Call) {
  const { correlation, principal, traceparent } = caller;
  return { tool: spec.name, call: correlation, subject: principal.subject, depth, trace: traceparent };
}
