// Asks, before anything is dispatched, whether a call has the connections that it needs; if not, answers it with what to connect.
// Not responsible for finding that out (`connections`), for links, or for what the answer looks like on the wire (`mcp`).
// Invariant: one answer names all that is missing; nothing was done when it goes out, and what had been done in earlier rounds is
// not done again after it. Calls without connections do not come here.
import type { AuditSubject } from '../audit/record.ts';
import type { ClientQuestion } from '../boundary/outcome.ts';
import type { CompiledConnection } from '../config/compiled.ts';
import type { Credentials } from '../connections/credentials.ts';
import type { OperationCall, OperationResult } from '../mcp/ports.ts';
import { connectLinks, linkText, withLinks } from '../shared/connect-links.ts';
import { type Failure, failure } from '../shared/errors.ts';
import type { RoundsBefore } from './asking/rounds.ts';
import type { Connecting } from './asking/sealed-state.ts';
import { callerSubject } from './call-records.ts';
import type { Runnable, Tenant } from './tenant.ts';

/** A call that was repeated while its user is still in the browser is held this long before it is asked again. */
const POLITE_MS = 20_000;
const POLL_MS = 250;
/** More than these, of one tenant or of all, are asked again at once. */
const WAITING_PER_TENANT = 32;
const WAITING = 256;

/** What a connection must be able to do for a call. */
interface Need {
  readonly connection: CompiledConnection;
  readonly scopes: readonly string[];
}

export interface GatePorts {
  readonly credentials: Pick<Credentials, 'ready'>;
  /** Whether the page at this address still waits for somebody. */
  readonly isOpen: (url: string) => boolean;
}

export interface ConnectionGate {
  /** Undefined: the call may go on. `before`: of the rounds that came before it. */
  check(
    inbound: OperationCall,
    tenant: Tenant,
    spec: Runnable,
    before: RoundsBefore | undefined,
  ): Promise<OperationResult | undefined>;
  /** The same answer for a run that came upon it on the way, where running it again does no harm. */
  onTheWay(inbound: OperationCall, before: RoundsBefore | undefined, of: Failure): OperationResult | undefined;
  /** Holds nobody any more. */
  stop(): void;
}

/** Whether the gate has anything to ask for. */
export function needsConnections(
  { binding, connections }: Runnable,
  configured: ReadonlyMap<string, CompiledConnection>,
): boolean {
  if (binding !== undefined) return configured.get(binding.connection)?.type !== 'none';
  for (const slot in connections) if (configured.get(slot)?.type !== 'none') return true;
  return false;
}

export function createConnectionGate({ credentials, isOpen }: GatePorts): ConnectionGate {
  const waiting = new Map<string, number>();
  let all = 0;
  let stopped = false;

  async function missing(
    tenant: string,
    subject: Omit<AuditSubject, 'id' | 'tenant'>,
    needs: readonly Need[],
  ): Promise<Failure | undefined> {
    const found: Failure[] = [];
    for (const need of needs) {
      const failed = await credentials.ready({ tenant, subject, ...need });
      if (failed !== undefined) found.push(failed);
    }
    return combined(found);
  }

  /** Until the pages are done with, one way or another; false where they still are not when the time is up. */
  async function closed(urls: readonly string[], tenant: Tenant, signal: AbortSignal): Promise<boolean> {
    const others = waiting.get(tenant.id) ?? 0;
    const patience =
      others >= WAITING_PER_TENANT || all >= WAITING ? 0 : Math.min(POLITE_MS, tenant.config.limits.callDeadlineMs / 2);
    waiting.set(tenant.id, others + 1);
    all += 1;
    try {
      for (const until = performance.now() + patience; urls.some(isOpen); await pause(POLL_MS, signal))
        if (performance.now() >= until || signal.aborted || stopped) return false;
      return true;
    } finally {
      all -= 1;
      const left = (waiting.get(tenant.id) ?? 1) - 1;
      if (left > 0) waiting.set(tenant.id, left);
      else waiting.delete(tenant.id);
    }
  }

  return {
    async check(inbound, tenant, spec, before) {
      const asked = before?.connect;
      const said = asked === undefined ? [] : answersTo(asked, before?.answers ?? {});
      if (said.some((action) => action !== 'accept')) return failed(DECLINED);
      const waits = asked !== undefined && said.length > 0;
      if (waits && !(await closed(asked.urls, tenant, inbound.signal)) && asked.onTheWay) return askFor(before, asked);
      const lacks = await missing(tenant.id, callerSubject(inbound.caller), needsOf(spec, tenant.config.connections));
      return lacks === undefined ? undefined : (toConnect(inbound, before, lacks, false) ?? failed(lacks));
    },
    onTheWay: (inbound, before, of) => toConnect(inbound, before, of, true),
    stop() {
      stopped = true;
    },
  };
}

/** In the 2026 era: the request ends with what its client shall ask. The other era says the same with an error (`mcp/legacy`). */
function toConnect(
  { asking, caller }: OperationCall,
  before: RoundsBefore | undefined,
  of: Failure,
  onTheWay: boolean,
): OperationResult | undefined {
  const links = connectLinks(of);
  if (links.length === 0 || asking?.era !== 'rounds' || !asksUrls(caller.client.capabilities)) return undefined;
  const requests = links.map((link): [string, ClientQuestion] => [
    // No key of an author has a colon in it.
    `connect:${link.connection}`,
    { method: 'elicitation/create', params: { mode: 'url', url: link.url, message: linkText(link) } },
  ]);
  return askFor(before, { requests: Object.fromEntries(requests), urls: links.map(({ url }) => url), onTheWay });
}

/** What is known of earlier rounds goes on being known; nothing of this one is. */
function askFor(before: RoundsBefore | undefined, connect: Connecting): OperationResult | undefined {
  const state = before?.state.seal(before.known, connect);
  return state === undefined ? undefined : { outcome: { status: 'input_required', requests: connect.requests, state } };
}

function asksUrls({ elicitation }: { readonly [name: string]: unknown }): boolean {
  return typeof elicitation === 'object' && elicitation !== null && 'url' in elicitation;
}

/** What the user said to each of the links, as the client tells it. */
function answersTo({ requests }: Connecting, answers: { readonly [key: string]: unknown }): unknown[] {
  return Object.keys(requests).flatMap((key) => {
    const answer: unknown = Object.hasOwn(answers, key) ? answers[key] : undefined;
    return typeof answer === 'object' && answer !== null && 'action' in answer ? [answer.action] : [];
  });
}

const DECLINED = failure('not_connected', { message: 'The tool needs an account, and the user did not want to connect it now.' });

function needsOf({ binding, connections = {} }: Runnable, configured: ReadonlyMap<string, CompiledConnection>): Need[] {
  const slots: [string, readonly string[] | undefined][] =
    binding === undefined
      ? Object.entries(connections).map(([slot, { scopes }]) => [slot, scopes])
      : [[binding.connection, binding.scopesNeeded]];
  return slots.flatMap(([slot, scopes = []]) => {
    const connection = configured.get(slot);
    return connection === undefined || connection.type === 'none' ? [] : [{ connection, scopes }];
  });
}

/** What only an operator can mend is said without links: following them would not let the call through. */
function combined(found: readonly Failure[]): Failure | undefined {
  const [first] = found;
  if (first === undefined || found.length === 1) return first;
  const message = found.map((one) => one.message ?? '').join(' ');
  const detail = found.map((one) => one.detail ?? one.code).join('; ');
  const other = found.find(({ code }) => code !== 'not_connected');
  if (other !== undefined) return other;
  const all = failure('not_connected', { message, detail });
  return found.some((one) => connectLinks(one).length === 0) ? all : withLinks(all, found.flatMap(connectLinks));
}

function failed(reason: Failure): OperationResult {
  const { detail: _, ...told } = reason;
  return { outcome: { status: 'error', failure: told } };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
