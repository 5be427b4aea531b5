// The path of an operation (a tool call, a prompt, a resource, a completion) behind the protocol: find, allow, admit, record, run,
// judge, record. Read `operate`, then `run`, top to bottom.
// Not responsible for protocol shapes (`mcp/`), for processes (`hosts/`) or for credentials (`connections/`).
// Invariant: nothing runs without a durable request record; every call settles exactly once, with a coded outcome.
import type { AuditLog } from '../audit/record.ts';
import { mayUse } from '../auth/policy.ts';
import type { FetchRequest } from '../boundary/host-request.ts';
import type { LoadedBinding } from '../boundary/binding.ts';
import type { Credentials } from '../connections/credentials.ts';
import type { EgressCall } from '../connections/egress-call.ts';
import type { CallOutcome } from '../boundary/outcome.ts';
import type { McpBackend, OperationCall, OperationResult } from '../mcp/ports.ts';
import { argumentShape } from '../shared/argument-shape.ts';
import { afterEffect, connectLinks } from '../shared/connect-links.ts';
import { FAILURES, type Failure, failure, isFailure, publicText, withoutDetail } from '../shared/errors.ts';
import type { Limits } from '../shared/limits.ts';
import { NumberMap } from '../shared/number-map.ts';
import type { StateSeal, ValueStore } from '../vault/stores.ts';
import { Entry, type EntryPorts } from './admission/entry.ts';
import { myConnections } from './builtins/my-connections.ts';
import { readRounds, Rounds, type RoundsBefore } from './asking/rounds.ts';
import type { AuthorLog } from './author-log.ts';
import { sendFor } from './call-egress.ts';
import { outcomeRecord, requestRecord, subjectOf } from './call-records.ts';
import { lineContext, Notices } from './call-notices.ts';
import { type Call, isCycle, objectsOnly, Root } from './call-tree.ts';
import { cancelBody, type Ended, type Replied, runCode, type RunPorts, stoppedOutcome } from './code-run.ts';
import { createConnectionGate, needsConnections } from './connection-gate.ts';
import { findOperation } from './find-operation.ts';
import { heldUntilRead } from './held-body.ts';
import { answerHostRequest, refused } from './host-requests.ts';
import { judge, withoutRecord } from './judge.ts';
import { nameLimit } from './name-limit.ts';
import type { Runnable, TenantRegistry } from './tenant.ts';
import type { ToolsetUsers } from './toolset-users.ts';
import { toolsetView } from './toolset-view.ts';
import { whyUnready } from './unready.ts';

export interface DispatchPorts extends EntryPorts {
  readonly registry: TenantRegistry;
  readonly users: ToolsetUsers;
  readonly audit: AuditLog;
  readonly values: ValueStore;
  readonly states: StateSeal;
  readonly egress: EgressCall;
  readonly credentials: Pick<Credentials, 'ready'>;
  /** Whether the page at this address still waits for somebody to connect an account. */
  readonly isOpen: (url: string) => boolean;
  readonly log: AuthorLog;
  /** Positions in a stack of tenant code, as the author knows them. */
  mapStack(tenant: string, stack: string): string;
  /** A tool says that a resource of its tenant has changed. */
  resourceUpdated(tenant: string, uri: string): void;
}

export interface Dispatch extends McpBackend {
  /** Stops what still runs; its callers are told that the server is going down. */
  stopAll(): void;
}

/** Of a call, from its beginning on, milliseconds. */
function deadlineMs({ timeoutMs }: Runnable, { callDeadlineMs }: Limits): number {
  return Math.min(timeoutMs ?? callDeadlineMs, callDeadlineMs);
}

function failed(reason: Failure): OperationResult {
  return { outcome: { status: 'error', failure: reason } };
}

export function createDispatch(ports: DispatchPorts): Dispatch {
  const { registry, users, audit, log, counts } = ports;
  const entry = new Entry(ports);
  const notices = new Notices(ports);
  const roots = new NumberMap<Root>();
  let lastRoot = 0;
  const gate = createConnectionGate(ports);

  async function operate(inbound: OperationCall): Promise<OperationResult> {
    const { caller } = inbound;
    const tenant = registry.get(caller.principal.tenant);
    const toolset = tenant?.toolset;
    const spec = findOperation(toolset, caller.principal, inbound.asked);
    if (isFailure(spec)) return failed(spec);
    if (tenant === undefined || toolset === undefined) return failed(failure('tool_unknown'));
    const { connections, limits } = tenant.config;
    const begun = performance.now();
    const unready = whyUnready(spec, toolset, connections, inbound.args, limits.argumentsBytes);
    if (unready !== undefined) return failed(entry.refuse(unready, inbound, tenant, spec));
    const before = readRounds(ports.states, inbound, toolset.hash);
    if (before !== undefined && isFailure(before)) return failed(before);
    if (before?.connect !== undefined || needsConnections(spec, connections)) {
      const unconnected = await gate.check(inbound, tenant, spec, before);
      if (unconnected !== undefined) return unconnected;
    }
    const patienceMs = deadlineMs(spec, limits);
    const granted = entry.slot(inbound, tenant, spec, patienceMs);
    const slot = granted instanceof Promise ? await granted : granted;
    if (isFailure(slot)) return failed(slot);

    const root = new Root(caller, tenant, toolset, slot, Math.max(1, patienceMs - (performance.now() - begun)), inbound.asking);
    if (before !== undefined) root.rounds = new Rounds(root, before);
    const cancel = (): void => root.stop('cancelled');
    inbound.signal.addEventListener('abort', cancel, { once: true });
    if (inbound.signal.aborted) cancel();
    const number = (lastRoot += 1);
    roots.set(number, root);
    users.enter(toolset);
    // A body that is given up ends more than once: by its reader, by its client, by its deadline.
    const done = (): void => {
      if (!roots.delete(number)) return;
      inbound.signal.removeEventListener('abort', cancel);
      users.leave(toolset);
      root.answered();
    };
    const call = root.begin(inbound.asked.kind, spec, undefined);
    const ended = await run(call, inbound.args, inbound.argsShape, inbound.progress);
    const result = toConnect(call, inbound, before, ended);
    if (result.body === undefined || result.body instanceof Uint8Array) {
      done();
      return result;
    }
    return { outcome: result.outcome, body: heldUntilRead(result.body, root, done) };
  }

  /** A run that came upon a missing connection: its client is asked to connect it and to call again, where that does no harm. */
  function toConnect(
    call: Call,
    inbound: OperationCall,
    before: RoundsBefore | undefined,
    ended: OperationResult,
  ): OperationResult {
    const { outcome } = ended;
    if (outcome.status !== 'error' || connectLinks(outcome.failure).length === 0) return ended;
    if ((call.unsafeSent || call.wrote) && !call.spec.repeatable) return failed(afterEffect(outcome.failure));
    return gate.onTheWay(inbound, before, outcome.failure) ?? ended;
  }

  /** One call of the tree: recorded, run, judged, recorded. Never rejects. */
  async function run(
    call: Call,
    args: Uint8Array,
    shape: OperationCall['argsShape'],
    progress?: OperationCall['progress'],
  ): Promise<OperationResult> {
    const subject = subjectOf(call);
    try {
      await audit.append(requestRecord(call, subject, shape ?? argumentShape(args)));
    } catch {
      return failed(failure('audit_unavailable'));
    }
    const ended = await performed(call, args, progress);
    const facts = { changed: call.unsafeSent || call.wrote, repeatable: call.spec.repeatable };
    const outcome = nameLimit(judge(ended.outcome, facts), call);
    count(call, outcome);
    if (outcome.status === 'error') tellAuthor(call, outcome.failure);
    try {
      await audit.append(outcomeRecord(call, subject, outcome, ended.body instanceof Uint8Array ? ended.body.length : undefined));
    } catch {
      cancelBody(ended.body);
      return { outcome: withoutRecord(facts) };
    }
    if (outcome.status === 'error') return failed(withoutDetail(outcome.failure));
    return ended.body === undefined ? { outcome } : { outcome, body: ended.body };
  }

  function count({ root }: Call, outcome: CallOutcome): void {
    const { id } = root.tenant;
    counts.called(id, outcome.status === 'error' ? FAILURES[outcome.failure.code].class : outcome.status);
    if (outcome.status === 'error' && outcome.failure.limit !== undefined) counts.limited(id, outcome.failure.limit);
  }

  /** What cannot be foreseen (no process, no disk) ends a call too: its slot, its records and its caller depend on an end. */
  async function performed(call: Call, args: Uint8Array, progress: OperationCall['progress']): Promise<Ended> {
    const { stopped } = call.root;
    if (stopped !== undefined) return stoppedOutcome(call.root, stopped);
    try {
      return await perform(call, args, progress);
    } catch (error) {
      const detail = error instanceof Error ? error.name : 'unknown';
      return { outcome: { status: 'error', failure: failure('internal_error', { detail }) } };
    }
  }

  function perform(call: Call, args: Uint8Array, progress: OperationCall['progress']): Promise<Ended> {
    const { toolset } = call.root;
    if (call.spec.builtin !== undefined) return myConnections(call, ports.credentials);
    if (call.spec.binding !== undefined) return runBinding(call, call.spec.binding, args);
    const pool = call.spec.isolation === 'call' ? toolset.codePerCall : toolset.code;
    if (pool === undefined) return Promise.resolve({ outcome: { status: 'error', failure: failure('toolset_broken') } });
    return runCode(call, pool, args, runPorts(progress));
  }

  function runPorts(progress: OperationCall['progress']): RunPorts {
    return {
      answer: (call, ask, body) => answerHostRequest({ audit, values: ports.values, fetch, nested }, call, ask, body),
      notice: notices.of(progress),
    };
  }

  async function nested(parent: Call, tool: string, args: Uint8Array, path: string): Promise<Replied> {
    const { root } = parent;
    const { limits, connections } = root.tenant.config;
    const spec = findOperation(root.toolset, root.caller.principal, { kind: 'tool', name: tool });
    if (isFailure(spec)) return refused(spec);
    if (isCycle(parent, spec.name))
      return refused(failure('call_cycle', { message: `The tool "${spec.name}" called itself through other tools.` }));
    if (parent.depth >= limits.nestingDepth) {
      return refused(
        failure('depth_limit', {
          message: `The call has reached its limit nestingDepth (${limits.nestingDepth}).`,
          limit: 'nestingDepth',
        }),
      );
    }
    const unready = whyUnready(spec, root.toolset, connections, args, limits.argumentsBytes);
    if (unready !== undefined) return refused(unready);
    const { outcome, body } = await run(root.begin('tool', spec, parent, path), args, undefined);
    switch (outcome.status) {
      case 'ok':
        return { reply: { status: 'ok' }, ...(body === undefined ? {} : { body }) };
      case 'error':
        return refused(outcome.failure);
      case 'input_required':
        // The parent is abandoned too; nobody reads this.
        return refused(failure('cancelled'));
      default:
        return outcome satisfies never;
    }
  }

  async function fetch(call: Call, ask: FetchRequest, body: Uint8Array): Promise<Replied> {
    if (!Object.hasOwn(call.spec.connections ?? {}, ask.connection)) {
      return refused(failure('connection_unknown', { message: `The tool does not declare the connection "${ask.connection}".` }));
    }
    const sent = await sendFor(call, ask.connection, { kind: 'fetch', request: ask }, body, ports);
    if (!sent.ok) return refused(withoutDetail(sent.failure));
    return { reply: { status: 'ok', http: sent.http }, ...(sent.body === undefined ? {} : { body: sent.body }) };
  }

  async function runBinding(call: Call, binding: LoadedBinding, args: Uint8Array): Promise<Ended> {
    const ask = { kind: 'binding', tool: call.spec.name, binding, objectsOnly: objectsOnly(call) } as const;
    const sent = await sendFor(call, binding.connection, ask, args, ports);
    if (!sent.ok) return { outcome: { status: 'error', failure: sent.failure } };
    return { outcome: { status: 'ok' }, ...(sent.body === undefined ? {} : { body: sent.body }) };
  }

  /** What the author is told of a failed call: where it failed, and what the caller saw. */
  function tellAuthor(call: Call, reason: Failure): void {
    const { tenant } = call.root;
    log.write(tenant.id, {
      level: FAILURES[reason.code].class === 'input' ? 'warn' : 'error',
      message: publicText(reason),
      ...lineContext(call),
      saw: reason.code,
      ...(reason.detail === undefined ? {} : { stack: mapped(tenant.id, reason.detail) }),
    });
  }

  /** A map that cannot be read costs the author a position, never the caller an answer. */
  function mapped(tenant: string, stack: string): string {
    try {
      return ports.mapStack(tenant, stack);
    } catch {
      return stack;
    }
  }

  return {
    toolset: (principal) => toolsetView(registry.get(principal.tenant)?.toolset, principal),
    operate,
    tool: (principal, name) => {
      const toolset = registry.get(principal.tenant)?.toolset;
      const spec = toolset?.tools.get(name);
      return spec !== undefined && mayUse(principal, spec.scopes) ? spec : undefined;
    },
    readable: (principal, uri) =>
      !isFailure(findOperation(registry.get(principal.tenant)?.toolset, principal, { kind: 'resource', name: uri })),
    stopAll() {
      gate.stop();
      for (const root of roots.values()) root.stop('drained');
    },
  };
}
